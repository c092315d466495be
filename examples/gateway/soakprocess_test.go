package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soakProcess is the program itself, built without the race detector, as a process
// of its own.
type soakProcess struct {
	url, health, admin string
	pid                int
	wait               func() error
	terminate          func()

	mu         sync.Mutex
	log        []string // of standard error, the last lines
	live       int      // MB that the last garbage collection has left
	goroutines int      // as of the last trace
	counting   int
}

// sample is what a process takes, at one moment.
type sample struct {
	at         time.Time
	rss        int // KiB
	threads    int
	files      int // descriptors: connections, for the most part
	live       int // MB
	goroutines int
}

// startProcess builds the gateway and runs it with a config. The runtime's own traces
// tell of its heap and its goroutines, so that the program needs no door for it.
func startProcess(t *testing.T, config string, env ...string) *soakProcess {
	t.Helper()
	dir := t.TempDir()
	program, file := filepath.Join(dir, "gateway"), filepath.Join(dir, "config.json")
	build, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(build))
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))

	process := exec.CommandContext(t.Context(), program, "-config", file)
	process.Env = append(os.Environ(), append(env, "GODEBUG=gctrace=1,schedtrace=1000,scheddetail=1")...)
	stdout, err := process.StdoutPipe()
	require.NoError(t, err)
	stderr, err := process.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	g := &soakProcess{pid: process.Process.Pid, terminate: func() { _ = process.Process.Signal(syscall.SIGTERM) }}
	var reading sync.WaitGroup
	g.wait = sync.OnceValue(func() error {
		reading.Wait() // before Wait, which closes the pipes
		return process.Wait()
	})
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = g.wait()
		if t.Failed() {
			t.Log("the gateway's log:\n" + strings.Join(g.log, "\n"))
		}
	})
	reading.Go(func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			g.line(lines.Text())
		}
	})
	_, err = fmt.Fscanf(stdout, "listening on %s\nhealth on %s\nadmin on %s\n", &g.url, &g.health, &g.admin)
	require.NoError(t, err)
	reading.Go(func() { _, _ = io.Copy(io.Discard, stdout) })
	return g
}

// line takes in a line of standard error: of the log, or of the traces of package runtime.
func (g *soakProcess) line(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fields := strings.Fields(text)
	switch {
	case strings.HasPrefix(text, "gc "): // gc 7 @2.1s 0%: … ms clock, … ms cpu, 4->4->1 MB, …
		for _, f := range fields {
			if sizes := strings.Split(f, "->"); len(sizes) == 3 {
				g.live, _ = strconv.Atoi(sizes[2])
			}
		}
	case strings.HasPrefix(text, "SCHED "):
		g.goroutines, g.counting = g.counting, 0
	case strings.HasPrefix(text, "  G"): // G12: status=4(IO wait) …; 6 is dead
		if !strings.Contains(text, "status=6(") && !strings.Contains(text, "status=10(") {
			g.counting++
		}
	case strings.HasPrefix(text, "  P"), strings.HasPrefix(text, "  M"):
	default:
		if len(g.log) == 200 {
			g.log = g.log[1:]
		}
		g.log = append(g.log, text)
	}
}

func (g *soakProcess) sample(t *testing.T) sample {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.pid))
	require.NoError(t, err)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.pid))
	require.NoError(t, err)
	s := sample{at: time.Now(), files: len(files)}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		switch name {
		case "VmRSS":
			s.rss, err = strconv.Atoi(number)
		case "Threads":
			s.threads, err = strconv.Atoi(number)
		}
		require.NoError(t, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.live, s.goroutines = g.live, g.goroutines
	return s
}

// status is what the gateway tells of itself.
func (g *soakProcess) status(t *testing.T) (st status) {
	t.Helper()
	_, _, body := ask(t, g.health+"/status")
	require.NoError(t, json.Unmarshal([]byte(body), &st))
	return st
}
