package clientcreds_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

func TestConfig(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	certificate := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, errDown }
	withKey := func(cfg *clientcreds.Config) {
		cfg.AuthMethod, cfg.Secret, cfg.Key, cfg.Issuer = "private_key_jwt", nil, ec, issuer
	}
	for _, tt := range []struct {
		name string
		set  func(*clientcreds.Config)
		want []string // empty: it is good
	}{
		{"good", func(*clientcreds.Config) {}, nil},
		{"nothing", func(cfg *clientcreds.Config) { *cfg = clientcreds.Config{} }, []string{"TokenURL, Issuer: want one of them", "Secret: required, or an AuthMethod that needs none"}},
		{"no client", func(cfg *clientcreds.Config) { cfg.ClientID = "" }, []string{"ClientID: required"}},
		{"unknown method", func(cfg *clientcreds.Config) { cfg.AuthMethod = "client_secret" }, []string{"AuthMethod: unknown"}},
		{"http", func(cfg *clientcreds.Config) { cfg.TokenURL = "http://idp.example.com/token" }, []string{"TokenURL: not https (InsecureHTTP allows http)"}},
		{"no scheme of the web", func(cfg *clientcreds.Config) { cfg.TokenURL = "ftp://idp.example.com/token" }, []string{"TokenURL: not https"}},
		{"http, allowed", func(cfg *clientcreds.Config) {
			cfg.TokenURL, cfg.InsecureHTTP = "http://idp.example.com/token", true
		}, nil},
		{"http on loopback", func(cfg *clientcreds.Config) { cfg.TokenURL = "http://localhost:8080/token" }, nil},
		{"http on 127.0.0.1.evil.org", func(cfg *clientcreds.Config) { cfg.TokenURL = "http://127.0.0.1.evil.org/" }, []string{"TokenURL: not https"}},
		{"userinfo", func(cfg *clientcreds.Config) { cfg.TokenURL = "https://a:" + secret + "@idp.example.com/" }, []string{"TokenURL: with userinfo"}},
		{"fragment", func(cfg *clientcreds.Config) { cfg.TokenURL += "#x" }, []string{"TokenURL: with a fragment"}},
		{"no URL", func(cfg *clientcreds.Config) { cfg.TokenURL = "%zz" }, []string{"TokenURL: not an absolute URL"}},
		{"issuer with a query", func(cfg *clientcreds.Config) { cfg.TokenURL, cfg.Issuer = "", issuer+"?x" }, []string{"Issuer: with a query"}},
		{"issuer over http", func(cfg *clientcreds.Config) { cfg.TokenURL, cfg.Issuer = "", "http://idp.example.com" }, []string{"Issuer: not https (InsecureHTTP allows http)"}},
		{"issuer on loopback", func(cfg *clientcreds.Config) { cfg.TokenURL, cfg.Issuer = "", "http://127.0.0.1:8080" }, nil},

		{"no secret in the environment", func(cfg *clientcreds.Config) { cfg.Secret = clientcreds.StaticSecret(os.Getenv("GATEHOUSE_NOT_SET")) }, []string{"Secret: empty"}},
		{"a space for a secret", func(cfg *clientcreds.Config) { cfg.Secret = clientcreds.StaticSecret(" ") }, nil},
		{"a secret that must be asked for", func(cfg *clientcreds.Config) {
			cfg.Secret = func(context.Context) (string, error) { panic("New asks nobody") }
		}, nil},
		{"an empty secret for a method without", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Secret = clientcreds.StaticSecret("") }, []string{"Secret: not for private_key_jwt"}},

		{"key", withKey, nil},
		{"a nil key", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Key = (*ecdsa.PrivateKey)(nil) }, []string{"Key: a nil pointer"}},
		{"key, no issuer", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Issuer = "" }, []string{"Issuer: required by private_key_jwt, or AudienceTokenURL"}},
		{"key, for the token URL", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Issuer, cfg.AudienceTokenURL = "", true }, nil},
		{"key and secret", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Secret = clientcreds.StaticSecret("x") }, []string{"Secret: not for private_key_jwt"}},
		{"no key", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Key = nil }, []string{"Key, KeyFile: want one of them for private_key_jwt"}},
		{"two keys", func(cfg *clientcreds.Config) { withKey(cfg); cfg.KeyFile = "x" }, []string{"Key, KeyFile: want one of them"}},
		{"another curve", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Algorithm = "ES384" }, []string{"Key: jose: unusable key"}},
		{"none", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Algorithm = "none" }, []string{"Algorithm: unknown, or not for private_key_jwt"}},
		{"HS256 for a key", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Algorithm = "HS256" }, []string{"Algorithm: unknown, or not for private_key_jwt"}},
		{"RSA of 1024 bits", func(cfg *clientcreds.Config) { withKey(cfg); cfg.Key = small }, []string{"Key: jose: unusable key"}},
		{"key for Basic", func(cfg *clientcreds.Config) { cfg.Key, cfg.KeyID = ec, "k" }, []string{"Key, KeyFile: not for client_secret_basic", "KeyID, X5TS256: not for client_secret_basic"}},
		{"algorithm for Basic", func(cfg *clientcreds.Config) { cfg.Algorithm, cfg.AudienceTokenURL = "RS256", true }, []string{"AudienceTokenURL: not for", "Algorithm: not for"}},
		{"secret JWT", func(cfg *clientcreds.Config) { cfg.AuthMethod, cfg.Issuer = "client_secret_jwt", issuer }, nil},
		{"secret JWT with RS256", func(cfg *clientcreds.Config) {
			cfg.AuthMethod, cfg.Issuer, cfg.Algorithm = "client_secret_jwt", issuer, "RS256"
		}, []string{"Algorithm: want HS256"}},
		{"mTLS", func(cfg *clientcreds.Config) {
			cfg.AuthMethod, cfg.Secret, cfg.Client, cfg.ClientCertificate = "tls_client_auth", nil, nil, certificate
		}, nil},
		{"mTLS without a certificate", func(cfg *clientcreds.Config) {
			cfg.AuthMethod, cfg.Secret, cfg.Client = "tls_client_auth", nil, nil
		}, []string{"ClientCertificate: required by tls_client_auth"}},
		{"assertion", func(cfg *clientcreds.Config) {
			cfg.AuthMethod, cfg.Secret, cfg.AssertionFile = "client_assertion", nil, "x"
		}, nil},
		{"no assertion", func(cfg *clientcreds.Config) { cfg.AuthMethod, cfg.Secret = "client_assertion", nil }, []string{"Assertion, AssertionFile: want one of them"}},
		{"assertion for Basic", func(cfg *clientcreds.Config) { cfg.AssertionFile = "x" }, []string{"Assertion, AssertionFile: not for"}},

		{"scope with a space", func(cfg *clientcreds.Config) { cfg.Scopes = []string{"openid, email"} }, []string{"Scopes: one is empty, or has a space"}},
		{"empty scope", func(cfg *clientcreds.Config) { cfg.AllowedScopes = []string{""} }, []string{"AllowedScopes: one is empty"}},
		{"resource", func(cfg *clientcreds.Config) { cfg.Resources = []string{"https://a#b"} }, []string{"Resources: want absolute URIs"}},
		{"relative resource", func(cfg *clientcreds.Config) { cfg.AllowedResources = []string{"a"} }, []string{"AllowedResources: want absolute URIs"}},
		{"audience", func(cfg *clientcreds.Config) { cfg.Audience, cfg.AllowedAudiences = "a b", []string{"\n"} }, []string{"Audience: want printable", "AllowedAudiences: want printable"}},
		{"origins", func(cfg *clientcreds.Config) {
			cfg.AllowedOrigins = []string{"https://a", "http://a", "https://a/b", "a", "https://u@a", "https://a?b"}
		}, []string{"AllowedOrigins[1]: not https (InsecureHTTP allows http)", "AllowedOrigins[2]: want scheme", "AllowedOrigins[3]: not an absolute", "AllowedOrigins[4]: with userinfo", "AllowedOrigins[5]: want scheme"}},
		{"origins and any", func(cfg *clientcreds.Config) { cfg.InsecureAnyOrigin = true }, []string{"AllowedOrigins: not together"}},
		{"Auth0 by KrakenD's recipe", func(cfg *clientcreds.Config) {
			cfg.Params = url.Values{"client_id": {"x"}, "client_secret": {secret}}
		}, []string{`Params: client_id is reserved, use ClientID and AuthMethod "client_secret_post"`, `Params: client_secret is reserved, use Secret and AuthMethod "client_secret_post"`}},
		{"reserved", func(cfg *clientcreds.Config) {
			cfg.Params = url.Values{"grant_type": {"password"}, "scope": {""}, "Audience": {""}, "resource": {""}, "client_assertion": {""}, "client_assertion_type": {""}}
		}, []string{"audience is reserved, use Audience", "client_assertion is reserved", "client_assertion_type is reserved", "grant_type is reserved", "resource is reserved, use Resources", "scope is reserved, use Scopes"}},
		{"client and roots", func(cfg *clientcreds.Config) { cfg.RootCAs, cfg.ClientCertificate = x509.NewCertPool(), certificate }, []string{"RootCAs: not together", "ClientCertificate: not together"}},
		{"numbers", func(cfg *clientcreds.Config) { cfg.Timeout, cfg.MaxTargets = -1, -1 }, []string{"Timeout: not within", "MaxTargets: not within"}},
		{"large numbers", func(cfg *clientcreds.Config) { cfg.Timeout, cfg.MaxTargets = time.Hour, 1<<20 }, []string{"Timeout: not within", "MaxTargets: not within"}},
		{"store without a key", func(cfg *clientcreds.Config) { cfg.Store = &memory{} }, []string{"Store, StoreKey: want both or none"}},
		{"store", func(cfg *clientcreds.Config) { cfg.Store, cfg.StoreKey = &memory{}, storeKey }, nil},
		{"store that is a value", func(cfg *clientcreds.Config) { cfg.Store, cfg.StoreKey = valueStore{&memory{}}, storeKey }, nil},
		{"store that is a nil pointer", func(cfg *clientcreds.Config) { cfg.Store, cfg.StoreKey = (*memory)(nil), storeKey }, []string{"Store: a nil pointer"}},
		{"store that is a nil pointer, without a key", func(cfg *clientcreds.Config) { cfg.Store = (*memory)(nil) }, []string{"Store, StoreKey: want both or none", "Store: a nil pointer"}},
		{"store with a short key", func(cfg *clientcreds.Config) {
			cfg.Store, cfg.StoreKey = &memory{}, func() ([]byte, error) { return []byte("short"), nil }
		}, []string{"StoreKey: want 16, 24 or 32 bytes"}},
		{"store without its key", func(cfg *clientcreds.Config) {
			cfg.Store, cfg.StoreKey = &memory{}, func() ([]byte, error) { return nil, errDown }
		}, []string{"StoreKey: test: down"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &idp{}
			cfg := config(p)
			tt.set(&cfg)
			s, err := clientcreds.New(cfg)
			require.Zero(t, p.requests(), "New asks nobody")
			if tt.want == nil {
				require.NoError(t, err)
				require.NotNil(t, s)
				return
			}
			require.Nil(t, s)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(tt.want), "%v", err)
			for i, want := range tt.want {
				require.Contains(t, lines[i], want)
				require.True(t, strings.HasPrefix(lines[i], "clientcreds: "), lines[i])
			}
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func storeKey() ([]byte, error) { return []byte("0123456789abcdef"), nil }

// valueStore is a Store that no pointer is needed for.
type valueStore struct{ clientcreds.Store }

// TestClientWithoutATransport is like an http.Client without one.
func TestClientWithoutATransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	for _, tt := range []struct {
		name   string
		client *http.Client
		asked  int // requests that http.DefaultTransport sees
	}{
		{"no client", nil, 0},
		{"a client without a transport", &http.Client{}, 2},
		{"a client with one", &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errDown })}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(nil)
			cfg.TokenURL, cfg.Issuer, cfg.Client = "", "https://127.0.0.1:1", tt.client
			s := newSource(t, cfg)
			asked := 0
			http.DefaultTransport = roundTrip(func(r *http.Request) (*http.Response, error) { // which a program may replace late
				if asked++; asked == 1 {
					return answer(r, 200, "application/json", `{"issuer":"https://127.0.0.1:1","token_endpoint":"https://127.0.0.1:1/token"}`), nil
				}
				return answer(r, 200, "application/json", good(1, "")), nil
			})
			if tt.asked == 0 {
				require.Equal(t, clientcreds.ReasonDiscovery, failureOf(t, s).Reason)
			} else {
				require.Equal(t, "token-1", tokenOf(t, s))
			}
			require.Equal(t, tt.asked, asked, "metadata and token")
		})
	}
}

