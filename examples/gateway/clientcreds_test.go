package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const otherAudience = "https://other.example.com" // the second resource that the real server knows

// metadata are those of a client (RFC 7591), as the real server reads them.
type metadata map[string]any

// startProviderFor is startProvider with clients of the test's own, for tests that
// run beside others. With a certificate, the server has a token endpoint for mutual
// TLS too, and takes the certificate for its clients' authority.
func startProviderFor(t *testing.T, authority *tls.Certificate, clients ...metadata) provider {
	t.Helper()
	env := []string{"OP_CLIENTS=" + asJSON(t, clients)}
	if authority != nil {
		key, err := x509.MarshalPKCS8PrivateKey(authority.PrivateKey)
		require.NoError(t, err)
		env = append(env, "OP_TLS="+asJSON(t, map[string]string{
			"key": pemOf("PRIVATE KEY", key), "cert": pemOf("CERTIFICATE", authority.Certificate[0]),
		}))
	}
	return startProvider(t, env...)
}

// tokenRequests is how many the real server has counted.
func (p provider) tokenRequests(t *testing.T) (n int) {
	t.Helper()
	status, _, body := ask(t, p.Issuer+"/token-requests")
	require.Equal(t, http.StatusOK, status)
	_, err := fmt.Sscan(body, &n)
	require.NoError(t, err)
	return n
}

// validator is what an API has that trusts the real server.
func (p provider) validator(t *testing.T, audience string, leeway time.Duration) *jwtvalidate.Validator {
	t.Helper()
	keys, err := jwkcache.New(jwkcache.Config{Issuer: p.Issuer, InsecureHTTP: true})
	require.NoError(t, err)
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{{
			URL:        p.Issuer,
			Algorithms: []string{"ES256"},
			Keys:       keys,
			Audiences:  []string{audience},
			Profile:    jwtvalidate.RFC9068,
		}},
		Leeway: leeway,
	})
	require.NoError(t, err)
	return v
}

// startAPI lets good tokens in, and says whose they are.
func startAPI(t *testing.T, v *jwtvalidate.Validator) *httptest.Server {
	t.Helper()
	api := httptest.NewServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := jwtvalidate.FromContext(r.Context())
		_, _ = io.WriteString(w, c.Subject())
	})))
	t.Cleanup(api.Close)
	return api
}

