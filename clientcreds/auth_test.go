package clientcreds_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

const (
	issuer        = "https://idp.example.com"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// TestSecretMethods: what goes where.
func TestSecretMethods(t *testing.T) {
	const id, odd = "orders:1", "a%b c=/+é"
	for _, tt := range []struct {
		method string
		user   string // of Basic, as it stands; empty: no header
		pass   string
		form   url.Values
	}{
		{"", url.QueryEscape(id), url.QueryEscape(odd), url.Values{}},
		{"client_secret_basic", url.QueryEscape(id), url.QueryEscape(odd), url.Values{}},
		{"client_secret_basic_raw", id, odd, url.Values{}},
		{"client_secret_post", "", "", url.Values{"client_id": {id}, "client_secret": {odd}}},
	} {
		t.Run(tt.method, func(t *testing.T) {
			p := &idp{}
			cfg := config(p)
			cfg.AuthMethod, cfg.ClientID, cfg.Secret = tt.method, id, clientcreds.StaticSecret(odd)
			tokenOf(t, newSource(t, cfg))
			want := ""
			if tt.user != "" {
				want = "Basic " + base64.StdEncoding.EncodeToString([]byte(tt.user+":"+tt.pass))
			}
			require.Equal(t, want, p.last().authorization)
			tt.form.Set("grant_type", "client_credentials")
			require.Equal(t, tt.form, p.last().form, "and no scope where none is asked for")
		})
	}
}

// TestRequestParameters is what KrakenD sends too: audience, grant_type and scope,
// in a form, with Basic.
func TestRequestParameters(t *testing.T) {
	p := &idp{}
	cfg := config(p)
	cfg.Scopes = []string{"read", "write"}
	cfg.Audience = "https://api.example.com"
	cfg.Resources = []string{"https://a.example.com", "urn:b"}
	cfg.Params = url.Values{"tenant": {"t1"}, "x": {"1", "2"}}
	s := newSource(t, cfg)
	cfg.Params.Set("tenant", "changed after New")
	rt := s.Transport(&api{})
	for range 5 {
		_, body := send(t, rt, "GET", apiURL, nil)
		require.Equal(t, "Bearer token-1|", body)
	}
	require.Equal(t, 1, p.requests())
	require.Equal(t, tokenURL, p.last().url)
	require.Equal(t, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"read write"}, "audience": {"https://api.example.com"},
		"resource": {"https://a.example.com", "urn:b"}, "tenant": {"t1"}, "x": {"1", "2"},
	}, p.last().form)
}

// claims takes an assertion apart, after its signature has been verified.
func claims(t *testing.T, alg jose.Alg, key crypto.PublicKey, jwt string) (header, payload map[string]any) {
	t.Helper()
	c, err := jose.ParseCompact(jwt)
	require.NoError(t, err)
	require.NoError(t, jose.Verify(alg, key, c.SigningInput, c.Signature))
	head, _, _ := strings.Cut(jwt, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &header))
	require.NoError(t, json.Unmarshal([]byte(c.Payload), &payload))
	return header, payload
}

func TestPrivateKeyJWT(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ec := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		require.NoError(t, err)
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, tt := range []struct {
		name, algorithm string
		key             crypto.Signer
		want            jose.Alg
	}{
		{"RSA", "", r, jose.RS256},
		{"RSA, PS256", "PS256", r, jose.PS256},
		{"P-256", "", ec(elliptic.P256()), jose.ES256},
		{"P-384", "", ec(elliptic.P384()), jose.ES384},
		{"P-521", "", ec(elliptic.P521()), jose.ES512},
		{"Ed25519", "", ed, jose.EdDSA},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{life: "60"}
				cfg := config(p)
				cfg.AuthMethod, cfg.Secret, cfg.Issuer = "private_key_jwt", nil, issuer
				cfg.Key, cfg.KeyID, cfg.Algorithm, cfg.X5TS256 = tt.key, "k1", tt.algorithm, "thumb"
				s := newSource(t, cfg)
				tokenOf(t, s)
				last := p.last()
				require.Empty(t, last.authorization, "an assertion, and nothing beside it")
				require.Equal(t, []string{assertionType}, last.form["client_assertion_type"])
				require.Equal(t, []string{"orders"}, last.form["client_id"])
				require.NotContains(t, last.form, "client_secret")
				header, payload := claims(t, tt.want, tt.key.Public(), last.form.Get("client_assertion"))
				require.Equal(t, map[string]any{"alg": tt.want.String(), "typ": "client-authentication+jwt", "kid": "k1", "x5t#S256": "thumb"}, header)
				require.Len(t, payload["jti"], 32)
				first := payload["jti"]
				delete(payload, "jti")
				now := float64(time.Now().Unix())
				require.Equal(t, map[string]any{"iss": "orders", "sub": "orders", "aud": issuer, "iat": now, "exp": now + 60}, payload)

				time.Sleep(time.Minute)
				tokenOf(t, s)
				_, payload = claims(t, tt.want, tt.key.Public(), p.last().form.Get("client_assertion"))
				require.NotEqual(t, first, payload["jti"], "a new one for each request")
			})
		})
	}
}

