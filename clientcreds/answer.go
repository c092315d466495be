package clientcreds

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// maxAnswer bounds what is read of a token endpoint, after decompression.
const maxAnswer = 64 << 10

var answerLimits = jose.Limits{Bytes: maxAnswer, Depth: 16, Values: 1024}

// answer is what a token endpoint said (RFC 6749 section 5.1).
type answer struct {
	accessToken string
	scope       string
	lifetime    time.Duration // of the token; zero or less: it is for one use
	refreshIn   time.Duration // when to ask again, as Entra ID tells; zero: it did not say
	stated      bool          // lifetime is the server's word
}

// parseAnswer reads an answer. It is JSON if it looks like it, and a form if its
// type says so: both are sent under the names of either, and of text/plain.
func parseAnswer(status int, contentType string, body []byte, now time.Time) (*answer, *TokenError) {
	member, ok := members(contentType, body)
	if code := member("error"); status < 200 || status > 299 || code != nil {
		return nil, failure(status, text(code), text(member("error_description")))
	}
	malformed := &TokenError{Reason: ReasonMalformed, Status: status, Temporary: true}
	if !ok {
		return nil, malformed // an empty 200, or the page of a proxy in between
	}
	a := &answer{accessToken: text(member("access_token"))}
	if !visible(a.accessToken) {
		malformed.detail = "no usable access_token"
		return nil, malformed
	}
	// token_type is REQUIRED, but not always sent; what comes without is a bearer token.
	if kind := member("token_type"); kind != nil && !strings.EqualFold(text(kind), "Bearer") {
		return nil, &TokenError{Reason: ReasonTokenType, Status: status}
	}
	a.scope = printable(text(member("scope")), 4096)
	a.refreshIn, _ = seconds(text(member("refresh_in")))
	a.lifetime, a.stated = seconds(text(member("expires_in")))
	if !a.stated {
		a.lifetime = hint(a.accessToken, now)
	}
	return a, nil
}

// members gives access to the members of an answer: text as string, numbers as
// json.Number, nil for null and for what is not there. false: the answer has no
// form that is known.
func members(contentType string, body []byte) (get func(string) any, ok bool) {
	none := func(string) any { return nil }
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("{")) {
		obj, err := jose.ParseObject(string(body), answerLimits)
		if err != nil {
			return none, false
		}
		return func(name string) any { v, _ := obj.Get(name); return v }, true
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind != "application/x-www-form-urlencoded" && kind != "text/plain" {
		return none, false
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return none, false
	}
	for _, values := range form {
		if len(values) != 1 {
			return none, false // section 3.2: not more than once
		}
	}
	return func(name string) any {
		if !form.Has(name) {
			return nil
		}
		return form.Get(name)
	}, true
}

// text is a string or a number as text; empty for anything else.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// visible reports whether a token can stand in a header. RFC 6750 section 2.1 has
// fewer characters, RFC 6749 appendix A.12 one more, the space; tokens with "!" or
// ":" are about.
func visible(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// seconds reads a number of seconds as servers write it: 3600, 3600.0, 3.6e3 or
// either in quotes. What is beyond a year is a year. false: there is none.
func seconds(v string) (time.Duration, bool) {
	const year = 365 * 24 * 3600
	if len(v) > 32 {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if math.IsNaN(f) || err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return time.Duration(max(min(f, year), -year) * float64(time.Second)), true
}

// hint is the lifetime of a token that came without: up to the exp of a JWT, which
// is read unverified, for nothing but this; else a few minutes.
func hint(accessToken string, now time.Time) time.Duration {
	parts := strings.SplitN(accessToken, ".", 4)
	if len(parts) != 3 {
		return defaultTTL
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return defaultTTL
	}
	obj, err := jose.ParseObject(string(payload), answerLimits)
	if err != nil {
		return defaultTTL
	}
	v, _ := obj.Get("exp")
	exp, isNumber := v.(json.Number)
	f, err := exp.Float64()
	if !isNumber || err != nil || f < 0 || f > 1e11 {
		return defaultTTL
	}
	return min(time.Unix(int64(f), 0).Sub(now), maxLifetime)
}

// failure sorts the failures. Without an error code it was not the server that
// refused: a firewall's page for a 403 goes away by itself.
func failure(status int, code, description string) *TokenError {
	e := &TokenError{Status: status, Code: errorCode(code), description: printable(description, 200)}
	switch {
	case status >= 300 && status < 400:
		e.Reason = ReasonRedirect
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		e.Reason, e.Temporary = ReasonStatus, true
	case e.Code == "invalid_client" || e.Code == "unauthorized_client": //nolint:misspell // as RFC 6749 spells it
		e.Reason = ReasonClient
	case e.Code == "temporarily_unavailable" || e.Code == "server_error" || e.Code == "slow_down":
		e.Reason, e.Temporary = ReasonStatus, true
	case e.Code != "":
		e.Reason = ReasonRequest
	default:
		e.Reason, e.Temporary = ReasonStatus, true
	}
	return e
}

// errorCode is code if it is a word as codes are. Nothing else of an answer gets
// into a text.
func errorCode(code string) string {
	if len(code) > 64 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return ""
	}
	return code
}