// call asks an API by a client that brings the service's own token.
func call(t *testing.T, client *http.Client, address string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

func newCreds(t *testing.T, cfg clientcreds.Config) *clientcreds.Source {
	t.Helper()
	source, err := clientcreds.New(cfg)
	require.NoError(t, err)
	return source
}

// tokenFailure is why the real server gives no token.
func tokenFailure(t *testing.T, cfg clientcreds.Config) *clientcreds.TokenError {
	t.Helper()
	_, err := newCreds(t, cfg).Token(t.Context())
	var failed *clientcreds.TokenError
	require.ErrorAs(t, err, &failed)
	return failed
}

// Each way in which a service can show who it is gets a token of the real server,
// which an API takes; the same way with another secret, key or certificate does not.
func TestClientCredsAgainstOpenIDProvider(t *testing.T) {
	t.Parallel()
	authority := newCert(t, "authority", nil)
	self, issued, foreign := newCert(t, "self", nil), newCert(t, "issued.example.com", &authority), newCert(t, "issued.example.com", nil)
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	present := func(c tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	}
	p256, ed := testidp.GenerateKey(t, jose.ES256), testidp.GenerateKey(t, jose.EdDSA)
	rsa := testidp.GenerateKey(t, jose.PS256)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(rsa)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, []byte(pemOf("PRIVATE KEY", pkcs8)), 0o600))

	// What may stand in a secret, and means something in a header, a body or an
	// encoding of them.
	secret := rand.Text() + ` +/=%41&:"?~`
	static := clientcreds.StaticSecret(secret)
	bound := metadata{
		"client_id": "bound", "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": certSet(t, self),
		"tls_client_certificate_bound_access_tokens": true,
	}
	rows := map[string]struct {
		client metadata
		cfg    clientcreds.Config
		alg    jose.Alg // of its key
	}{
		"client_secret_basic": {
			client: metadata{"client_secret": secret},
			cfg:    clientcreds.Config{ClientID: "a&b:c d%", Secret: static},
		},
		"client_secret_post": {
			client: metadata{"client_secret": secret},
			cfg:    clientcreds.Config{Secret: static},
		},
		"client_secret_jwt": {
			client: metadata{"client_secret": secret},
			cfg:    clientcreds.Config{Secret: static},
		},
		"private_key_jwt": {
			client: metadata{"jwks": keySet(t, p256, "key", jose.ES256)},
			cfg:    clientcreds.Config{Key: p256, KeyID: "key"},
			alg:    jose.ES256,
		},
		"private_key_jwt, Ed25519": {
			client: metadata{"jwks": keySet(t, ed, "key", jose.EdDSA)},
			cfg:    clientcreds.Config{AuthMethod: "private_key_jwt", Key: ed},
			alg:    jose.EdDSA,
		},
		"private_key_jwt, RSA in a file": {
			client: metadata{"jwks": keySet(t, rsa, "", jose.PS256), "token_endpoint_auth_signing_alg": "PS256"},
			cfg:    clientcreds.Config{AuthMethod: "private_key_jwt", KeyFile: file, Algorithm: "PS256"},
			alg:    jose.PS256,
		},
		"private_key_jwt, for the token URL": {
			client: metadata{"jwks": keySet(t, p256, "key", jose.ES256)},
			cfg:    clientcreds.Config{AuthMethod: "private_key_jwt", Key: p256, AudienceTokenURL: true},
			alg:    jose.ES256,
		},
		"tls_client_auth": {
			client: metadata{"tls_client_auth_san_dns": "issued.example.com"},
			cfg:    clientcreds.Config{ClientCertificate: present(issued)},
		},
		"self_signed_tls_client_auth": {
			client: metadata{"jwks": certSet(t, self)},
			cfg:    clientcreds.Config{ClientCertificate: present(self)},
		},
	}
	clients := []metadata{bound}
	for name, row := range rows {
		if row.cfg.AuthMethod == "" {
			row.cfg.AuthMethod = name
		}
		if row.cfg.ClientID == "" {
			row.cfg.ClientID = name
		}
		row.client["client_id"], row.client["token_endpoint_auth_method"] = row.cfg.ClientID, row.cfg.AuthMethod
		row.cfg.Scopes, row.cfg.RootCAs = []string{"api:read"}, roots
		clients = append(clients, row.client)
		rows[name] = row
	}
	p := startProviderFor(t, &authority, clients...)
	v, other := p.validator(t, p.Audience, 0), p.validator(t, otherAudience, 0)
	api, otherAPI := startAPI(t, v), startAPI(t, other)

	for name, row := range rows {
		row.cfg.Issuer, row.cfg.AllowedOrigins = p.Issuer, []string{api.URL}
		t.Run(name, func(t *testing.T) {
			before := p.tokenRequests(t)
			source := newCreds(t, row.cfg)
			token, err := source.Token(t.Context())
			require.NoError(t, err)
			require.WithinDuration(t, time.Now().Add(10*time.Minute), token.Expiry, waitFor)
			claims, err := v.CheckToken(t.Context(), token.AccessToken)
			require.NoError(t, err)
			require.Equal(t, row.cfg.ClientID, claims.Subject())
			require.Equal(t, []string{p.Audience}, claims.Audience())
			scope, _ := claims.Get("scope")
			require.Equal(t, "api:read", scope)
			_, err = other.CheckToken(t.Context(), token.AccessToken)
			require.ErrorIs(t, err, jwtvalidate.ErrAudience)

			client := source.Client()
			defer client.CloseIdleConnections()
			for range 3 {
				status, body := call(t, client, api.URL)
				require.Equal(t, http.StatusOK, status)
				require.Equal(t, row.cfg.ClientID, body)
			}
			require.Equal(t, 1, p.tokenRequests(t)-before)

			wrong := row.cfg
			switch {
			case wrong.Secret != nil:
				wrong.Secret = clientcreds.StaticSecret(secret[1:])
			case wrong.ClientCertificate != nil:
				wrong.ClientCertificate = present(foreign)
			default:
				wrong.Key, wrong.KeyFile = testidp.GenerateKey(t, row.alg), ""
			}
			failed := tokenFailure(t, wrong)
			require.Equal(t, clientcreds.ReasonClient, failed.Reason)
			require.Equal(t, "invalid_client", failed.Code)
			require.Equal(t, http.StatusUnauthorized, failed.Status)
			require.Equal(t, 2, p.tokenRequests(t)-before, "a refusal is not asked for twice")
		})
	}

	t.Run("client_secret_basic_raw", func(t *testing.T) { // so the encoding above is needed
		cfg := rows["client_secret_basic"].cfg
		cfg.Issuer, cfg.AuthMethod = p.Issuer, "client_secret_basic_raw"
		require.Equal(t, "invalid_request", tokenFailure(t, cfg).Code)
	})

	t.Run("resource indicators", func(t *testing.T) {
		before := p.tokenRequests(t)
		cfg := rows["client_secret_basic"].cfg
		cfg.Issuer, cfg.AllowedOrigins = p.Issuer, []string{api.URL, otherAPI.URL}
		cfg.Resources, cfg.AllowedResources = []string{p.Audience}, []string{otherAudience}
		cfg.KeyFunc = func(r *http.Request) clientcreds.Target {
			if "http://"+r.URL.Host == otherAPI.URL {
				return clientcreds.Target{Resource: otherAudience}
			}
			return clientcreds.Target{}
		}
		client := newCreds(t, cfg).Client()
		defer client.CloseIdleConnections()
		for range 3 {
			for _, address := range []string{api.URL, otherAPI.URL} {
				status, body := call(t, client, address)
				require.Equal(t, http.StatusOK, status)
				require.Equal(t, cfg.ClientID, body)
			}
		}
		require.Equal(t, 2, p.tokenRequests(t)-before, "a token for each resource")

		for name, resources := range map[string][]string{
			"one that the server does not know":  {"https://unknown.example.com"},
			"two at once, of which it wants one": {p.Audience, otherAudience},
		} {
			cfg.Resources = resources
			failed := tokenFailure(t, cfg)
			require.Equal(t, clientcreds.ReasonRequest, failed.Reason, name)
			require.Equal(t, "invalid_target", failed.Code, name)
		}
	})

	// The token is worth something only with the certificate (RFC 8705 section 3).
	t.Run("a token that is bound to a certificate", func(t *testing.T) {
		service := httptest.NewUnstartedServer(api.Config.Handler)
		service.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{authority}, MinVersion: tls.VersionTLS12}
		service.StartTLS()
		defer service.Close()
		source := newCreds(t, clientcreds.Config{
			Issuer: p.Issuer, ClientID: "bound", AuthMethod: "self_signed_tls_client_auth", ClientCertificate: present(self),
			RootCAs: roots, AllowedOrigins: []string{service.URL},
		})
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		_, err = v.CheckToken(t.Context(), token.AccessToken)
		require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)

		for _, row := range []struct {
			certificates []tls.Certificate
			want         int
		}{
			{[]tls.Certificate{self}, http.StatusOK},
			{[]tls.Certificate{issued}, http.StatusUnauthorized},
			{nil, http.StatusUnauthorized},
		} {
			base := &http.Transport{TLSClientConfig: &tls.Config{Certificates: row.certificates, RootCAs: roots, MinVersion: tls.VersionTLS12}}
			status, _ := call(t, &http.Client{Transport: source.Transport(base), Timeout: waitFor}, service.URL)
			base.CloseIdleConnections()
			require.Equal(t, row.want, status)
		}
	})
}

