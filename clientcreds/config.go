package clientcreds

import (
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Config makes a Source. It is plain data: New copies what it needs.
type Config struct {
	// TokenURL is the token endpoint. Empty: Issuer is asked for it.
	TokenURL string
	// Issuer is the authorization server's identifier. Without TokenURL its
	// metadata name the endpoint (RFC 8414 section 3, OpenID Connect Discovery 1.0
	// section 4), and must name this very issuer. A client assertion is made out to it.
	Issuer string

	// ClientID is required, except with an assertion, which names the client itself,
	// and no Store.
	ClientID string
	// AuthMethod is how the client shows who it is: client_secret_basic,
	// client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth or
	// self_signed_tls_client_auth, as they are registered at IANA. For servers that
	// take Basic without the encoding of RFC 6749: client_secret_basic_raw. For an
	// assertion that somebody else issues: client_assertion. Empty, with a Secret:
	// client_secret_basic.
	AuthMethod string
	// Secret is for the methods with client_secret. It runs for each token request. An
	// empty one is refused, by New if it is of StaticSecret.
	Secret func(ctx context.Context) (string, error)
	// Key signs for private_key_jwt; it may live in an HSM.
	Key crypto.Signer
	// KeyFile is a private key in the place of Key: PEM (PKCS #8, PKCS #1, SEC 1), or
	// a JWK. It is read for each token request.
	KeyFile string
	// KeyID is the kid of the key at the server. Empty: that of the JWK, or none.
	KeyID string
	// X5TS256 is the thumbprint of the key's certificate (x5t#S256, RFC 7515 section
	// 4.1.8), by which Entra ID finds it. Empty: none is sent.
	X5TS256 string
	// Algorithm of an assertion. Empty: that of the JWK, else RS256, EdDSA, or ES256,
	// ES384 or ES512, as the key is; HS256 for client_secret_jwt.
	Algorithm string
	// AudienceTokenURL makes assertions out to the token endpoint, with typ JWT, for
	// servers that know only RFC 7523 as of 2015. The draft of its successor forbids it: a server
	// that names another's endpoint as its own could use the assertion there.
	AudienceTokenURL bool
	// Assertion is the assertion of client_assertion, such as the token of a
	// workload. It runs for each token request.
	Assertion func(ctx context.Context) (string, error)
	// AssertionFile holds it in the place of Assertion, such as the projected token
	// of a Kubernetes service account. It is read for each token request.
	AssertionFile string
	// ClientCertificate is for the TLS methods (RFC 8705 section 2), as in
	// tls.Config. It runs for each connection to the token endpoint.
	ClientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)

	// Scopes are asked for. Nil: no scope is sent.
	Scopes []string
	// Audience is sent as audience. Empty: none is.
	Audience string
	// Resources are sent as resource, each (RFC 8707).
	Resources []string
	// Params are sent beside; none of those that this package sends itself.
	Params url.Values

	// AllowedAudiences, AllowedResources and AllowedScopes are what a Target may
	// name, beside what stands above.
	AllowedAudiences, AllowedResources, AllowedScopes []string
	// KeyFunc finds the Target of a request whose context has none. It runs for
	// every request, and must not change it. Nil: it is the Config's own.
	KeyFunc func(*http.Request) Target
	// MaxTargets bounds the tokens that are kept for Targets. At most 20 a second
	// may be new, 100 at once. Zero: 1024.
	MaxTargets int

	// AllowedOrigins are where Transport and Client take the token, as
	// scheme://host[:port]. Empty: nowhere, and each of their requests is an ErrOrigin;
	// Token needs none.
	AllowedOrigins []string
	// InsecureAnyOrigin takes it to whatever https URL a request names, and to loopback.
	InsecureAnyOrigin bool
	// InsecureHTTP allows plain http for the token endpoint and the origins, beside
	// loopback: whoever is on the path has the secret and the tokens.
	InsecureHTTP bool
	// KeepAuthorization leaves a request as it is that brings its own Authorization.
	// Otherwise that is replaced: it might be the one of a gateway's user.
	KeepAuthorization bool
	// ReplayNamedOnly takes only a 401 with error="invalid_token" for a dead token,
	// not one that says nothing.
	ReplayNamedOnly bool

	// Client lends its Transport, of which nil is http.DefaultTransport, for the token
	// endpoint and the metadata; deadline, redirects and cookies are the Source's own.
	// Nil: a transport of its own, which keeps no connection. Not together with RootCAs
	// and ClientCertificate.
	Client *http.Client
	// RootCAs are the authorities for https there. Nil: the system's.
	RootCAs *x509.CertPool
	// Timeout bounds one fetch, discovery and a retry included. Zero: 10 s.
	Timeout time.Duration

	// Store shares tokens with other processes, where each is paid for. Where tokens
	// are bound to a certificate, all must present the same. Nil: none.
	Store Store
	// StoreKey has the AES key, of 16, 24 or 32 bytes, that seals what is stored. New
	// calls it once. Required with Store.
	StoreKey func() ([]byte, error)

	// Logger gets, at level Warn, the fetches that failed, and tokens that had expired
	// when they came, one line a second at most. What a Store does wrong is told nobody.
	// Nil: silent.
	Logger *slog.Logger
	// Observe is called synchronously for each Event: it must not block. Its panic
	// changes nothing. Nil: none.
	Observe func(ctx context.Context, e Event)
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Format keeps keys and parameters out of every fmt verb. JSON knows no functions.
func (cfg Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "clientcreds.Config") }

