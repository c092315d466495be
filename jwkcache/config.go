package jwkcache

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// Config makes a Cache. Exactly one of URL, Issuer, File and Set is required.
type Config struct {
	// URL is where the JWK set is (RFC 7517 section 5), as application/json or
	// application/jwk-set+json: an answer of another Content-Type is a failed fetch.
	URL string
	// Issuer is an issuer whose metadata name the JWK set: OpenID Connect
	// Discovery 1.0 section 4 or RFC 8414 section 3. The issuer in the metadata
	// must equal this one, byte for byte.
	Issuer string
	// File holds a JWK set, one JWK, or public keys and certificates as PEM. New
	// reads it, and lookups read it again within seconds of its change.
	File string
	// Set is the same in bytes. It never ages.
	Set []byte
	// Decrypt opens what File or Set holds, such as an envelope of a key
	// management service. Nil: it is taken as it is.
	Decrypt func([]byte) ([]byte, error)

	// Client lends its Transport, of which nil is http.DefaultTransport; deadline,
	// redirects and cookies are the cache's own. Nil: a transport of the cache's
	// own, which keeps no connection. Not together with RootCAs and PinnedSPKI.
	Client *http.Client
	// RootCAs are the authorities for https. Nil: the system's.
	RootCAs *x509.CertPool
	// PinnedSPKI are SHA-256 hashes of public keys (SubjectPublicKeyInfo), 32
	// bytes each; one of them must be in the verified chain of the key server, on
	// every connection, also through a proxy. ParsePin reads the usual base64.
	// Nil: no pins.
	PinnedSPKI [][]byte
	// InsecureHTTP allows http URLs: whoever is on the path replaces the keys.
	InsecureHTTP bool

	// RefreshAfter is the age at which keys are fetched again behind the lookups,
	// give or take a tenth. The server's Cache-Control or Expires may shorten it,
	// to no less than a minute. At twice that age, after an idle time, the next
	// lookup waits for the fetch. Zero: 15 min.
	RefreshAfter time.Duration
	// MaxStale is how long keys serve, from their fetch, while no other fetch
	// succeeds, and those of a File that cannot be read. Zero: 1 h, or RefreshAfter if
	// that is longer. At least RefreshAfter.
	MaxStale time.Duration
	// MinRefetch is the time between fetches that unknown key ids cause; two may
	// be saved up, and the first fetch of all counts. Ids that were asked for in vain
	// leave one to those that are new. Zero: 30 s.
	MinRefetch time.Duration
	// Timeout bounds one fetch, discovery included. Zero: 10 s.
	Timeout time.Duration

	// MaxBytes bounds an answer, after decompression. Zero: 1 MiB.
	MaxBytes int64
	// MaxKeys bounds the keys of a set. Zero: 256.
	MaxKeys int

	// Snapshot is a file for the last good set, for a restart while the source is
	// down. It is written with mode 0600 after each fetch, and used only when the
	// first fetch has failed, until MaxStale after its own fetch; not if it is a
	// link, open to others or theirs, from the future, of another source, fetched
	// with other pins, or holds private keys. Empty: none.
	Snapshot string

	// Logger gets, at level Warn, failed fetches, sets that hold private or symmetric
	// keys, and a Snapshot that cannot be used: a line of each for a fetch. Nil: silent.
	Logger *slog.Logger
	// Observe is called after each fetch, synchronously: it must not block. Its
	// panic changes nothing. Nil: none.
	Observe func(ctx context.Context, e Event)
	// Now is the clock for ages; it must not go back. Nil: time.Now, which does not.
	Now func() time.Time
}

// Event is one fetch.
type Event struct {
	Source   string        // URL without its query, Issuer or File of the Config
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
	cfg, errs := withDefaults(cfg, "jwkcache: ")
	client, clientErrs := newClient(cfg, false, "jwkcache: ")
	if clientErrs != nil { // the source can be checked all the same
		client, _ = fetch.New(fetch.Config{InsecureHTTP: cfg.InsecureHTTP})
	}
	errs = append(append(errs, clientErrs...), checkSource(client, cfg))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return newCache(cfg, client)
}

// Above these, sums and products of them would overflow.
const (
	maxRefreshAfter = 365 * 24 * time.Hour
	maxTimeout      = 10 * time.Minute
	maxMaxKeys      = 1 << 16
)

