package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
)

// signed is a token as the standard library takes it, decoded beforehand.
type signed struct{ input, signature []byte }

// undress decodes the signature of a token; that of ES256 becomes ASN.1, as
// crypto/ecdsa has it.
func undress(alg, token string) (signed, error) {
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err == nil && alg == es256 {
		signature, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
	}
	return signed{[]byte(token[:dot]), signature}, err
}

// verify is the floor: the signature and nothing else.
func (k *key) verify(t signed) bool {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		sum := sha256.Sum256(t.input)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], t.signature) == nil
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(t.input)
		return ecdsa.VerifyASN1(public, sum[:], t.signature)
	case ed25519.PublicKey:
		return ed25519.Verify(public, t.input, t.signature)
	case []byte:
		mac := hmac.New(sha256.New, public)
		mac.Write(t.input)
		return hmac.Equal(mac.Sum(nil), t.signature)
	}
	return false
}

// bare times verify on the tokens of a pool in turn.
func bare(k *key, p *pool) (contender, error) {
	tokens := make([]signed, p.len)
	for i := range tokens {
		var err error
		if tokens[i], err = undress(k.alg, strings.TrimPrefix(p.at(i), bearer)); err != nil {
			return contender{}, err
		}
	}
	if !k.verify(tokens[0]) || k.verify(signed{tokens[0].input[1:], tokens[0].signature}) {
		return contender{}, errors.New("the bare check is none")
	}
	next := 0
	return contender{name: "bare " + k.alg + " verification", run: func(b *testing.B) {
		for b.Loop() {
			if !k.verify(tokens[next]) {
				b.Fatal("the bare check refused a good token")
			}
			if next++; next == len(tokens) {
				next = 0
			}
		}
	}}, nil
}
