package clientcreds

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Transport puts the token on each request, and sends it by base. It is safe for
// concurrent use if base is, and changes no request that it is given. Nil: a
// transport of the Source's own.
func (s *Source) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = newAPITransport()
	}
	return &transport{s, base}
}

// Client is an http.Client over Transport(nil), for answers that are read within
// 30 s; set its Timeout for others. Each has connections of its own: make it once.
// RootCAs and ClientCertificate are not for it.
func (s *Source) Client() *http.Client {
	return &http.Client{Transport: s.Transport(nil), Timeout: 30 * time.Second}
}

func newAPITransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

type transport struct {
	source *Source
	base   http.RoundTripper
}

// CloseIdleConnections is found by http.Client.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip sends r with a token, and once more with another if the answer is a 401
// that may mean the token. It closes the body in every case, as http.RoundTripper
// asks for.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	s := t.source
	if s.keepExisting && r.Header.Get("Authorization") != "" {
		return t.base.RoundTrip(r)
	}
	switch s.judge(r) {
	case pass:
		return t.send(r, authorized(r, nil)) // nor with what was replaced on the way here
	case refuse:
		return nil, s.refuse(r, s.originError(r))
	}
	ctx := r.Context()
	e, err := s.entryOf(r)
	if err != nil {
		return nil, s.refuse(r, err)
	}
	tok, err := e.get(ctx)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	res, err := t.send(r, authorized(r, tok))
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		return res, err
	}
	return t.rejected(r, res, e, tok)
}

// send sends a copy of r. Who looks into the answer finds r there, without a token.
func (t *transport) send(r, own *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(own)
	switch {
	case err != nil:
		if res != nil && res.Body != nil {
			_ = res.Body.Close()
		}
		return nil, err
	case res == nil:
		return nil, errors.New("clientcreds: the base transport returned neither answer nor error")
	case res.Body == nil:
		res.Body = http.NoBody
	}
	res.Request = r
	return res, nil
}

// rejected is for a 401: nothing was done there, so that also a POST may be
// sent again. Where it cannot be, the caller gets the 401, and later calls another
// token.
func (t *transport) rejected(r *http.Request, res *http.Response, e *entry, tok *token) (*http.Response, error) {
	s := t.source
	if !deadToken(res.Header, s.replayOnlyNamed) {
		return res, nil
	}
	plain := r.Body == nil || r.Body == http.NoBody
	better := e.reject(r.Context(), tok, plain || r.GetBody != nil)
	if better == nil {
		return res, nil
	}
	again := authorized(r, better)
	if !plain {
		body, err := r.GetBody()
		if err != nil {
			return res, nil //nolint:nilerr // then this is the answer
		}
		again.Body = body
	}
	drain(res.Body)
	s.replays.Add(1)
	start := time.Now()
	res, err := t.send(r, again)
	event := Event{Kind: KindReplayed, Reason: ReasonRejected, TokenHost: hostOf(s.endpoint().known()), Duration: time.Since(start), Err: err}
	if err == nil {
		event.Status = res.StatusCode
	}
	s.report(r.Context(), event)
	return res, err
}

// drain reads what is left of a short answer, so that the connection can be used again.
// One that stalls is given up: the caller waits for the other one.
func drain(body io.ReadCloser) {
	stalled := time.AfterFunc(drainWait, func() { _ = body.Close() })
	defer stalled.Stop()
	_, _ = io.CopyN(io.Discard, body, 4<<10)
	_ = body.Close()
}

const drainWait = 100 * time.Millisecond

// authorized is a copy of r with the token, or with none at all. Other spellings of
// the header would be sent beside it.
func authorized(r *http.Request, tok *token) *http.Request {
	own := r.WithContext(r.Context())
	own.Header = maps.Clone(r.Header)
	if own.Header == nil {
		own.Header = http.Header{}
	}
	for name, values := range own.Header {
		if len(name) == len("Authorization") && strings.EqualFold(name, "Authorization") {
			delete(own.Header, name)
		} else if cap(values) > len(values) {
			own.Header[name] = slices.Clip(values) // what base adds is not to land in the array of r
		}
	}
	if tok != nil {
		own.Header["Authorization"] = []string{tok.header}
	}
	return own
}

// entryOf finds the target of a request: of its context, else by KeyFunc.
func (s *Source) entryOf(r *http.Request) (*entry, error) {
	t, ok := targetFrom(r.Context())
	if !ok && s.keyFunc != nil {
		t = s.keyFunc(r)
	}
	return s.entry(t)
}

func (s *Source) originError(r *http.Request) error {
	switch {
	case r.URL == nil:
		return fmt.Errorf("%w: the request has no URL", ErrOrigin)
	case len(s.origins) == 0 && !s.anyOrigin:
		return fmt.Errorf("%w: the Config names no AllowedOrigins", ErrOrigin)
	}
	return fmt.Errorf("%w: %s://%s", ErrOrigin, printable(r.URL.Scheme, 16), printable(r.URL.Host, 256))
}

// refuse ends a request that is not sent.
func (s *Source) refuse(r *http.Request, err error) error {
	closeBody(r)
	e := Event{Kind: KindRefused, Reason: ReasonOrigin, TokenHost: hostOf(s.endpoint().known()), Err: err}
	if errors.Is(err, ErrTarget) {
		e.Reason = ReasonTarget
	}
	s.report(r.Context(), e)
	return err
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}
