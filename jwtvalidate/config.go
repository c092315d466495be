package jwtvalidate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Config makes a Validator. It is plain data: New copies what it needs.
type Config struct {
	// Issuers are the policies, chosen by the token's iss. Required, unless there is an IssuerFor.
	Issuers []Issuer

	// IssuerFor finds the policy for an iss that Issuers have none for: tenants that
	// are not known at start. The iss is not verified yet, so that it must not lead
	// anywhere by itself: look it up among your own. Nil and nil: it is unknown (401).
	// An error: it cannot be told (503); it is logged, and must hold nothing of iss. The
	// URL of the answer must equal iss, and an answer that New would refuse is an error
	// too. One call at a time is made for an iss, on a
	// context that no caller ends, of 10 s. Keys should be the same value each time for
	// the same issuer, as jwkcache.Pool gives them: an answer that says the same forgets
	// no token. Nil: there are no others.
	IssuerFor func(ctx context.Context, iss string) (*Issuer, error)
	// IssuerTTL is for how long an answer of IssuerFor or TenantAllowed is good; one
	// that an issuer is unknown, for 30 s at most. Forget ends it. Zero: 1 min.
	IssuerTTL time.Duration
	// MaxIssuers is how many issuers are held that IssuerFor or TenantAllowed have let
	// in; above, the one that was asked for longest ago goes. Zero: 1000.
	MaxIssuers int

	// DecryptionKeys are this service's own private keys, for tokens that are encrypted
	// for it: one signed token, in one layer of encryption (RFC 7519 section 5.2), with
	// A128GCM, A256GCM, A128CBC-HS256 or A256CBC-HS512. Compressed ones are refused, and
	// whatever is wrong with one is ErrMalformed. That it was encrypted for us says
	// nothing of who did it: it is the signature within that counts. Nil: encrypted
	// tokens are malformed.
	DecryptionKeys []DecryptionKey

	// Sources are the places where the token may stand. A request with more than one
	// of them filled is malformed (400), whichever would be the good one. Nil:
	// {Header: "Authorization", Scheme: "Bearer"} alone; name that too beside others.
	Sources []TokenSource

	// HeaderFirst goes by the headers of Sources where one of them is there, whatever
	// it holds, and looks at the other places only where none is. The tokens there are
	// kept from the handlers behind all the same.
	HeaderFirst bool

	// TrustedOrigins are pages beside the service's own, as scheme://host[:port],
	// that may send a token in a cookie. Other pages may only read with it: a method
	// other than GET, HEAD and OPTIONS, and an upgrade, is answered 403. It is
	// http.CrossOriginProtection that decides; no GET may change anything. Name the
	// cookie __Host-…, so that no sibling domain can set it. Nil: none.
	TrustedOrigins []string

	// InsecureCrossOrigin lets every page act with a user's cookie.
	InsecureCrossOrigin bool

	// Onward says what of the token the handlers behind see. Zero: a token in a
	// header stays where it is, and those in cookies, queries and forms are removed.
	// "forward": it stands in Authorization, with the scheme Bearer, wherever it came
	// from, encrypted if it came so, and nothing that a client without a token sends stands there. "strip": it
	// is removed.
	Onward string

	// OnwardToken makes the token that the handlers behind see in the place of the
	// client's, in Authorization with the scheme Bearer. It runs for every request
	// with claims, must not block without heeding ctx, and an error is answered 503.
	// Not together with Onward, nor with one Handler of this Validator in another,
	// which would refuse that token. The error is logged: it must hold no secret. Nil:
	// none.
	OnwardToken func(ctx context.Context, c *Claims) (string, error)

	// Forward sends claims on in headers. Nil: none.
	Forward []ForwardClaim

	// CacheEntries is how many tokens are remembered, of up to 4 KiB each: their
	// signature is not verified again while the token and its key live. The clock, the
	// key, Revocation and rules are asked every time. Some 2.2 KiB of memory for a token
	// of 1 KiB, which stands there until another takes its place. Zero: 10 000.
	// Negative: none. At most 2^24.
	CacheEntries int

	// Preflight answers CORS preflight requests, which bring no token: OPTIONS with
	// Origin and Access-Control-Request-Method. It stands in the place of the
	// handlers behind and must not call them. It is asked where Handler or Require
	// sees the request: for a pattern with a method the router has answered before, so
	// wrap the whole router. Refusals need CORS headers too, for pages to read them: a
	// CORS middleware outside of Handler gives both. Nil: refused like others.
	Preflight http.Handler

	// TrustedProxies are the addresses, those of the connection (RemoteAddr), whose
	// header Client-Cert is the client's certificate (RFC 9440), for a cnf with
	// x5t#S256: one byte sequence in strict base64. From any other address that
	// header, and Client-Cert-Chain, are removed. RemoteAddr must not have been
	// rewritten before; a zone in it is not looked at. Nil: the header is never
	// looked at, and stays.
	TrustedProxies []netip.Prefix

	// Revocation is asked about every good token. Nil: nobody.
	Revocation RevocationChecker

	// Optional lets a request without any credential through Handler, without
	// claims. A bad credential is refused all the same, and so is one that
	// cannot be checked for lack of keys. Check still answers ErrNoToken.
	Optional bool

	// Leeway is how far the issuer's clock may differ from ours, for exp, nbf
	// and iat. Zero: 10 s. NoLeeway: none. More than a minute is an error.
	Leeway time.Duration

	// Rules are for every token that this Validator checks. Rules for single routes,
	// and for claims that came by WithClaims, stand in Require. Nil: none.
	Rules []Rule

	// Realm stands in the challenges (RFC 9110 section 11.5). Zero: "api".
	Realm string

	// Resource is the URL that this service is known by, for ProtectedResource (RFC
	// 9728 section 1.2): without fragment, and one of Audiences as a rule. The RFC wants
	// https; http is taken too, for tests and loopback. Zero: none.
	Resource string

	// ResourceMetadata is the URL of this resource's metadata, sent in the challenges
	// (RFC 9728 section 5.1). Zero: the well-known one of Resource; without a Resource,
	// it is not sent.
	ResourceMetadata string

	// Scopes are what a client should ask for: sent in the challenge to who brings no
	// good token (RFC 6750 section 3), and published by ProtectedResource. They decide
	// nothing. Nil: those that Rules ask for.
	Scopes []string

	// OnError writes the answer to a refused request. The challenge,
	// Retry-After and Cache-Control are set before it runs; it writes the body, and the
	// status if that is to be another than WriteError's. Nil: WriteError.
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// Logger gets refusals at level Debug, at most ten a second of each reason, and
	// at Warn, at most once a second, that tokens could not be checked. A line says
	// how often it was left out before. Nil: silent.
	Logger *slog.Logger

	// Observe is called for each decision, synchronously: it must not block. A rule
	// of Require or Allow that refuses is a decision of its own, so that such a
	// request is told of twice: accepted, then refused; one that passes is not told
	// of. Its panic changes no decision. Nil: none.
	Observe func(ctx context.Context, e Event)

	// Now is the clock for exp, nbf and iat. Nil: time.Now.
	Now func() time.Time
}

