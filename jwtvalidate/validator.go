package jwtvalidate

import (
	"context"
	"crypto"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Validator decides whether a request's token is good. It is made by New, is
// immutable and safe for concurrent use, and holds no connection or goroutine.
type Validator struct {
	policies   map[string]*policy // by iss
	anyTenant  []*template        // for any tenant
	tenants    *tenants           // nil: there are no others
	algs       [jose.AlgCount]bool
	optional   bool
	leeway     time.Duration
	rule       Rule    // zero: none
	memory     *memory // nil: none
	decryption []jose.DecryptionKey
	sources    *sources
	origins    *http.CrossOriginProtection // nil: any page may send a cookie
	forwards   []forward
	onward     onward
	proxies    []netip.Prefix
	preflight  http.Handler
	revocation RevocationChecker
	resource   *resource
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
	seen := r
	if len(v.forwards)+len(v.proxies) > 0 { // Confirm and Rules go by what they see in Handler
		seen = r.WithContext(r.Context())
		v.guard(seen)
	}
	v.decide(r.Context(), &d, seen, c, err)
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
// writer goes through unchanged. It panics if next is nil.
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

// enter decides about a request that no Handler of this Validator has admitted. It
// returns the request that may go on, or false once it has answered.
func (v *Validator) enter(w http.ResponseWriter, r *http.Request, optional bool) (*http.Request, bool) {
	if v.preflight != nil && isPreflight(r) {
		v.preflight.ServeHTTP(w, v.clean(r))
		return nil, false
	}
	d := v.begin()
	c, err := v.credential(r)
	r = v.clean(r)
	if vouched, ok := v.claimsIn(r.Context()); ok && isNoToken(err) {
		d.claims = vouched
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
		return v.anonymous(r), true
	}
	v.refuse(w, r, d.err)
	return nil, false
}

// anonymous makes the request without claims that the handlers behind see.
func (v *Validator) anonymous(r *http.Request) *http.Request {
	if _, other := FromContext(r.Context()); other {
		r = r.WithContext(&claimsContext{r.Context(), v, nil, false}) // another validator's claims are not this one's
	}
	if v.onward.sets() { // nor is a token where ours would stand
		r.Header = maps.Clone(r.Header) // of a copy, which clean has made
		delete(r.Header, authorization)
	}
	return r
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
	v.sources.hide(r) // before guard, which may wrap the body
	v.guard(r)
	return r
}

// guard removes the headers that only we or a proxy may set.
func (v *Validator) guard(r *http.Request) {
	proxied := len(v.proxies) > 0
	stranger := proxied && !v.trusts(r)
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
	switch {
	case token != "":
		header[authorization] = []string{"Bearer " + token}
	case v.onward.sets(): // claims by WithClaims: what the client sent is no token of ours
		delete(header, authorization)
	}
	r.Header = header // of a copy, which clean has made
	return r, nil
}

func (v *Validator) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := failureOf(err)
	v.challenges.setHeaders(w.Header(), f, err)
	if v.onError == nil { // WriteError, which has nothing more to set
		w.WriteHeader(f.status)
		return
	}
	v.onError(w, r, err)
}

// decision is what became of a request.
type decision struct {
	start  time.Time
	policy *policy
	claims *Claims // as soon as the signature is good
	cached bool    // which was known before
	err    error
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

// check holds a good token against what changes: the clock, the request, and what
// was revoked.
func (v *Validator) check(ctx context.Context, d *decision, r *http.Request, c credential) error {
	if err := v.authenticate(ctx, d, c); err != nil {
		return err
	}
	if d.cached {
		if err := v.checkTime(d.policy, d.claims, v.now()); err != nil {
			return err
		}
	}
	if err := v.checkConfirmation(r, c, d.claims); err != nil {
		return err
	}
	return v.checkRevoked(ctx, d.claims)
}

// authenticate finds out whose token it is: by what is remembered of it, else anew.
func (v *Validator) authenticate(ctx context.Context, d *decision, c credential) error {
	if v.memory == nil || len(c.token) > maxLength {
		return v.firstSight(ctx, d, c, nil)
	}
	k := v.memory.keyOf(c.token)
	if hit, err := v.see(ctx, d, k); hit {
		return err
	}
	return v.firstSight(ctx, d, c, &k)
}

// firstSight reads and verifies a token, and remembers it, unless k is nil.
func (v *Validator) firstSight(ctx context.Context, d *decision, c credential, k *tokenKey) error {
	text, encrypted, err := v.open(c.token)
	if err != nil {
		return err
	}
	c.token, c.unchecked = text, c.unchecked && !encrypted
	t := parsed.Get().(*jose.Compact)
	defer parsed.Put(t)
	object, by, err := v.read(ctx, d, t, c)
	if err != nil {
		return err
	}
	if by.policy.encrypted && !encrypted {
		return ErrType
	}
	if v.lapsed(object) {
		return ErrExpired
	}
	keys, err := by.keys(ctx)
	if err != nil {
		return err
	}
	if k == nil {
		return v.verify(d, t, object, by, keys)
	}
	// Of many requests with one new token, one verifies it. The others wait for that,
	// and not for anything that has to be fetched.
	seeing := v.memory.seeingOf(k.token)
	seeing.Lock()
	defer seeing.Unlock()
	if e := v.memory.find(*k); e != nil && e.isOf(by.policy) && slices.ContainsFunc(keys, e.claims.signer.isBy) {
		d.claims, d.cached = e.claims, true
		return nil
	}
	if err := v.verify(d, t, object, by, keys); err != nil {
		return err
	}
	v.memory.store(*k, d.claims)
	return nil
}

// read is the way of a token to its policy: read strictly, choose the issuer's
// policy, bind algorithm and type. Nothing is fetched before these are known to be
// ours.
func (v *Validator) read(ctx context.Context, d *decision, t *jose.Compact, c credential) (*jose.Object, signer, error) {
	if err := t.Parse(c.token); err != nil {
		if c.unchecked && len(c.token) <= jose.MaxToken && !isToken68(c.token) {
			return nil, signer{}, ErrInvalidRequest
		}
		return nil, signer{}, ErrMalformed
	}
	alg, known := jose.ParseAlg(t.Header.Alg)
	if !known || !v.algs[alg] {
		return nil, signer{}, ErrAlgorithm
	}
	// The one parse of the payload. Until the signature has been verified,
	// only iss is taken from it, and only to choose the policy. The claims come
	// from this same parse, so the verified iss is the one that was chosen by.
	object, err := t.PeekPayload(jose.ClaimLimits)
	if err != nil {
		return nil, signer{}, ErrMalformed
	}
	iss, _ := object.Text("iss")
	p, err := v.policyFor(ctx, iss)
	if err != nil {
		return nil, signer{}, err
	}
	if p == nil {
		return nil, signer{}, ErrUnknownIssuer
	}
	d.policy = p
	if !p.algs[alg] {
		return nil, signer{}, ErrAlgorithm
	}
	if !p.allowsType(&t.Header) {
		return nil, signer{}, ErrType
	}
	return object, signer{policy: p, alg: alg, keyID: p.keyIDOf(&t.Header)}, nil
}

// verify checks the signature, once, and then holds the claims against the policy.
func (v *Validator) verify(d *decision, t *jose.Compact, object *jose.Object, by signer, keys []crypto.PublicKey) error {
	var err error
	if by.key, err = by.verify(keys, t); err != nil {
		return err
	}
	claims, err := newClaims(object, by.policy.url, by)
	if err != nil {
		return err
	}
	d.claims = claims
	if err := v.checkTime(by.policy, claims, v.now()); err != nil {
		return err
	}
	return by.policy.checkClaims(claims)
}

// lapsed reports whether a token that nobody has verified yet says that it has expired.
// Who sends it knows that already, and the answer is that to a forged one: it is not
// worth a key or a signature check. Whatever else exp is, is looked at behind those.
func (v *Validator) lapsed(object *jose.Object) bool {
	raw, has := object.Raw("exp")
	if !has {
		return false
	}
	exp, valid := numericDate(raw)
	return valid && !v.now().Before(exp.Add(v.leeway))
}

// checkTime holds exp, nbf and iat against the clock (RFC 7519 section 4.1).
func (v *Validator) checkTime(p *policy, c *Claims, now time.Time) error {
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
