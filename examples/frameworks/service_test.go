package frameworks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/examples/frameworks"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

const audience = "https://api.example.com"

// world is a service, and all around it that can change: the clock, the issuer, what
// was revoked.
type world struct {
	frameworks.Service
	idp     *httptest.Server
	issuer  string
	key     *ecdsa.PrivateKey
	checker *revoke.Checker
	ahead   atomic.Int64 // how far the clock of who decides is ahead
	unsure  atomic.Bool  // whether revocation cannot tell
	ran     atomic.Int64 // calls that reached a handler
	release func()       // lets a stalled issuer answer
}

// newWorld has a signer, and a Validator that fetches its keys over HTTP, from an
// issuer who answers at once or only when released.
func newWorld(t *testing.T, stalled bool) *world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	mux := http.NewServeMux()
	w := &world{idp: httptest.NewServer(mux), key: key}
	t.Cleanup(w.idp.Close)
	w.issuer = w.idp.URL
	w.Signer = w.signer(t, time.Now)
	gate, open := context.WithCancel(context.Background())
	if w.release = open; !stalled {
		open()
	}
	t.Cleanup(open)
	mux.Handle("/.well-known/openid-configuration", w.Signer.Discovery())
	mux.HandleFunc("/.well-known/jwks.json", func(rw http.ResponseWriter, r *http.Request) {
		<-gate.Done()
		w.Signer.JWKS().ServeHTTP(rw, r)
	})
	keys, err := jwkcache.New(jwkcache.Config{Issuer: w.issuer, InsecureHTTP: true})
	require.NoError(t, err)
	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	w.checker, err = revoke.New(revoke.Config{MaxLifetime: time.Hour, Now: now})
	require.NoError(t, err)
	w.Validator, err = jwtvalidate.New(jwtvalidate.Config{
		Issuers:    []jwtvalidate.Issuer{{URL: w.issuer, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{audience}}},
		Revocation: w, Now: now,
	})
	require.NoError(t, err)
	w.Ran = func() { w.ran.Add(1) }
	w.Events = func() <-chan string {
		events := make(chan string, 3)
		defer close(events)
		events <- "0"
		events <- "1"
		events <- "2"
		return events
	}
	return w
}

func (w *world) signer(t *testing.T, now func() time.Time) *jwtsign.Signer {
	t.Helper()
	s, err := jwtsign.New(jwtsign.Config{
		Issuer: w.issuer, Now: now,
		Keys:   []jwtsign.Key{{Private: jwtsign.SignerKey(w.key), Algorithm: "ES256"}},
		Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{audience}},
		Fields: []jwtsign.Field{{Path: []string{"access_token"}}},
	})
	require.NoError(t, err)
	return s
}

// Revoked asks the checker, while it can be asked.
func (w *world) Revoked(ctx context.Context, claims interface{ Get(name string) (any, bool) }) (bool, error) {
	if w.unsure.Load() {
		return false, slow{errors.New("down")}
	}
	return w.checker.Revoked(ctx, claims)
}

// slow is an outage that says when to ask again.
type slow struct{ error }

func (slow) RetryAfter() time.Duration { return 17 * time.Second }

// token is one for ann, who may read her orders.
func (w *world) token(t *testing.T) string {
	t.Helper()
	return w.sign(t, map[string]any{"sub": "ann", "scope": "orders:read"})
}

func (w *world) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	token, err := w.Signer.Sign(t.Context(), claims)
	require.NoError(t, err)
	return token
}

// revoke has one token refused from now on.
func (w *world) revoke(t *testing.T, token string) {
	t.Helper()
	claims, err := w.Validator.CheckToken(t.Context(), token)
	require.NoError(t, err)
	_, err = w.checker.Revoke(t.Context(), revoke.Record{Kind: revoke.KindToken, Issuer: w.issuer, Value: claims.ID()})
	require.NoError(t, err)
}

// offer gives a stream that waits for it an event.
func offer(t *testing.T, feed chan<- string, event string) {
	t.Helper()
	select {
	case feed <- event:
	case <-time.After(20 * time.Second):
		require.Fail(t, "nobody takes the event")
	}
}
