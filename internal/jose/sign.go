package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// Protected is the header of a token to sign, as JSON. Empty values are left out.
func Protected(a Alg, typ, kid string) ([]byte, error) {
	return json.Marshal(struct {
		Alg string `json:"alg"`
		Typ string `json:"typ,omitempty"`
		Kid string `json:"kid,omitempty"`
	}{a.String(), typ, kid})
}

// Sign makes a compact JWS of a header and a payload that are taken as they are.
// The key is a crypto.Signer whose public half fits the algorithm, or a *Secret.
func Sign(a Alg, key any, protected, payload []byte) (string, error) {
	input := make([]byte, 0, (len(protected)+len(payload))*4/3+700)
	input = rawURL.AppendEncode(input, protected)
	input = append(input, '.')
	input = rawURL.AppendEncode(input, payload)
	signature, err := signature(a, key, input)
	if err != nil {
		return "", err
	}
	input = append(input, '.')
	return string(rawURL.AppendEncode(input, signature)), nil
}

func signature(a Alg, key any, input []byte) ([]byte, error) {
	if secret, ok := key.(*Secret); ok {
		if err := CheckKey(a, secret); err != nil {
			return nil, err
		}
		pool, st := secret.mac(a, input)
		defer pool.Put(st)
		return append([]byte(nil), st.sum...), nil
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %T cannot sign", ErrKey, key)
	}
	public := signer.Public()
	if err := CheckKey(a, public); err != nil {
		return nil, err
	}
	if algs[a].family == ecdsaFixed {
		return signECDSA(a, signer, input)
	}
	digest, opts := input, crypto.SignerOpts(crypto.Hash(0)) // Ed25519 hashes by itself
	var sum [sha512.Size]byte
	switch algs[a].family {
	case pkcs1:
		digest, opts = digestOf(a, &sum, input), algs[a].hash
	case pss:
		// RFC 7518 section 3.5: the salt is as long as the hash.
		digest, opts = digestOf(a, &sum, input), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: algs[a].hash}
	}
	sig, err := signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("jose: signing failed: %w", err)
	}
	size := algs[a].size
	if k, ok := public.(*rsa.PublicKey); ok {
		size = k.Size()
	}
	if len(sig) != size {
		return nil, fmt.Errorf("jose: signing failed: the signer made %d bytes for %s", len(sig), a)
	}
	return sig, nil
}

// signECDSA turns the ASN.1 of a crypto.Signer into R || S. What comes from an
// HSM may be anything; jwx panics on an R or S that is too large.
func signECDSA(a Alg, signer crypto.Signer, input []byte) ([]byte, error) {
	var sum [sha512.Size]byte
	der, err := signer.Sign(rand.Reader, digestOf(a, &sum, input), algs[a].hash)
	if err != nil {
		return nil, fmt.Errorf("jose: signing failed: %w", err)
	}
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil || len(rest) != 0 {
		return nil, errors.New("jose: signing failed: the signer made no ECDSA signature")
	}
	half, order := algs[a].size/2, algs[a].curve.Params().N
	rs := make([]byte, 2*half)
	for i, n := range []*big.Int{sig.R, sig.S} {
		if n.Sign() <= 0 || n.Cmp(order) >= 0 {
			return nil, errors.New("jose: signing failed: the signer made R or S out of range")
		}
		n.FillBytes(rs[i*half : (i+1)*half])
	}
	return rs, nil
}
