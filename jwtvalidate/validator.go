package jwtvalidate

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
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
	answer := &refusal{ResponseWriter: w, status: f.status}
	v.onError(answer, r, err)
	answer.end()
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
