package jwkcache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// store keeps the last good set in a file, for a restart while the source is down.
type store struct {
	path        string
	url, issuer string // what the set was fetched by: one of them
	pins        [][]byte
	maxBytes    int64
	maxKeys     int
}

// stored is the file's form. It holds usable public keys only. The pins are there
// so that keys that were fetched before there were any are not used after it.
type stored struct {
	URL       string            `json:"url,omitempty"`
	Issuer    string            `json:"issuer,omitempty"`
	Pins      [][]byte          `json:"pins,omitempty"`
	FetchedAt time.Time         `json:"fetched_at"`
	Keys      []json.RawMessage `json:"keys"`
}

// keep writes a set that was fetched, or, after a first fetch that failed, takes
// the one that was written before. What goes wrong with the file is in Status and
// changes nothing else.
func (c *Cache) keep(s, before *snapshot) {
	if c.store == nil || s == nil && before != nil {
		return
	}
	var err error
	if s != nil {
		err = c.store.write(s)
	} else {
		err = c.restore()
	}
	if err == nil {
		c.storeError.Store(nil)
		return
	}
	err = fmt.Errorf("jwkcache: snapshot: %w", err)
	c.storeError.Store(&err)
	if c.logger != nil {
		c.logger.Warn("the file with the last keys cannot be used", slog.Any("error", err))
	}
}

func (c *Cache) restore() error {
	s, err := c.store.read()
	if errors.Is(err, os.ErrNotExist) {
		return nil // none was written yet
	}
	if err != nil {
		return err
	}
	now := c.now()
	age := now.Sub(s.at)
	switch {
	case age < 0:
		return errors.New("from the future")
	case age >= c.maxStale:
		return errors.New("older than MaxStale")
	}
	s.at = now.Add(-age)                         // by the clock that ages go by: a file knows the wall's only, which may be set back
	s.refresh = min(c.refreshAfter, max(age, 1)) // that is now: it stands in for a set that was due
	c.snap.CompareAndSwap(nil, s)
	return nil
}

// write replaces the file in one step, so that a reader sees a whole one.
func (st *store) write(s *snapshot) error {
	v := stored{URL: st.url, Issuer: st.issuer, Pins: st.pins, FetchedAt: s.at.UTC().Round(0)}
	for _, k := range s.usable {
		v.Keys = append(v.Keys, json.RawMessage(k.raw))
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(st.path), ".jwks-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // after the rename there is none
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), st.path)
	}
	return err
}

// read takes a file only if nobody else can have had a hand in it: a regular file,
// no link, our own, of a mode that shuts others out, with the same source.
func (st *store) read() (*snapshot, error) {
	info, err := os.Lstat(st.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("mode %v: others may read or write it", info.Mode().Perm())
	}
	if !owned(info) {
		return nil, errors.New("of another owner")
	}
	f, err := os.Open(st.path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if opened, err := f.Stat(); err != nil || !os.SameFile(info, opened) {
		return nil, errors.New("changed while it was opened")
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*st.maxBytes))
	if err != nil {
		return nil, err
	}
	return st.parse(text)
}

func (st *store) parse(text []byte) (*snapshot, error) {
	var v stored
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, errors.New("malformed")
	}
	if v.URL != st.url || v.Issuer != st.issuer || !slices.EqualFunc(v.Pins, st.pins, bytes.Equal) {
		return nil, errors.New("of another source")
	}
	if len(v.Keys) > st.maxKeys {
		return nil, errors.New("too many keys")
	}
	var keys []jose.SetKey
	for _, raw := range v.Keys {
		k, err := jose.ParseJWK(string(raw))
		if err != nil {
			return nil, fmt.Errorf("a key that was never usable: %w", err) // private and symmetric ones too
		}
		keys = append(keys, jose.SetKey{JWK: k, Raw: string(raw)})
	}
	s, err := newSnapshot(keys, nil)
	if err != nil {
		return nil, err
	}
	s.at = v.FetchedAt
	return s, nil
}