// Half a minute of steady calls with tokens of five seconds, to an API that takes
// no older ones: no call fails, and the real server is asked once a lifetime, and a
// few times more, since a token is renewed before it ends.
func TestClientCredsUnderLoad(t *testing.T) {
	t.Parallel()
	const (
		lifetime = 5 * time.Second
		lasting  = 30 * time.Second
		workers  = 8
		pace     = 20 * time.Millisecond // of each
		// The server counts in whole seconds: of a token's five, the exp that it writes
		// takes up to one away.
		rounding = time.Second
	)
	secret := rand.Text()
	p := startProviderFor(t, nil, metadata{"client_id": "steady", "client_secret": secret, "access_token_ttl": lifetime / time.Second})
	v := p.validator(t, p.Audience, rounding)
	api := startAPI(t, v)
	source := newCreds(t, clientcreds.Config{
		Issuer: p.Issuer, ClientID: "steady", Secret: clientcreds.StaticSecret(secret), AllowedOrigins: []string{api.URL},
	})
	first, err := source.Token(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(lifetime), first.Expiry, time.Second)

	client := source.Client()
	defer client.CloseIdleConnections()
	var calls atomic.Int64
	var mu sync.Mutex
	var failures []string
	var slowest time.Duration
	once := func() {
		start := time.Now()
		answer, err := client.Get(api.URL)
		took := time.Since(start)
		failure := ""
		switch {
		case err != nil:
			failure = err.Error()
		case answer.StatusCode != http.StatusOK:
			failure = answer.Status
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		calls.Add(1)
		mu.Lock()
		defer mu.Unlock()
		slowest = max(slowest, took)
		if failure != "" {
			failures = append(failures, failure)
		}
	}
	var running sync.WaitGroup
	start := time.Now()
	for range workers {
		running.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for time.Since(start) < lasting {
				once()
				<-ticker.C
			}
		})
	}
	running.Wait()

	requests, status := p.tokenRequests(t), source.Status()
	t.Logf("%v of calls, tokens of %v: %d calls, %d failed, slowest %v, %d token requests, %d renewals failed, %d calls sent again",
		lasting, lifetime, calls.Load(), len(failures), slowest.Round(time.Millisecond), requests, status.Failures, status.Replays)
	require.Empty(t, failures)
	require.Greater(t, calls.Load(), int64(1000))
	require.GreaterOrEqual(t, requests, int(lasting/lifetime), "tokens of another lifetime")
	require.LessOrEqual(t, requests, int(lasting/lifetime)+3)
	require.EqualValues(t, requests, status.Requests)
	_, err = v.CheckToken(t.Context(), first.AccessToken)
	require.ErrorIs(t, err, jwtvalidate.ErrExpired)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// keySet is the JWK set of a client with one key.
func keySet(t *testing.T, key crypto.Signer, kid string, alg jose.Alg) map[string]any {
	t.Helper()
	jwk, err := jose.MarshalJWK(key.Public(), kid, alg)
	require.NoError(t, err)
	return map[string]any{"keys": []json.RawMessage{jwk}}
}

// certSet is the JWK set of a client with one certificate (RFC 8705 section 2.2.2).
func certSet(t *testing.T, c tls.Certificate) map[string]any {
	t.Helper()
	text, err := jose.MarshalJWK(c.Leaf.PublicKey, "certificate", jose.ES256)
	require.NoError(t, err)
	var jwk map[string]any
	require.NoError(t, json.Unmarshal(text, &jwk))
	jwk["x5c"] = []string{base64.StdEncoding.EncodeToString(c.Certificate[0])}
	return map[string]any{"keys": []any{jwk}}
}

// newCert is a certificate for a name and for loopback, signed by another one or by
// itself.
func newCert(t *testing.T, name string, by *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	parent, signer := template, crypto.PrivateKey(key)
	if by == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{name}
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
