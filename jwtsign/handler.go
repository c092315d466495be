package jwtsign

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Handler rewrites the answers of next. What is no answer to sign passes through as
// it is written, without being held back. An answer that should be signed and
// cannot be is replaced by an empty one: 502, or 503 with Retry-After where no key
// could sign. It panics if there are no Fields.
func (s *Signer) Handler(next http.Handler) http.Handler {
	if next == nil || s.fields == nil {
		panic("jwtsign: Handler: next is nil, or the Config has no Fields")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(s.methods, r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		held := &writer{ResponseWriter: w, signer: s, request: r} // not pooled: a handler may have kept it
		next.ServeHTTP(held, r)                                   // a panic passes through, and what is held never leaves
		held.finish()
	})
}

// mode is what becomes of what a handler writes.
type mode uint8

const (
	undecided mode = iota // no header yet
	holding               // to be signed, or not known yet
	passing
	dropped  // too large to be signed
	finished // the handler has returned
)

var errFinished = errors.New("jwtsign: the handler has returned")

// writer holds back an answer that is to be signed.
type writer struct {
	http.ResponseWriter
	signer  *Signer
	request *http.Request
	mode    mode
	sniff   bool // holding, since there is no Content-Type
	seen    int  // of body, that needs no second look
	status  int
	header  http.Header // as it was when the answer began; nil: none is held
	body    strings.Builder
}

// Unwrap serves http.ResponseController, for deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	switch {
	case w.mode == passing, w.mode == undecided && status < 200 && status != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(status) // informational answers go before the one that counts
		return
	case w.mode != undecided:
		return // superfluous, as for net/http
	}
	w.status = status
	verdict := w.signer.judge(status, w.Header())
	if verdict == untouched {
		w.pass(0)
		return
	}
	w.mode, w.sniff, w.header = holding, verdict == unnamed, w.Header().Clone()
}

// begun is the header as it was when the answer began, and what became of it since:
// that has no effect any more, as for net/http, but for trailers.
func (w *writer) begun() (h, since http.Header) {
	h = w.Header()
	since = maps.Clone(h)
	clear(h)
	maps.Copy(h, w.header)
	return h, since
}

// pass lets go of what is held, and is wanted of it.
func (w *writer) pass(held int) {
	w.mode = passing
	if w.header == nil {
		w.ResponseWriter.WriteHeader(w.status)
		return
	}
	h, since := w.begun()
	w.ResponseWriter.WriteHeader(w.status)
	clear(h)
	maps.Copy(h, since)
	if held > 0 {
		_, _ = io.WriteString(w.ResponseWriter, w.body.String()[:held]) // the next Write tells
	}
	w.body.Reset()
}

func (w *writer) Write(p []byte) (int, error) {
	if w.mode == undecided {
		w.WriteHeader(http.StatusOK)
	}
	switch w.mode {
	case passing:
		return w.ResponseWriter.Write(p)
	case dropped:
		return 0, errTooLarge
	case finished:
		return 0, errFinished
	}
	held, n := w.body.Len(), min(len(p), maxBody-w.body.Len())
	_, _ = w.body.Write(p[:n]) // it never fails
	if w.sniff {
		json, unsure := looksJSON(w.header, w.body.String(), &w.seen)
		if !unsure && !json {
			w.pass(held)
			return w.ResponseWriter.Write(p)
		}
		w.sniff = unsure
	}
	if n < len(p) {
		w.mode = dropped
		w.body.Reset()
		return 0, errTooLarge
	}
	return n, nil
}

// ReadFrom keeps the server's way of sending files.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	var begun int64
	if w.mode == undecided { // a source that is empty, or fails, begins no answer
		n, err := io.CopyN(struct{ io.Writer }{w}, src, 512)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		begun = n
	}
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok || w.mode != passing {
		n, err := io.Copy(struct{ io.Writer }{w}, src)
		return begun + n, err
	}
	n, err := to.ReadFrom(src)
	return begun + n, err
}

// FlushError sends what may be sent: nothing of an answer that is held.
func (w *writer) FlushError() error {
	if w.mode == undecided {
		w.WriteHeader(http.StatusOK)
	}
	if w.mode != passing {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is for those who ask for an http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// CloseNotify is there for gin's Context.Stream, which panics without it.
func (w *writer) CloseNotify() <-chan bool {
	if to, ok := w.ResponseWriter.(http.CloseNotifier); ok { //nolint:staticcheck // see above
		return to.CloseNotify()
	}
	return nil
}

// Push is that of HTTP/2.
func (w *writer) Push(target string, opts *http.PushOptions) error {
	if to, ok := w.ResponseWriter.(http.Pusher); ok {
		return to.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Hijack hands over the connection, unless an answer has begun.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.mode != undecided && w.mode != passing {
		return nil, nil, errors.New("jwtsign: Hijack: an answer has begun")
	}
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.mode = passing
	}
	return conn, rw, err
}

// finish signs what is held, and sends it.
func (w *writer) finish() {
	if w.mode != holding && w.mode != dropped {
		return // it has gone, or there was none
	}
	if w.mode == holding && (w.sniff || w.request.Method == http.MethodHead && w.body.Len() == 0) {
		if !w.sniff {
			describe(w.header) // it was said of the answer that is not signed
		}
		w.pass(w.body.Len())
		return
	}
	err := errTooLarge
	var out rewritten
	h, _ := w.begun()
	if w.mode == holding {
		out, err = w.signer.answer(w.request.Context(), w.status, h, w.body.String())
	}
	w.mode = finished
	w.body.Reset()
	if err != nil {
		w.signer.reportAnswer(w.request.Context(), err)
		refuse(h)
		status := http.StatusBadGateway
		if errors.Is(err, ErrUnavailable) {
			h.Set("Retry-After", "5")
			status = http.StatusServiceUnavailable
		}
		w.ResponseWriter.WriteHeader(status)
		return
	}
	h.Set("Content-Length", strconv.Itoa(out.size()))
	w.ResponseWriter.WriteHeader(w.status)
	for _, part := range out {
		if _, err := io.WriteString(w.ResponseWriter, part); err != nil {
			return // the client has left
		}
	}
}

// refuse takes from the header what belonged to the answer that does not leave.
func refuse(h http.Header) {
	describe(h)
	for _, name := range []string{"Content-Type", "Content-Disposition", "Content-Language", "Content-Location", "Location", "Set-Cookie"} {
		delete(h, name)
	}
	unstorable(h)
}
