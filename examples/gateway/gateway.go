package main

import (
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// gateway puts the packages together: routes with validators before upstreams.
type gateway struct {
	*config
	handler  http.Handler
	tally    tally
	started  time.Time
	draining atomic.Bool
}

func newGateway(c *config) (*gateway, error) {
	g := &gateway{config: c, started: time.Now()}
	g.tally.statuses, g.tally.refusals = map[int]uint64{}, map[string]uint64{}
	policy := c.validator()
	strict, err := jwtvalidate.New(policy)
	if err != nil {
		return nil, err
	}
	policy.Optional = true
	public, err := jwtvalidate.New(policy)
	if err != nil {
		return nil, err
	}
	proxies := map[*upstream]*httputil.ReverseProxy{} // one pool of connections each
	for _, u := range c.upstream {
		proxies[u] = u.proxy(c.logger)
	}
	mux := http.NewServeMux()
	for _, r := range c.routes {
		h := http.Handler(proxies[r.upstream])
		switch {
		case r.public: // it checks what comes, and removes forged claim headers
			h = public.Handler(h)
		case len(r.rules) > 0:
			h = strict.Require(r.rules...)(h)
		default:
			h = strict.Handler(h)
		}
		mux.Handle(r.pattern, h)
	}
	h := http.Handler(mux)
	if len(c.routes) > 1 || c.routes[0].pattern != "/" { // else no path means more than another
		h = plainPaths(h)
	}
	g.handler = g.logged(h)
	return g, nil
}

// ServeHTTP answers. While it is shutting down, connections end with their answer:
// no client sends a further request on one that is about to be closed.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	g.handler.ServeHTTP(w, r)
}
