package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const always = math.MaxInt64

// soakToken is a token, and when it is good: up to one instant it must pass, and from
// another one on it must be refused. Between them both are right.
type soakToken struct {
	text, id  string // id: jti
	good, bad atomic.Int64
}

func newSoakToken(text string, id string, good, bad int64) *soakToken {
	k := &soakToken{text: text, id: id}
	k.good.Store(good)
	k.bad.Store(bad)
	return k
}

// soakBackend is the service behind the gateway. It knows which tokens may come to it.
type soakBackend struct {
	*httptest.Server
	held    chan struct{} // a request that is held has arrived
	release chan struct{}

	mu     sync.Mutex
	tokens map[string]*soakToken // by jti
	seen   map[string]int        // requests, by who sent them
	ids    map[string]bool       // of requests that have one
	faults faultList
}

// faultList holds the first few of what must not be.
type faultList struct {
	mu    sync.Mutex
	first []string
	more  int
}

func (f *faultList) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.first) == 20 {
		f.more++
		return
	}
	f.first = append(f.first, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (f *faultList) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more > 0 {
		return append(f.first[:len(f.first):len(f.first)], fmt.Sprintf("and %d more", f.more))
	}
	return f.first
}

func newSoakBackend(t *testing.T) *soakBackend {
	b := &soakBackend{
		held: make(chan struct{}, 1000), release: make(chan struct{}),
		tokens: map[string]*soakToken{}, seen: map[string]int{}, ids: map[string]bool{},
	}
	b.Server = httptest.NewServer(b)
	t.Cleanup(func() {
		select {
		case <-b.release:
		default:
			close(b.release)
		}
		b.Close()
	})
	return b
}

// expect tells of a token that may come.
func (b *soakBackend) expect(tokens ...*soakToken) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range tokens {
		b.tokens[k.id] = k
	}
}

// underWay is how long a request may take from the gateway's verdict to here.
const underWay = 2 * time.Second

func (b *soakBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	id := r.Header.Get("X-Token-Id")
	b.mu.Lock()
	k := b.tokens[id]
	b.seen[r.Header.Get("X-Sent-By")]++
	if own := r.Header.Get("X-Request-Id"); own != "" {
		b.ids[own] = true
	}
	b.mu.Unlock()
	switch {
	case k == nil:
		b.faults.add("the backend got a request with token %q, subject %q, by %q", id, r.Header.Get("X-User"), r.Header.Get("X-Sent-By"))
	case now.Add(-underWay).UnixNano() > k.bad.Load():
		b.faults.add("the backend got a request with token %q, which has not been good for %v", id, now.Sub(time.Unix(0, k.bad.Load())))
	}
	switch r.URL.Path {
	case "/held/middle": // of the answer
		_, _ = io.WriteString(w, "begun, ")
		_ = http.NewResponseController(w).Flush()
		fallthrough
	case "/held/beginning":
		b.held <- struct{}{}
		<-b.release
	case "/held/upload":
		b.held <- struct{}{}
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%d bytes, %v, ", n, err)
	}
	_, _ = io.WriteString(w, "done")
}

func (b *soakBackend) sentBy(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[name]
}

func (b *soakBackend) hasSeen(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids[id]
}