const maxTimeout = 10 * time.Minute

// New makes a Source. It opens no connection. Every bad setting is reported at
// once, by name.
func New(cfg Config) (*Source, error) {
	if cfg.AuthMethod == "" && cfg.Secret != nil {
		cfg.AuthMethod = basic
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Timeout, cfg.MaxTargets = cmp.Or(cfg.Timeout, 10*time.Second), cmp.Or(cfg.MaxTargets, 1024)
	if cfg.AuthMethod == secretJWT {
		cfg.Algorithm = cmp.Or(cfg.Algorithm, jose.HS256.String())
	}
	c := &check{}
	c.place(cfg)
	c.authentication(cfg)
	c.request(cfg)
	origins := c.origins(cfg)
	c.bad(cfg.Timeout < 0 || cfg.Timeout > maxTimeout, "Timeout: not within 10 min")
	c.bad(cfg.MaxTargets < 0 || cfg.MaxTargets > 1<<16, "MaxTargets: not within 65536")
	sealed := c.store(cfg)
	base, metadata := c.client(cfg)
	if c.errs != nil {
		return nil, errors.Join(c.errs...)
	}

	who := &client{
		id: cfg.ClientID, method: cfg.AuthMethod, secret: cfg.Secret,
		key: cfg.Key, keyFile: cfg.KeyFile, keyID: cfg.KeyID, x5tS256: cfg.X5TS256, algorithm: cfg.Algorithm,
		issuer: cfg.Issuer, audienceTokenURL: cfg.AudienceTokenURL,
		assertion: cfg.Assertion, assertionFile: cfg.AssertionFile,
		params: maps.Clone(cfg.Params), now: cfg.Now,
	}
	for name, values := range who.params {
		who.params[name] = slices.Clone(values)
	}
	where := &endpoint{
		fixed: cfg.TokenURL, issuer: cfg.Issuer, mtls: methods[cfg.AuthMethod].certificate || cfg.ClientCertificate != nil,
		insecure: cfg.InsecureHTTP, client: metadata, now: cfg.Now,
	}
	where.call.Timeout, where.call.Now, where.call.Backoff = cfg.Timeout, cfg.Now, where.backoff
	s := &Source{
		client: func() *client { return who }, endpoint: func() *endpoint { return where }, transport: base, timeout: cfg.Timeout,
		policy: newPolicy(cfg), keyFunc: cfg.KeyFunc,
		origins: origins, anyOrigin: cfg.InsecureAnyOrigin, insecureHTTP: cfg.InsecureHTTP,
		keepExisting: cfg.KeepAuthorization, replayOnlyNamed: cfg.ReplayNamedOnly,
		logger: cfg.Logger, observe: cfg.Observe, now: cfg.Now,
	}
	if sealed != nil {
		s.sealed = func() *sealedStore { return sealed }
	}
	s.targets.max = cfg.MaxTargets
	s.own = s.newEntry(s.policy.own)
	return s, nil
}

// check gathers what is wrong with a Config.
type check struct{ errs []error }

func (c *check) bad(is bool, text string) {
	if is {
		c.errs = append(c.errs, errors.New("clientcreds: "+text))
	}
}

func (c *check) err(field string, err error) {
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("clientcreds: %s: %w", field, err))
	}
}

