package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"
)

// next is the handler behind a candidate.
var next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

// traffic sends requests with one token or another to a handler. One goroutine at a
// time may use it.
type traffic struct {
	handler http.Handler
	request *http.Request
	header  []string // the lines of Authorization
	pick    func() string
	answer  answer
	want    int // status
	other   int // answers with another

	_ [128]byte // nobody else's cache line
}

func newTraffic(ctx context.Context, h http.Handler, want int, pick func() string) *traffic {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		panic(err) // of constants
	}
	t := &traffic{handler: h, request: r, header: make([]string, 1, 8), pick: pick, want: want, answer: answer{header: http.Header{}}}
	r.Header["Authorization"] = t.header
	return t
}

// always picks one header.
func always(header string) func() string { return func() string { return header } }

func (t *traffic) serve() {
	t.header[0] = t.pick()
	clear(t.answer.header)
	t.answer.status = http.StatusOK
	t.handler.ServeHTTP(&t.answer, t.request)
	if t.answer.status != t.want {
		t.other++
	}
}

func (t *traffic) times(n int) error {
	for range n {
		t.serve()
	}
	return t.err()
}

// err tells of requests that were not answered as they should be: what was timed is
// not what it seems.
func (t *traffic) err() error {
	if t.other > 0 {
		return fmt.Errorf("%d answers other than %d, the last %d", t.other, t.want, t.answer.status)
	}
	return nil
}

func (t *traffic) contender(name string) contender {
	return contender{name: name, run: func(b *testing.B) {
		for b.Loop() {
			t.serve()
		}
		if err := t.err(); err != nil {
			b.Fatal(err)
		}
	}}
}

// answer keeps the status and throws the rest away.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return len(b), nil }
func (a *answer) WriteHeader(status int)      { a.status = status }