// NoLeeway as Config.Leeway allows no difference between clocks.
const NoLeeway time.Duration = -1

const (
	defaultLeeway = 10 * time.Second // FAPI 2.0 section 5.3.2.1
	maxLeeway     = time.Minute
)

// New makes a Validator. It opens no connection. Everything that is missing or
// contradictory is reported at once, by field name.
func New(cfg Config) (*Validator, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("jwtvalidate: "+format, args...))
	}
	v := &Validator{
		policies: make(map[string]*policy, len(cfg.Issuers)),
		optional: cfg.Optional,
		leeway:   cfg.Leeway,
		onError:  cfg.OnError,
		logger:   cfg.Logger,
		observe:  cfg.Observe,
		now:      cfg.Now,

		memory:     newMemory(cfg.CacheEntries),
		lines:      newLimiters(),
		preflight:  cfg.Preflight,
		revocation: cfg.Revocation,
		onward:     onward{cfg.Onward, cfg.OnwardToken},
	}
	if len(cfg.Issuers) == 0 && cfg.IssuerFor == nil {
		bad("Issuers: at least one is required")
	}
	var templates []*template
	policies := func(i int, list ...*policy) {
		for _, p := range list {
			if _, twice := v.policies[p.url]; twice && p.url != "" {
				bad("Issuers[%d].URL: is listed twice", i)
			}
			p.owner = v
			v.policies[p.url] = p
		}
	}
	for i, issuer := range cfg.Issuers {
		p, issuerErrs := newPolicy(issuer)
		for _, err := range issuerErrs {
			bad("Issuers[%d].%w", i, err)
		}
		if isTemplate(p.url) {
			t, known, templateErrs := newTemplate(issuer, p)
			for _, err := range templateErrs {
				bad("Issuers[%d].%w", i, err)
			}
			if t.asks() && slices.ContainsFunc(templates, func(other *template) bool { return other.asks() && other.base.url == p.url }) {
				bad("Issuers[%d].URL: is listed twice", i)
			}
			templates = append(templates, t)
			policies(i, known...)
		} else {
			policies(i, p)
		}
		for a, allowed := range p.algs {
			v.algs[a] = v.algs[a] || allowed
		}
	}
	switch {
	case cfg.Leeway == 0:
		v.leeway = defaultLeeway
	case cfg.Leeway == NoLeeway:
		v.leeway = 0
	case cfg.Leeway < 0 || cfg.Leeway > maxLeeway:
		bad("Leeway: want NoLeeway or up to %v", maxLeeway)
	}
	if cfg.CacheEntries > maxEntries {
		bad("CacheEntries: more than %d", maxEntries)
	}
	errs = append(errs, v.setSources(cfg)...)
	errs = append(errs, v.setTenants(cfg, templates)...)
	errs = append(errs, v.setDecryption(cfg)...)
	if isNil(cfg.Revocation) {
		v.revocation = nil
		if cfg.Revocation != nil {
			bad("Revocation: a nil pointer or function")
		}
	}
	if cfg.Preflight != nil && isNil(cfg.Preflight) {
		bad("Preflight: a nil pointer")
	}
	if len(cfg.Rules) > 0 {
		v.rule = All(cfg.Rules...)
		for i := range cfg.Rules {
			if err := cfg.Rules[i].mistake(); err != nil {
				errs = append(errs, fmt.Errorf("jwtvalidate: Rules[%d]: %w", i, err))
			}
		}
	}
	if err := quotable("Realm", cfg.Realm); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, v.setResource(cfg)...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	realm := cfg.Realm
	if realm == "" {
		realm = defaultRealm
	}
	v.challenges = newChallenges(realm, v.resource)
	if v.now == nil {
		v.now = time.Now
	}
	if v.tenants != nil {
		v.tenants.now = v.now
	}
	if cfg.IssuerFor != nil {
		for a := range v.algs {
			v.algs[a] = a > 0 // each policy has its own
		}
	}
	return v, nil
}

