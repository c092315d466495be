package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

const (
	apiAudience     = "https://api.example.com"
	backendAudience = "https://backend.example.com"
	lifetime        = 10 * time.Minute
)

// login is the demonstration's login service. Its handler answers plain claims, as
// one that has never heard of tokens; jwtsign signs them on the way out.
type login struct {
	url       string
	signer    *jwtsign.Signer
	key       jwtsign.Key
	public    *ecdsa.PublicKey
	passwords map[string]string
	secret    string // of the gateway, as a client
}

var (
	accessToken  = jwtsign.Token{Lifetime: lifetime, Audience: []string{apiAudience}, Type: "at+jwt"}
	serviceToken = jwtsign.Token{Lifetime: lifetime, Audience: []string{backendAudience}, Type: "at+jwt"}
)

func newLogin(url string) (*login, error) {
	l := &login{url: url, passwords: map[string]string{"alice": rand.Text(), "bob": rand.Text()}, secret: rand.Text()}
	var err error
	if l.key, l.public, err = newKey("demo-1"); err != nil {
		return nil, err
	}
	l.signer, err = jwtsign.New(jwtsign.Config{
		Issuer: url,
		Keys:   []jwtsign.Key{l.key},
		Fields: []jwtsign.Field{
			{Path: []string{"access_token"}, Token: accessToken},
			// Of a type and an audience that no API takes.
			{Path: []string{"refresh_token"}, Token: jwtsign.Token{Lifetime: lifetime, Audience: []string{url}, Type: "refresh+jwt"}},
		},
	})
	return l, err
}

func newKey(id string) (jwtsign.Key, *ecdsa.PublicKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return jwtsign.Key{}, nil, err
	}
	return jwtsign.Key{Private: jwtsign.SignerKey(key), Algorithm: "ES256", ID: id}, &key.PublicKey, nil
}

// rotate signs with a new key from now on. The old one stays published until its
// last token has expired.
func (l *login) rotate() error {
	next, _, err := newKey("demo-2")
	if err != nil {
		return err
	}
	now := time.Now()
	old := l.key
	old.RetireAt, next.SignFrom = now, now
	return l.signer.Replace([]jwtsign.Key{old, next})
}

func (l *login) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /login", l.signer.Handler(http.HandlerFunc(l.answer)))
	mux.HandleFunc("POST /token", l.token)
	mux.Handle("GET /.well-known/jwks.json", l.signer.JWKS())
	mux.Handle("GET /.well-known/openid-configuration", l.signer.Discovery())
	return mux
}

// answer is what the login itself does: a password for claims.
func (l *login) answer(w http.ResponseWriter, r *http.Request) {
	var in struct{ User, Password string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&in)
	want := l.passwords[in.User]
	if err != nil || want == "" || subtle.ConstantTimeCompare([]byte(in.Password), []byte(want)) != 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	type object = map[string]any
	access := object{"sub": in.User, "client_id": "web", "scope": "orders:read", "roles": []string{"customer"}}
	if in.User == "bob" {
		access["scope"], access["roles"] = "orders:read orders:write", []string{"staff", "admin"}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{ // the client has left
		"access_token":  access,
		"refresh_token": object{"sub": in.User},
		"token_type":    "Bearer",
	})
}

// token is for the gateway itself: client credentials (RFC 6749 section 4.4).
func (l *login) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	client, secret, _ := r.BasicAuth()
	if client != "gateway" || subtle.ConstantTimeCompare([]byte(secret), []byte(l.secret)) != 1 || r.PostFormValue("grant_type") != "client_credentials" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error": "invalid_client"}`)
		return
	}
	token, err := l.signer.SignToken(r.Context(), serviceToken, map[string]any{"sub": client, "client_id": client})
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(lifetime.Seconds())})
}
