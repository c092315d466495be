package main

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// access is what is told of one request: to the log, and in sum to /status. It has
// the route and not the path, which may hold names and secrets, and nothing of the
// token but why it was refused.
type access struct {
	http.ResponseWriter
	status int
	reason string       // empty: the token passed, or none was needed
	faulty atomic.Int32 // the status for a body that could not be read; zero: it could
}

type accessKey struct{}

// observe is told of every decision of the validators.
func observe(ctx context.Context, e jwtvalidate.Event) {
	if a, ok := ctx.Value(accessKey{}).(*access); ok && e.Kind != "anonymous" { // which a public route lets through
		a.reason = string(e.Reason)
	}
}

// Unwrap leads http.ResponseController to what can flush and hijack.
func (a *access) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *access) WriteHeader(status int) {
	if a.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *access) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// tally counts requests and their outcomes.
type tally struct {
	mu       sync.Mutex
	underWay int
	total    uint64
	statuses map[int]uint64
	refusals map[string]uint64
}

func (t *tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay++
	t.total++
}

func (t *tally) end(a *access) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay--
	t.statuses[a.status]++
	if a.reason != "" {
		t.refusals[a.reason]++
	}
}

// logged writes a line for each request that has ended, and bounds its body.
func (g *gateway) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		a := &access{ResponseWriter: w}
		r = r.WithContext(context.WithValue(r.Context(), accessKey{}, a))
		r.Body = g.bounded(a, r)
		g.tally.begin()
		defer func() { // also when the upstream's answer has broken off, which is a panic
			if a.status == 0 {
				a.status = http.StatusOK
			}
			g.tally.end(a)
			g.logger.InfoContext(r.Context(), "request", "method", method(r), "route", r.Pattern, "status", a.status,
				"reason", a.reason, "duration", time.Since(start))
		}()
		next.ServeHTTP(a, r)
	})
}

// method is one that is known: others are of the client's own making.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}
