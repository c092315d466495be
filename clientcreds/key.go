package clientcreds

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// signingKey is a key with what goes into the header of an assertion.
type signingKey struct {
	signer crypto.Signer
	alg    jose.Alg
	id     string
}

// signingKey is the Key, or what is in KeyFile now, so that a replaced key needs
// no restart; and what tells it from another.
func (cl *client) signingKey() (signingKey, fingerprint, error) {
	k := signingKey{signer: cl.key, id: cl.keyID}
	var text []byte
	if cl.keyFile != "" {
		var err error
		if text, err = readSmall(cl.keyFile); err == nil {
			k, err = parseKey(text)
		}
		if err != nil {
			return signingKey{}, fingerprint{}, fmt.Errorf("KeyFile: %w", err)
		}
		if cl.keyID != "" {
			k.id = cl.keyID
		}
	}
	var err error
	k.alg, err = algorithmFor(cl.algorithm, k)
	return k, fingerprintOf(string(text)), err
}

// parseKey reads a private key in PEM, or a JWK, which may name its kid and alg.
func parseKey(text []byte) (signingKey, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		signer, err := jose.ParsePrivatePEM(text)
		return signingKey{signer: signer}, err
	}
	jwk, err := jose.ParsePrivateJWK(string(text))
	if err != nil {
		return signingKey{}, err
	}
	signer, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return signingKey{}, errors.New("a symmetric key, which is for client_secret_jwt")
	}
	return signingKey{signer, jwk.Alg, jwk.KeyID}, nil
}

// algorithmFor checks the algorithm against the key, or chooses the usual one.
func algorithmFor(name string, key signingKey) (jose.Alg, error) {
	alg, known := jose.ParseAlg(name)
	if name == "" {
		alg, known = key.alg, true
	}
	if name == "" && alg == 0 {
		alg = usual(key.signer.Public())
	}
	if !known || alg.Symmetric() {
		return 0, errors.New("Algorithm: unknown, or not for private_key_jwt")
	}
	if err := jose.CheckKey(alg, key.signer.Public()); err != nil {
		return 0, fmt.Errorf("Key: %w", err)
	}
	return alg, nil
}

func usual(public crypto.PublicKey) jose.Alg {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return jose.RS256
	case ed25519.PublicKey:
		return jose.EdDSA
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return jose.ES256
		case elliptic.P384():
			return jose.ES384
		case elliptic.P521():
			return jose.ES512
		}
	}
	return 0
}