// setSources takes over where tokens come from and what goes on behind.
func (v *Validator) setSources(cfg Config) []error {
	var errs []error
	take := func(list []error) {
		for _, err := range list {
			errs = append(errs, fmt.Errorf("jwtvalidate: %w", err))
		}
	}
	var err []error
	v.sources, err = newSources(cfg.Sources, cfg.HeaderFirst)
	take(err)
	v.forwards, err = newForwards(cfg.Forward, v.sources.headers)
	take(err)
	v.proxies, err = newProxies(cfg.TrustedProxies)
	take(err)
	if v.sources.takesDPoP() && slices.ContainsFunc(cfg.Issuers, func(i Issuer) bool { return i.Confirm == nil }) {
		take([]error{errors.New("Sources: the scheme DPoP needs a Confirm of every Issuer")})
	}
	if cfg.Onward != "" && cfg.Onward != onwardForward && cfg.Onward != onwardStrip {
		take([]error{fmt.Errorf(`Onward: %q is none of "", %q and %q`, cfg.Onward, onwardForward, onwardStrip)})
	}
	if cfg.Onward != "" && cfg.OnwardToken != nil {
		take([]error{errors.New("Onward, OnwardToken: not together")})
	}
	take(v.setOrigins(cfg))
	return errs
}

func (v *Validator) setOrigins(cfg Config) []error {
	if len(v.sources.cookies) == 0 || cfg.InsecureCrossOrigin {
		switch {
		case len(v.sources.cookies) == 0 && (len(cfg.TrustedOrigins) > 0 || cfg.InsecureCrossOrigin):
			return []error{errors.New("TrustedOrigins, InsecureCrossOrigin: only with a Cookie in Sources")}
		case len(cfg.TrustedOrigins) > 0:
			return []error{errors.New("TrustedOrigins: not together with InsecureCrossOrigin")}
		}
		return nil
	}
	var errs []error
	v.origins = http.NewCrossOriginProtection()
	for i, origin := range cfg.TrustedOrigins {
		if strings.Contains(origin, "*") {
			errs = append(errs, fmt.Errorf("TrustedOrigins[%d]: exact, without wildcards", i))
		} else if err := v.origins.AddTrustedOrigin(origin); err != nil {
			errs = append(errs, fmt.Errorf("TrustedOrigins[%d]: %w", i, err))
		}
	}
	return errs
}

// isNil also finds a nil pointer, such as that of a constructor whose error was
// overlooked, and a nil function: they would panic at the first request.
func isNil(v any) bool {
	p := reflect.ValueOf(v)
	return v == nil || (p.Kind() == reflect.Pointer || p.Kind() == reflect.Func) && p.IsNil()
}

// quotable holds a text to the characters that may stand in a quoted parameter
// without escapes (RFC 6750 section 3: %x20-21 / %x23-5B / %x5D-7E).
func quotable(field, text string) error {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7E || c == '"' || c == '\\' {
			return errors.New("jwtvalidate: " + field + `: only printable ASCII without " and \`)
		}
	}
	return nil
}
