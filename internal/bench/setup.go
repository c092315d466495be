package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// setup is what every candidate of one algorithm is built from.
type setup struct {
	key     *key
	keys    []byte // JWK Set
	keysURL string // where it is served, for those that insist on fetching
	server  *http.Server
	fill    int // tokens of others in our memory
}

func newSetup(ctx context.Context, alg string, fill int) (*setup, error) {
	k, err := newKey(alg)
	if err != nil {
		return nil, err
	}
	keys, err := k.jwks()
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &setup{key: k, keys: keys, keysURL: "http://" + listener.Addr().String() + "/jwks", fill: fill}
	s.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys)
	})}
	go func() { _ = s.server.Serve(listener) }() // until stop
	return s, nil
}

func (s *setup) stop() { _ = s.server.Close() }
