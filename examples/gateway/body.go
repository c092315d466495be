package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// body is a request's body with bounds: on its size, and on how long the client may
// stall. A ReadTimeout of the server would end long answers too.
type body struct {
	io.ReadCloser
	connection *http.ResponseController
	patience   time.Duration
	of         *access
}

// bounded puts bounds on what a client sends. They also hold for what the server
// reads of a body that nobody wanted.
func (c *config) bounded(a *access, r *http.Request) io.ReadCloser {
	w := a.ResponseWriter
	b := &body{http.MaxBytesReader(w, r.Body, c.maxBody), http.NewResponseController(w), c.patience, a}
	if r.ContentLength != 0 {
		b.wait(time.Now().Add(b.patience))
	}
	return b
}

// wait sets the deadline. Where that cannot be done, there is no connection.
func (b *body) wait(until time.Time) { _ = b.connection.SetReadDeadline(until) }

func (b *body) Read(p []byte) (int, error) {
	b.wait(time.Now().Add(b.patience))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.wait(time.Time{}) // the client may wait for the answer as long as it likes
		return n, io.EOF
	}
	if err != nil {
		b.of.faulty.Store(int32(bodyStatus(err)))
	}
	return n, err
}

// bodyStatus is what a fault of the client is answered, which is none of the upstream.
func bodyStatus(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}