// withDefaults fills in what is zero, and finds what does not fit together. prefix
// stands before the names of the fields.
func withDefaults(cfg Config, prefix string) (Config, []error) {
	var errs []error
	bad := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New(prefix+text))
		}
	}
	bad(cfg.RefreshAfter < 0, "RefreshAfter: negative")
	bad(cfg.RefreshAfter > maxRefreshAfter, "RefreshAfter: above a year")
	bad(cfg.MaxStale < 0, "MaxStale: negative")
	bad(cfg.MinRefetch < 0, "MinRefetch: negative")
	bad(cfg.Timeout > maxTimeout, "Timeout: above 10 min")
	bad(cfg.MaxKeys < 0, "MaxKeys: negative")
	bad(cfg.MaxKeys > maxMaxKeys, "MaxKeys: above 65536")
	cfg.RefreshAfter = cmp.Or(cfg.RefreshAfter, 15*time.Minute)
	cfg.MaxStale = cmp.Or(cfg.MaxStale, max(time.Hour, cfg.RefreshAfter))
	cfg.MinRefetch = cmp.Or(cfg.MinRefetch, 30*time.Second)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 1<<20)
	cfg.MaxKeys = cmp.Or(cfg.MaxKeys, 256)
	bad(cfg.MaxStale >= 0 && cfg.MaxStale < cfg.RefreshAfter, "MaxStale: less than RefreshAfter")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, errs
}

func newClient(cfg Config, guard bool, prefix string) (*fetch.Client, []error) {
	settings := fetch.Config{
		Client:       cfg.Client,
		RootCAs:      cfg.RootCAs,
		PinnedSPKI:   cfg.PinnedSPKI,
		PublicOnly:   guard,
		InsecureHTTP: cfg.InsecureHTTP,
		Timeout:      cfg.Timeout,
		MaxBytes:     cfg.MaxBytes,
		Now:          cfg.Now,
	}
	var errs []error
	for _, fault := range settings.Faults() {
		errs = append(errs, errors.New(prefix+fault))
	}
	client, _ := fetch.New(settings) // nil if there are faults
	return client, errs
}

// newCache takes a Config with its defaults, and a source that was checked.
func newCache(cfg Config, client *fetch.Client) (*Cache, error) {
	c := &Cache{
		name:         withoutQuery(cfg.URL) + cfg.Issuer + cfg.File, // one of them
		source:       newSource(cfg, client),
		refreshAfter: cfg.RefreshAfter,
		maxStale:     cfg.MaxStale,
		demand:       demand{every: cfg.MinRefetch},
		logger:       cfg.Logger,
		observe:      cfg.Observe,
		now:          cfg.Now,
	}
	c.call = flight.Call[*snapshot]{Timeout: cfg.Timeout, Backoff: c.backoff, Now: cfg.Now}
	switch {
	case cfg.Snapshot != "":
		c.store = &store{cfg.Snapshot, cfg.URL, cfg.Issuer, cfg.PinnedSPKI, cfg.MaxBytes, cfg.MaxKeys}
	case cfg.File != "":
		c.refreshAfter = min(cfg.RefreshAfter, fileRefresh)
	case cfg.Set != nil:
		c.refreshAfter = 0
	}
	if cfg.File == "" && cfg.Set == nil {
		return c, nil
	}
	first, err := c.source(context.Background(), nil)
	if err != nil {
		field := "File"
		if cfg.File == "" {
			field = "Set"
		}
		return nil, fmt.Errorf("jwkcache: %s: %w", field, err)
	}
	c.use(first)
	return c, nil
}

// checkSource finds a mistyped source when the service starts, not at its first
// request.
func checkSource(client *fetch.Client, cfg Config) error {
	sources := 0
	for _, given := range []bool{cfg.URL != "", cfg.Issuer != "", cfg.File != "", cfg.Set != nil} {
		if given {
			sources++
		}
	}
	var errs []error
	if sources != 1 {
		errs = append(errs, errors.New("jwkcache: want exactly one of URL, Issuer, File and Set"))
	}
	if cfg.Snapshot != "" && cfg.URL == "" && cfg.Issuer == "" {
		errs = append(errs, errors.New("jwkcache: Snapshot: only with URL or Issuer"))
	}
	if cfg.Decrypt != nil && cfg.File == "" && cfg.Set == nil {
		errs = append(errs, errors.New("jwkcache: Decrypt: only with File or Set"))
	}
	if cfg.URL != "" {
		if err := client.CheckURL(cfg.URL); err != nil {
			errs = append(errs, fmt.Errorf("jwkcache: URL: %w", err))
		}
	}
	if cfg.Issuer != "" {
		if err := client.CheckIssuer(cfg.Issuer); err != nil {
			errs = append(errs, fmt.Errorf("jwkcache: Issuer: %w", err))
		}
	}
	return errors.Join(errs...)
}

// withoutQuery leaves out where an access key of the owner may stand.
func withoutQuery(url string) string {
	place, _, _ := strings.Cut(url, "?")
	return place
}

// ParsePin reads a pin for Config.PinnedSPKI: base64 of a SHA-256 hash, in either
// alphabet, with padding or without.
func ParsePin(text string) ([]byte, error) {
	pin, err := fetch.ParsePin(text)
	if err != nil {
		return nil, errors.New("jwkcache: ParsePin: want the base64 of 32 bytes")
	}
	return pin, nil
}
