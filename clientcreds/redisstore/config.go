package redisstore

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config makes a Store. It is plain data.
type Config struct {
	// Client reaches Redis: one server, Sentinel, Cluster or Ring. Addresses, TLS,
	// user and pool are its own matter, and so is to close it. Required.
	Client redis.UniversalClient
	// Prefix starts every key, in printable ASCII, at most 128 bytes. Zero:
	// "gatehouse:".
	Prefix string
	// Timeout is how long a caller waits for one call, connecting and the client's
	// retries included. Zero: 250 ms. At most 1 s: clientcreds waits no longer.
	Timeout time.Duration

	// Logger gets, at level Warn, the calls that failed, one a second at most. Nil:
	// silent.
	Logger *slog.Logger
	// Observe is called synchronously for each Event: it must not block. Its panic
	// changes nothing. Nil: none.
	Observe func(ctx context.Context, e Event)
	// Now is the clock of the pause after a call that got no answer. Nil: time.Now.
	Now func() time.Time
}

// New makes a Store. It opens no connection. Every bad setting is reported at
// once, by name.
func New(cfg Config) (*Store, error) {
	var errs []error
	bad := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New("redisstore: "+text))
		}
	}
	bad(cfg.Client == nil, "Client: required")
	bad(len(cfg.Prefix) > 128 || strings.ContainsFunc(cfg.Prefix, unprintable), "Prefix: want at most 128 bytes of printable ASCII without spaces")
	bad(cfg.Timeout < 0 || cfg.Timeout > time.Second, "Timeout: not within 1 s")
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "gatehouse:"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 250 * time.Millisecond
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{
		client: cfg.Client, prefix: cfg.Prefix, timeout: cfg.Timeout, slots: make(chan struct{}, maxCalls),
		logger: cfg.Logger, observe: cfg.Observe, now: cfg.Now,
	}, nil
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }
