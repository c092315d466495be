package jwtvalidate

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
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
	sources    *sources
	origins    *http.CrossOriginProtection // nil: any page may send a cookie
	forwards   []forward
	onward     onward
	proxies    []netip.Prefix
	preflight  http.Handler
	revocation RevocationChecker
	challenges challenges
	onError    func(http.ResponseWriter, *http.Request, error)
	logger     *slog.Logger
	observe    func(context.Context, Event)
	now        func() time.Time
	lines      map[Reason]*limiter
}

// Check decides about a request and writes nothing. It returns either claims or
// one of the errors of this package, never both and never neither. It takes nothing
// from the request that handlers behind must not see: Handler does.
func (v *Validator) Check(r *http.Request) (*Claims, error) {
	d := v.begin()
	c, err := v.credential(r)
	v.decide(r.Context(), &d, r, c, err)
	v.report(r.Context(), &d, v.optional)
	return d.result()
}

// CheckToken is Check for other transports, where the token was found by other
// means. A token with a cnf claim is refused: there is no connection to hold it
// against.
func (v *Validator) CheckToken(ctx context.Context, token string) (*Claims, error) {
	d := v.begin()
	var err error
	if token == "" {
		err = ErrNoToken
	}
	v.decide(ctx, &d, nil, credential{token: token}, err)
	v.report(ctx, &d, v.optional)
	return d.result()
}

// Handler lets requests with a good token through to next, with the claims in
// their context (FromContext), and answers the others itself. The response
// writer goes through unchanged.
func (v *Validator) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("jwtvalidate: Handler: next is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r, ok := v.enter(w, r, v.optional); ok {
			next.ServeHTTP(w, r)
		}
	})
}

// enter is the way of a request that no Handler of this Validator has decided
// about. If it may go on, it does so as the request that is returned; else it was
// answered.
func (v *Validator) enter(w http.ResponseWriter, r *http.Request, optional bool) (*http.Request, bool) {
	if v.preflight != nil && isPreflight(r) {
		v.preflight.ServeHTTP(w, v.clean(r))
		return nil, false
	}
	d := v.begin()
	c, err := v.credential(r)
	r = v.clean(r)
	if vouched, ok := v.claimsIn(r.Context()); ok && isNoToken(err) {
		d.claims, d.vouched = vouched, true
	} else {
		v.decide(r.Context(), &d, r, c, err)
	}
	admitted := r
	if d.err == nil {
		admitted, d.err = v.admit(r, c, d.claims)
	}
	v.report(r.Context(), &d, optional)
	switch {
	case d.err == nil:
		return admitted, true
	case optional && isNoToken(d.err):
		if _, other := FromContext(r.Context()); other {
			r = r.WithContext(&claimsContext{r.Context(), v, nil, false}) // another validator's claims are not this one's
		}
		if v.onward.sets() { // nor is a token where ours would stand
			r.Header = maps.Clone(r.Header) // of a copy, which clean has made
			bearerOnly.strip(r.Header)
		}
		return r, true
	}
	v.refuse(w, r, d.err)
	return nil, false
}

// isPreflight recognises the question of a browser whether it may send another
// request (Fetch standard, CORS-preflight request).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// clean takes from a request what the client must not tell the handlers behind.
func (v *Validator) clean(r *http.Request) *http.Request {
	if len(v.forwards) == 0 && len(v.proxies) == 0 && v.sources == &bearerOnly && v.onward.leaves() {
		return r
	}
	r = r.WithContext(r.Context())
	proxied := len(v.proxies) > 0
	stranger := proxied && !v.trusts(r)
	v.sources.hide(r) // before guard, which may wrap the body
	own := func(name string) bool {
		for i := range v.forwards {
			if sameField(name, v.forwards[i].Header) {
				return true
			}
		}
		for _, certificate := range []string{clientCert, clientCertChain} {
			if sameField(name, certificate) { // from a proxy, only under its own name
				return stranger || proxied && name != certificate
			}
		}
		return v.sources.isTwin(name)
	}
	guard(r, own, func(option string) bool {
		return own(option) || sameField(option, authorization)
	})
	return r
}

// admit makes the request that the handlers behind see.
func (v *Validator) admit(r *http.Request, c credential, claims *Claims) (*http.Request, error) {
	r = v.innermost(r, claims)
	if len(v.forwards) == 0 && v.onward.leaves() {
		return r, nil
	}
	if !v.hasAdmitted(r.Context()) { // claims by WithClaims
		r = r.WithContext(&claimsContext{r.Context(), v, claims, true})
	}
	header := maps.Clone(r.Header)
	for i := range v.forwards {
		lines, err := v.forwards[i].values(claims)
		if err != nil {
			return nil, err
		}
		if len(lines) > 0 {
			header[v.forwards[i].Header] = lines
		}
	}
	if !v.onward.leaves() {
		v.sources.strip(header)
	}
	token, err := v.onward.token(r.Context(), c.token, claims)
	if err != nil {
		return nil, err
	}
	if token != "" {
		header[authorization] = []string{"Bearer " + token}
	}
	r.Header = header // of a copy, which clean has made
	return r, nil
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
	admitted        bool    // what the client must not set has been taken from the request
}

