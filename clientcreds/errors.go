package clientcreds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Reason says in one word why there is no token. The set is closed: it is fit for
// a metric's label.
type Reason string

// The reasons.
const (
	ReasonSecret    Reason = "secret"     // the secret, key or assertion could not be had
	ReasonDiscovery Reason = "discovery"  // the issuer's metadata could not be had
	ReasonNetwork   Reason = "network"    // the token endpoint could not be reached
	ReasonTimeout   Reason = "timeout"    // it did not answer in time
	ReasonRedirect  Reason = "redirect"   // it sent us elsewhere, where no secret goes
	ReasonStatus    Reason = "status"     // it failed, with no error code
	ReasonClient    Reason = "client"     // it does not know the client, or its secret, or does not let it do this
	ReasonRequest   Reason = "request"    // it refuses what is asked for; Code says why
	ReasonMalformed Reason = "malformed"  // its answer is no token
	ReasonTooLarge  Reason = "too_large"  // its answer has more than 64 KiB
	ReasonTokenType Reason = "token_type" // its token is not a bearer token
	ReasonLifetime  Reason = "lifetime"   // its token had expired when it came, or is the one at hand again
	ReasonAborted   Reason = "aborted"    // a function of the Config panicked, or does not return
	ReasonOrigin    Reason = "origin"     // ErrOrigin
	ReasonTarget    Reason = "target"     // ErrTarget
	ReasonRejected  Reason = "rejected"   // the API answered 401
)

var (
	// ErrTokenUnavailable says that there is no token now. Every *TokenError is one.
	ErrTokenUnavailable = errors.New("clientcreds: token unavailable")
	// ErrOrigin says that the URL is not one that the token may go to.
	ErrOrigin = errors.New("clientcreds: origin not allowed")
	// ErrTarget says that the Target is not allowed, malformed, or one too many.
	ErrTarget = errors.New("clientcreds: target not allowed")
)

// TokenError says why a token could not be had. Its text, in every format, holds
// nothing of the answer but a well-formed error code.
type TokenError struct {
	Reason    Reason
	TokenHost string // scheme, host and port of the token endpoint; empty: not known yet
	Status    int    // of the answer; zero: none came
	Code      string // RFC 6749 section 5.2; empty: none, or malformed
	Temporary bool   // it is worth to try again without a change on either side

	description string
	after       time.Duration
	detail      string // more for Error, harmless
	cause       error
	from        fingerprint // of the credential that was refused
}

// Error tells reason, place, status and code.
func (e *TokenError) Error() string {
	var b strings.Builder
	b.WriteString(ErrTokenUnavailable.Error() + ": " + string(e.Reason))
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	if e.Code != "" {
		b.WriteString(": " + e.Code)
	}
	if e.detail != "" {
		b.WriteString(": " + e.detail)
	}
	if e.TokenHost != "" {
		b.WriteString(" (POST " + e.TokenHost + ")")
	}
	return b.String()
}

// Format keeps the cause, whose text is not ours, out of every fmt verb.
func (e TokenError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, (&e).Error()) }

// Is makes every TokenError an ErrTokenUnavailable.
func (e *TokenError) Is(target error) bool { return target == ErrTokenUnavailable }

// Unwrap is the cause for errors.Is and errors.As. Its own text may hold what ours
// does not.
func (e *TokenError) Unwrap() error { return e.cause }

// RetryAfter is when to ask again: no token request is made before.
func (e *TokenError) RetryAfter() time.Duration { return e.after }

// Description is the server's error_description, cut to 200 bytes of printable
// ASCII. It is text from outside, which may repeat what was sent: not for logs.
func (e *TokenError) Description() string { return e.description }

// at is the error for one caller.
func (e *TokenError) at(wait time.Duration) *TokenError {
	own := *e
	own.after = max(wait, 0)
	return &own
}

// asTokenError takes what ended a fetch for a TokenError.
func asTokenError(err error) *TokenError {
	if e, ok := errors.AsType[*TokenError](err); ok {
		return e
	}
	return &TokenError{Reason: ReasonAborted, Temporary: true, detail: "a call panicked or does not return", cause: err}
}

// transportError is for an error of net/http, which may quote URL and headers.
func transportError(err error) *TokenError {
	e := &TokenError{Reason: ReasonNetwork, Temporary: true, cause: err, detail: describe(err)}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Reason, e.detail = ReasonTimeout, ""
	}
	return e
}

// describe shows the texts that are known to hold addresses and names only, and of
// others the innermost type.
func describe(err error) string {
	root := err
	for e := err; e != nil; e = errors.Unwrap(e) {
		root = e
	}
	text := fmt.Sprintf("request failed (%T)", root)
	if e, ok := errors.AsType[*net.OpError](err); ok {
		text = e.Error()
	} else if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		text = e.Error()
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		text = "connection closed"
	} else if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(e.RecordHeader[:]) == "HTTP/" {
		text = http.ErrSchemeMismatch.Error()
	}
	return printable(text, 200)
}

// printable is at most n bytes of text, in ASCII without control characters.
func printable(text string, n int) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text[:min(len(text), n)])
}
