package jwtvalidate_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// clientCertificate is a self-signed one, with its thumbprint.
func clientCertificate(t *testing.T, key *ecdsa.PrivateKey) (tls.Certificate, [32]byte) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template(), template(), &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, sha256.Sum256(der)
}

func bound(t *testing.T, cnf string) string {
	t.Helper()
	return es256(t, goodHeader, payload(`"cnf":`+cnf))
}

// RFC 8705 section 3, over a real handshake.
func TestCertificateBound(t *testing.T) {
	ours, sum := clientCertificate(t, ecKey())
	other, otherSum := clientCertificate(t, evilEC())
	thumbprint := base64.RawURLEncoding.EncodeToString(sum[:])
	cnf := func(x5t string) string { return `{"x5t#S256":"` + x5t + `"}` }

	var ran atomic.Int64
	server := httptest.NewUnstartedServer(trust(t, nil).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran.Add(1) })))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()

	ask := func(t *testing.T, version uint16, authorization string, certificates ...tls.Certificate) answer {
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.MaxVersion = version
		transport.TLSClientConfig.Certificates = certificates
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(ours.Certificate[0])+":") // R11: worth nothing
		res, err := transport.RoundTrip(r)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return answer{res.StatusCode, res.Header, string(body)}
	}

	for _, row := range []struct {
		name, token  string
		certificates []tls.Certificate
		good         bool
	}{
		{"the certificate", bound(t, cnf(thumbprint)), []tls.Certificate{ours}, true},
		{"another certificate", bound(t, cnf(thumbprint)), []tls.Certificate{other}, false},
		{"R11 no certificate", bound(t, cnf(thumbprint)), nil, false},
		{"another's token", bound(t, cnf(base64.RawURLEncoding.EncodeToString(otherSum[:]))), []tls.Certificate{ours}, false},
		{"not bound, with a certificate", good(t), []tls.Certificate{ours}, true},
		{"not bound, without", good(t), nil, true},
		{"thumbprint padded", bound(t, cnf(base64.URLEncoding.EncodeToString(sum[:]))), []tls.Certificate{ours}, false},
		{"thumbprint in hex", bound(t, cnf(hex.EncodeToString(sum[:]))), []tls.Certificate{ours}, false},
		{"thumbprint cut off", bound(t, cnf(thumbprint[:42])), []tls.Certificate{ours}, false},
		{"thumbprint empty", bound(t, cnf("")), []tls.Certificate{ours}, false},
		{"thumbprint empty, no certificate", bound(t, cnf("")), nil, false},
		{"thumbprint of nothing, no certificate", bound(t, cnf("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")), nil, false},
		{"thumbprint null", bound(t, `{"x5t#S256":null}`), []tls.Certificate{ours}, false},
		{"thumbprint in an array", bound(t, `{"x5t#S256":["`+thumbprint+`"]}`), []tls.Certificate{ours}, false},
		{"name in another case", bound(t, `{"X5T#S256":"`+thumbprint+`"}`), []tls.Certificate{ours}, false},
		{"another member beside it", bound(t, `{"x5t#S256":"`+thumbprint+`","jkt":"x"}`), []tls.Certificate{ours}, false},
		{"an unknown member beside it", bound(t, `{"x5t#S256":"`+thumbprint+`","unknown":null}`), []tls.Certificate{ours}, false},
		{"only an unknown member", bound(t, `{"unknown":"x"}`), []tls.Certificate{ours}, false},
		{"R9 jkt", bound(t, `{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`), []tls.Certificate{ours}, false},
		{"jwk", bound(t, `{"jwk":{"kty":"EC"}}`), []tls.Certificate{ours}, false},
		{"kid", bound(t, `{"kid":"c4n4ry"}`), []tls.Certificate{ours}, false},
		{"cnf empty", bound(t, `{}`), []tls.Certificate{ours}, false},
		{"cnf null", bound(t, `null`), []tls.Certificate{ours}, false},
		{"cnf array", bound(t, `["x5t#S256"]`), []tls.Certificate{ours}, false},
		{"cnf string", bound(t, `"`+thumbprint+`"`), []tls.Certificate{ours}, false},
		{"cnf false", bound(t, `false`), []tls.Certificate{ours}, false},
		{"cnf 0", bound(t, `0`), []tls.Certificate{ours}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				ran.Store(0)
				got := ask(t, version, "Bearer "+row.token, row.certificates...)
				if row.good {
					require.Equal(t, http.StatusOK, got.status)
					require.EqualValues(t, 1, ran.Load())
					continue
				}
				requireRefused(t, got, http.StatusUnauthorized, challengeToken)
				require.Zero(t, ran.Load())
			}
		})
	}
}

