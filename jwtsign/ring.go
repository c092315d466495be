package jwtsign

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/flight"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// ring is all keys of one moment. It is immutable: a reload makes another.
type ring struct {
	keys  []*signingKey
	stamp fetch.Stamp       // of the file that they came from
	sum   [sha256.Size]byte // of its text; zero: there is no file
}

const (
	maxKeys = 64
	maxFile = 1 << 20
	look    = 5 * time.Second // how often the file is looked at
	skew    = time.Minute     // how far a validator's clock may be behind

	lookWait = time.Second // how long callers wait for a look, if the last is long ago
)

func newRing(keys []Key, calls int) (*ring, []error) {
	var errs []error
	r := &ring{}
	bad := func(i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("[%d]."+format, append([]any{i}, args...)...))
	}
	if len(keys) > maxKeys {
		return r, []error{fmt.Errorf(": more than %d", maxKeys)}
	}
	for i, k := range keys {
		key, err := newKey(k)
		if err != nil {
			for _, one := range faults(err) {
				bad(i, "%w", one)
			}
			continue
		}
		for _, other := range r.keys {
			switch {
			case key.id == other.id:
				bad(i, "ID: %q stands there twice", key.id)
			case key.signFrom.Equal(other.signFrom):
				bad(i, "SignFrom: another key begins to sign at the same time")
			}
		}
		key.calls = make(chan struct{}, calls)
		r.keys = append(r.keys, key)
	}
	return r, errs
}

// faults are the parts of an error that errors.Join made.
func faults(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// signing is the key that signs; nil if none may.
func (r *ring) signing(now time.Time) *signingKey {
	var best *signingKey
	for _, k := range r.keys {
		if now.Before(k.signFrom) || !k.retireAt.IsZero() && !now.Before(k.retireAt) {
			continue
		}
		if best == nil || k.signFrom.After(best.signFrom) {
			best = k
		}
	}
	return best
}

// published are the keys to show, and until when they are the same.
func (r *ring) published(now time.Time, lifetime time.Duration) (keys []*signingKey, until time.Time) {
	change := func(at time.Time) {
		if at.After(now) && (until.IsZero() || at.Before(until)) {
			until = at
		}
	}
	for _, k := range r.keys {
		if k.jwk == nil {
			continue
		}
		change(k.publishFrom)
		if now.Before(k.publishFrom) {
			continue
		}
		if !k.retireAt.IsZero() {
			end := k.retireAt.Add(lifetime + skew)
			if change(end); !now.Before(end) {
				continue
			}
		}
		keys = append(keys, k)
	}
	return keys, until
}

// file is where keys are read from, and when that is looked at again.
type file struct {
	name    string
	decrypt func([]byte) ([]byte, error)
	made    time.Time             // by whose clock that cannot be set the looks are timed
	looked  atomic.Int64          // since then, when the last one ended or was not waited for
	again   flight.Call[struct{}] // one look at a time
	failing atomic.Bool           // what was read last was no good
}

func (s *Signer) setKeys(cfg Config) []error {
	var errs []error
	if cfg.File != "" && cfg.Keys != nil || cfg.File == "" && len(cfg.Keys) == 0 {
		errs = append(errs, errors.New("jwtsign: Keys, File: want exactly one of them"))
	}
	if cfg.File == "" && cfg.Decrypt != nil {
		errs = append(errs, errors.New("jwtsign: Decrypt: only with File"))
	}
	s.file.name, s.file.decrypt = cfg.File, cfg.Decrypt
	s.file.made = time.Now()
	r, ringErrs := newRing(cfg.Keys, s.maxCalls)
	for _, err := range ringErrs {
		errs = append(errs, fmt.Errorf("jwtsign: Keys%w", err))
	}
	if cfg.File != "" {
		var err error
		if r, err = s.file.read(nil); err != nil {
			for _, one := range faults(err) {
				errs = append(errs, fmt.Errorf("jwtsign: File: %w", one))
			}
		}
	}
	if len(errs) == 0 && r.signing(s.now()) == nil {
		errs = append(errs, errors.New("jwtsign: Keys, File: none signs at this time"))
	}
	s.ring.Store(r)
	return errs
}

// read makes a ring of the file as it is now. If the text is that of before, which may
// be nil, so are its keys.
func (f *file) read(before *ring) (*ring, error) {
	stamp, err := f.stamp()
	if err != nil {
		return nil, err
	}
	if stamp.Size() > maxFile {
		return nil, errors.New("larger than 1 MiB")
	}
	text, err := os.ReadFile(f.name)
	if err != nil {
		return nil, fileError(err)
	}
	sum := sha256.Sum256(text)
	if before != nil && before.sum == sum {
		return &ring{before.keys, stamp, sum}, nil
	}
	if f.decrypt != nil {
		if text, err = f.plain(text); err != nil {
			return nil, errors.New("it cannot be decrypted") // the cause may show what was
		}
	}
	set, err := jose.ParsePrivateJWKSet(string(text), maxKeys)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(set))
	var errs []error
	for i, k := range set {
		key := &keys[i]
		key.Private = opaque(privateKey{k.Key, k.Alg, k.KeyID})
		for _, m := range []struct {
			name string
			into *time.Time
		}{{"publish_from", &key.PublishFrom}, {"sign_from", &key.SignFrom}, {"retire_at", &key.RetireAt}} {
			if *m.into, err = moment(k.Members, m.name); err != nil {
				errs = append(errs, fmt.Errorf("keys[%d]: %s: want RFC 3339", i, m.name))
			}
		}
	}
	if errs != nil { // without them, other faults would be made up
		return nil, errors.Join(errs...)
	}
	r, errs := newRing(keys, 1)
	for i := range errs {
		errs[i] = fmt.Errorf("keys%w", errs[i])
	}
	r.stamp, r.sum = stamp, sum
	return r, errors.Join(errs...)
}

