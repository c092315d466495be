package jwtvalidate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Claims are the claims of a verified token (RFC 7519 section 4). They are
// immutable and safe for concurrent use. Printing them, or encoding them as
// JSON, shows no claim: what is wanted is asked for by name.
type Claims struct{ *veil }

// veil is a second pointer before the claims: in an unexported field fmt asks no
// Format, and follows one pointer for a verb such as %s.
type veil struct{ *claims }

type claims struct {
	object    *jose.Object
	issuer    string
	subject   string
	id        string
	audience  []string
	expiry    time.Time
	notBefore time.Time // zero: absent
	issued    time.Time // zero: absent
	bound     bool      // it has a cnf
	signer    signer    // zero: NewClaims
}

// none reports whether there are no claims: nil, or a Claims that nobody made.
func (c *Claims) none() bool { return c == nil || c.veil == nil }

// Issuer is iss: the URL of the policy that accepted the token; for NewClaims, what
// it was given.
func (c *Claims) Issuer() string { return c.issuer }

// Subject is sub, empty if absent.
func (c *Claims) Subject() string { return c.subject }

// ID is jti, empty if absent.
func (c *Claims) ID() string { return c.id }

// Audience is aud as a list, nil if absent.
func (c *Claims) Audience() []string { return slices.Clone(c.audience) }

// Expiry is exp; the zero time if absent, as only NewClaims allows.
func (c *Claims) Expiry() time.Time { return c.expiry }

// NotBefore is nbf, the zero time if absent.
func (c *Claims) NotBefore() time.Time { return c.notBefore }

// IssuedAt is iat, the zero time if absent.
func (c *Claims) IssuedAt() time.Time { return c.issued }

// Get is any claim by its exact name: string, bool, json.Number with the exact
// text (exp, nbf and iat too), nil, []any or map[string]any, which are the caller's
// own. False if the token has no such claim.
func (c *Claims) Get(name string) (any, bool) {
	v, ok := c.object.Get(name)
	return clone(v), ok
}

// clone copies what can be written to: claims outlive a request.
func clone(v any) any {
	switch v := v.(type) {
	case []any:
		own := make([]any, len(v))
		for i, e := range v {
			own[i] = clone(e)
		}
		return own
	case map[string]any:
		own := make(map[string]any, len(v))
		for name, e := range v {
			own[name] = clone(e)
		}
		return own
	}
	return v
}

// KeyThumbprint is the RFC 7638 thumbprint, SHA-256 in base64url, of the key that
// has signed the token; empty for a Secret, and for claims by NewClaims. It is
// computed each time.
func (c *Claims) KeyThumbprint() string {
	thumbprint, _ := jose.Thumbprint(c.signer.key) // of a key that has verified something
	return thumbprint
}

// NewClaims makes claims of values that were verified by other means than a token,
// for Validator.WithClaims: what encoding/json makes of them must be an object
// that a token could hold. Nothing is required of it, and nobody has signed it.
func NewClaims(values map[string]any) (*Claims, error) {
	if values == nil {
		return nil, errors.New("jwtvalidate: NewClaims: nil values")
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, errors.New("jwtvalidate: NewClaims: no JSON can be made of the values")
	}
	object, err := jose.ParseObject(string(text), jose.ClaimLimits)
	if err != nil {
		return nil, fmt.Errorf("jwtvalidate: NewClaims: %w", err)
	}
	iss, _ := object.Text("iss")
	return newClaims(object, iss, signer{})
}

// Format prints no claim, whatever the verb.
func (c Claims) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("jwtvalidate.Claims")) }

// MarshalJSON shows no claim; Decode and Get do.
func (c Claims) MarshalJSON() ([]byte, error) { return []byte(`"jwtvalidate.Claims"`), nil }

// newClaims types the registered claims of an object, which it copies. A claim of
// the wrong JSON type makes the token malformed: no reader may take it for absent.
func newClaims(of *jose.Object, issuer string, by signer) (*Claims, error) {
	all := &struct {
		Claims
		veil
		claims
		object   jose.Object
		audience [1]string
	}{claims: claims{issuer: issuer, signer: by}}
	all.veil.claims, all.Claims.veil = &all.claims, &all.veil
	o := &all.object
	o.Copy(of)
	c := &all.Claims
	c.object = o
	ok := true
	text := func(name string) string {
		s, isText := o.Text(name)
		ok = ok && (isText || !o.Has(name))
		return s
	}
	date := func(name string) time.Time {
		raw, has := o.Raw(name)
		if !has {
			return time.Time{}
		}
		t, valid := numericDate(raw)
		ok = ok && valid
		return t
	}
	c.subject, c.id, c.bound = text("sub"), text("jti"), o.Has("cnf")
	c.expiry, c.notBefore, c.issued = date("exp"), date("nbf"), date("iat")
	var audOK bool
	c.audience, audOK = o.StringsIn("aud", all.audience[:])
	if !ok || !audOK {
		return nil, ErrMalformed
	}
	return c, nil
}

// The years 1 and 9999: what time.Time and RFC 3339 can say.
const (
	minDate = -62135596799 // the first second is time.Time's zero
	maxDate = 253402300799
)

// plainDate reads a date of digits alone, as nearly all are.
func plainDate(raw string) (n int64, is bool) {
	for i := range len(raw) {
		c := raw[i] - '0'
		if c > 9 || i == len("253402300799") {
			return 0, false
		}
		n = 10*n + int64(c)
	}
	return n, n <= maxDate
}

// numericDate reads a NumericDate (RFC 7519 section 2): a JSON number of seconds,
// which may have a fraction or an exponent. It is read exactly, to the nanosecond.
func numericDate(raw string) (time.Time, bool) {
	if n, is := plainDate(raw); is {
		return time.Unix(n, 0), true
	}
	// Bounded before big numbers are made: more digits or a larger exponent
	// than these name no date.
	if len(raw) > 64 {
		return time.Time{}, false
	}
	if i := strings.IndexAny(raw, "eE"); i >= 0 {
		if e, _ := strconv.Atoi(raw[i+1:]); e < -64 || e > 64 { // what is out of range comes as the nearest number
			return time.Time{}, false
		}
	}
	r, ok := new(big.Rat).SetString(raw)
	if !ok {
		return time.Time{}, false
	}
	nanos := new(big.Int).Mul(r.Num(), big.NewInt(int64(time.Second)))
	nanos.Div(nanos, r.Denom())
	sec, nsec := new(big.Int).DivMod(nanos, big.NewInt(int64(time.Second)), new(big.Int))
	if !sec.IsInt64() || sec.Int64() < minDate || sec.Int64() > maxDate {
		return time.Time{}, false
	}
	return time.Unix(sec.Int64(), nsec.Int64()), true
}
