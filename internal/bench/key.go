package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// The names of RFC 7518 section 3.1 and RFC 8037.
const (
	rs256 = "RS256"
	es256 = "ES256"
	eddsa = "EdDSA"
	hs256 = "HS256"
)

var algorithms = []string{rs256, es256, eddsa, hs256}

const keyID = "k1"

// key signs tokens. It uses the standard library only, so that no candidate is held
// against tokens of its own making.
type key struct {
	alg     string
	private any
	public  crypto.PublicKey // HS256: the secret
}

func newKey(alg string) (*key, error) {
	k := &key{alg: alg}
	switch alg {
	case rs256:
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		k.private, k.public = private, &private.PublicKey
	case es256:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		k.private, k.public = private, &private.PublicKey
	case eddsa:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		k.private, k.public = private, public
	case hs256:
		secret := make([]byte, 32)
		if _, err := rand.Read(secret); err != nil {
			return nil, err
		}
		k.private, k.public = secret, secret
	default:
		return nil, fmt.Errorf("unknown algorithm %s", alg)
	}
	return k, nil
}

// signatureSize is in bytes, before base64url.
func (k *key) signatureSize() int {
	switch k.alg {
	case rs256:
		return 256
	case hs256:
		return sha256.Size
	}
	return 64
}

// sign makes the signature of a JWS (RFC 7515 section 5.1).
func (k *key) sign(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64) // both numbers at full length: RFC 7518 section 3.4
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	case ed25519.PrivateKey:
		return ed25519.Sign(private, input), nil
	case []byte:
		mac := hmac.New(sha256.New, private)
		mac.Write(input)
		return mac.Sum(nil), nil
	}
	return nil, fmt.Errorf("no key of %s", k.alg)
}

// source is the key as jwtvalidate takes it.
func (k *key) source() (jwtvalidate.KeySource, error) {
	if secret, ok := k.public.([]byte); ok {
		return jwtvalidate.Secret(secret)
	}
	return jwtvalidate.StaticKeys(k.public)
}

// jwks is the JWK Set with the key (RFC 7517 section 5).
func (k *key) jwks() ([]byte, error) {
	member := map[string]string{"kid": keyID, "alg": k.alg, "use": "sig"}
	text := base64.RawURLEncoding.EncodeToString
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		member["kty"], member["n"], member["e"] = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return nil, err
		}
		member["kty"], member["crv"], member["x"], member["y"] = "EC", "P-256", text(point[1:33]), text(point[33:])
	case ed25519.PublicKey:
		member["kty"], member["crv"], member["x"] = "OKP", "Ed25519", text(public)
	case []byte:
		member["kty"], member["k"] = "oct", text(public)
	}
	return json.Marshal(map[string]any{"keys": []any{member}})
}
