package jwtsign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// swap puts the new keys in the place of the old ones, or tells why not. What was
// read earlier than the keys that are in place comes too late.
func (s *Signer) swap(r *ring, err error, turn uint64, start time.Time) error {
	e := Event{Reloaded: true, Err: err}
	if err == nil {
		s.mu.Lock()
		if turn > s.turn {
			s.turn = turn
			s.ring.Store(r)
		}
		s.mu.Unlock()
		r = s.ring.Load()
		if k := r.signing(s.now()); k != nil {
			e.KeyID = k.id
		}
	} else {
		e.Err = fmt.Errorf("jwtsign: reload: %w", err)
	}
	e.Duration = time.Since(start)
	s.report(context.Background(), e)
	return e.Err
}

// renew takes over how old the file of the keys in place is.
func (s *Signer) renew(was, r *ring, turn uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn > s.turn && s.ring.Load() == was {
		s.turn = turn
		s.ring.Store(r)
	}
}

// Status is what a Signer has.
type Status struct {
	Signing   string    // kid of the key that signs now; empty: none may, or it has no kid
	Published []string  // kids that JWKS shows now
	Next      time.Time // when one of these changes; zero: never, by the present keys
}

// Status reports the keys of this moment.
func (s *Signer) Status() Status {
	now, r := s.now(), s.keys()
	var status Status
	if k := r.signing(now); k != nil {
		status.Signing = k.id
	}
	keys, until := r.published(now, s.lifetime)
	for _, k := range keys {
		status.Published = append(status.Published, k.id)
	}
	for _, k := range r.keys {
		for _, at := range []time.Time{k.signFrom, k.retireAt} {
			if at.After(now) && (until.IsZero() || at.Before(until)) {
				until = at
			}
		}
	}
	status.Next = until
	return status
}

// document is a JWK set as it is served.
type document struct {
	ring  *ring
	from  time.Time
	until time.Time // zero: for good
	body  []byte
	etag  string
}

// maxAge is how long a validator may keep a set that does not change.
const maxAge = 5 * time.Minute

// JWKS serves the public keys as a JWK set (RFC 7517 section 5), with a
// Cache-Control that ends when the set changes, and an ETag. A Secret is never
// among them. Serve it at Config.JWKSURL.
func (s *Signer) JWKS() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := s.now()
		d := s.set(now)
		age := maxAge
		if !d.until.IsZero() {
			age = min(age, d.until.Sub(now))
		}
		serve(w, r, d.body, d.etag, max(age, 0))
	})
}

func (s *Signer) set(now time.Time) *document {
	r := s.keys()
	d := s.jwks.Load()
	if d != nil && d.ring == r && !now.Before(d.from) && (d.until.IsZero() || now.Before(d.until)) {
		return d
	}
	keys, until := r.published(now, s.lifetime)
	var texts [][]byte
	for _, k := range keys {
		texts = append(texts, k.jwk)
	}
	body := slices.Concat([]byte(`{"keys":[`), bytes.Join(texts, []byte(",")), []byte("]}"))
	d = &document{r, now, until, body, etagOf(body)}
	s.jwks.Store(d)
	return d
}

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

func serve(w http.ResponseWriter, r *http.Request, body []byte, etag string, age time.Duration) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(age/time.Second)))
	h.Set("ETag", etag)
	h.Set("X-Content-Type-Options", "nosniff")
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

// matches is the weak comparison of RFC 9110 section 13.1.2.
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for candidate := range strings.SplitSeq(line, ",") {
			if candidate = strings.TrimSpace(candidate); candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// Discovery serves metadata from which validators find the keys: serve it behind
// the Issuer at /.well-known/openid-configuration, or at
// /.well-known/oauth-authorization-server (RFC 8414 section 3). It names no
// endpoints, for there are none.
func (s *Signer) Discovery() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := s.metadata()
		serve(w, r, body, etagOf(body), maxAge)
	})
}

func (s *Signer) metadata() []byte {
	algs := []string{}
	for _, k := range s.keys().keys {
		if name := k.alg.String(); k.jwk != nil && !slices.Contains(algs, name) {
			algs = append(algs, name)
		}
	}
	body, _ := json.Marshal(map[string]any{ // of texts, which New has checked
		"issuer": s.issuer, "jwks_uri": s.jwksURL, "id_token_signing_alg_values_supported": algs,
		"response_types_supported": []string{"none"}, "subject_types_supported": []string{"public"},
	})
	return body
}
