package redisstore_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds/redisstore"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis tells of each dial that fails
	os.Exit(m.Run())
}

// server is a redis-server on a unix socket. It ends with the test, and with the
// process of the test, however that ends.
type server struct {
	socket string
	args   []string
	stdin  io.WriteCloser
	cmd    *exec.Cmd
}

func startRedis(t *testing.T, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("GATEHOUSE_CI") != "" {
			t.Fatal("no redis-server (Debian: redis-server)")
		}
		t.Skip("no redis-server (Debian: redis-server)")
	}
	dir, err := os.MkdirTemp("", "redis") //nolint:usetesting // the path of a socket has little room, and that of t.TempDir is long
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &server{socket: filepath.Join(dir, "s")}
	s.args = append([]string{
		"--port", "0", "--unixsocket", s.socket, "--unixsocketperm", "600", "--dir", dir,
		"--save", "", "--appendonly", "no", "--loglevel", "warning", "--maxmemory", "64mb",
	}, args...)
	t.Cleanup(s.stop)
	s.start(t)
	return s
}

// start runs the server below a shell that kills it when its own input ends.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command("sh", append([]string{"-c", `redis-server "$@" & read -r end; kill -9 $!; wait`, "sh"}, s.args...)...)
	s.cmd.Stderr = t.Output()
	stdin, err := s.cmd.StdinPipe()
	require.NoError(t, err)
	s.stdin = stdin
	require.NoError(t, s.cmd.Start())
	c := s.client(t)
	require.Eventually(t, func() bool { return c.Ping(t.Context()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
}

// stop is a crash: nothing is saved, and no connection is closed in order.
func (s *server) stop() {
	if s.stdin != nil {
		_ = s.stdin.Close()
		_ = s.cmd.Wait()
		s.stdin = nil
	}
}

// client has the defaults of go-redis, but for the address.
func (s *server) client(t testing.TB, with ...func(*redis.Options)) *redis.Client {
	t.Helper()
	o := &redis.Options{Network: "unix", Addr: s.socket}
	for _, f := range with {
		f(o)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newStore(t testing.TB, cfg redisstore.Config) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(cfg)
	require.NoError(t, err)
	return s
}

// store is one on s whose calls are not cut short by a slow machine.
func (s *server) store(t testing.TB) *redisstore.Store {
	t.Helper()
	return newStore(t, redisstore.Config{Client: s.client(t), Timeout: time.Second})
}

// silent is the address of what accepts, and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return l.Addr().String()
}
