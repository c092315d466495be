package jwkcache

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// snapshot is one set of keys, ready for lookups. It is immutable.
type snapshot struct {
	byID    [jose.AlgCount]map[string][]crypto.PublicKey
	withAlg [jose.AlgCount][]crypto.PublicKey // for tokens that name no key

	byThumbprint map[string]crypto.PublicKey
	usable       int
	skipped      int

	at         time.Time
	static     bool // never ages
	url, etag  string
	discovered time.Time // when the issuer's metadata named url
}

// Bounds of what one lookup returns: keys that share an id, and keys that may be
// tried for a token that names none.
const (
	maxSameID = 8
	maxNoID   = 4
)

// newSnapshot indexes a set. Keys that were there before are carried over as the
// same values, so that whoever remembers one recognises it by pointer.
func newSnapshot(keys []jose.SetKey, before *snapshot) (*snapshot, error) {
	s := &snapshot{byThumbprint: make(map[string]crypto.PublicKey)}
	for a := range s.byID {
		s.byID[a] = make(map[string][]crypto.PublicKey)
	}
	var causes []error
	for i, k := range keys {
		err := k.Err
		if err == nil {
			err = s.add(k.JWK, before)
		}
		if err != nil {
			s.skipped++
			if len(causes) < 4 {
				causes = append(causes, fmt.Errorf("key %d: %w", i, err))
			}
		}
	}
	if s.usable == 0 {
		return nil, fmt.Errorf("%w of %d: %w", errNoKeys, len(keys), errors.Join(causes...))
	}
	return s, nil
}

var errNoKeys = errors.New("no usable key")

func (s *snapshot) add(k *jose.JWK, before *snapshot) error {
	thumbprint, err := jose.Thumbprint(k.Key)
	if err != nil {
		return err
	}
	key := k.Key
	if before != nil && before.byThumbprint[thumbprint] != nil {
		key = before.byThumbprint[thumbprint]
	}
	s.byThumbprint[thumbprint] = key
	s.usable++
	for a := jose.Alg(1); a < jose.AlgCount; a++ {
		if !k.Fits(a) {
			continue
		}
		if len(s.withAlg[a]) < maxNoID {
			s.withAlg[a] = append(s.withAlg[a], key)
		}
		for _, id := range ids(k) {
			if same := s.byID[a][id]; len(same) < maxSameID {
				s.byID[a][id] = append(same, key)
			}
		}
	}
	return nil
}

// ids are the names under which a key is found. Which of them counts for an
// issuer is its policy's choice.
func ids(k *jose.JWK) []string {
	var list []string
	for _, id := range []string{k.KeyID, k.X5T, k.X5TS256} {
		if id != "" {
			list = append(list, id)
		}
	}
	if k.KeyID != "" && k.X5T != "" {
		list = append(list, k.KeyID+k.X5T)
	}
	return list
}

func (s *snapshot) find(kid string, a jose.Alg) []crypto.PublicKey {
	if kid == "" {
		return s.withAlg[a]
	}
	return s.byID[a][kid]
}