// plain calls the hook. Half a file may well make it panic, and nobody is there to
// recover behind a look.
func (f *file) plain(text []byte) (out []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("Decrypt panicked")
		}
	}()
	return f.decrypt(text)
}

func moment(members *jose.Object, name string) (time.Time, error) {
	if !members.Has(name) {
		return time.Time{}, nil
	}
	text, _ := members.Text(name)
	return time.Parse(time.RFC3339, text)
}

func (f *file) stamp() (fetch.Stamp, error) {
	stamp, err := fetch.StampOf(f.name)
	return stamp, fileError(err)
}

// fileError leaves out the path, which need not be told to whom an error is told.
func fileError(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// keys is the ring of this moment. Where there is a file, it is looked at from time to
// time behind the callers. Who comes when nobody has looked for longer waits for it, a
// moment at most: these keys may have been replaced long ago.
func (s *Signer) keys() *ring {
	if s.file.name == "" {
		return s.ring.Load()
	}
	switch since := time.Since(s.file.made) - time.Duration(s.file.looked.Load()); {
	case since >= 2*look:
		ctx, cancel := context.WithTimeout(context.Background(), lookWait)
		_, err := s.file.again.Do(ctx, s.lookAgain)
		cancel()
		if err != nil { // it hangs, in Decrypt or on a disk: the next caller does not wait
			s.file.looked.Store(int64(time.Since(s.file.made)))
		}
	case since >= look:
		s.file.again.Go(s.lookAgain)
	}
	return s.ring.Load()
}

func (s *Signer) lookAgain(context.Context) (none struct{}, err error) {
	if stamp, err := s.file.stamp(); err != nil || !s.ring.Load().stamp.Current(stamp) {
		_ = s.reload(true) // it was reported
	}
	s.file.looked.Store(int64(time.Since(s.file.made)))
	return none, nil
}

// Reload reads File again, at once. If it fails, or if none of the keys there signs
// now, the old keys stay. A key that is left out is no longer published: who retires
// one leaves it there, with retire_at, until its last token has expired.
func (s *Signer) Reload() error {
	if s.file.name == "" {
		return errors.New("jwtsign: Reload: no File")
	}
	return s.reload(false)
}

// reload is Reload. A look that finds the text of before says nothing of it, unless it
// has said otherwise meanwhile: a file that was just written is read twice.
func (s *Signer) reload(looked bool) error {
	start := time.Now()
	turn := s.turns.Add(1)
	var was *ring
	if looked && !s.file.failing.Load() {
		was = s.ring.Load()
	}
	r, err := s.file.read(was)
	if was != nil && err == nil && r.sum == was.sum {
		s.renew(was, r, turn)
		return nil
	}
	if err == nil && r.signing(s.now()) == nil {
		err = errors.New("none of the keys signs at this time")
	}
	s.file.failing.Store(err != nil)
	return s.swap(r, err, turn, start)
}

// Replace is Reload for Config.Keys.
func (s *Signer) Replace(keys []Key) error {
	start := time.Now()
	if s.file.name != "" {
		return errors.New("jwtsign: Replace: keys come from File")
	}
	turn := s.turns.Add(1)
	r, errs := newRing(keys, s.maxCalls)
	for i := range errs {
		errs[i] = fmt.Errorf("Keys%w", errs[i])
	}
	err := errors.Join(errs...)
	if err == nil && r.signing(s.now()) == nil {
		err = errors.New("none of the keys signs at this time")
	}
	r.inherit(s.ring.Load())
	return s.swap(r, err, turn, start)
}

// inherit keeps the bound of a Signer that stays: its calls under way do not end with
// the ring.
func (r *ring) inherit(old *ring) {
	for _, k := range r.keys {
		for _, o := range old.keys {
			if k.remote && o.remote && reflect.ValueOf(k.key).Comparable() && reflect.ValueOf(o.key).Comparable() && k.key == o.key {
				k.calls = o.calls
			}
		}
	}
}