// What TLS did not see is no certificate, whatever the request claims.
func TestConfirmationWithoutTLS(t *testing.T) {
	certificate, sum := clientCertificate(t, ecKey())
	parsed, err := x509.ParseCertificate(certificate.Certificate[0])
	require.NoError(t, err)
	v := trust(t, nil)
	token := bound(t, `{"x5t#S256":"`+base64.RawURLEncoding.EncodeToString(sum[:])+`"}`)
	for _, row := range []struct {
		name  string
		state *tls.ConnectionState
		want  error
	}{
		{"no TLS", nil, jwtvalidate.ErrConfirmation},
		{"TLS without a client certificate", &tls.ConnectionState{}, jwtvalidate.ErrConfirmation},
		{"only verified chains", &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{parsed}}}, jwtvalidate.ErrConfirmation},
		{"the certificate behind another", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte("leaf")}, parsed}}, jwtvalidate.ErrConfirmation},
		{"the certificate", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{parsed}}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := request("Bearer " + token)
			r.TLS = row.state
			_, err := v.Check(r)
			require.ErrorIs(t, err, row.want)
		})
	}
	t.Run("CheckToken has no connection", func(t *testing.T) {
		_, err := v.CheckToken(t.Context(), token)
		require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
	})
}

func TestConfirm(t *testing.T) {
	errProof := errors.New("no proof of c4n4ry")
	for _, row := range []struct {
		name   string
		err    error
		status int
		want   error // nil: it passes
	}{
		{"nil", nil, 204, nil},
		{"error", errProof, 401, jwtvalidate.ErrConfirmation},
		{"error that wraps ErrUnavailable", fmt.Errorf("replay store: %w", jwtvalidate.ErrUnavailable), 503, jwtvalidate.ErrUnavailable},
		{"error that wraps both", fmt.Errorf("%w: %w", errProof, jwtvalidate.ErrUnavailable), 503, jwtvalidate.ErrUnavailable},
		{"ErrUnavailable with a hint", errors.Join(jwtvalidate.ErrUnavailable, slow(30*time.Second)), 503, jwtvalidate.ErrUnavailable},
		{"error that looks like no token", jwtvalidate.ErrNoToken, 401, jwtvalidate.ErrConfirmation},
		{"error that looks like a bad request", jwtvalidate.ErrInvalidRequest, 401, jwtvalidate.ErrConfirmation},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, optional := range []bool{false, true} {
				p := policy(sourceOf(allKeys()...))
				var asked atomic.Int64
				p.Confirm = func(r *http.Request, c *jwtvalidate.Claims) error {
					asked.Add(1)
					cnf, has := c.Get("cnf")
					if r == nil || !has || cnf.(map[string]any)["jkt"] != "x" {
						return errors.New("not what was asked")
					}
					return row.err
				}
				var log buffer
				g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}, Optional: optional, Logger: log.logger()})
				token := bound(t, `{"jkt":"x"}`)
				claims, err := g.Check(request("Bearer " + token))
				require.EqualValues(t, 1, asked.Load())
				require.ErrorIs(t, err, row.want)
				require.Equal(t, row.want == nil, claims != nil)
				require.ErrorIs(t, err, row.err, "the cause is kept")
				isUnavailable := row.status == http.StatusServiceUnavailable
				require.Equal(t, isUnavailable, errors.Is(err, jwtvalidate.ErrUnavailable))
				require.Equal(t, row.status == http.StatusUnauthorized, errors.Is(err, jwtvalidate.ErrInvalidToken), "the two families never mix")
				require.Equal(t, jwtvalidate.ReasonOf(row.want), jwtvalidate.ReasonOf(err))

				got := g.get(t, "Authorization: Bearer "+token)
				if row.want == nil {
					require.Equal(t, row.status, got.status)
					continue
				}
				requireRefused(t, got, row.status, challengeToken)
				require.Zero(t, g.ran.Load())
				if !isUnavailable {
					require.NotContains(t, log.String(), canary)
				}

				_, err = g.CheckToken(t.Context(), token)
				require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
				require.EqualValues(t, 2, asked.Load(), "CheckToken has no request to ask about")
			}
		})
	}

	t.Run("it decides alone", func(t *testing.T) { // also about what confirmCertificate would refuse
		v := trust(t, func(p *jwtvalidate.Issuer) { p.Confirm = func(*http.Request, *jwtvalidate.Claims) error { return nil } })
		for _, cnf := range []string{`null`, `{"x5t#S256":"x"}`, `{"a":1,"b":2}`} {
			_, err := v.Check(request("Bearer " + bound(t, cnf)))
			require.NoError(t, err)
		}
	})
	t.Run("it is not asked about tokens without cnf, nor about bad ones", func(t *testing.T) {
		v := trust(t, func(p *jwtvalidate.Issuer) {
			p.Confirm = func(*http.Request, *jwtvalidate.Claims) error { panic("asked") }
		})
		_, err := v.Check(request("Bearer " + good(t)))
		require.NoError(t, err)
		_, err = v.Check(request("Bearer " + raw(goodHeader, payload(`"cnf":{}`), []byte("x"))))
		require.ErrorIs(t, err, jwtvalidate.ErrSignature)
		_, err = v.Check(request("Bearer " + es256(t, goodHeader, `{"iss":"https://idp.example.com/","aud":"https://api.example.com","exp":1,"cnf":{}}`)))
		require.ErrorIs(t, err, jwtvalidate.ErrExpired)
	})
}
