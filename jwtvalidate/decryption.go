package jwtvalidate

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// DecryptionKey is a private key of this service, for tokens that are encrypted for
// it (RFC 7516). It is bound to one algorithm.
type DecryptionKey struct {
	// ID is the key's kid. Zero: that of a JWK. A token that names a kid is tried with the
	// key of that ID alone; one that names none, with each key of its algorithm.
	ID string
	// Algorithm is RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW.
	// Required, unless a JWK names it.
	Algorithm string
	// Key is the text of the key: a JWK, or PEM, of an RSA key of at least 2048 bits, or
	// of one on P-256, P-384, P-521 or X25519. New calls it once. Required, unless there
	// is a Decrypter.
	Key func() ([]byte, error)
	// Decrypter is an RSA key elsewhere, such as in an HSM: it is called for each token
	// that is not remembered, and must come to an end by itself. An error that wraps
	// ErrUnavailable, and a panic, say that it cannot be told (503); any other is that of
	// a token which does not decrypt.
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
		return jose.DecryptionKey{}, errors.New("Key, Decrypter: want exactly one of them")
	}
	parsed := jose.DecryptionKey{Key: elsewhere{k.Decrypter, new(error)}}
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
	byAlgorithm := map[string]int{}
	for _, key := range v.decryption {
		if byAlgorithm[key.Alg]++; byAlgorithm[key.Alg] == jose.MaxDecryptionKeys+1 {
			errs = append(errs, fmt.Errorf("jwtvalidate: DecryptionKeys: more than %d for %s", jose.MaxDecryptionKeys, key.Alg))
		}
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
	var outage error
	if signed, err = jose.Decrypt(token, watched(v.decryption, &outage), encryptions); err == nil {
		return signed, true, nil
	}
	if outage != nil {
		return "", true, outage
	}
	return "", true, ErrMalformed
}

// watched are the keys, of which those elsewhere tell of an outage.
func watched(keys []jose.DecryptionKey, outage *error) []jose.DecryptionKey {
	isElsewhere := func(k jose.DecryptionKey) bool { _, ok := k.Key.(elsewhere); return ok }
	if !slices.ContainsFunc(keys, isElsewhere) {
		return keys
	}
	keys = slices.Clone(keys)
	for i := range keys {
		if key, ok := keys[i].Key.(elsewhere); ok {
			key.outage = outage
			keys[i].Key = key
		}
	}
	return keys
}

// elsewhere is a Decrypter of the user's own, for one token.
type elsewhere struct {
	crypto.Decrypter
	outage *error
}

func (e elsewhere) Decrypt(rand io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) (plaintext []byte, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w: the Decrypter panicked", ErrUnavailable)
		}
		if errors.Is(err, ErrUnavailable) {
			*e.outage = err
		}
	}()
	return e.Decrypter.Decrypt(rand, ciphertext, opts)
}