func (c *check) place(cfg Config) {
	c.bad(cfg.TokenURL == "" && cfg.Issuer == "", "TokenURL, Issuer: want one of them")
	if cfg.TokenURL != "" {
		c.err("TokenURL", checkURL(cfg.TokenURL, cfg.InsecureHTTP))
	}
	if cfg.Issuer != "" {
		c.err("Issuer", checkURL(cfg.Issuer, cfg.InsecureHTTP))
	}
}

func (c *check) authentication(cfg Config) {
	needs, known := methods[cfg.AuthMethod]
	switch {
	case cfg.AuthMethod == "":
		c.bad(true, "Secret: required, or an AuthMethod that needs none")
		return
	case !known:
		c.bad(true, "AuthMethod: unknown; want one of "+strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
		return
	}
	m := cfg.AuthMethod
	c.bad(cfg.ClientID == "" && !needs.assertion, "ClientID: required")
	c.bad(needs.secret && cfg.Secret == nil, "Secret: required by "+m)
	c.bad(needs.secret && isEmptySecret(cfg.Secret), "Secret: empty")
	c.bad(!needs.secret && cfg.Secret != nil, "Secret: not for "+m)
	c.bad(needs.key && (cfg.Key == nil) == (cfg.KeyFile == ""), "Key, KeyFile: want one of them for "+m)
	c.bad(!needs.key && (cfg.Key != nil || cfg.KeyFile != ""), "Key, KeyFile: not for "+m)
	c.bad(needs.assertion && (cfg.Assertion == nil) == (cfg.AssertionFile == ""), "Assertion, AssertionFile: want one of them for "+m)
	c.bad(!needs.assertion && (cfg.Assertion != nil || cfg.AssertionFile != ""), "Assertion, AssertionFile: not for "+m)
	c.bad(needs.certificate && cfg.ClientCertificate == nil && (cfg.Client == nil || cfg.Client.Transport == nil), "ClientCertificate: required by "+m)

	signs := needs.key || m == secretJWT
	c.bad(signs && cfg.Issuer == "" && !cfg.AudienceTokenURL, "Issuer: required by "+m+", or AudienceTokenURL")
	c.bad(!signs && cfg.AudienceTokenURL, "AudienceTokenURL: not for "+m)
	c.bad(!signs && cfg.Algorithm != "", "Algorithm: not for "+m)
	c.bad(!needs.key && (cfg.KeyID != "" || cfg.X5TS256 != ""), "KeyID, X5TS256: not for "+m)
	if m == secretJWT {
		alg, ok := jose.ParseAlg(cfg.Algorithm)
		c.bad(!ok || !alg.Symmetric(), "Algorithm: want HS256, HS384 or HS512 for "+m)
	}
	nilKey := isNil(cfg.Key)
	c.bad(nilKey, "Key: a nil pointer")
	if needs.key && !nilKey && (cfg.Key == nil) != (cfg.KeyFile == "") {
		cl := &client{key: cfg.Key, keyFile: cfg.KeyFile, algorithm: cfg.Algorithm}
		if _, _, err := cl.signingKey(); err != nil {
			c.errs = append(c.errs, fmt.Errorf("clientcreds: %w", err))
		}
	}
}

// reserved are the parameters that this package sends itself, with the field that
// is meant.
var reserved = map[string]string{
	"grant_type": "", "scope": "Scopes", "audience": "Audience", "resource": "Resources",
	"client_id": `ClientID and AuthMethod "client_secret_post"`, "client_secret": `Secret and AuthMethod "client_secret_post"`,
	"client_assertion": "AuthMethod", "client_assertion_type": "AuthMethod",
}

func (c *check) request(cfg Config) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Params)) {
		instead, is := reserved[strings.ToLower(name)]
		if is && instead != "" {
			instead = ", use " + instead
		}
		c.bad(is, "Params: "+strings.ToLower(name)+" is reserved"+instead)
	}
	scope := func(s string) bool { return !checkScope(s) }
	c.bad(slices.ContainsFunc(cfg.Scopes, scope), "Scopes: one is empty, or has a space or another character that no scope has")
	c.bad(slices.ContainsFunc(cfg.AllowedScopes, scope), "AllowedScopes: one is empty, or has a space or another character that no scope has")
	resource := func(s string) bool { return !checkResource(s) }
	c.bad(slices.ContainsFunc(cfg.Resources, resource), "Resources: want absolute URIs without a fragment")
	c.bad(slices.ContainsFunc(cfg.AllowedResources, resource), "AllowedResources: want absolute URIs without a fragment")
	audience := func(s string) bool { return !visible(s) }
	c.bad(cfg.Audience != "" && audience(cfg.Audience), "Audience: want printable ASCII without spaces")
	c.bad(slices.ContainsFunc(cfg.AllowedAudiences, audience), "AllowedAudiences: want printable ASCII without spaces")
}