// TestAssertionForARetry is not the one that was sent before.
func TestAssertionForARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{answers: func(n int, _ *http.Request) (int, string) {
			if n == 1 {
				return 503, ""
			}
			return 200, good(n, "")
		}}
		cfg := config(p)
		_, ed, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		cfg.AuthMethod, cfg.Secret, cfg.Key, cfg.AudienceTokenURL = "private_key_jwt", nil, ed, true
		tokenOf(t, newSource(t, cfg))
		require.NotEqual(t, p.seen[0].form.Get("client_assertion"), p.seen[1].form.Get("client_assertion"))
		header, payload := claims(t, jose.EdDSA, ed.Public(), p.last().form.Get("client_assertion"))
		require.Equal(t, "JWT", header["typ"])
		require.Equal(t, tokenURL, payload["aud"])
	})
}

func TestClientSecretJWT(t *testing.T) {
	const long = "0123456789abcdef0123456789abcdef"
	p := &idp{}
	cfg := config(p)
	cfg.AuthMethod, cfg.Issuer, cfg.Secret = "client_secret_jwt", issuer, clientcreds.StaticSecret(long)
	tokenOf(t, newSource(t, cfg))
	jwt := p.last().form.Get("client_assertion")
	input, sig, _ := strings.Cut(jwt[strings.Index(jwt, ".")+1:], ".")
	mac := hmac.New(sha256.New, []byte(long))
	mac.Write([]byte(jwt[:strings.Index(jwt, ".")+1] + input))
	require.Equal(t, base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), sig)
	require.NotContains(t, p.last().form, "client_secret")

	cfg.Secret = clientcreds.StaticSecret("short")
	require.Equal(t, clientcreds.ReasonSecret, failureOf(t, newSource(t, cfg)).Reason, "RFC 7518 section 3.2")
}

func TestKeyFile(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(k)
	require.NoError(t, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(r)
	require.NoError(t, err)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }

	p := &idp{answers: func(int, *http.Request) (int, string) { return 200, `{"access_token":"a","expires_in":0}` }}
	cfg := config(p)
	file := filepath.Join(t.TempDir(), "key.pem")
	cfg.AuthMethod, cfg.Secret, cfg.Issuer, cfg.KeyFile = "private_key_jwt", nil, issuer, file
	write := func(text []byte) { require.NoError(t, os.WriteFile(file, text, 0o600)) }

	for name, text := range map[string][]byte{
		"nothing": nil, "no key": block("CERTIFICATE", []byte("x")), "garbage": block("PRIVATE KEY", []byte(secret)),
		"a public JWK": []byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`),
		"a secret JWK": []byte(`{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString([]byte(secret)) + `"}`),
		"too long":     []byte(strings.Repeat("x", 1<<17)),
	} {
		write(text)
		_, err = clientcreds.New(cfg)
		require.ErrorContains(t, err, "clientcreds: KeyFile: ", name)
		require.NotContains(t, err.Error(), secret)
	}
	write(append(block("EC PARAMETERS", nil), block("EC PRIVATE KEY", sec1)...))
	s := newSource(t, cfg)
	tokenOf(t, s)
	claims(t, jose.ES256, k.Public(), p.last().form.Get("client_assertion"))
	write(block("PRIVATE KEY", pkcs8))
	tokenOf(t, s)
	claims(t, jose.RS256, r.Public(), p.last().form.Get("client_assertion"))
	write(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)))
	tokenOf(t, s)
	// RFC 8037 appendix A.1
	write([]byte(`{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k8037","alg":"Ed25519"}`))
	tokenOf(t, s)
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	require.NoError(t, err)
	header, _ := claims(t, jose.Ed25519, ed25519.PublicKey(public), p.last().form.Get("client_assertion"))
	require.Equal(t, "k8037", header["kid"])
	require.Equal(t, "Ed25519", header["alg"])
	require.NoError(t, os.Remove(file))
	require.Equal(t, clientcreds.ReasonSecret, failureOf(t, s).Reason)
}

// TestWorkloadAssertion: somebody else issues it, and may replace it.
func TestWorkloadAssertion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	p := &idp{answers: func(int, *http.Request) (int, string) { return 200, `{"access_token":"a","expires_in":0}` }}
	cfg := config(p)
	cfg.AuthMethod, cfg.Secret, cfg.ClientID, cfg.AssertionFile = "client_assertion", nil, "", file
	s := newSource(t, cfg)
	require.NoError(t, os.WriteFile(file, []byte("a.b.c\n"), 0o600))
	tokenOf(t, s)
	require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {"a.b.c"}}, p.last().form)
	require.NoError(t, os.WriteFile(file, []byte("d.e.f"), 0o600))
	tokenOf(t, s)
	require.Equal(t, "d.e.f", p.last().form.Get("client_assertion"))
	require.NoError(t, os.WriteFile(file, []byte("two words"), 0o600))
	require.EqualError(t, failureOf(t, s), "clientcreds: token unavailable: secret: the assertion is empty, too long or malformed")

	cfg.AssertionFile, cfg.ClientID = "", "orders"
	cfg.Assertion = func(context.Context) (string, error) { return "g.h.i", nil }
	tokenOf(t, newSource(t, cfg))
	require.Equal(t, "g.h.i", p.last().form.Get("client_assertion"))
	require.Equal(t, "orders", p.last().form.Get("client_id"))
}

