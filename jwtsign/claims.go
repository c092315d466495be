package jwtsign

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// shape is a Token that was checked.
type shape struct {
	typ      string
	lifetime time.Duration
	required []string
	keep     []string
	issuer   string // as JSON
	audience string // as JSON
}

const (
	defaultType = "JWT"
	accessToken = "at+jwt"
	maxLifetime = 10 * 365 * 24 * time.Hour
)

// ours are the claims that a Signer sets.
var ours = []string{"iss", "aud", "iat", "nbf", "exp", "jti"}

func newShape(issuer string, t Token) (*shape, []error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	s := &shape{typ: t.typ(), lifetime: t.Lifetime, required: slices.Clone(t.Required), keep: slices.Clone(t.Keep)}
	if !printable(s.typ) {
		bad("Type: printable ASCII without space, quote and backslash")
	}
	if t.Lifetime < time.Second || t.Lifetime%time.Second != 0 || t.Lifetime > maxLifetime {
		bad("Lifetime: required, whole seconds, up to ten years")
	}
	if len(t.Audience) == 0 || slices.Contains(t.Audience, "") {
		bad("Audience: required, without empty texts")
	}
	if slices.Contains(t.Required, "") {
		bad("Required: a claim without a name")
	}
	for _, name := range t.Keep {
		if !slices.Contains(ours, name) {
			bad("Keep: %q is none of %s", name, strings.Join(ours, ", "))
		}
	}
	if strings.EqualFold(jose.MediaType(s.typ), accessToken) {
		s.required = append(s.required, "sub", "client_id") // RFC 9068 section 2.2; the others are ours
	}
	var err error
	if s.issuer, err = text(issuer); err != nil {
		bad("Issuer: %w", err)
	}
	if s.audience, err = text(t.Audience); err != nil {
		bad("Audience: %w", err)
	} else if len(t.Audience) == 1 {
		s.audience = s.audience[1 : len(s.audience)-1]
	}
	return s, errs
}

func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// errText is the cause for which a value cannot be signed.
var errText = errors.New("invalid UTF-8")

// text is a value as JSON. encoding/json replaces invalid UTF-8, and marks it so
// that it can be told from the character that stands for it.
func text(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		var unsupported *json.UnsupportedValueError
		if errors.As(err, &unsupported) {
			return "", errors.New("a value that JSON has no form for")
		}
		return "", errors.New("no JSON can be made of the value")
	}
	s := strings.TrimSuffix(b.String(), "\n")
	for rest := s; ; {
		i := strings.Index(rest, `\ufffd`)
		if i < 0 {
			return s, nil
		}
		backslashes := 0
		for i-backslashes > 0 && rest[i-backslashes-1] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return "", errText
		}
		rest = rest[i+1:]
	}
}

// payload is the claims as they are signed: those that were given, in their own
// spelling, and ours.
func (s *shape) payload(given *jose.Object, now time.Time) ([]byte, error) {
	for _, name := range []string{"sub", "client_id"} {
		if _, isText := given.Text(name); given.Has(name) && !isText {
			return nil, fmt.Errorf("%w: %s is no string", ErrClaims, name)
		}
	}
	for _, name := range s.required {
		if slices.Contains(ours, name) && !slices.Contains(s.keep, name) {
			continue
		}
		if raw, has := given.Raw(name); !has || jose.IsEmpty(raw) {
			return nil, fmt.Errorf("%w: %s is required", ErrClaims, name)
		}
	}
	iat := now.Unix()
	exp := iat + int64(s.lifetime/time.Second)
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	values := [...]string{
		s.issuer, s.audience, strconv.FormatInt(iat, 10), strconv.FormatInt(iat, 10), strconv.FormatInt(exp, 10),
		`"` + base64.RawURLEncoding.EncodeToString(id[:]) + `"`,
	}
	out := make([]byte, 0, len(given.JSON())+len(s.issuer)+len(s.audience)+160)
	member := func(name, value string) {
		if out = append(out, ','); len(out) == 1 {
			out[0] = '{'
		}
		out = append(append(append(append(out, '"'), name...), `":`...), value...)
	}
	for i, name := range ours {
		value := values[i]
		if raw, has := given.Raw(name); has && slices.Contains(s.keep, name) {
			if !s.keeps(name, given, exp) {
				return nil, fmt.Errorf("%w: %s cannot be kept", ErrClaims, name)
			}
			value = raw
		}
		member(name, value)
	}
	for name, raw := range given.All() {
		if slices.Contains(ours, name) {
			continue
		}
		if !printable(name) {
			quoted, err := text(name)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrClaims, err)
			}
			name = quoted[1 : len(quoted)-1]
		}
		member(name, raw)
	}
	return append(out, '}'), nil
}

// keeps reports whether a claim of ours that was given has the right type, and for
// exp, whether it is not later than ours.
func (s *shape) keeps(name string, given *jose.Object, exp int64) bool {
	switch name {
	case "iss", "jti":
		text, _ := given.Text(name)
		return text != ""
	case "aud":
		list, ok := given.Strings(name)
		return ok && len(list) > 0 && !slices.Contains(list, "")
	}
	raw, _ := given.Raw(name)
	date, err := strconv.ParseInt(raw, 10, 64)
	return err == nil && date >= 0 && date <= exp
}