func (c *check) origins(cfg Config) []origin {
	var origins []origin
	for i, text := range cfg.AllowedOrigins {
		o, err := parseOrigin(text, cfg.InsecureHTTP)
		c.err(fmt.Sprintf("AllowedOrigins[%d]", i), err)
		origins = append(origins, o)
	}
	c.bad(len(origins) > 0 && cfg.InsecureAnyOrigin, "AllowedOrigins: not together with InsecureAnyOrigin")
	return origins
}

func (c *check) store(cfg Config) *sealedStore {
	c.bad((cfg.Store == nil) != (cfg.StoreKey == nil), "Store, StoreKey: want both or none")
	c.bad(isNil(cfg.Store), "Store: a nil pointer")
	c.bad(cfg.Store != nil && cfg.ClientID == "", "ClientID: required with Store, where others would get this client's tokens")
	if cfg.Store == nil || cfg.StoreKey == nil {
		return nil
	}
	key, err := cfg.StoreKey()
	if err != nil {
		c.err("StoreKey", err)
		return nil
	}
	sealed, err := newSealed(cfg.Store, key)
	c.err("StoreKey", err)
	return sealed
}

// isNil finds an interface that is not nil with a nil pointer in it: it would pass
// for a value that was given, and panic at each call. A plain nil is none.
func isNil(v any) bool {
	p := reflect.ValueOf(v)
	return (p.Kind() == reflect.Pointer || p.Kind() == reflect.Func) && p.IsNil()
}

// client is what reaches the server: bare for token requests, and with the rules
// of internal/fetch for metadata.
func (c *check) client(cfg Config) (http.RoundTripper, *fetch.Client) {
	c.bad(cfg.Client != nil && cfg.RootCAs != nil, "RootCAs: not together with Client, whose Transport has its own")
	c.bad(cfg.Client != nil && cfg.ClientCertificate != nil, "ClientCertificate: not together with Client, whose Transport has its own")
	base := http.RoundTripper(defaultTransport{})
	switch {
	case cfg.Client == nil:
		base = newTransport(cfg)
	case cfg.Client.Transport != nil:
		base = cfg.Client.Transport
	}
	insecure := cfg.InsecureHTTP
	if u, err := url.Parse(cfg.Issuer); err == nil {
		insecure = insecure || loopback(u.Hostname())
	}
	client, err := fetch.New(fetch.Config{Client: &http.Client{Transport: base}, Timeout: max(cfg.Timeout, 0), InsecureHTTP: insecure, Now: cfg.Now})
	c.err("Issuer", err)
	if client != nil && cfg.TokenURL == "" && cfg.Issuer != "" && checkURL(cfg.Issuer, cfg.InsecureHTTP) == nil {
		c.err("Issuer", client.CheckIssuer(cfg.Issuer))
	}
	return base, client
}
