package jwtvalidate

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Validator decides whether a request's token is good. It is made by New, is
// immutable and safe for concurrent use, and holds no connection or goroutine.
type Validator struct {
	policies   map[string]*policy // by iss
	algs       [jose.AlgCount]bool
	optional   bool
	leeway     time.Duration
	rule       Rule // zero: none
	challenges challenges
	onError    func(http.ResponseWriter, *http.Request, error)
	logger     *slog.Logger
	observe    func(context.Context, Event)
	now        func() time.Time
	warned     onceASecond
}

// Check decides about a request and writes nothing. It returns either claims or
// one of the errors of this package, never both and never neither.
func (v *Validator) Check(r *http.Request) (*Claims, error) {
	token, err := bearer(r.Header)
	return v.decide(r.Context(), r, token, err, v.optional)
}

// CheckToken is Check for other transports, where the token was found by other
// means. A token with a cnf claim is refused: there is no connection to hold it
// against.
func (v *Validator) CheckToken(ctx context.Context, token string) (*Claims, error) {
	var err error
	if token == "" {
		err = ErrNoToken
	}
	return v.decide(ctx, nil, token, err, v.optional)
}

// Handler lets requests with a good token through to next, with the claims in
// their context (FromContext), and answers the others itself. The response
// writer goes through unchanged.
func (v *Validator) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("jwtvalidate: Handler: next is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if vouched, ok := v.claimsIn(r.Context()); ok && !hasCredential(r) {
			next.ServeHTTP(w, v.innermost(r, vouched))
			return
		}
		claims, err := v.Check(r)
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(&claimsContext{r.Context(), v, claims}))
		case v.optional && ReasonOf(err) == ReasonNoToken: // errors.Is would see into what a KeySource or Confirm gave
			if _, other := FromContext(r.Context()); other {
				r = r.WithContext(&claimsContext{r.Context(), v, nil}) // another validator's claims are not this one's
			}
			next.ServeHTTP(w, r)
		default:
			v.refuse(w, r, err)
		}
	})
}

// hasCredential reports whether there is something for Check to decide about.
func hasCredential(r *http.Request) bool {
	_, err := bearer(r.Header)
	return ReasonOf(err) != ReasonNoToken
}

// innermost makes c the claims that FromContext finds: those that were decided by,
// not those of another Validator in between.
func (v *Validator) innermost(r *http.Request, c *Claims) *http.Request {
	if found, _ := FromContext(r.Context()); found == c {
		return r
	}
	return r.WithContext(&claimsContext{r.Context(), v, c})
}

func (v *Validator) refuse(w http.ResponseWriter, r *http.Request, err error) {
	v.challenges.setHeaders(w.Header(), err)
	v.onError(w, r, err)
}

// claimsContext carries claims without the box and the key that
// context.WithValue would allocate.
type claimsContext struct {
	context.Context //nolint:containedctx // it is a context
	validator       *Validator
	claims          *Claims // nil: none, and those of a validator outside do not count
}

// claimsKey asks for anybody's claims, ownClaimsKey for those of one Validator.
type (
	claimsKey    struct{}
	ownClaimsKey struct{ validator *Validator }
)

func (c *claimsContext) Value(key any) any {
	switch key := key.(type) {
	case claimsKey:
		return c.claims
	case ownClaimsKey:
		if key.validator == c.validator {
			return c.claims
		}
	}
	return c.Context.Value(key)
}

// claimsIn are the claims that this Validator itself has put into the context: what
// another one has let through proves nothing here.
func (v *Validator) claimsIn(ctx context.Context) (*Claims, bool) {
	c, _ := ctx.Value(ownClaimsKey{v}).(*Claims)
	return c, c != nil
}

// WithClaims puts claims into a context as Handler does, so that another
// authenticator (an API key, Basic) can stand before the same routes. Whoever
// calls it vouches for the claims: see NewClaims. Handler and Require take them
// from a request without a token; where there is one too, Handler goes by the
// token. Config.Rules are about tokens only. Nil claims are none.
func (v *Validator) WithClaims(ctx context.Context, c *Claims) context.Context {
	if c.none() {
		c = nil
	}
	return &claimsContext{ctx, v, c}
}

// FromContext returns the claims that a Handler put into the request's context.
// False where none ran, or where an Optional one saw no credential.
func FromContext(ctx context.Context) (*Claims, bool) {
	c, _ := ctx.Value(claimsKey{}).(*Claims)
	return c, c != nil
}

// decide tells of what it decides; optional only says how no token is told of.
func (v *Validator) decide(ctx context.Context, r *http.Request, token string, err error, optional bool) (*Claims, error) {
	var start time.Time
	if v.observe != nil || v.logger != nil {
		start = time.Now()
	}
	var claims *Claims
	var p *policy
	if err == nil {
		claims, p, err = v.check(ctx, r, token)
	}
	if err == nil && v.rule.test != nil {
		if verdict := v.rule.test(claims, r, v.now); verdict.answer != yes {
			err = deny(verdict, &v.rule)
		}
	}
	if v.observe != nil || v.logger != nil {
		v.report(ctx, p, start, err, optional)
	}
	if err != nil {
		return nil, err
	}
	return claims, nil
}

// parsed pools the buffers in which tokens are taken apart.
var parsed = sync.Pool{New: func() any { return new(jose.Compact) }}

