package jose

import (
	"crypto"
	"encoding/json"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
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
	if err := CheckKey(a, signer.Public()); err != nil {
		return nil, err
	}
	name := a
	if a == Ed25519 {
		name = EdDSA // the same operation; jwx knows it by the older name
	}
	s, err := jws.NewSigner(jwa.SignatureAlgorithm(name.String()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	sig, err := s.Sign(input, signer)
	if err != nil {
		return nil, fmt.Errorf("jose: signing failed: %w", err)
	}
	return sig, nil
}
