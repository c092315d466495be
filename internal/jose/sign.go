package jose

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
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
	body, rest, ok := element(der, 0x30)
	r, body, okR := element(body, 0x02)
	s, body, okS := element(body, 0x02)
	if !ok || !okR || !okS || len(rest) != 0 || len(body) != 0 {
		return nil, errors.New("jose: signing failed: the signer made no ECDSA signature")
	}
	half := algs[a].size / 2
	rs := make([]byte, 3*half)
	order := algs[a].curve.Params().N.FillBytes(rs[2*half:])
	for i, n := range [][]byte{r, s} {
		if !natural(n) {
			return nil, errors.New("jose: signing failed: the signer made R or S out of range")
		}
		if n[0] == 0 {
			n = n[1:]
		}
		part := rs[i*half : (i+1)*half]
		if len(n) > half || copy(part[half-len(n):], n) == 0 || bytes.Compare(part, order) >= 0 {
			return nil, errors.New("jose: signing failed: the signer made R or S out of range")
		}
	}
	return rs[:2*half], nil
}

// element reads one element of DER (X.690 section 8.1), with a length of up to 255.
func element(der []byte, tag byte) (content, rest []byte, ok bool) {
	if len(der) < 2 || der[0] != tag {
		return nil, nil, false
	}
	n, der := int(der[1]), der[2:]
	if n == 0x81 && len(der) > 0 && der[0] >= 0x80 {
		n, der = int(der[0]), der[1:]
	} else if n >= 0x80 {
		return nil, nil, false
	}
	if n > len(der) {
		return nil, nil, false
	}
	return der[:n], der[n:], true
}

// natural reports whether the content of a DER INTEGER is above zero, and not longer
// than it must be (X.690 section 8.3).
func natural(n []byte) bool {
	return len(n) > 0 && n[0] < 0x80 && (n[0] > 0 || len(n) > 1 && n[1] >= 0x80)
}
