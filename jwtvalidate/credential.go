package jwtvalidate

import (
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// bearer takes the one credential of a request (RFC 6750 section 2.1). Another
// scheme is no credential for us; a second line, a second credential in the line
// or anything but token68 behind the scheme is a malformed request.
func bearer(h http.Header) (string, error) {
	lines := h["Authorization"]
	if len(lines) == 0 {
		return "", ErrNoToken
	}
	if len(lines) > 1 {
		return "", ErrInvalidRequest // RFC 9110 section 11.6.2: a singleton field
	}
	line := lines[0]
	if !isBearer(line) {
		for other := line; ; {
			_, rest, more := strings.Cut(other, ",")
			if !more {
				return "", ErrNoToken
			}
			other = strings.TrimLeft(rest, " \t")
			if isBearer(other) {
				return "", ErrInvalidRequest
			}
		}
	}
	token := strings.TrimLeft(line[len(scheme):], " ") // RFC 9110 section 11.4: 1*SP
	if len(token) > jose.MaxToken {
		return "", ErrMalformed
	}
	if !isToken68(token) {
		return "", ErrInvalidRequest
	}
	return token, nil
}

const scheme = "Bearer"

// isBearer reports whether the line starts with the scheme, in any case, as a
// word of its own.
func isBearer(line string) bool {
	if len(line) < len(scheme) || !strings.EqualFold(line[:len(scheme)], scheme) {
		return false
	}
	return len(line) == len(scheme) || line[len(scheme)] == ' ' || line[len(scheme)] == '\t' || line[len(scheme)] == ','
}

var token68 = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		t[c] = true
	}
	return t
}()

// isToken68 is the syntax of RFC 9110 section 11.2.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !token68[s[i]] {
			return false
		}
	}
	return s != ""
}
