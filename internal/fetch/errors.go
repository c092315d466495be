package fetch

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var (
	ErrURL         = errors.New("fetch: URL not allowed")
	ErrRedirect    = errors.New("fetch: redirect refused")
	ErrContentType = errors.New("fetch: content type not accepted")
	ErrTooLarge    = errors.New("fetch: body too large")

	// ErrMetadata: the document is no metadata, or an endpoint in it is not usable.
	ErrMetadata = errors.New("fetch: unusable metadata")
	// ErrIssuer: the document is the metadata of another issuer.
	ErrIssuer = errors.New("fetch: metadata of another issuer")
)

// StatusError is an answer other than 200, or than 304 where that was asked for.
type StatusError struct {
	Code  int
	After time.Duration // what Retry-After asked for, at most MaxRetryAfter; zero: nothing
}

func (e *StatusError) Error() string { return fmt.Sprintf("fetch: status %d", e.Code) }

// RetryAfter is found by internal/flight.
func (e *StatusError) RetryAfter() time.Duration { return e.After }

// causeError keeps the cause for errors.Is and errors.As without its text.
type causeError struct {
	text  string
	cause error
}

func (e *causeError) Error() string    { return "fetch: " + e.text }
func (e *causeError) GoString() string { return e.Error() } // %#v would print the cause
func (e *causeError) Unwrap() error    { return e.cause }

// transportError makes an error of net/http safe to show: those quote the URL
// with its query, and what the server sent as a status line or a Location.
func transportError(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, ErrRedirect) || errors.Is(err, ErrPin) {
		return err
	}
	return &causeError{text: describe(err), cause: err}
}

// describe shows the texts that are known to be harmless, of others the innermost
// type. A certificate's names are the server's, so the text is cut and its control
// characters go.
func describe(err error) string {
	root := err
	for e := err; e != nil; e = errors.Unwrap(e) {
		root = e
	}
	text := fmt.Sprintf("request failed (%T)", root)
	for _, known := range []error{
		context.DeadlineExceeded, context.Canceled, io.ErrUnexpectedEOF, io.EOF,
		http.ErrSchemeMismatch, gzip.ErrHeader, gzip.ErrChecksum,
	} {
		if errors.Is(err, known) {
			text = known.Error()
			break
		}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		text = e.Error()
	} else if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		text = e.Error()
	} else if e, ok := errors.AsType[flate.CorruptInputError](err); ok {
		text = e.Error()
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), 256)], "")
}
