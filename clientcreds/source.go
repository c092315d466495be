package clientcreds

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

// Source has the tokens of one client at one authorization server. It is made by
// New, is safe for concurrent use, and has no goroutine but those of token
// requests that are under way.
type Source struct {
	client    func() *client    // a func, into which fmt does not look
	endpoint  func() *endpoint  // whose query may hold a key
	transport http.RoundTripper // to the token endpoint
	timeout   time.Duration

	policy  policy
	keyFunc func(*http.Request) Target
	own     *entry // of the Config's own target
	targets table
	sealed  func() *sealedStore // nil: no store

	origins         []origin
	anyOrigin       bool
	insecureHTTP    bool
	keepExisting    bool
	replayOnlyNamed bool

	logger  *slog.Logger
	observe func(context.Context, Event)
	now     func() time.Time

	requests, failures, replays, stale atomic.Uint64
	waiting                            atomic.Int64
	refused                            atomic.Pointer[refusal] // of the client itself
	lastLine, unwritten                atomic.Int64
}

// Format keeps keys out of every fmt verb.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "clientcreds.Source") }

// Token is a copy of the token for the Target of ctx, or the Config's own. Its
// Expiry is what the server said, else the exp of a JWT, else in 5 min, and in 30
// days at most. Here it is renewed before: from three quarters of its life, 5 min
// before its end if that is later, or when the server's refresh_in says. Errors are a
// *TokenError, an ErrTarget, or the error of ctx.
func (s *Source) Token(ctx context.Context) (*oauth2.Token, error) {
	e := s.own
	if t, ok := targetFrom(ctx); ok {
		var err error
		if e, err = s.entry(t); err != nil {
			return nil, err
		}
	}
	t, err := e.get(ctx)
	if err != nil {
		return nil, err
	}
	own := t.oauth2
	return &own, nil
}

// TokenSource is for code that takes an oauth2.TokenSource, which knows no
// context: each call waits at most Timeout. It has the Config's own target. Put no
// oauth2.ReuseTokenSource around it, which keeps a token to its end.
func (s *Source) TokenSource() oauth2.TokenSource { return tokenSource{s} }

type tokenSource struct{ source *Source }

func (ts tokenSource) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ts.source.timeout)
	defer cancel()
	return ts.source.Token(ctx)
}

// Warm has a token at hand when it returns nil: a service may call it before it
// takes its first request. It is the same as Token, without the token.
func (s *Source) Warm(ctx context.Context) error {
	_, err := s.Token(ctx)
	return err
}
