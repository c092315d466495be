package redislog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/revoke/redislog"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis tells of each dial that fails
	os.Exit(m.Run())
}

// server is a redis-server on a port of loopback that stays its own over restarts. It
// ends with the test, and with the process of the test, however that ends.
type server struct {
	dir   string
	port  string
	first []string // arguments before the port
	args  []string
	stdin io.WriteCloser
	cmd   *exec.Cmd
}

// keeps has each entry on the disk before it is acknowledged.
var keeps = []string{"--appendonly", "yes", "--appendfsync", "always"}

func startRedis(t testing.TB, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("GATEHOUSE_CI") != "" {
			t.Fatal("no redis-server (Debian: redis-server)")
		}
		t.Skip("no redis-server (Debian: redis-server)")
	}
	s := &server{dir: t.TempDir()}
	s.args = append([]string{
		"--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no", "--loglevel", "warning",
		"--maxmemory", "256mb", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
	}, args...)
	t.Cleanup(s.stop)
	s.start(t)
	return s
}

// start runs the server below a shell that kills it when its own input ends. Another
// may take a port between its choice and its use: then it is tried again.
func (s *server) start(t testing.TB) {
	t.Helper()
	for range 5 {
		if s.port == "" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			_, s.port, err = net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)
			require.NoError(t, l.Close())
		}
		args := append([]string{"-c", `redis-server "$@" & read -r end; kill -9 $!; wait`, "sh"}, s.first...)
		args = append(append(args, "--port", s.port), s.args...)
		s.cmd = exec.Command("sh", args...)
		stdin, err := s.cmd.StdinPipe()
		require.NoError(t, err)
		s.stdin = stdin
		require.NoError(t, s.cmd.Start())
		c := s.client(t, func(o *redis.Options) { o.MaxRetries, o.DialTimeout = -1, 100*time.Millisecond })
		for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
			if dir, err := c.ConfigGet(context.Background(), "dir").Result(); err == nil && dir["dir"] == s.dir {
				return
			}
			if info, err := c.Info(context.Background(), "server").Result(); err == nil && s.first != nil && strings.Contains(info, s.first[0]) {
				return
			}
		}
		s.stop()
		s.port = ""
	}
	t.Fatal("redis-server does not start")
}

// startSentinel watches as its file says, and is at the address that is returned.
func startSentinel(t testing.TB, file string) string {
	t.Helper()
	s := &server{dir: filepath.Dir(file), args: []string{"--bind", "127.0.0.1", "--dir", filepath.Dir(file)}, first: []string{file, "--sentinel"}}
	t.Cleanup(s.stop)
	s.start(t)
	return s.addr()
}

// stop is a crash: nothing is saved, and no connection is closed in order.
func (s *server) stop() {
	if s.stdin != nil {
		_ = s.stdin.Close()
		_ = s.cmd.Wait()
		s.stdin = nil
	}
}

// restart is a crash after which what is on the disk is there, or nothing.
func (s *server) restart(t testing.TB, empty bool) {
	t.Helper()
	s.stop()
	if empty {
		require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "appendonlydir")))
	}
	s.start(t)
}

func (s *server) addr() string { return net.JoinHostPort("127.0.0.1", s.port) }

// client has the defaults of go-redis, but for the address and short deadlines.
func (s *server) client(t testing.TB, with ...func(*redis.Options)) *redis.Client {
	t.Helper()
	return clientOf(t, s.addr(), with...)
}