// TestMutualTLS is over a real handshake: the server sees the certificate, and who
// it names in client_id (RFC 8705 section 2).
func TestMutualTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "orders"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)

	var form url.Values
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form = r.PostForm
		if len(r.TLS.PeerCertificates) != 1 || r.TLS.PeerCertificates[0].Subject.CommonName != "orders" {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		_, _ = io.WriteString(w, good(1, ""))
	})
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	for _, method := range []string{"tls_client_auth", "self_signed_tls_client_auth"} {
		cfg := clientcreds.Config{TokenURL: server.URL, ClientID: "orders", AuthMethod: method, RootCAs: roots}
		cfg.ClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
		}
		require.Equal(t, "token-1", tokenOf(t, newSource(t, cfg)))
		require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {"orders"}}, form)

		cfg.ClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
		require.Equal(t, "invalid_client", failureOf(t, newSource(t, cfg)).Code)
	}
}

// TestDiscovery: the endpoint is where the issuer's metadata say, if they are its.
func TestDiscovery(t *testing.T) {
	for _, tt := range []struct {
		name, metadata string
		method         string
		goes           string // empty: nowhere
	}{
		{"token_endpoint", `{"issuer":"https://idp.example.com","token_endpoint":"https://idp.example.com/t"}`, "", "https://idp.example.com/t"},
		{"another host", `{"issuer":"https://idp.example.com","token_endpoint":"https://oauth.example.net/t"}`, "", "https://oauth.example.net/t"},
		{"an alias for mTLS", `{"issuer":"https://idp.example.com","token_endpoint":"https://idp.example.com/t","mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example.com/t"}}`, "tls_client_auth", "https://mtls.example.com/t"},
		{"an alias for others", `{"issuer":"https://idp.example.com","token_endpoint":"https://idp.example.com/t","mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example.com/t"}}`, "", "https://idp.example.com/t"},
		{"another issuer", `{"issuer":"https://evil.example.org","token_endpoint":"https://idp.example.com/t"}`, "", ""},
		{"a slash more", `{"issuer":"https://idp.example.com/","token_endpoint":"https://idp.example.com/t"}`, "", ""},
		{"http", `{"issuer":"https://idp.example.com","token_endpoint":"http://idp.example.com/t"}`, "", ""},
		{"no endpoint", `{"issuer":"https://idp.example.com"}`, "", ""},
		{"garbage", `<html>`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{}
				asks := 0
				cfg := config(roundTrip(func(r *http.Request) (*http.Response, error) {
					if strings.Contains(r.URL.Path, "/.well-known/") {
						asks++
						return answer(r, 200, "application/json", tt.metadata), nil
					}
					return p.RoundTrip(r)
				}))
				cfg.TokenURL, cfg.Issuer = "", issuer
				if tt.method != "" {
					cfg.AuthMethod, cfg.Secret = tt.method, nil
				}
				s := newSource(t, cfg)
				if tt.goes == "" {
					require.Equal(t, clientcreds.ReasonDiscovery, failureOf(t, s).Reason)
					require.Zero(t, p.requests())
					return
				}
				require.Equal(t, "token-1", tokenOf(t, s))
				require.Equal(t, tt.goes, p.last().url)
				time.Sleep(59 * time.Minute) // a renewal
				tokenOf(t, s)
				synctest.Wait()
				require.Equal(t, 2, p.requests())
				require.Equal(t, 1, asks)

				tt.metadata = "" // and an outage of the metadata only
				time.Sleep(2 * time.Hour)
				tokenOf(t, s)
				require.Equal(t, tt.goes, p.last().url)
			})
		})
	}
}

// TestDiscoveryOnLoopback: an issuer on loopback may be asked over http, and sends
// the secret nowhere else over http.
func TestDiscoveryOnLoopback(t *testing.T) {
	for endpoint, good := range map[string]bool{"http://127.0.0.1:8080/t": true, "http://idp.example.com/t": false} {
		p := &idp{}
		cfg := config(roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/.well-known/") {
				return answer(r, 200, "application/json", `{"issuer":"http://127.0.0.1:8080","token_endpoint":"`+endpoint+`"}`), nil
			}
			return p.RoundTrip(r)
		}))
		cfg.TokenURL, cfg.Issuer = "", "http://127.0.0.1:8080"
		err := newSource(t, cfg).Warm(t.Context())
		if good {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "not https")
		require.Zero(t, p.requests())
	}
}
