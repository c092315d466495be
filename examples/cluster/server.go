package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// process is a program that the demonstration has started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a program until stop or kill, or the end of ctx.
func start(ctx context.Context, env []string, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // redis-server, and this program
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// kill ends it as kill -9 does.
func (p *process) kill() {
	if p != nil {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// errNoRedis says what the demonstration lacks.
var errNoRedis = errors.New("redis-server is not installed (Debian: apt-get install redis-server)")

// startRedis starts an empty one.
func startRedis(ctx context.Context, dir, port string) (*process, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	_ = os.Remove(filepath.Join(dir, "dump.rdb"))
	p, err := start(ctx, nil, path, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--loglevel", "warning", "--daemonize", "no")
	if err != nil {
		return nil, err
	}
	return p, within(ctx, 10*time.Second, "redis-server answers", func() bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// freePort is one that nobody listens on now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // it served its purpose
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// within waits until something is so.
func within(ctx context.Context, limit time.Duration, what string, is func() bool) error {
	deadline := time.Now().Add(limit)
	for !is() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// issuer is a login service: a signer, and where its keys are published.
type issuer struct {
	*jwtsign.Signer
	server *httptest.Server
}

func newIssuer(audience string) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: server.URL,
		Keys:   []jwtsign.Key{{Private: jwtsign.SignerKey(key), Algorithm: "ES256"}},
		Token:  jwtsign.Token{Lifetime: 10 * time.Minute, Audience: []string{audience}},
	})
	if err != nil {
		server.Close()
		return nil, err
	}
	mux.Handle("/.well-known/openid-configuration", signer.Discovery())
	mux.Handle("/.well-known/jwks.json", signer.JWKS())
	return &issuer{signer, server}, nil
}

// ask makes one request; a status of zero says that there was no answer.
func ask(ctx context.Context, method, url, token, body string) (int, string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, string(text)
}
