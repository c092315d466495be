package jwtsign_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// exampleKey is made here; a service reads a JWK or PEM and gives it to ParseKey.
func exampleKey() jwtsign.PrivateKey {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return jwtsign.SignerKey(key)
}

// show prints an answer with its tokens cut short.
func show(w *httptest.ResponseRecorder) {
	fmt.Println(w.Code, regexp.MustCompile(`"(ey[^"]{8})[^"]*"`).ReplaceAllString(w.Body.String(), `"$1…"`))
}

// A login handler answers claims; what leaves are an access token for the API, by
// RFC 9068, and a refresh token for the login service itself.
func ExampleSigner_Handler() {
	s, err := jwtsign.New(jwtsign.Config{
		Issuer: "https://login.example.com",
		Keys:   []jwtsign.Key{{Private: exampleKey(), Algorithm: "ES256"}},
		Fields: []jwtsign.Field{
			{Path: []string{"access_token"}, Token: jwtsign.Token{
				Type: "at+jwt", Lifetime: 10 * time.Minute, Audience: []string{"https://api.example.com"},
			}},
			{Path: []string{"refresh_token"}, Token: jwtsign.Token{
				Type: "refresh+jwt", Lifetime: 12 * time.Hour, Audience: []string{"https://login.example.com"},
			}},
		},
	})
	if err != nil {
		panic(err)
	}
	login := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token": {"sub": "ann", "client_id": "web"}, "refresh_token": {"sub": "ann"}, "expires_in": 600}`)
	})
	mux := http.NewServeMux()
	mux.Handle("POST /login", s.Handler(login))
	mux.Handle("GET /.well-known/jwks.json", s.JWKS())

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", http.NoBody))
	show(w)
	// Output: 200 {"access_token": "eyJhbGciOi…", "refresh_token": "eyJhbGciOi…", "expires_in": 600}
}

// The login service is another process: its answers are signed on their way through
// the proxy, whose other answers stay as they are.
func ExampleSigner_ModifyResponse() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if body, _ := io.ReadAll(r.Body); string(body) != "password" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error": "wrong password"}`)
			return
		}
		fmt.Fprint(w, `{"data": {"token": {"sub": "ann"}}}`)
	}))
	defer backend.Close()

	s, err := jwtsign.New(jwtsign.Config{
		Issuer: "https://login.example.com",
		Keys:   []jwtsign.Key{{Private: exampleKey(), Algorithm: "ES256"}},
		Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{"https://api.example.com"}},
		Fields: []jwtsign.Field{{Path: []string{"data", "token"}}},
	})
	if err != nil {
		panic(err)
	}
	target, _ := url.Parse(backend.URL)
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: s.ModifyResponse,
	}
	for _, password := range []string{"password", "a guess"} {
		w := httptest.NewRecorder()
		proxy.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(password)))
		show(w)
	}
	// Output:
	// 200 {"data": {"token": "eyJhbGciOi…"}}
	// 401 {"error": "wrong password"}
}

// A token in code. What it says of iss, iat and the like is not taken from the claims.
func ExampleSigner_Sign() {
	s, err := jwtsign.New(jwtsign.Config{
		Issuer: "https://login.example.com",
		Keys:   []jwtsign.Key{{Private: exampleKey(), Algorithm: "ES256"}},
		Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{"https://api.example.com"}},
	})
	if err != nil {
		panic(err)
	}
	token, err := s.Sign(context.Background(), map[string]any{"sub": "ann", "roles": []string{"admin"}})
	fmt.Println(strings.Count(token, "."), err)
	// Output: 2 <nil>
}

// The next key is published a day before it signs, so that every validator has it
// by then; the old one stays published until its last token has expired.
func ExampleKey() {
	monday := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	now := monday.Add(-time.Hour)
	s, err := jwtsign.New(jwtsign.Config{
		Issuer: "https://login.example.com",
		Keys: []jwtsign.Key{
			{Private: exampleKey(), Algorithm: "ES256", ID: "old", RetireAt: monday},
			{Private: exampleKey(), Algorithm: "ES256", ID: "new", PublishFrom: monday.AddDate(0, 0, -1), SignFrom: monday},
		},
		Token: jwtsign.Token{Lifetime: time.Hour, Audience: []string{"https://api.example.com"}},
		Now:   func() time.Time { return now },
	})
	if err != nil {
		panic(err)
	}
	for range 3 {
		status := s.Status()
		fmt.Println(now.Format("Mon 15:04"), "signs:", status.Signing, "published:", status.Published)
		now = now.Add(90 * time.Minute)
	}
	// Output:
	// Mon 08:00 signs: old published: [old new]
	// Mon 09:30 signs: new published: [old new]
	// Mon 11:00 signs: new published: [new]
}
