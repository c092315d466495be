package fetch

import (
	"net/http"
	"strings"
	"time"
)

// MaxLifetime is the longest time that CacheLifetime tells.
const MaxLifetime = 24 * time.Hour

// CacheLifetime is for how long a response that arrived now is fresh to a
// private cache (RFC 9111 section 4.2), within zero and MaxLifetime; false: its
// headers do not say. What is malformed or contradictory is read as the shorter
// time. It is the server's wish: callers use it to refresh sooner, never later.
func CacheLifetime(h http.Header, now time.Time) (time.Duration, bool) {
	d, ok := maxAge(h.Values("Cache-Control"))
	if !ok {
		if d, ok = expires(h, now); !ok {
			return 0, false
		}
	}
	if age, valid := seconds(strings.TrimSpace(h.Get("Age"))); valid {
		d -= age
	}
	return min(max(d, 0), MaxLifetime), true
}

// maxAge splits at every comma, within quotes too: that can add a directive, and
// each directive that is looked for can only shorten.
func maxAge(lines []string) (d time.Duration, ok bool) {
	for _, line := range lines {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(directive, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "no-store", "no-cache":
				return 0, true
			case "max-age":
				age, valid := seconds(strings.Trim(value, " \t\""))
				if !valid {
					return 0, true
				}
				if !ok || age < d {
					d, ok = age, true
				}
			}
		}
	}
	return d, ok
}

// expires counts from the server's own clock where it tells it.
func expires(h http.Header, now time.Time) (time.Duration, bool) {
	lines := h.Values("Expires")
	if len(lines) == 0 {
		return 0, false
	}
	end, err := http.ParseTime(lines[0])
	if err != nil {
		return 0, true // "0" and the like: it has expired (RFC 9111 section 5.3)
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return end.Sub(now), true
}
