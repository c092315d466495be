package redislog

import (
	"io"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// buffer takes an answer as it is on the wire.
type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// ReadFrom is what io.CopyN calls. It reads what there is at once.
func (b *buffer) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return 0, errReply
	}
	n := len(*b)
	*b = append(*b, make([]byte, limited.N)...)
	read, err := io.ReadFull(limited.R, (*b)[n:])
	limited.N -= int64(read)
	return int64(read), err
}

// reply is what is left of the bytes of an answer. A replay has millions of entries,
// and go-redis would make a map for each.
type reply []byte

// length reads the head of an array or a string. Other answers have none.
func (r *reply) length(kind byte) (int, bool) {
	b := *r
	if len(b) < 4 || b[0] != kind {
		return 0, false
	}
	n, rest, ok := number(b[1:])
	if !ok || len(rest) < 2 || rest[0] != '\r' || rest[1] != '\n' || n > uint64(len(rest)) {
		return 0, false
	}
	*r = reply(rest[2:])
	return int(n), true
}

func (r *reply) text() ([]byte, bool) {
	n, ok := r.length('$')
	if !ok || n+2 > len(*r) {
		return nil, false
	}
	text := (*r)[:n:n]
	*r = (*r)[n+2:]
	return text, true
}

// number reads digits, of at most a uint64.
func number(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		digit := uint64(b[i] - '0')
		if n > (1<<64-1-digit)/10 {
			return 0, nil, false
		}
		n = 10*n + digit
	}
	return n, b[i:], i > 0
}

func position(id []byte) (p [2]uint64, ok bool) {
	a, rest, ok := number(id)
	if !ok || len(rest) == 0 || rest[0] != '-' {
		return p, false
	}
	b, rest, ok := number(rest[1:])
	return [2]uint64{a, b}, ok && len(rest) == 0
}

// parsePage reads the answer to XRANGE. It is in order, and behind a position, or it
// is no Redis.
func parsePage(raw []byte, after [2]uint64) ([]revoke.Entry, error) {
	r := reply(raw)
	if len(r) > 0 && r[0] == '-' {
		return nil, serverError(printable(string(r[1:])))
	}
	n, ok := r.length('*')
	if !ok {
		return nil, errReply
	}
	entries := make([]revoke.Entry, 0, n)
	for range n {
		e, ok := r.entry()
		if !ok || !before(after, e.Position) {
			return nil, errReply
		}
		after = e.Position
		entries = append(entries, e)
	}
	if len(r) > 0 {
		return nil, errReply
	}
	return entries, nil
}

// entry is one of ours, or of whoever else writes there: its data is then for the
// Checker to refuse.
func (r *reply) entry() (e revoke.Entry, ok bool) {
	if n, ok := r.length('*'); !ok || n != 2 {
		return e, false
	}
	id, ok := r.text()
	if !ok {
		return e, false
	}
	if e.Position, ok = position(id); !ok {
		return e, false
	}
	n, ok := r.length('*')
	if !ok {
		return e, false
	}
	e.Data = []byte{}
	for i := range n {
		text, ok := r.text()
		switch {
		case !ok:
			return e, false
		case n != 2 || i == 0 && string(text) != dataField:
			n = 0 // and the others are passed over
		case i == 1:
			e.Data = text
		}
	}
	return e, true
}

// serverError is one that came as bytes.
type serverError string

var _ redis.Error = serverError("")

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}