func clientOf(t testing.TB, addr string, with ...func(*redis.Options)) *redis.Client {
	t.Helper()
	o := &redis.Options{Addr: addr, DialTimeout: time.Second}
	for _, f := range with {
		f(o)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// proxy is on the way to a server. What it holds back, it holds back for ever: it
// sends no RST.
type proxy struct {
	listener net.Listener
	target   atomic.Pointer[string]
	delay    atomic.Int64 // of each answer, in nanoseconds
	silent   atomic.Bool  // connections stay, and nothing passes
	refuses  atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, conns: map[net.Conn]bool{}}
	p.target.Store(&target)
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if p.refuses.Load() {
				_ = c.Close()
				continue
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn) {
	s, err := net.Dial("tcp", *p.target.Load())
	if err != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[s] = true, true
	p.mu.Unlock()
	pass := func(to, from net.Conn, delayed bool) {
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if d := p.delay.Load(); d > 0 && delayed {
				time.Sleep(time.Duration(d))
			}
			for p.silent.Load() && err == nil {
				time.Sleep(10 * time.Millisecond)
				p.mu.Lock()
				gone := !p.conns[from]
				p.mu.Unlock()
				if gone {
					return
				}
			}
			if err == nil {
				_, err = to.Write(b[:n])
			}
			if err != nil {
				p.drop(c, s)
				return
			}
		}
	}
	go pass(s, c, false)
	pass(c, s, true)
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// partition lets nothing through, until heal.
func (p *proxy) partition() { p.refuses.Store(true); p.cut() }
func (p *proxy) heal()      { p.refuses.Store(false); p.silent.Store(false) }

func (p *proxy) addr() string { return p.listener.Addr().String() }

const issuer = "https://idp.example.com"

// token is the claims of a token as jwtvalidate hands them on.
type token map[string]any

func (t token) Get(name string) (any, bool) { v, ok := t[name]; return v, ok }

// issued is a token that was issued a minute ago, and lives for an hour.
func issued(id string) token {
	now := time.Now()
	return token{
		"iss": issuer, "sub": "ann", "jti": id,
		"iat": json.Number(fmt.Sprint(now.Unix() - 60)), "exp": json.Number(fmt.Sprint(now.Unix() + 3540)),
	}
}

// node is a Checker with a Log of its own, and Run under way.
type node struct {
	*revoke.Checker
	log  *redislog.Log
	stop context.CancelFunc
	done chan struct{}
}

type settings struct {
	log     redislog.Config
	checker revoke.Config
	idle    bool // without Run
}

func sameSecret(cfg revoke.Config) revoke.Config {
	cfg.MaxLifetime = time.Hour
	cfg.Secret = func() ([]byte, error) { return bytes.Repeat([]byte("s"), 32), nil }
	return cfg
}

func newLog(t testing.TB, cfg redislog.Config) *redislog.Log {
	t.Helper()
	if cfg.MaxLifetime == 0 {
		cfg.MaxLifetime = time.Hour
	}
	if cfg.Block == 0 && cfg.Poll == 0 {
		cfg.Block = 200 * time.Millisecond
	}
	l, err := redislog.New(cfg)
	require.NoError(t, err)
	return l
}

// startNode makes one, ready unless Redis is not there. It ends with the test.
func startNode(t testing.TB, client redis.UniversalClient, with ...func(*settings)) *node {
	t.Helper()
	s := &settings{log: redislog.Config{Client: client}}
	s.checker = revoke.Config{
		MaxLifetime: time.Hour,
		Secret:      func() ([]byte, error) { return bytes.Repeat([]byte("s"), 32), nil },
	}
	for _, f := range with {
		f(s)
	}
	n := &node{log: newLog(t, s.log), done: make(chan struct{})}
	s.checker.Log = n.log
	c, err := revoke.New(s.checker)
	require.NoError(t, err)
	n.Checker = c
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = func() { cancel(); <-n.done }
	t.Cleanup(n.stop)
	if s.idle {
		close(n.done)
		return n
	}
	go func() {
		defer close(n.done)
		_ = c.Run(ctx)
	}()
	return n
}

func ban(value string) revoke.Record {
	return revoke.Record{Kind: revoke.KindSubject, Issuer: issuer, Value: value, Ban: true}
}

func single(id string) revoke.Record {
	return revoke.Record{Kind: revoke.KindToken, Issuer: issuer, Value: id, Expires: time.Now().Add(time.Hour)}
}

func mustRevoke(t testing.TB, n *node, r revoke.Record) revoke.Receipt {
	t.Helper()
	receipt, err := n.Revoke(context.Background(), r)
	require.NoError(t, err)
	return receipt
}

// refuses is about a token by its id; a subject has one of that id.
func (n *node) refuses(id string) bool {
	claims := issued(id)
	claims["sub"] = id
	revoked, err := n.Revoked(context.Background(), claims)
	return revoked && err == nil
}

// passes is the contrary, but for when it cannot be told.
func (n *node) passes(id string) bool {
	claims := issued(id)
	claims["sub"] = id
	revoked, err := n.Revoked(context.Background(), claims)
	return !revoked && err == nil
}

// eventually is bounded, and asks often.
func eventually(t testing.TB, condition func() bool, about ...any) {
	t.Helper()
	require.Eventually(t, condition, 15*time.Second, 5*time.Millisecond, about...)
}

func requireRefused(t testing.TB, n *node, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.True(t, n.refuses(id), id)
	}
}

// numbered makes ids, and has them revoked.
func numbered(t testing.TB, n *node, prefix string, count int) (ids []string) {
	t.Helper()
	for i := range count {
		ids = append(ids, fmt.Sprint(prefix, i))
		mustRevoke(t, n, single(ids[i]))
	}
	return ids
}

func ready(t testing.TB, nodes ...*node) {
	t.Helper()
	for i, n := range nodes {
		eventually(t, func() bool { return n.Status().Ready }, "node %d: %v", i, n.Status().LastError)
	}
}

func split(t testing.TB, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	return host, port
}
