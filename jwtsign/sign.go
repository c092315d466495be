package jwtsign

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Sign makes a token, in compact serialisation, of claims: anything of which
// encoding/json makes an object, such as a map or a struct. What Config.Token and
// the Issuer say is added. The context bounds the wait for a crypto.Signer. The
// error wraps ErrClaims or ErrUnavailable, and the context's own where that ended.
func (s *Signer) Sign(ctx context.Context, claims any) (string, error) {
	if s.token == nil {
		return "", fmt.Errorf("%w: Config.Token: required", ErrClaims)
	}
	return s.signValue(ctx, s.token, claims)
}

// SignToken is Sign for a token of another kind. Its Lifetime must not be longer
// than the longest of the Config, for that is how long a retired key is published. A
// Token that New would refuse is an ErrClaims, of which Observe is not told.
func (s *Signer) SignToken(ctx context.Context, kind Token, claims any) (string, error) {
	shape, errs := newShape(s.issuer, kind)
	for i := range errs {
		errs[i] = fmt.Errorf("%w: Token.%w", ErrClaims, errs[i])
	}
	if kind.Lifetime > s.lifetime {
		errs = append(errs, fmt.Errorf("%w: Token.Lifetime: longer than any of the Config", ErrClaims))
	}
	if len(errs) > 0 {
		return "", errors.Join(errs...)
	}
	return s.signValue(ctx, shape, claims)
}

func (s *Signer) signValue(ctx context.Context, shape *shape, claims any) (string, error) {
	start := time.Now()
	raw, err := text(claims)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrClaims, err)
		s.report(ctx, Event{Duration: time.Since(start), Err: err})
		return "", err
	}
	return s.sign(ctx, shape, raw, "")
}

// sign makes a token of the text of an object of claims.
func (s *Signer) sign(ctx context.Context, shape *shape, claims, field string) (string, error) {
	e := Event{Field: field}
	start := time.Now()
	token, err := s.signWith(ctx, shape, claims, &e)
	e.Duration, e.Err = time.Since(start), err
	s.report(ctx, e)
	return token, err
}

func (s *Signer) signWith(ctx context.Context, shape *shape, claims string, e *Event) (string, error) {
	given, err := jose.ParseObject(claims, jose.ClaimLimits)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrClaims, err)
	}
	now := s.now()
	key := s.keys().signing(now)
	if key == nil {
		return "", fmt.Errorf("%w: no key signs at this time", ErrUnavailable)
	}
	e.KeyID = key.id
	payload, err := shape.payload(given, now)
	if err != nil {
		return "", err
	}
	token, err := s.signature(ctx, key, shape.typ, payload)
	if err != nil {
		return "", err
	}
	if len(token) > jose.MaxToken {
		return "", fmt.Errorf("%w: the token would be larger than 16 KiB", ErrClaims)
	}
	return token, nil
}

// flattened is a compact JWS in flattened JSON serialisation (RFC 7515 section 7.2.2).
func flattened(compact string) string {
	protected, rest, _ := strings.Cut(compact, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	return `{"payload":"` + payload + `","protected":"` + protected + `","signature":"` + signature + `"}`
}
