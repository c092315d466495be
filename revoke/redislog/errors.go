package redislog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable says that Redis gave no answer in time.
	ErrUnavailable = errors.New("redislog: unavailable")
	// ErrGap says that entries may have been missed: Redis was emptied, has lost some,
	// or is another one. The Checker reads all that there is, and gives back what it
	// has.
	ErrGap = errors.New("redislog: entries may have been missed")
)

var (
	errEntry    = errors.New("want entries of 1 to 4096 bytes")
	errVersion  = errors.New("want Redis 7 or later")
	errReplicas = errors.New("too few replicas have it")
	errReply    = errors.New("the reply makes no sense")
	errBusy     = errors.New("too many exchanges under way")
	errReplica  = errors.New("it is a replica, which lags behind")
	errPanic    = errors.New("the client panicked")
)

// commandError is why an exchange failed. Its text, in every format, holds no key,
// no value, and nothing of the server's but an error code.
type commandError struct {
	op, detail string
	cause      error
}

func (e *commandError) Error() string { return "redislog: " + e.op + ": " + e.detail }

// Unwrap is the cause for errors.Is and errors.As. Its own text may hold what ours
// does not: Redis repeats the arguments of a command that it does not know.
func (e *commandError) Unwrap() error { return e.cause }

// RetryAfter is soon: what is missed meanwhile is known to nobody here.
func (e *commandError) RetryAfter() time.Duration { return time.Second }

// Format keeps the cause out of every fmt verb.
func (e commandError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, (&e).Error()) }

func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*commandError](err); ok {
		return known
	}
	return &commandError{op, describe(err), err}
}

// describe shows the texts that are known to hold addresses and names only.
func describe(err error) string {
	if e, ok := errors.AsType[redis.Error](err); ok {
		return code(e.Error())
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return printable(e.Error())
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return printable(e.Error())
	}
	for _, known := range []error{
		errEntry, errVersion, errReplicas, errReplica, errReply, errBusy, errPanic, redis.ErrClosed, redis.ErrPoolTimeout, redis.ErrPoolExhausted,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "the client failed"
}

// code is the word in capitals by which an error of Redis starts.
func code(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if word == "" || len(word) > 32 || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "an error without a code"
	}
	return word
}

// printable is at most 200 bytes of text, in ASCII without control characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text[:min(len(text), 200)])
}
