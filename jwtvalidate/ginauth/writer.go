package ginauth

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// writer is a gin.ResponseWriter before one that a middleware has put in front. As
// gin's own, it sends no header before the first byte or WriteHeaderNow.
type writer struct {
	gin.ResponseWriter // what it does not do itself, such as Pusher
	to                 http.ResponseWriter
	status, size       int
}

// unwritten is the Size of an answer of which nothing was written, header included.
const unwritten = -1

func (w *writer) Unwrap() http.ResponseWriter { return w.to }

func (w *writer) Header() http.Header { return w.to.Header() }

func (w *writer) Status() int { return w.status }

func (w *writer) Size() int { return w.size }

func (w *writer) Written() bool { return w.size != unwritten }

func (w *writer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.to.WriteHeader(status)
		return
	}
	if status > 0 && !w.Written() {
		w.status = status
	}
}

func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.to.WriteHeader(w.status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.to.Write(p)
	w.size += n
	return n, err
}

func (w *writer) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	n, err := io.WriteString(w.to, s)
	w.size += n
	return n, err
}

func (w *writer) Flush() {
	w.WriteHeaderNow()
	_ = http.NewResponseController(w.to).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.to).Hijack()
	if err == nil && !w.Written() {
		w.size = 0
	}
	return conn, rw, err
}
