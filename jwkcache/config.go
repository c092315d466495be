package jwkcache

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// Config makes a Cache. Exactly one of URL, Issuer, File and Set is required.
type Config struct {
	// URL is where the JWK set is (RFC 7517 section 5).
	URL string
	// Issuer is an issuer whose metadata name the JWK set: OpenID Connect
	// Discovery 1.0 section 4 or RFC 8414 section 3. The issuer in the metadata
	// must equal this one, byte for byte.
	Issuer string
	// File holds a JWK set, one JWK, or public keys and certificates as PEM. It
	// is read by New and again when it ages, as a URL is.
	File string
	// Set is the same in bytes. It never ages.
	Set []byte

	// Client lends its Transport; deadline, redirects and cookies are the
	// cache's own. Nil: a transport of the cache's own. Not together with RootCAs.
	Client *http.Client
	// RootCAs are the authorities for https. Nil: the system's.
	RootCAs *x509.CertPool
	// InsecureHTTP allows http URLs: whoever is on the path replaces the keys.
	InsecureHTTP bool

	// RefreshAfter is the age at which keys are fetched again behind the
	// lookups; at twice that age, the next lookup waits for it. Zero: 15 min.
	RefreshAfter time.Duration
	// MaxStale is how long keys serve, from their fetch, while no other fetch
	// succeeds. Zero: 1 h. At least RefreshAfter.
	MaxStale time.Duration
	// MinRefetch is the time between fetches that unknown key ids cause; two may
	// be saved up. Zero: 30 s.
	MinRefetch time.Duration
	// Timeout bounds one fetch, discovery included. Zero: 10 s.
	Timeout time.Duration

	// MaxBytes bounds an answer, after decompression. Zero: 1 MiB.
	MaxBytes int64
	// MaxKeys bounds the keys of a set. Zero: 256.
	MaxKeys int

	// Logger gets failed fetches at level Warn, at most one for each fetch. Nil: silent.
	Logger *slog.Logger
	// Observe is called after each fetch, synchronously: it must not block. Its
	// panic changes nothing. Nil: none.
	Observe func(ctx context.Context, e Event)
	// Now is the clock for ages. Nil: time.Now.
	Now func() time.Time
}

// Event is one fetch.
type Event struct {
	Keys     int           // usable keys in the answer
	Skipped  int           // keys of the answer that are not used
	Duration time.Duration // of the fetch
	Err      error         // why it failed; nil: the keys are in use
}

// ErrUnavailable says that the keys could not be had, and that those at hand, if
// any, are too old to be used. The cause is wrapped beside it. It may answer
// errors.As for interface{ RetryAfter() time.Duration }.
var ErrUnavailable = errors.New("jwkcache: keys unavailable")

// New makes a Cache. It opens no connection; of File and Set it reports right
// away what is wrong with them. Every bad setting is reported at once, by name.
func New(cfg Config) (*Cache, error) {
	var errs []error
	bad := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New("jwkcache: "+text))
		}
	}
	sources := 0
	for _, given := range []bool{cfg.URL != "", cfg.Issuer != "", cfg.File != "", cfg.Set != nil} {
		if given {
			sources++
		}
	}
	bad(sources != 1, "want exactly one of URL, Issuer, File and Set")
	bad(cfg.RefreshAfter < 0, "RefreshAfter: negative")
	bad(cfg.MinRefetch < 0, "MinRefetch: negative")
	bad(cfg.MaxKeys < 0, "MaxKeys: negative")
	cfg.RefreshAfter = orElse(cfg.RefreshAfter, 15*time.Minute)
	cfg.MaxStale = orElse(cfg.MaxStale, max(time.Hour, cfg.RefreshAfter))
	cfg.MinRefetch = orElse(cfg.MinRefetch, 30*time.Second)
	cfg.Timeout = orElse(cfg.Timeout, 10*time.Second)
	cfg.MaxBytes = orElse(cfg.MaxBytes, 1<<20)
	cfg.MaxKeys = orElse(cfg.MaxKeys, 256)
	bad(cfg.MaxStale < cfg.RefreshAfter, "MaxStale: less than RefreshAfter")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client, err := fetch.New(fetch.Config{
		Client:       cfg.Client,
		RootCAs:      cfg.RootCAs,
		InsecureHTTP: cfg.InsecureHTTP,
		Timeout:      cfg.Timeout,
		MaxBytes:     cfg.MaxBytes,
		Now:          cfg.Now,
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("jwkcache: %w", err))
	}
	if len(errs) == 0 {
		err = checkURLs(client, cfg)
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}

	c := &Cache{
		source:       newSource(cfg, client),
		refreshAfter: cfg.RefreshAfter,
		maxStale:     cfg.MaxStale,
		budget:       budget{every: cfg.MinRefetch},
		logger:       cfg.Logger,
		observe:      cfg.Observe,
		now:          cfg.Now,
	}
	c.call = flight.Call[*snapshot]{Timeout: cfg.Timeout, Backoff: c.backoff, Now: cfg.Now}
	if cfg.File == "" && cfg.Set == nil {
		return c, nil
	}
	first, err := c.source(context.Background(), nil)
	if err != nil {
		return nil, fmt.Errorf("jwkcache: %w", err)
	}
	c.use(first)
	return c, nil
}

// checkURLs finds a mistyped URL when the service starts, not at its first request.
func checkURLs(client *fetch.Client, cfg Config) error {
	var err error
	switch {
	case cfg.URL != "":
		if err = client.CheckURL(cfg.URL); err != nil {
			return fmt.Errorf("jwkcache: URL: %w", err)
		}
	case cfg.Issuer != "":
		if err = client.CheckIssuer(cfg.Issuer); err != nil {
			return fmt.Errorf("jwkcache: Issuer: %w", err)
		}
	}
	return nil
}

func orElse[T comparable](v, zero T) T {
	var none T
	if v == none {
		return zero
	}
	return v
}
