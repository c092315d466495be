package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// authority issues certificates for this test only.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	issued := a.issue(t, "authority")
	a.certificate, a.key = issued.Leaf, issued.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.certificate)
	return a
}

func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	by, signer := a.certificate, a.key
	if by == nil { // the authority itself
		form.IsCA, form.BasicConstraintsValid, form.KeyUsage = true, true, x509.KeyUsageCertSign
		by, signer = form, key
	}
	der, err := x509.CreateCertificate(rand.Reader, form, by, &key.PublicKey, signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serve starts a server that asks for certificates, and has its address.
func serve(t *testing.T, h http.Handler, config *tls.Config) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func (a *authority) client(t *testing.T, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool, Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// newIDP has tokens for whoever shows a certificate of its name, bound to that.
func newIDP(t *testing.T, a *authority) (address string, signer *jwtsign.Signer) {
	t.Helper()
	mux := http.NewServeMux()
	address = serve(t, mux, &tls.Config{Certificates: []tls.Certificate{a.issue(t, "idp")}, ClientCAs: a.pool, ClientAuth: tls.VerifyClientCertIfGiven})
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: address, Keys: []jwtsign.Key{{Private: jwtsign.SignerKey(a.issue(t, "key").PrivateKey.(*ecdsa.PrivateKey)), Algorithm: "ES256"}},
		Token: jwtsign.Token{Lifetime: time.Hour, Audience: []string{"orders", "stock"}},
	})
	require.NoError(t, err)
	mux.Handle("GET /.well-known/openid-configuration", signer.Discovery())
	mux.Handle("GET /.well-known/jwks.json", signer.JWKS())
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		id := r.PostFormValue("client_id")
		if len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].VerifyHostname(id) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		token, err := signer.Sign(r.Context(), map[string]any{"sub": id, "cnf": boundTo(r.TLS.PeerCertificates[0])})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
	})
	return address, signer
}

func boundTo(certificate *x509.Certificate) map[string]any {
	sum := sha256.Sum256(certificate.Raw)
	return map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
}

func TestMutualTLS(t *testing.T) {
	a := newAuthority(t)
	idp, signer := newIDP(t, a)
	start := func(name string, certificate tls.Certificate, stock string) string {
		server, err := newServer(config{
			issuer: idp, audience: name, tokenURL: idp + "/token", clientID: name, stockURL: stock, certificate: certificate, authority: a.pool,
		})
		require.NoError(t, err)
		return serve(t, server.Handler, server.TLSConfig)
	}
	stock := newStock(t, a, idp)
	orders := start("orders", a.issue(t, "orders"), stock)

	annCert, eveCert := a.issue(t, "ann"), a.issue(t, "eve")
	ann, eve := a.client(t, annCert), a.client(t, eveCert)
	token := tokenOf(t, ann, idp, "ann")
	unbound, err := signer.Sign(t.Context(), map[string]any{"sub": "ann"})
	require.NoError(t, err)

	status, body := get(t, ann, orders+"/orders", token)
	require.Equal(t, 200, status)
	require.Equal(t, "orders of ann\n", body)
	for name, row := range map[string]struct {
		client *http.Client
		token  string
	}{
		"a stolen token":            {eve, token},
		"a token that is not bound": {ann, unbound},
		"no token":                  {ann, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, _ := get(t, row.client, orders+"/orders", row.token)
			require.Equal(t, 401, status)
		})
	}
	for name, client := range map[string]*http.Client{
		"no certificate":        a.client(t),
		"a foreign certificate": a.client(t, newAuthority(t).issue(t, "ann")),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, orders+"/orders", http.NoBody)
			require.NoError(t, err)
			_, err = client.Do(r)
			require.ErrorContains(t, err, "tls")
		})
	}

	t.Run("the call behind", func(t *testing.T) {
		status, body := get(t, ann, orders+"/stock/7", token)
		require.Equal(t, 200, status)
		require.Equal(t, "/stock/7 for orders", body)
	})
	t.Run("the call behind, with another's certificate", func(t *testing.T) {
		status, _ := get(t, ann, start("orders", eveCert, stock)+"/stock/7", token)
		require.Equal(t, 502, status, "there is no token")
	})
}

// newStock is the API behind: it takes bound tokens only, too.
func newStock(t *testing.T, a *authority, idp string) string {
	t.Helper()
	keys, err := jwkcache.New(jwkcache.Config{Issuer: idp, RootCAs: a.pool})
	require.NoError(t, err)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: idp, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{"stock"}, Required: []string{"cnf"},
	}}})
	require.NoError(t, err)
	return serve(t, v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		_, _ = io.WriteString(w, r.URL.Path+" for "+claims.Subject())
	})), &tls.Config{Certificates: []tls.Certificate{a.issue(t, "stock")}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert})
}

func tokenOf(t *testing.T, client *http.Client, idp, id string) string {
	t.Helper()
	res, err := client.PostForm(idp+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}})
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
	var answer struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	return answer.Token
}

func get(t *testing.T, client *http.Client, address, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}
