package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"time"
)

// issuer is the demonstration's own token issuer: metadata, one RS256 key, and
// tokens. What it signs itself with crypto/rsa, a real one does for you.
type issuer struct {
	url string // known when its server listens
	key *rsa.PrivateKey
}

func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return &issuer{key: key}, nil
}

const keyID = "demo-1"

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/jwks"}
	case "/jwks":
		answer = map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
			"n": encode(i.key.N.Bytes()), "e": encode(big.NewInt(int64(i.key.E)).Bytes()),
		}}}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

type object = map[string]any

// token signs the claims of a good token, with some of them replaced.
func (i *issuer) token(replace object) (string, error) {
	now := time.Now()
	claims := object{
		"iss": i.url, "aud": demoAudience, "sub": "alice",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, replace)
	input, err := unsigned(object{"alg": "RS256", "typ": "JWT", "kid": keyID}, claims)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return input + "." + encode(signature), nil
}

func unsigned(header, claims object) (string, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return encode(h) + "." + encode(c), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
