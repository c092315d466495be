package revoke

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// Config makes a Checker. It is plain data: New copies what it needs.
type Config struct {
	// MaxLifetime is the longest that a token lives, from iat to exp. Required: a
	// cutoff is kept for so long. A token that lives longer, or lacks exp or iat, is
	// refused: with a Log, always; without, from the first record on that is not
	// about a single token of known Expires. At most a year.
	MaxLifetime time.Duration
	// Secret is the secret of the namespace, of at least 32 bytes. Identifiers are
	// held, stored and logged only as fingerprints that are keyed with it, and it
	// seals stored records. All who share a Log must have the same. New calls it
	// once. Nil, without a Log: one is made up.
	Secret func() ([]byte, error)
	// PreviousSecret is the other one while the Secret is replaced, for as long as
	// records made with it are wanted. All who share a Log get the new one as
	// PreviousSecret first: who does not know a secret cannot read its records. Nil:
	// there is none.
	PreviousSecret func() ([]byte, error)

	// IDClaims are the claims that identify a token, by issuer, such as Entra ID's
	// uti. Those that are not in it: jti.
	IDClaims map[string]string
	// RequireID refuses each token that has no id, as it could not be revoked by it.
	RequireID bool
	// AcceptSameSecond lets a token pass whose iat is the second of a cutoff, if it
	// has no fraction: it may have been issued before, or by a login behind it.
	AcceptSameSecond bool
	// MaxEntries is how many records are held. Above, nothing more is stored
	// (ErrFull); nothing is ever given up for room. Zero: a million, or a tenth more
	// than the Capacity of a Filter.
	MaxEntries int

	// Filter has single tokens in a bloom filter. Nil: in an exact table.
	Filter *Filter

	// Log keeps the records, and brings those of others. Nil: they are in memory,
	// and a restart forgets them.
	Log Log
	// LoadTimeout bounds one reading of the Log. Zero: 5 min.
	LoadTimeout time.Duration
	// Mode says what becomes of tokens while the Log cannot be had. Zero: Strict.
	Mode Mode
	// MaxStaleness is for how long the records at hand are good without news of the
	// Log. Zero: 30 s, or MaxLifetime if that is less. At most MaxLifetime.
	MaxStaleness time.Duration
	// GraceAge and GraceLife are how young, or how near its end, a token must be to
	// pass by Graded. Required by it.
	GraceAge, GraceLife time.Duration

	// Logger gets what was stored, at level Info; checks that cannot tell, at Warn;
	// alarms, at Error. One line a second each at most. Nil: silent.
	Logger *slog.Logger
	// Observe is called synchronously for each Event: it must not block. Its panic
	// changes nothing. Nil: none.
	Observe func(ctx context.Context, e Event)
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Format keeps what functions may hold out of every fmt verb.
func (cfg Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "revoke.Config") }

const (
	maxMaxLifetime = 366 * 24 * time.Hour
	maxMaxEntries  = 1 << 30
	minSecret      = 32
)

// New makes a Checker. It opens no connection. Every bad setting is reported at
// once, by name.
func New(cfg Config) (*Checker, error) {
	var errs []error
	bad := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New("revoke: "+text))
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Filter != nil && cfg.MaxEntries == 0 {
		cfg.MaxEntries = max(1_000_000, min(cfg.Filter.Capacity+cfg.Filter.Capacity/10, maxMaxEntries))
	}
	cfg.MaxEntries = cmp.Or(cfg.MaxEntries, 1_000_000)
	if cfg.MaxStaleness == 0 {
		cfg.MaxStaleness = 30 * time.Second
		if cfg.MaxLifetime > 0 {
			cfg.MaxStaleness = min(cfg.MaxStaleness, cfg.MaxLifetime)
		}
	}
	cfg.LoadTimeout = cmp.Or(cfg.LoadTimeout, 5*time.Minute)
	bad(cfg.MaxLifetime <= 0, "MaxLifetime: required")
	bad(cfg.MaxLifetime > maxMaxLifetime, "MaxLifetime: above a year")
	bad(cfg.MaxEntries < 0 || cfg.MaxEntries > maxMaxEntries, "MaxEntries: not within 2^30")
	bad(cfg.MaxStaleness < 0 || cfg.MaxStaleness > cfg.MaxLifetime && cfg.MaxLifetime > 0 && cfg.Log != nil, "MaxStaleness: not within MaxLifetime")
	bad(cfg.LoadTimeout < 0 || cfg.LoadTimeout > time.Hour, "LoadTimeout: not within an hour")
	bad(cfg.GraceAge < 0, "GraceAge: negative")
	bad(cfg.GraceLife < 0, "GraceLife: negative")
	for issuer, name := range cfg.IDClaims {
		bad(issuer == "" || name == "" || len(name) > maxName, "IDClaims: an issuer or claim without a name")
	}
	s := &state{
		maxLifetime: cfg.MaxLifetime, idClaims: maps.Clone(cfg.IDClaims), requireID: cfg.RequireID,
		sameSecond: cfg.AcceptSameSecond, maxEntries: cfg.MaxEntries, maxStaleness: cfg.MaxStaleness,
		graceAge: cfg.GraceAge, graceLife: cfg.GraceLife,
		logger: cfg.Logger, observe: cfg.Observe, clock: cfg.Now,
		shapes: map[uint64]*shape{}, current: map[shapeName]*shape{}, dead: map[recordID]int64{}, tops: map[recordID]uint32{},
	}
	s.logged = cfg.Log
	s.call.Timeout, s.call.Now = cfg.LoadTimeout, cfg.Now
	s.call.Backoff = func(error) flight.Backoff { return flight.Backoff{Max: 5 * time.Second} }
	errs = append(errs, s.checkMode(cfg.Mode), s.takeSecrets(cfg), checkLog(cfg.Log))
	if cfg.Filter != nil {
		errs = append(errs, cfg.Filter.check())
		bad(cfg.Filter.Capacity > cfg.MaxEntries, "Filter: Capacity: above MaxEntries")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.Filter != nil {
		s.filter = newFilter(cfg.Filter, cfg.MaxLifetime)
	}
	if cfg.Log != nil || cfg.RequireID {
		s.show(nil, cfg.Log != nil) // which may have had cutoffs that are forgotten by now
	}
	return &Checker{s, cfg.Mode}, nil
}

// checkLog finds a nil pointer, which would be found at the first request, and what a
// Log of this package says of its own settings.
func checkLog(log Log) error {
	if log == nil {
		return nil
	}
	if isNil(log) {
		return fmt.Errorf("revoke: Log: a nil %T", log)
	}
	if l, ok := log.(interface{ check() error }); ok {
		if err := l.check(); err != nil {
			return fmt.Errorf("revoke: Log: %w", err)
		}
	}
	return nil
}

func (s *state) takeSecrets(cfg Config) error {
	var errs []error
	if cfg.Secret == nil {
		if cfg.Log != nil || cfg.PreviousSecret != nil {
			errs = append(errs, errors.New("revoke: Secret: required with Log and PreviousSecret"))
		}
		s.prfs = []*prf{newPRF(randomSecret())}
	}
	for _, f := range []struct {
		name   string
		secret func() ([]byte, error)
	}{{"Secret", cfg.Secret}, {"PreviousSecret", cfg.PreviousSecret}} {
		if f.secret == nil {
			continue
		}
		secret, err := f.secret()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("revoke: %s: %w", f.name, err))
		case len(secret) < minSecret:
			errs = append(errs, errors.New("revoke: "+f.name+": below 32 bytes"))
		default:
			s.prfs = append(s.prfs, newPRF(secret))
		}
	}
	return errors.Join(errs...)
}