func TestObserve(t *testing.T) {
	var events []clientcreds.Event
	p := &idp{answers: func(n int, _ *http.Request) (int, string) {
		switch n {
		case 1:
			return 500, ""
		case 2:
			return 200, `{"access_token":"a","expires_in":0}`
		}
		return 200, good(n, "60")
	}}
	cfg := config(p)
	now := time.Now()
	cfg.Now = func() time.Time { return now }
	cfg.Observe = func(_ context.Context, e clientcreds.Event) {
		e.Duration = 0
		events = append(events, e)
		panic("a broken counter")
	}
	s := newSource(t, cfg)
	failed := failureOf(t, s)
	now = now.Add(time.Minute)
	tokenOf(t, s)
	tokenOf(t, s)
	_, err := s.Token(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: "x"}))
	require.ErrorIs(t, err, clientcreds.ErrTarget)
	require.Len(t, events, 3)
	require.ErrorIs(t, events[0].Err, clientcreds.ErrTokenUnavailable)
	require.Equal(t, failed.Error(), events[0].Err.Error())
	events[0].Err = nil
	const host = "https://idp.example.com"
	require.Equal(t, []clientcreds.Event{
		{Kind: clientcreds.KindFailed, Reason: clientcreds.ReasonStatus, TokenHost: host, Status: 500},
		{Kind: clientcreds.KindFetched, Reason: clientcreds.ReasonLifetime, TokenHost: host},
		{Kind: clientcreds.KindFetched, TokenHost: host, Lifetime: time.Minute},
	}, events)
	st := s.Status()
	require.EqualValues(t, 3, st.Requests)
	require.EqualValues(t, 1, st.Failures)
}
