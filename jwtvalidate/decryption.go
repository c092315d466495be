package jwtvalidate

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// DecryptionKey is a private key of this service, for tokens that are encrypted for
// it (RFC 7516). It is bound to one algorithm.
type DecryptionKey struct {
	// ID is the key's kid. Zero: that of a JWK. A token that names no kid is tried with
	// each key that fits, eight at most.
	ID string
	// Algorithm is RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW.
	// Required, unless a JWK names it.
	Algorithm string
	// Key is the text of the key: a JWK, or PEM, of an RSA key of at least 2048 bits, or
	// of one on P-256, P-384, P-521 or X25519. New calls it once. Required, unless there
	// is a Decrypter.
	Key func() ([]byte, error)
	// Decrypter is an RSA key elsewhere, such as in an HSM: it is called for each token
	// that is not remembered, and must come to an end by itself.
	Decrypter crypto.Decrypter
}

// Format keeps the key out of every fmt verb.
func (k DecryptionKey) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "jwtvalidate.DecryptionKey")
}

// encryptions are the values of enc that are accepted: authenticated all of them.
var encryptions = []string{"A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"}

// parse makes the key ready.
func (k *DecryptionKey) parse() (jose.DecryptionKey, error) {
	if (k.Key == nil) == (k.Decrypter == nil) || k.Decrypter != nil && isNil(k.Decrypter) {
		return jose.DecryptionKey{}, errors.New("Key, Decrypter: one of them is required")
	}
	parsed := jose.DecryptionKey{Key: k.Decrypter}
	if k.Key != nil {
		text, err := k.Key()
		if err != nil {
			return parsed, fmt.Errorf("Key: %w", err)
		}
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
			parsed, err = jose.ParseDecryptionJWK(string(trimmed))
		} else {
			parsed, err = jose.ParseDecryptionPEM(text)
		}
		if err != nil {
			return parsed, fmt.Errorf("Key: %w", err)
		}
	}
	if k.ID != "" {
		parsed.ID = k.ID
	}
	if k.Algorithm != "" {
		if parsed.Alg != "" && parsed.Alg != k.Algorithm {
			return parsed, errors.New("Algorithm: not that of the JWK")
		}
		parsed.Alg = k.Algorithm
	}
	if parsed.Alg == "" {
		return parsed, errors.New("Algorithm: required")
	}
	if err := parsed.Check(); err != nil {
		return parsed, fmt.Errorf("Algorithm: %w", err)
	}
	return parsed, nil
}

func (v *Validator) setDecryption(cfg Config) []error {
	var errs []error
	for i := range cfg.DecryptionKeys {
		key, err := cfg.DecryptionKeys[i].parse()
		if err != nil {
			errs = append(errs, fmt.Errorf("jwtvalidate: DecryptionKeys[%d].%w", i, err))
		}
		v.decryption = append(v.decryption, key)
	}
	if len(v.decryption) == 0 {
		for i := range cfg.Issuers {
			if cfg.Issuers[i].Encrypted {
				errs = append(errs, fmt.Errorf("jwtvalidate: Issuers[%d].Encrypted: only with DecryptionKeys", i))
			}
		}
	}
	return errs
}

// open is the signed token in one that may be encrypted. Why one cannot be opened is
// nobody's business: whoever tries ciphertexts learns from it (RFC 7516 section 11.5).
func (v *Validator) open(token string) (signed string, encrypted bool, err error) {
	if len(v.decryption) == 0 || !jose.LooksEncrypted(token) {
		return token, false, nil
	}
	if signed, err = jose.Decrypt(token, v.decryption, encryptions); err != nil {
		return "", true, ErrMalformed
	}
	return signed, true, nil
}
