package jwtvalidate

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// challenges holds the WWW-Authenticate values of a validator, by error code, so
// that a refusal formats nothing (RFC 6750 section 3).
type challenges map[string]string

func newChallenges(realm string, r *resource) challenges {
	base := `Bearer realm="` + realm + `"`
	if r.metadata != "" {
		base += `, resource_metadata="` + r.metadata + `"` // RFC 9728 section 5.1
	}
	scope := ""
	if len(r.scopes) > 0 {
		scope = `, scope="` + strings.Join(r.scopes, " ") + `"`
	}
	c := challenges{"": base + scope}
	for _, code := range []string{"invalid_request", "invalid_token", "insufficient_scope", "insufficient_user_authentication"} {
		c[code] = base + `, error="` + code + `"`
	}
	c["invalid_token"] += scope
	return c
}

// defaultRealm stands in every challenge whose Config names no realm: RFC 6750
// section 3 wants at least one parameter behind the scheme.
const defaultRealm = "api"

var defaultChallenges = newChallenges(defaultRealm, new(resource))

// wwwAuthenticate is the name of the header in the form that net/http keeps it in.
const wwwAuthenticate = "Www-Authenticate"

// setHeaders sets what an answer to err carries besides its status.
func (c challenges) setHeaders(h http.Header, f *failure, err error) {
	h["Cache-Control"] = []string{"no-store"}
	if f.status == http.StatusServiceUnavailable {
		seconds := (retryAfter(err) + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.Itoa(int(seconds)))
		return
	}
	if f.status == http.StatusForbidden && f.code == "" {
		return // no other token of this client would help, and there is no code for it
	}
	challenge := c[f.code]
	if err != error(f) { //nolint:errorlint // the failure itself has no more to say
		if d, ok := denialOf(err); ok {
			challenge += d.params
		}
	}
	h[wwwAuthenticate] = append(h[wwwAuthenticate], challenge)
}

// WriteError is the answer to an error of Check: the status of the table in the
// package comment, and no body. Where no Handler has set them before, it sets
// Retry-After or a challenge with the realm "api". An error that is not of this
// package is answered 401 invalid_token; nothing of its text is sent. A nil
// error writes nothing.
func WriteError(w http.ResponseWriter, _ *http.Request, err error) {
	if err == nil {
		return
	}
	h, f := w.Header(), failureOf(err)
	set := hasBearer(h[wwwAuthenticate])
	if f.status == http.StatusServiceUnavailable {
		set = h.Get("Retry-After") != ""
	}
	if !set {
		defaultChallenges.setHeaders(h, f, err)
	}
	w.WriteHeader(f.status)
}

func hasBearer(values []string) bool {
	for _, v := range values {
		if scheme, _, _ := strings.Cut(v, " "); strings.EqualFold(scheme, "Bearer") {
			return true
		}
	}
	return false
}

// refusal is the ResponseWriter of an OnError: what names no status is no 200.
type refusal struct {
	http.ResponseWriter
	status  int
	written bool
}

func (r *refusal) WriteHeader(status int) {
	r.written = r.written || status >= http.StatusOK // the others are informational
	r.ResponseWriter.WriteHeader(status)
}

func (r *refusal) Write(b []byte) (int, error) {
	r.end()
	return r.ResponseWriter.Write(b)
}

func (r *refusal) FlushError() error {
	r.end()
	return http.NewResponseController(r.ResponseWriter).Flush()
}

func (r *refusal) Flush() { _ = r.FlushError() }

func (r *refusal) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// end sends the status, unless one was sent.
func (r *refusal) end() {
	if !r.written {
		r.WriteHeader(r.status)
	}
}
