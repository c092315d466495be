package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const soakConnections = 16

// soakLoad sends requests with many tokens in rotation, until it is stopped.
type soakLoad struct {
	name  string
	use   func(tokens []*soakToken)
	stop  func() loadResult
	pause time.Duration // of a connection after each answer; zero: none
}

// loadResult are the answers that were had whole. Errors are connections that were
// refused or had ended, each at most once for a request that was answered by nobody.
type loadResult struct {
	Passed  int `json:"passed"`
	Refused int `json:"refused"` // 401
	Other   int `json:"other"`
	Errors  int `json:"errors"`
}

// wrkScript takes its tokens from a file, which it reads again when it is replaced.
const wrkScript = `
passed, refused, other = 0, 0, 0
local requests, turn, sent, generation = {}, 0, 0, ""

local function reload()
  local file = io.open("%[1]s/tokens")
  local first = file:read("*l")
  if first ~= generation then
    generation, requests = first, {}
    for token in file:lines() do
      requests[#requests + 1] = wrk.format("GET", "/load", {
        ["Authorization"] = "Bearer " .. token, ["X-Sent-By"] = "load", ["X-Generation"] = generation,
      })
    end
  end
  file:close()
end

function request()
  if sent %% 50 == 0 then reload() end
  sent, turn = sent + 1, turn %% #requests + 1
  return requests[turn]
end

function response(status)
  if status == 200 then passed = passed + 1
  elseif status == 401 then refused = refused + 1
  else other = other + 1 end
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary)
  local t, e = threads[1], summary.errors
  io.write(string.format('\nRESULT {"passed":%%d,"refused":%%d,"other":%%d,"errors":%%d}\n',
    t:get("passed"), t:get("refused"), t:get("other"), e.connect + e.read + e.write + e.timeout))
end
%[2]s`

// startLoad starts wrk, or where there is none, a loop in Go that does the same.
func startLoad(t *testing.T, url string, pause time.Duration, tokens []*soakToken) *soakLoad {
	t.Helper()
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return startGoLoad(t, url, pause, tokens)
	}
	dir := t.TempDir()
	generation := 0
	l := &soakLoad{name: "wrk", pause: pause}
	l.use = func(tokens []*soakToken) {
		generation++
		lines := []string{fmt.Sprint(generation)}
		for _, k := range tokens {
			lines = append(lines, k.text)
		}
		name := filepath.Join(dir, "tokens")
		require.NoError(t, os.WriteFile(name+".new", []byte(strings.Join(lines, "\n")+"\n"), 0o600))
		require.NoError(t, os.Rename(name+".new", name))
	}
	l.use(tokens)
	delay := ""
	if pause > 0 {
		delay = fmt.Sprintf("function delay() return %d end\n", pause.Milliseconds())
	}
	script := filepath.Join(dir, "soak.lua")
	require.NoError(t, os.WriteFile(script, fmt.Appendf(nil, wrkScript, dir, delay), 0o600))
	var out strings.Builder
	process := exec.CommandContext(t.Context(), wrk, "-t1", fmt.Sprintf("-c%d", soakConnections), "-d1h", "--timeout", "10s", "-s", script, url)
	process.Stdout, process.Stderr = &out, &out
	require.NoError(t, process.Start())
	wait := sync.OnceValue(process.Wait)
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = wait()
	})
	l.stop = func() (got loadResult) {
		require.NoError(t, process.Process.Signal(syscall.SIGINT)) // it tells what it did
		require.NoError(t, wait(), out.String())
		_, line, found := strings.Cut(out.String(), "RESULT ")
		require.True(t, found, out.String())
		require.NoError(t, json.NewDecoder(strings.NewReader(line)).Decode(&got))
		return got
	}
	return l
}

func startGoLoad(t *testing.T, url string, pause time.Duration, tokens []*soakToken) *soakLoad {
	t.Helper()
	var list atomic.Pointer[[]*soakToken]
	list.Store(&tokens)
	var result struct{ passed, refused, other, errors atomic.Int64 }
	ended := make(chan struct{})
	var running sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: soakConnections}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	one := func(turn int) (dead bool) {
		all := *list.Load()
		r, err := http.NewRequest(http.MethodGet, url+"/load", http.NoBody)
		if err != nil {
			panic(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + all[turn%len(all)].text}, "X-Sent-By": {"load"}}
		answer, err := client.Do(r)
		if err != nil {
			result.errors.Add(1)
			return true
		}
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		switch {
		case err != nil:
			result.errors.Add(1)
		case answer.StatusCode == http.StatusOK:
			result.passed.Add(1)
		case answer.StatusCode == http.StatusUnauthorized:
			result.refused.Add(1)
		default:
			result.other.Add(1)
		}
		return false
	}
	for n := range soakConnections {
		running.Go(func() {
			for turn := n; ; turn += soakConnections {
				wait := pause
				if one(turn) {
					wait = max(pause, tick)
				}
				select {
				case <-ended:
					return
				case <-time.After(wait):
				}
			}
		})
	}
	stop := sync.OnceFunc(func() {
		close(ended)
		running.Wait()
		transport.CloseIdleConnections()
	})
	t.Cleanup(stop)
	return &soakLoad{
		name: "a loop in Go", pause: pause,
		use: func(tokens []*soakToken) { list.Store(&tokens) },
		stop: func() loadResult {
			stop()
			return loadResult{
				int(result.passed.Load()), int(result.refused.Load()), int(result.other.Load()), int(result.errors.Load()),
			}
		},
	}
}
