package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// server is one address and what answers there.
type server struct {
	*http.Server
	listener net.Listener
	url      string
	ending   atomic.Bool

	mu     sync.Mutex
	silent map[net.Conn]bool // connections of which nothing was read yet
}

// onceListener may be closed by everybody who ends it.
type onceListener struct {
	net.Listener
	close func() error
}

func (l onceListener) Close() error { return l.close() }

// newServer listens. What a client may take for its headers, and do nothing, is
// bounded; see bounded for bodies.
func newServer(ctx context.Context, address string, h http.Handler, cert *tls.Certificate, logger *slog.Logger) (*server, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &server{
		listener: onceListener{listener, sync.OnceValue(listener.Close)},
		url:      "http://" + listener.Addr().String(),
		silent:   map[net.Conn]bool{},
	}
	s.Server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ConnState:         s.note,
	}
	if cert != nil {
		s.url = "https://" + listener.Addr().String()
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	return s, nil
}

func (s *server) run() error {
	var err error
	if strings.HasPrefix(s.url, "https:") {
		err = s.ServeTLS(s.listener, "", "")
	} else {
		err = s.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) || s.ending.Load() {
		return nil
	}
	return err
}

// note is told of each connection's way.
func (s *server) note(c net.Conn, to http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to == http.StateNew {
		s.silent[c] = true
	} else {
		delete(s.silent, c)
	}
}

const (
	longestSilence = time.Second
	silenceTick    = 5 * time.Millisecond
)

// hear waits, not for long, until something was read of each connection. Shutdown
// hangs up on requests that are read after it began, without an answer.
func (s *server) hear() {
	ticker := time.NewTicker(silenceTick)
	defer ticker.Stop()
	for end := time.Now().Add(longestSilence); time.Now().Before(end); {
		s.mu.Lock()
		n := len(s.silent)
		s.mu.Unlock()
		<-ticker.C // also after the last one, whose request is about to be handled
		if n == 0 {
			return
		}
	}
}

// end closes the listener and lets the requests under way finish, for a while.
func (s *server) end(grace time.Duration) error {
	s.ending.Store(true)
	_ = s.listener.Close()
	s.hear()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.Shutdown(ctx)
	if err != nil {
		_ = s.Close()
		err = fmt.Errorf("requests were cut off after %v: %w", grace, err)
	}
	return err
}

// house is all that the gateway listens on.
type house struct {
	*gateway
	front   *server
	watcher *server // nil: none
	office  *server // the admin API; nil: none
}

// open listens on all addresses, and reads what was revoked: what cannot be had is
// an error at the start.
func (g *gateway) open(ctx context.Context) (h *house, err error) {
	h = &house{gateway: g}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.front, err = newServer(ctx, g.listen, g, g.cert, g.logger); err != nil {
		return h, err
	}
	if g.health != "" {
		if h.watcher, err = newServer(ctx, g.health, g.watch(), nil, g.logger); err != nil {
			return h, err
		}
		h.watcher.ReadTimeout = 10 * time.Second
	}
	if g.admin == nil {
		return h, nil
	}
	api, err := g.admin.handler(g.config)
	if err != nil {
		return h, err
	}
	if h.office, err = newServer(ctx, g.admin.listen, api, g.cert, g.logger); err != nil {
		return h, err
	}
	h.office.ReadTimeout = 10 * time.Second // its bodies are short
	return h, g.admin.checker.Warm(ctx)
}

func (h *house) servers() []*server {
	var all []*server
	for _, s := range []*server{h.front, h.watcher, h.office} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (h *house) close() {
	for _, s := range h.servers() {
		_ = s.listener.Close()
	}
	if h.admin != nil && h.admin.journal != nil {
		_ = h.admin.journal.Close()
	}
}

// serve answers until ctx ends. Then it says that it is not ready, waits for
// drain_delay, closes the front and finishes what it has begun, and the rest last.
func (h *house) serve(ctx context.Context) error {
	defer h.close()
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, i := range h.issuers { // keys are fresh before somebody needs them
		running.Go(func() { _ = i.keys.Run(ctx) })
	}
	if h.admin != nil {
		running.Go(func() { _ = h.admin.checker.Run(ctx) })
	}
	all := h.servers()
	failed := make(chan error, len(all))
	for _, s := range all {
		running.Go(func() {
			if err := s.run(); err != nil {
				failed <- err
			}
		})
	}
	var errs []error
	select {
	case err := <-failed:
		errs = append(errs, err)
	case <-ctx.Done():
		h.draining.Store(true)
		h.logger.Info("shutting down") //nolint:sloglint // the context has ended
		if h.drain > 0 {
			select {
			case err := <-failed:
				errs = append(errs, err)
			case <-time.After(h.drain):
			}
		}
	}
	for _, s := range all {
		errs = append(errs, s.end(h.grace))
	}
	return errors.Join(errs...)
}
