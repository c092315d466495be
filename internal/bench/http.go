package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// serveVariable makes this program the server of the section http: the load comes
// from another process, as it does in life.
const serveVariable = "GATEHOUSE_BENCH_SERVE"

// Paths of the server, with the same handler behind.
const (
	openPath    = "/open"
	guardedPath = "/guarded"
)

const connections = 32

// served is what the server says about itself.
type served struct{ Address, Token string }

// serve answers on a loopback address until its standard input ends, as it does
// when the process that started it does.
func serve(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	k, err := newKey(rs256)
	if err != nil {
		return err
	}
	text, err := k.token(oneKiB(0))
	if err != nil {
		return err
	}
	p, err := policy(k, 0)
	if err != nil {
		return err
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
	if err != nil {
		return err
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	mux := http.NewServeMux()
	mux.Handle(openPath, hello)
	mux.Handle(guardedPath, v.Handler(hello))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = server.Close()
	}()
	if err := json.NewEncoder(stdout).Encode(served{listener.Addr().String(), text}); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// httpSection is how much of a server's throughput is left behind the middleware.
func httpSection(ctx context.Context, s *session) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	rounds := min(s.rounds, 5)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(2*rounds)*s.sizes.http+30*time.Second)
	defer cancel()
	server := exec.CommandContext(ctx, program) //nolint:gosec // this very program
	server.Env = append(os.Environ(), serveVariable+"=1")
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = stdin.Close() // it ends
		_ = server.Wait()
	}()
	var at served
	if err := json.NewDecoder(stdout).Decode(&at); err != nil {
		return err
	}

	drive, driver := loop, "a loop of this program, for want of wrk"
	if _, err := exec.LookPath("wrk"); err == nil && s.sizes.http >= time.Second { // its least
		drive, driver = wrk, "wrk"
	}
	for _, row := range []struct {
		path, token string
		status      int
	}{{openPath, "", 200}, {guardedPath, "", 401}, {guardedPath, at.Token[1:], 401}, {guardedPath, at.Token, 200}} {
		if err := once(ctx, at.Address, row.path, row.token, row.status); err != nil {
			return err
		}
	}
	var open, guarded, share []float64
	for range rounds {
		for _, path := range []string{openPath, guardedPath} {
			rate, err := drive(ctx, at, path, s.sizes.http)
			if err != nil {
				return err
			}
			if path == openPath {
				open = append(open, rate)
			} else {
				guarded = append(guarded, rate)
			}
		}
		share = append(share, last(guarded)/last(open))
	}
	t := newTable("handler", "requests/s", "share")
	t.add("unprotected", whole(median(open)), percent(1))
	t.add("behind the middleware", whole(median(guarded)), percent(median(share)))
	s.note("net/http in a process of its own, %d connections on loopback, a remembered token of 1 KiB in every request, RS256.", connections)
	s.note("The load came from %s, on the same cores: %d times for %v on each in turns.\n\n%s", driver, rounds, s.sizes.http, t)
	return nil
}

// request is one as it goes over the wire.
func request(address, path, token string) []byte {
	text := "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if token != "" {
		text += "Authorization: " + bearer + token + "\r\n"
	}
	return []byte(text + "\r\n")
}

// conversation sends one request and reads the answer, again and again until more
// says no. It is leaner than a http.Client: what the load costs is taken from the
// server.
func conversation(ctx context.Context, address, path, token string, status int, more func() bool) (answers int, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, err
		}
	}
	question, reader := request(address, path, token), bufio.NewReader(conn)
	for more() {
		if _, err := conn.Write(question); err != nil {
			return answers, err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return answers, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return answers, err
		}
		if response.StatusCode != status {
			return answers, fmt.Errorf("%s: status %d, not %d", path, response.StatusCode, status)
		}
		answers++
	}
	return answers, nil
}

// once asks one time.
func once(ctx context.Context, address, path, token string, status int) error {
	asked := false
	_, err := conversation(ctx, address, path, token, status, func() bool {
		first := !asked
		asked = true
		return first
	})
	return err
}

// loop is the load without wrk. Requests to the unprotected handler have the token
// too: both are sent the same bytes.
func loop(ctx context.Context, at served, path string, d time.Duration) (rate float64, err error) {
	answers, errs := make([]int, connections), make([]error, connections)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range connections {
		wg.Go(func() {
			answers[i], errs[i] = conversation(ctx, at.Address, path, at.Token, http.StatusOK, func() bool { return time.Since(start) < d })
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range answers {
		sum += n
	}
	return float64(sum) / time.Since(start).Seconds(), errors.Join(errs...)
}

var perSecond = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

// wrk is the load by the program of that name.
func wrk(ctx context.Context, at served, path string, d time.Duration) (rate float64, err error) {
	//nolint:gosec // its arguments are ours
	cmd := exec.CommandContext(ctx, "wrk", "-t", "1", "-c", strconv.Itoa(connections), "-d", fmt.Sprintf("%.0fs", d.Seconds()),
		"-H", "Authorization: "+bearer+at.Token, "http://"+at.Address+path)
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w", err)
	}
	return parseWrk(out)
}

// parseWrk finds the rate, unless some answers were no good ones.
func parseWrk(out []byte) (rate float64, err error) {
	found := perSecond.FindSubmatch(out)
	if found == nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return 0, fmt.Errorf("wrk: %s", strings.TrimSpace(string(out)))
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
