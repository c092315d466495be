package fetch

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter is the longest time that RetryAfter tells.
const MaxRetryAfter = 5 * time.Minute

// RetryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds, or a date,
// which counts from now. It is within zero and MaxRetryAfter; false: absent or
// malformed.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	d, ok := seconds(v)
	if !ok {
		t, err := http.ParseTime(v)
		if err != nil {
			return 0, false
		}
		d = t.Sub(now)
	}
	return min(max(d, 0), MaxRetryAfter), true
}

// seconds reads delta-seconds: digits only, and what is too large for 31 bits is
// the largest (RFC 9111 section 1.2.2).
func seconds(v string) (time.Duration, bool) {
	if v == "" || strings.Trim(v, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		n = math.MaxInt32
	}
	return time.Duration(n) * time.Second, true
}