// check is the way of a token: read strictly, choose the issuer's policy, bind
// the algorithm, verify once, then hold the claims against clock and policy.
// Nothing is fetched before iss, alg and typ are known to be ours.
func (v *Validator) check(ctx context.Context, r *http.Request, token string) (*Claims, *policy, error) {
	t := parsed.Get().(*jose.Compact)
	defer parsed.Put(t)
	if err := t.Parse(token); err != nil {
		return nil, nil, ErrMalformed
	}
	alg, known := jose.ParseAlg(t.Header.Alg)
	if !known || !v.algs[alg] {
		return nil, nil, ErrAlgorithm
	}
	// The one parse of the payload. Until the signature has been verified,
	// only iss is taken from it, and only to choose the policy. The claims come
	// from this same parse, so the verified iss is the one that was chosen by.
	object, err := t.ParsePayload(claimLimits)
	if err != nil {
		return nil, nil, ErrMalformed
	}
	iss, _ := object.Text("iss")
	p := v.policies[iss]
	if p == nil {
		return nil, nil, ErrUnknownIssuer
	}
	if !p.algs[alg] {
		return nil, p, ErrAlgorithm
	}
	if !p.allowsType(&t.Header) {
		return nil, p, ErrType
	}
	if err := p.verify(ctx, alg, t); err != nil {
		return nil, p, err
	}
	claims, err := newClaims(object, p.url)
	if err != nil {
		return nil, p, err
	}
	if err := v.checkTime(p, claims); err != nil {
		return nil, p, err
	}
	if err := p.checkClaims(claims); err != nil {
		return nil, p, err
	}
	if err := p.checkConfirmation(r, claims); err != nil {
		return nil, p, err
	}
	return claims, p, nil
}

func (p *policy) allowsType(h *jose.Header) bool {
	typ := mediaType(h.Type)
	if h.HasType && typ == "" {
		return false // "" in Types stands for an absent typ, not for an empty one
	}
	return slices.ContainsFunc(p.types, func(t string) bool { return len(t) == len(typ) && strings.EqualFold(t, typ) })
}

// verify asks the issuer's own source for the key and verifies the signature.
func (p *policy) verify(ctx context.Context, alg jose.Alg, t *jose.Compact) error {
	keys, err := p.keys.Keys(ctx, p.keyIDOf(&t.Header), t.Header.Alg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	reason := ErrUnknownKey
	for _, key := range keys[:min(len(keys), maxTried)] {
		err := jose.Verify(alg, key, t.SigningInput, t.Signature)
		if err == nil {
			return nil
		}
		if errors.Is(err, jose.ErrSignature) {
			reason = ErrSignature
		}
	}
	return reason
}

func (p *policy) keyIDOf(h *jose.Header) string {
	switch {
	case p.keyID == keyIDX5T && h.X5T != "":
		return h.X5T
	case p.keyID == keyIDX5TS256 && h.X5TS256 != "":
		return h.X5TS256
	case p.keyID == keyIDKidX5T:
		return h.KeyID + h.X5T
	}
	return h.KeyID
}

// checkTime holds exp, nbf and iat against the clock (RFC 7519 section 4.1).
func (v *Validator) checkTime(p *policy, c *Claims) error {
	now := v.now()
	if c.expiry.IsZero() {
		return ErrMissingClaim
	}
	if !now.Before(c.expiry.Add(v.leeway)) {
		return ErrExpired
	}
	latest := now.Add(v.leeway)
	if c.notBefore.After(latest) || c.issued.After(latest) {
		return ErrNotYetValid
	}
	if p.maxLifetime > 0 {
		if c.issued.IsZero() {
			return ErrMissingClaim
		}
		if c.expiry.Sub(c.issued) > p.maxLifetime {
			return ErrLifetime
		}
	}
	return nil
}

func (p *policy) checkClaims(c *Claims) error {
	if !p.checkAudience(c) {
		return ErrAudience
	}
	for _, name := range p.required {
		raw, has := c.object.Raw(name)
		if !has || isEmpty(raw) || name == "client_id" && raw[0] != '"' { // RFC 8693 section 4.3
			return ErrMissingClaim
		}
	}
	return nil
}

// isEmpty reports whether a JSON value is null, "", [] or {}.
func isEmpty(raw string) bool {
	switch raw[0] {
	case '"':
		return raw == `""`
	case '[', '{':
		return strings.Trim(raw[1:len(raw)-1], " \t\r\n") == ""
	}
	return raw == "null"
}

// checkAudience compares whole strings only (RFC 7519 section 4.1.3).
func (p *policy) checkAudience(c *Claims) bool {
	list := c.audience
	if p.audienceClaim != "aud" {
		var ok bool
		if list, ok = c.object.Strings(p.audienceClaim); !ok {
			return false
		}
	}
	found := 0
	for i, audience := range list {
		if _, ours := p.audiences[audience]; ours && !slices.Contains(list[:i], audience) {
			found++
		}
	}
	if p.allAudiences {
		return found == len(p.audiences)
	}
	return found > 0
}

// checkConfirmation refuses a token that is bound to a sender, unless the
// request proves to be that sender.
func (p *policy) checkConfirmation(r *http.Request, c *Claims) error {
	if !c.object.Has("cnf") {
		return nil
	}
	if r == nil {
		return ErrConfirmation
	}
	if p.confirm != nil {
		err := p.confirm(r, c)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrUnavailable): // and so not a bad token
			return fmt.Errorf("jwtvalidate: confirm: %w", err)
		}
		return fmt.Errorf("%w: %w", ErrConfirmation, err)
	}
	return confirmCertificate(r, c)
}

// confirmCertificate holds cnf against the client certificate (RFC 8705 section
// 3.1). The TLS handshake has proved possession of its key; whether the
// certificate itself must be trusted is the server's tls.Config.
func confirmCertificate(r *http.Request, c *Claims) error {
	v, _ := c.object.Get("cnf")
	cnf, _ := v.(map[string]any)
	want, _ := cnf["x5t#S256"].(string)
	if len(cnf) != 1 || want == "" || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ErrConfirmation
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	got := base64.RawURLEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return ErrConfirmation
	}
	return nil
}
