package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"
)

// stage is what the demonstration runs on: a login service, an API, and the
// gateway between the user and them, each on a loopback port of its own.
type stage struct {
	login    *login
	issuer   *server
	backend  *server
	house    *house
	client   *http.Client
	requests chan logLine
	secrets  map[string]string // what the config names as environment variables
	rows     []row
}

// logLine is what the gateway's own log says of a request.
type logLine struct {
	Msg    string
	Reason string
}

func newStage() *stage {
	return &stage{
		client:   &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second},
		requests: make(chan logLine, 16),
		secrets:  map[string]string{"OPS_SECRET": rand.Text(), "WEB_SECRET": rand.Text()},
	}
}

// demo plays the story, and fails if a step does not go as it must.
func demo(ctx context.Context, out io.Writer) error {
	s := newStage()
	return s.show(ctx, out, s.play)
}

// show plays steps by real HTTP and prints a row for each.
func (s *stage) show(ctx context.Context, out io.Writer, play func(context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	if err := s.open(ctx); err != nil {
		stop()
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.issuer.run() })
	running.Go(func() { _ = s.backend.run() })
	running.Go(func() { _ = s.house.serve(ctx) })
	defer func() {
		stop()
		s.client.CloseIdleConnections()
		_, _ = s.issuer.end(time.Second), s.backend.end(time.Second)
		running.Wait()
	}()

	fmt.Fprintf(out, "login    %s\nAPI      %s\ngateway  %s\nadmin    %s\nhealth   %s\n\n",
		s.issuer.url, s.backend.url, s.house.front.url, s.house.office.url, s.house.watcher.url)
	failed := play(ctx)
	surprises, err := table(out, s.rows)
	switch {
	case failed != nil || err != nil:
		return errors.Join(failed, err)
	case surprises > 0:
		return fmt.Errorf("%d of %d steps did not go as expected", surprises, len(s.rows))
	}
	fmt.Fprintf(out, "\nall %d steps as expected\n", len(s.rows))
	return nil
}

// open makes everything, and listens.
func (s *stage) open(ctx context.Context) (err error) {
	silent := slog.New(slog.DiscardHandler)
	if s.issuer, err = newServer(ctx, "127.0.0.1:0", nil, nil, silent); err != nil {
		return err
	}
	if s.backend, err = newServer(ctx, "127.0.0.1:0", nil, nil, silent); err != nil {
		return errors.Join(err, s.issuer.listener.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.issuer.listener.Close(), s.backend.listener.Close())
		}
	}()
	if s.login, err = newLogin(s.issuer.url); err != nil {
		return err
	}
	s.issuer.Handler = s.login.handler()
	if s.backend.Handler, err = newBackend(s.login.url); err != nil {
		return err
	}
	s.secrets["GATEWAY_SECRET"] = s.login.secret
	env := func(name string) (string, bool) { value, ok := s.secrets[name]; return value, ok }
	c, err := readConfig([]byte(s.config()), host{env: env, read: os.ReadFile, log: s})
	if err != nil {
		return err
	}
	g, err := newGateway(c)
	if err != nil {
		return err
	}
	s.house, err = g.open(ctx)
	return err
}

// config is a config file like any other.
func (s *stage) config() string {
	return fmt.Sprintf(`{
		"listen": "127.0.0.1:0",
		"health": {"listen": "127.0.0.1:0"},
		"log": {"format": "json"},
		"issuers": [{
			"_comment": "http and min_refetch are for the demonstration: it is on loopback, and short",
			"url": %[1]q, "audiences": [%[2]q], "algorithms": ["ES256"], "profile": "rfc9068",
			"insecure_http": true, "min_refetch": "1ms"
		}],
		"forward": [{"claim": ["sub"], "header": "X-User"}, {"claim": ["roles"], "header": "X-Roles"}],
		"upstreams": [{
			"name": "api", "url": %[3]q,
			"own_token": {"token_url": "%[1]s/token", "client_id": "gateway", "client_secret": {"env": "GATEWAY_SECRET"}}
		}],
		"routes": [
			{"pattern": "GET /orders/", "upstream": "api", "scopes": ["orders:read"]},
			{"pattern": "POST /orders/", "upstream": "api", "scopes": ["orders:write"]},
			{"pattern": "/admin/", "upstream": "api", "claims": [{"path": ["roles"], "any_of": ["admin"]}]},
			{"pattern": "GET /catalogue/", "upstream": "api", "public": true}
		],
		"revocation": {
			"listen": "127.0.0.1:0", "max_lifetime": "1h",
			"callers": [
				{"name": "ops", "secret": {"env": "OPS_SECRET"}, "privileged": true},
				{"name": "web", "secret": {"env": "WEB_SECRET"}, "client_id": "web"}
			]
		}
	}`, s.login.url, apiAudience, s.backend.url)
}

// Write takes the gateway's log, of which the steps want to know why a request was
// refused.
func (s *stage) Write(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		var l logLine
		if json.Unmarshal(line, &l) == nil && l.Msg == "request" {
			select {
			case s.requests <- l:
			default: // nobody waits for it
			}
		}
	}
	return len(text), nil
}