// claimsKey asks for anybody's claims, ownClaimsKey for those of one Validator.
type (
	claimsKey    struct{}
	ownClaimsKey struct{ validator *Validator }
	admittedKey  struct{ validator *Validator }
)

func (c *claimsContext) Value(key any) any {
	switch key := key.(type) {
	case claimsKey:
		return c.claims
	case ownClaimsKey:
		if key.validator == c.validator {
			return c.claims
		}
	case admittedKey:
		if key.validator == c.validator {
			return c.admitted
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

func (v *Validator) hasAdmitted(ctx context.Context) bool {
	admitted, _ := ctx.Value(admittedKey{v}).(bool)
	return admitted
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
	return &claimsContext{ctx, v, c, false}
}

// FromContext returns the claims that a Handler put into the request's context.
// False where none ran, or where an Optional one saw no credential.
func FromContext(ctx context.Context) (*Claims, bool) {
	c, _ := ctx.Value(claimsKey{}).(*Claims)
	return c, c != nil
}

// decision is what became of a request.
type decision struct {
	start   time.Time
	policy  *policy
	claims  *Claims // as soon as the signature is good
	vouched bool    // by WithClaims: nothing was decided
	err     error
}

func (v *Validator) begin() (d decision) {
	if v.observe != nil || v.logger != nil {
		d.start = time.Now()
	}
	return d
}

func (d *decision) result() (*Claims, error) {
	if d.err != nil {
		return nil, d.err
	}
	return d.claims, nil
}

// credential finds the one token of a request, and holds a cookie against the page
// that has sent it.
func (v *Validator) credential(r *http.Request) (credential, error) {
	c, err := v.sources.find(r)
	if err != nil || !c.ambient || v.origins == nil {
		return c, err
	}
	if len(r.Header["Upgrade"]) > 0 { // a GET that opens a channel: WebSockets know no same-origin policy
		r = r.WithContext(r.Context())
		r.Method = http.MethodPost
	}
	if v.origins.Check(r) != nil {
		return credential{}, errCrossOrigin
	}
	return c, nil
}

func (v *Validator) decide(ctx context.Context, d *decision, r *http.Request, c credential, err error) {
	if d.err = err; err == nil {
		d.err = v.check(ctx, d, r, c)
	}
	if d.err == nil && v.rule.test != nil {
		if verdict := v.rule.test(d.claims, r, v.now); verdict.answer != yes {
			d.err = deny(verdict, &v.rule)
		}
	}
}

// parsed pools the buffers in which tokens are taken apart.
var parsed = sync.Pool{New: func() any { return new(jose.Compact) }}

// check is the way of a token: read strictly, choose the issuer's policy, bind
// the algorithm, verify once, then hold the claims against clock and policy.
// Nothing is fetched before iss, alg and typ are known to be ours.
func (v *Validator) check(ctx context.Context, d *decision, r *http.Request, c credential) error {
	t := parsed.Get().(*jose.Compact)
	defer parsed.Put(t)
	if err := t.Parse(c.token); err != nil {
		return ErrMalformed
	}
	alg, known := jose.ParseAlg(t.Header.Alg)
	if !known || !v.algs[alg] {
		return ErrAlgorithm
	}
	// The one parse of the payload. Until the signature has been verified,
	// only iss is taken from it, and only to choose the policy. The claims come
	// from this same parse, so the verified iss is the one that was chosen by.
	object, err := t.ParsePayload(jose.ClaimLimits)
	if err != nil {
		return ErrMalformed
	}
	iss, _ := object.Text("iss")
	p := v.policies[iss]
	if p == nil {
		return ErrUnknownIssuer
	}
	d.policy = p
	if !p.algs[alg] {
		return ErrAlgorithm
	}
	if !p.allowsType(&t.Header) {
		return ErrType
	}
	signer := signer{policy: p, alg: alg, keyID: p.keyIDOf(&t.Header)}
	if signer.key, err = signer.verify(ctx, t); err != nil {
		return err
	}
	claims, err := newClaims(object, p.url, signer)
	if err != nil {
		return err
	}
	d.claims = claims
	if err := v.checkTime(p, claims); err != nil {
		return err
	}
	if err := p.checkClaims(claims); err != nil {
		return err
	}
	if err := v.checkConfirmation(r, c, claims); err != nil {
		return err
	}
	return v.checkRevoked(ctx, claims)
}

func (p *policy) allowsType(h *jose.Header) bool {
	typ := mediaType(h.Type)
	if h.HasType && typ == "" {
		return false // "" in Types stands for an absent typ, not for an empty one
	}
	return slices.ContainsFunc(p.types, func(t string) bool { return len(t) == len(typ) && strings.EqualFold(t, typ) })
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
	for name, want := range p.kind {
		if text, _ := c.object.Text(name); text != want {
			return ErrType
		}
	}
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
