package jwkcache_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// An issuer is enough: its metadata name the place of the keys.
func Example() {
	idp := newIDP()
	defer idp.Close()

	keys, err := jwkcache.New(jwkcache.Config{
		Issuer:  idp.URL,
		RootCAs: idp.roots(), // a private authority; leave it out for a public one
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := keys.Keys(context.Background(), "2026-01", "ES256")
	fmt.Println(len(found), err)
	found, err = keys.Keys(context.Background(), "2019-07", "ES256")
	fmt.Println(len(found), err)
	// Output:
	// 1 <nil>
	// 0 <nil>
}

// An identity provider that is not exposed: tokens carry the public issuer, the
// keys are fetched at an internal address. One setting each; nothing asks the
// public name.
func Example_internalAddress() {
	idp := newIDP() // stands for https://keycloak.internal:8443
	defer idp.Close()

	keys, err := jwkcache.New(jwkcache.Config{
		URL:     idp.URL + "/jwks",
		RootCAs: idp.roots(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	validator, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://login.example.com/", // what stands in iss
		Keys:       keys,
		Algorithms: []string{"ES256"},
		Audiences:  []string{"https://api.example.com"},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	claims, err := validator.CheckToken(context.Background(), idp.token("https://login.example.com/"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(claims.Get("sub"))
	_, err = validator.CheckToken(context.Background(), idp.token(idp.URL))
	fmt.Println(err)
	// Output:
	// user true
	// jwtvalidate: unknown issuer
}

// A health check: Status fetches nothing, and says whether lookups are answered.
func ExampleCache_Status() {
	idp := newIDP()
	defer idp.Close()
	keys, err := jwkcache.New(jwkcache.Config{URL: idp.URL + "/jwks", RootCAs: idp.roots()})
	if err != nil {
		fmt.Println(err)
		return
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !keys.Status().Usable {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})

	ready := func() int {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ready", nil))
		return w.Code
	}
	fmt.Println(ready())
	if err := keys.Warm(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(ready())
	for _, key := range keys.Status().Keys {
		fmt.Printf("%+v\n", key)
	}
	// Output:
	// 503
	// 200
	// {ID:2026-01 Algorithm:ES256 Skipped:}
	// {ID:pq Algorithm: Skipped:jose: unusable key: unsupported kty or crv}
}

// While the keys cannot be had, the answer is 503, and says when to come back.
func ExampleCache_Keys_unavailable() {
	keys, err := jwkcache.New(jwkcache.Config{URL: "https://127.0.0.1:1/jwks"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = keys.Keys(context.Background(), "2026-01", "ES256")
	fmt.Println(errors.Is(err, jwkcache.ErrUnavailable))
	var later interface{ RetryAfter() time.Duration }
	fmt.Println(errors.As(err, &later) && later.RetryAfter() <= time.Second)
	// Output:
	// true
	// true
}

// idp stands for an identity provider.
type idp struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newIDP() *idp {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p := &idp{key: key}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/jwks" {
			point, _ := key.PublicKey.Bytes()
			x, y := base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
			fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"2026-01","alg":"ES256","x":%q,"y":%q},{"kty":"AKP","kid":"pq"}]}`, x, y)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.URL, p.URL+"/jwks")
	}))
	return p
}

func (p *idp) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	return pool
}

func (p *idp) token(iss string) string {
	payload := fmt.Sprintf(`{"iss":%q,"aud":"https://api.example.com","sub":"user","exp":%d}`, iss, time.Now().Add(time.Hour).Unix())
	token, err := jose.Sign(jose.ES256, p.key, []byte(`{"alg":"ES256","kid":"2026-01"}`), []byte(payload))
	if err != nil {
		panic(err)
	}
	return token
}
