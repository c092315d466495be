package flight

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"
)

var (
	// ErrAborted is the failure of a call whose function panicked or ended its
	// goroutine. Its text has the place and the kind of the panic, not the value:
	// that could hold a secret.
	ErrAborted = errors.New("flight: call aborted")

	// ErrOverdue is the failure of a call whose function ignores its deadline.
	ErrOverdue = errors.New("flight: call did not return by its deadline")
)

// failure is what callers get: the call's error, and when to come back.
type failure struct {
	err  error
	wait time.Duration
}

func (f *failure) Error() string             { return f.err.Error() }
func (f *failure) Unwrap() error             { return f.err }
func (f *failure) RetryAfter() time.Duration { return f.wait }

// retryAfter is what the error asks for; zero if it asks for nothing.
func retryAfter(err error) time.Duration {
	type asking interface {
		error
		RetryAfter() time.Duration
	}
	if e, ok := errors.AsType[asking](err); ok {
		return e.RetryAfter()
	}
	return 0
}

// aborted describes a panic while it is being recovered. The runtime's own errors
// are shown: they hold indices and type names only.
func aborted(p any) error {
	if e, ok := p.(runtime.Error); ok {
		return fmt.Errorf("%w: %w at %s", ErrAborted, e, origin())
	}
	return fmt.Errorf("%w: panic with a %T at %s", ErrAborted, p, origin())
}

// origin is the file and line of the panic: the first frame outside the runtime
// below runtime.gopanic.
func origin() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	panicked := false
	for {
		frame, more := frames.Next()
		if panicked && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", path.Base(frame.File), frame.Line)
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
