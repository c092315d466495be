package redislog

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config makes a Log. It is plain data. There is no Now in it: entries bear the time of
// Redis, which no clock of ours can move, and that of the system only ever delays what is
// forgotten. What a record means for a token is for the Checker to decide, by its own.
type Config struct {
	// Client reaches Redis: one server, Sentinel or Cluster, the master in each case.
	// Addresses, TLS, user and pool are its own matter, and so is to close it. Run keeps
	// one connection of the pool. Required.
	Client redis.UniversalClient
	// Namespace is what the keys have in common, in printable ASCII without braces,
	// at most 128 bytes. Zero: "gatehouse:revoke".
	Namespace string
	// MaxLifetime is that of the Checkers. Required: entries stay in the stream for so
	// long and ten minutes more, and what must be known for longer is kept beside it.
	MaxLifetime time.Duration

	// Block is for how long a read waits at the server, and how often it is shown that
	// nothing was missed. Zero: 2 s. At most a third of the Checker's MaxStaleness.
	Block time.Duration
	// Poll asks each time that it has passed, for a way to Redis on which reads cannot
	// wait. Zero: reads wait.
	Poll time.Duration
	// PageSize is how many entries one reply has at most. Zero: 2000.
	PageSize int
	// Timeout is how long one exchange may take, beyond Block. Zero: 10 s.
	Timeout time.Duration
	// WaitReplicas is how many replicas must have an entry before Append returns; if
	// not so many have it within WaitTimeout it fails, though the entry may be kept.
	// It wants a *redis.Client or *redis.ClusterClient. Zero: none is waited for, 1 s.
	WaitReplicas int
	WaitTimeout  time.Duration

	// Logger gets, at level Warn, exchanges that failed, one a second at most, and what
	// is wrong with the settings of the server. Nil: silent.
	Logger *slog.Logger
	// Observe is called synchronously for each Event: it must not block. Its panic
	// changes nothing. Nil: none.
	Observe func(ctx context.Context, e Event)
}

const (
	margin      = 10 * time.Minute // what revoke keeps beyond MaxLifetime, and what clocks differ by
	maxPageSize = 10_000
)

// New makes a Log. It opens no connection. Every bad setting is reported at once,
// by name.
func New(cfg Config) (*Log, error) {
	var errs []error
	bad := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New("redislog: "+text))
		}
	}
	within := func(name string, d, most time.Duration) { bad(d < 0 || d > most, name+": not within "+most.String()) }
	if p := reflect.ValueOf(cfg.Client); p.Kind() == reflect.Pointer && p.IsNil() {
		cfg.Client = nil // that of a constructor whose error was overlooked
	}
	bad(cfg.Client == nil, "Client: required")
	bad(len(cfg.Namespace) > 128 || strings.ContainsFunc(cfg.Namespace, unfit), "Namespace: want at most 128 bytes of printable ASCII without spaces and braces")
	bad(cfg.MaxLifetime <= 0, "MaxLifetime: required")
	bad(cfg.MaxLifetime > 366*24*time.Hour, "MaxLifetime: above a year")
	within("Block", cfg.Block, time.Minute)
	within("Poll", cfg.Poll, time.Minute)
	within("Timeout", cfg.Timeout, time.Minute)
	within("WaitTimeout", cfg.WaitTimeout, time.Minute)
	bad(cfg.Block > 0 && cfg.Poll > 0, "Block, Poll: not together")
	bad(cfg.PageSize < 0 || cfg.PageSize > maxPageSize, "PageSize: not within 10000")
	bad(cfg.WaitReplicas < 0, "WaitReplicas: negative")
	bad(cfg.WaitReplicas == 0 && cfg.WaitTimeout > 0, "WaitTimeout: for WaitReplicas")
	switch c := cfg.Client.(type) {
	case *redis.Client:
	case *redis.ClusterClient:
		bad(c.Options().ReadOnly, "Client: it reads from replicas, which lag behind")
	default:
		bad(cfg.WaitReplicas > 0, "WaitReplicas: wants a *redis.Client or *redis.ClusterClient")
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	cfg.Namespace = cmp.Or(cfg.Namespace, "gatehouse:revoke")
	if cfg.Poll == 0 {
		cfg.Block = cmp.Or(cfg.Block, 2*time.Second)
	}
	cfg.PageSize = cmp.Or(cfg.PageSize, 2000)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	cfg.WaitTimeout = cmp.Or(cfg.WaitTimeout, time.Second)
	tag := "{" + cfg.Namespace + "}:"
	return &Log{
		cfg: cfg, client: cfg.Client, stream: tag + "log", kept: tag + "kept", turn: tag + "turn",
		owner: rand.Text(), slots: make(chan struct{}, maxCalls), appends: make(chan struct{}, maxCalls),
	}, nil
}

func unfit(r rune) bool { return r <= ' ' || r > '~' || r == '{' || r == '}' }
