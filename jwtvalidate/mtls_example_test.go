package jwtvalidate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// A token that is bound to a client's certificate (RFC 8705) is worth nothing to
// who has stolen it. The server asks for a certificate and need not know who has
// issued it: the token names it. For certificates of your own authority, set
// ClientCAs and tls.VerifyClientCertIfGiven.
func Example_mutualTLS() {
	issuer := jwttest.New(new(testing.T))
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		panic(err)
	}
	server := httptest.NewUnstartedServer(v.Handler(orders))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()

	client := func(certificates ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			Certificates: certificates, RootCAs: poolOf(server.Certificate()), MinVersion: tls.VersionTLS12,
		}}}
	}
	ann, eve := newCertificate(), newCertificate()
	token := issuer.Token(map[string]any{"sub": "ann", "cnf": map[string]any{"x5t#S256": thumbprint(ann.Certificate[0])}})
	fmt.Println("ann:", bring(client(ann), server.URL, token))
	fmt.Println("eve:", bring(client(eve), server.URL, token))
	fmt.Println("no certificate:", bring(client(), server.URL, token))
	// Output:
	// ann: 200
	// eve: 401
	// no certificate: 401
}

// Where a proxy ends the client's TLS, it forwards the certificate in Client-Cert
// (RFC 9440), in the place of whatever the client has sent under that name.
func Example_mutualTLSBehindProxy() {
	issuer := jwttest.New(new(testing.T))
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers:        []jwtvalidate.Issuer{issuer.Policy()},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")},
	})
	if err != nil {
		panic(err)
	}
	service := httptest.NewServer(v.Handler(orders))
	defer service.Close()
	target, _ := url.Parse(service.URL)
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Header.Del("Client-Cert")
		p.Out.Header.Del("Client-Cert-Chain")
		if certificates := p.In.TLS.PeerCertificates; len(certificates) > 0 {
			p.Out.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(certificates[0].Raw)+":")
		}
	}})
	proxy.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	proxy.StartTLS()
	defer proxy.Close()

	client := func(certificates ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			Certificates: certificates, RootCAs: poolOf(proxy.Certificate()), MinVersion: tls.VersionTLS12,
		}}}
	}
	ann, eve := newCertificate(), newCertificate()
	token := issuer.Token(map[string]any{"sub": "ann", "cnf": map[string]any{"x5t#S256": thumbprint(ann.Certificate[0])}})
	lie := "Client-Cert: :" + base64.StdEncoding.EncodeToString(ann.Certificate[0]) + ":"
	fmt.Println("ann:", bring(client(ann), proxy.URL, token))
	fmt.Println("eve, who sends ann's certificate too:", bring(client(eve), proxy.URL, token, lie))
	fmt.Println("no certificate:", bring(client(), proxy.URL, token, lie))
	// Output:
	// ann: 200
	// eve, who sends ann's certificate too: 401
	// no certificate: 401
}

// newCertificate is a self-signed one with a key of its own.
func newCertificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// thumbprint is x5t#S256, as the issuer writes it into cnf.
func thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func poolOf(certificate *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

// bring sends a token, with further header lines, and says how it was answered.
func bring(client *http.Client, address, token string, lines ...string) int {
	defer client.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := client.Do(r)
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
