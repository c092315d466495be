package jwkcache

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// snapshot is one set of keys, ready for lookups. It is immutable.
type snapshot struct {
	byID    [jose.AlgCount]map[string]*candidates
	withAlg [jose.AlgCount]candidates // for tokens that name no key

	byThumbprint map[string]crypto.PublicKey
	usable       []usedKey
	skipped      []KeyStatus
	exposed      int    // of the skipped: private and symmetric keys
	generation   uint64 // counts changes of the usable keys

	at         time.Time     // of the fetch
	asked      time.Time     // when the fetch began
	lifetime   time.Duration // what the server grants; negative: it says nothing
	refresh    time.Duration // age at which it is fetched again; zero: never
	url, etag  string
	discovered time.Time // when the issuer's metadata named url
	file       fetch.Stamp
}

// usedKey is what makes a key the same key in the next set.
type usedKey struct {
	status     KeyStatus
	thumbprint string
	x5t        string
	x5tS256    string
	raw        string // as it was published
}

// Bounds of what one lookup returns: keys that share an id, and keys that may be
// tried for a token that names none.
const (
	maxSameID = 8
	maxNoID   = 4

	maxCandidates = 256 // of all issuers of a set
)

// newSnapshot indexes a set. Keys that were there before are carried over as the
// same values, so that whoever remembers one recognises it by pointer.
func newSnapshot(keys []jose.SetKey, before *snapshot) (*snapshot, error) {
	s := &snapshot{byThumbprint: make(map[string]crypto.PublicKey), lifetime: -1}
	for a := range s.byID {
		s.byID[a] = make(map[string]*candidates)
	}
	none := fmt.Errorf("%w of %d", errNoKeys, len(keys))
	for i, k := range keys {
		err := k.Err
		if err == nil {
			err = s.add(k, before)
		}
		if err != nil {
			if errors.Is(err, jose.ErrKeyPrivate) {
				s.exposed++
			}
			s.skipped = append(s.skipped, KeyStatus{ID: keyIDIn(k.Raw), Skipped: err.Error()})
			if len(s.skipped) <= 4 {
				none = fmt.Errorf("%w; key %d: %w", none, i, err)
			}
		}
	}
	if len(s.usable) == 0 {
		return nil, none
	}
	s.generation = 1
	if before != nil {
		s.generation = before.generation
		if !sameKeys(s.usable, before.usable) {
			s.generation++
		}
	}
	return s, nil
}

var errNoKeys = errors.New("no usable key")

// sameKeys compares without regard to order and spelling: neither makes another key.
func sameKeys(a, b []usedKey) bool {
	count := make(map[usedKey]int, len(a))
	for _, k := range a {
		k.raw = ""
		count[k]++
	}
	for _, k := range b {
		k.raw = ""
		if count[k]--; count[k] < 0 {
			return false
		}
	}
	return len(a) == len(b)
}

// keyIDIn reads the kid of a key that is not used, for Status.
func keyIDIn(raw string) string {
	o, err := jose.ParseObject(raw, jose.DefaultLimits)
	if err != nil {
		return ""
	}
	kid, _ := o.Text("kid")
	return strings.ToValidUTF8(kid[:min(len(kid), 64)], "")
}

func (s *snapshot) add(set jose.SetKey, before *snapshot) error {
	k := set.JWK
	thumbprint, err := jose.Thumbprint(k.Key)
	if err != nil {
		return err
	}
	key := k.Key
	if twin := s.byThumbprint[thumbprint]; twin != nil {
		key = twin
	} else if before != nil && before.byThumbprint[thumbprint] != nil {
		key = before.byThumbprint[thumbprint]
	}
	s.byThumbprint[thumbprint] = key
	s.usable = append(s.usable, usedKey{
		status: KeyStatus{ID: k.KeyID, Algorithm: algorithm(k)}, thumbprint: thumbprint,
		x5t: k.X5T, x5tS256: k.X5TS256, raw: set.Raw,
	})
	for a := jose.Alg(1); a < jose.AlgCount; a++ {
		if !k.Fits(a) {
			continue
		}
		s.withAlg[a].add(key, k.Issuer)
		for _, id := range ids(k) {
			if s.byID[a][id] == nil {
				s.byID[a][id] = new(candidates)
			}
			s.byID[a][id].add(key, k.Issuer)
		}
	}
	return nil
}

func algorithm(k *jose.JWK) string {
	if k.Alg == 0 {
		return ""
	}
	return k.Alg.String()
}

// ids are the names under which a key is found. Which of them counts for an
// issuer is its policy's choice.
func ids(k *jose.JWK) []string {
	var list []string
	for _, id := range []string{k.KeyID, k.X5T, k.X5TS256} {
		if id != "" && !slices.Contains(list, id) { // some issuers use the x5t as kid
			list = append(list, id)
		}
	}
	if k.KeyID != "" && k.X5T != "" {
		list = append(list, k.KeyID+k.X5T)
	}
	return list
}

func (s *snapshot) find(want wanted) []crypto.PublicKey {
	limit := maxSameID
	if want.kid == "" {
		limit = maxNoID
	}
	c := s.candidates(want.kid, want.alg)
	keys := c.keys
	if want.owned {
		keys = c.of(want.issuer)
	}
	return keys[:min(len(keys), limit):min(len(keys), limit)]
}

// candidates is never nil.
func (s *snapshot) candidates(kid string, a jose.Alg) *candidates {
	if kid == "" {
		return &s.withAlg[a]
	}
	if found := s.byID[a][kid]; found != nil {
		return found
	}
	return &noCandidates
}

var noCandidates candidates
