package clientcreds_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// connections counts those that a server has open.
type connections struct{ open atomic.Int64 }

func (c *connections) watch(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// bodies counts the answers that are open.
type bodies struct {
	base http.RoundTripper
	open atomic.Int64
}

type countedBody struct {
	io.ReadCloser
	once   sync.Once
	closed func()
}

func (b *countedBody) Close() error {
	b.once.Do(b.closed)
	return b.ReadCloser.Close()
}

func (b *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.base.RoundTrip(r)
	if err == nil {
		b.open.Add(1)
		res.Body = &countedBody{ReadCloser: res.Body, closed: func() { b.open.Add(-1) }}
	}
	return res, err
}

// TestNoLeak makes 10 000 mixed calls over HTTP, good and bad, and counts what is
// left: goroutines, connections, answers and requests that were not closed.
func TestNoLeak(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		var atIDP, atAPI connections
		var tokens atomic.Int64
		idp := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch n := tokens.Add(1); n % 7 {
			case 3:
				w.WriteHeader(503)
			case 5:
				_, _ = io.WriteString(w, "<html>")
			default:
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, good(int(n), fmt.Sprint(n%2))) // of one second, or for one use
			}
		}))
		idp.Config.ConnState = atIDP.watch
		idp.Start()
		defer idp.Close()
		api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "7") {
				w.WriteHeader(401)
			}
			_, _ = io.Copy(w, io.LimitReader(r.Body, 8<<10))
		}))
		api.Config.ConnState = atAPI.watch
		api.Start()
		defer api.Close()

		cfg := clientcreds.Config{
			TokenURL: idp.URL, ClientID: "orders", Secret: clientcreds.StaticSecret(secret),
			AllowedOrigins: []string{api.URL}, AllowedAudiences: []string{"a", "b", "c"},
		}
		s := newSource(t, cfg)
		inner := &http.Transport{}
		answers := &bodies{base: inner}
		client := &http.Client{Transport: s.Transport(answers)}

		var closed, opened, failed atomic.Int64
		var wg sync.WaitGroup
		for worker := range 20 {
			wg.Go(func() {
				for i := range 500 {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					if i%11 == 0 {
						cancel()
					}
					ctx = clientcreds.WithTarget(ctx, clientcreds.Target{Audience: []string{"", "a", "b", "c", "d"}[i%5]})
					to := fmt.Sprintf("%s/%d", api.URL, i)
					if i%13 == 0 {
						to = "http://127.0.0.1:1/elsewhere"
					}
					body := &tracked{Reader: strings.NewReader(strings.Repeat("x", worker*100))}
					r, err := http.NewRequestWithContext(ctx, "POST", to, body)
					require.NoError(t, err)
					opened.Add(1)
					res, err := client.Do(r)
					if err == nil {
						_, _ = io.Copy(io.Discard, res.Body)
						require.NoError(t, res.Body.Close())
					} else {
						failed.Add(1)
					}
					cancel()
					if body.closed.Load() > 0 {
						closed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		inner.CloseIdleConnections()
		client.CloseIdleConnections()
		require.EqualValues(t, 10_000, opened.Load())
		require.Positive(t, failed.Load())
		require.Less(t, failed.Load(), opened.Load())
		require.Zero(t, answers.open.Load(), "answers")
		require.Equal(t, opened.Load(), closed.Load(), "bodies of requests")
		require.True(t, eventually(func() bool { return atIDP.open.Load() == 0 && atAPI.open.Load() == 0 }), "connections")
		require.Zero(t, s.Status().Waiting)
		t.Logf("%d calls, %d of them in vain, %d token requests", opened.Load(), failed.Load(), tokens.Load())
	}()
	if !eventually(func() bool { return runtime.NumGoroutine() <= before }) {
		stacks := make([]byte, 1<<20)
		t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// eventually looks for five seconds, in this goroutine.
func eventually(done func() bool) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if done() {
			return true
		}
	}
	return false
}
