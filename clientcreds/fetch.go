package clientcreds

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// fetch gets a token for an entry, from the store or from the server, and tells.
func (s *Source) fetch(ctx context.Context, e *entry, old *token) (t *token, err error) {
	start := time.Now()
	shared := false
	err = &TokenError{Reason: ReasonAborted, Temporary: true, cause: flight.ErrAborted} // what stays after a panic
	silent := false
	defer func() {
		if !silent {
			s.reportFetch(ctx, t, shared, time.Since(start), err)
		}
	}()
	if s.sealed == nil {
		t, silent, err = s.ask(ctx, e, old)
		return t, err
	}
	t, unlock := s.sealed().take(ctx, e.id, old, s.now)
	if t != nil {
		shared = true
		return t, nil
	}
	if unlock != nil {
		defer unlock()
	}
	if t, silent, err = s.ask(ctx, e, old); err == nil && t.lifetime > 0 {
		s.sealed().put(ctx, e.id, t, s.now())
	}
	return t, err
}

// ask makes one token request, and another where that can help: the secret has
// just been replaced, or there is no token and the failure may be a passing one.
// known says that no request was made, as the server refuses this credential.
func (s *Source) ask(ctx context.Context, e *entry, old *token) (t *token, known bool, err error) {
	tokenURL, err := s.endpoint().url(ctx)
	if err != nil {
		return nil, false, err
	}
	cred, err := s.client().credential(ctx, tokenURL)
	if err != nil {
		return nil, false, secretError(err)
	}
	if refused := e.refusing(cred.identity); refused != nil {
		return nil, true, refused
	}
	t, failed := s.request(ctx, tokenURL, cred, e, old)
	if failed == nil {
		return t, false, nil
	}
	again := false
	if failed.Reason == ReasonClient || passing(failed) && !old.usable(s.now()) && pause(ctx) {
		next, err := s.client().credential(ctx, tokenURL) // an assertion is for one request
		if again = err == nil && (failed.Reason != ReasonClient || next.identity != cred.identity); again {
			cred = next
		}
	}
	if again {
		if t, failed = s.request(ctx, tokenURL, cred, e, old); failed == nil {
			return t, false, nil
		}
	}
	if failed.Reason == ReasonClient {
		e.refuse(failed)
	}
	return nil, false, failed
}

func (s *Source) request(ctx context.Context, tokenURL string, cred *credential, e *entry, old *token) (*token, *TokenError) {
	s.requests.Add(1)
	asked := s.now()
	a, failed := s.exchange(ctx, tokenURL, cred, &e.to)
	if failed != nil {
		return nil, failed
	}
	t := newToken(a, asked)
	if !e.helps(t, old) {
		return nil, &TokenError{Reason: ReasonLifetime, Temporary: true, TokenHost: hostOf(tokenURL)}
	}
	return t, nil
}

// passing reports a failure that may be gone in a moment.
func passing(e *TokenError) bool {
	if e.Reason == ReasonNetwork { // also in the middle of an answer
		return e.after == 0
	}
	switch e.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return e.after == 0
	}
	return false
}

// pause waits a moment; false if the call has no time left.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(50*time.Millisecond + rand.N(50*time.Millisecond)) //nolint:gosec // spread by chance, which need not be secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// secretError hides what a function of the owner said: it may hold what it read.
func secretError(err error) *TokenError {
	e := &TokenError{Reason: ReasonSecret, Temporary: true, cause: err}
	if own, ok := errors.AsType[plainError](err); ok {
		e.detail = string(own)
	}
	return e
}
