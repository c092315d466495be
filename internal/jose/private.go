package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
)

// PrivateJWK is a signing key with what its document says of it.
type PrivateJWK struct {
	Key     any    `json:"-"` // a crypto.Signer, or a *Secret
	Alg     Alg    // 0: the document names none
	KeyID   string // empty: it names none
	Members *Object
}

// Format shows no key, whatever the verb.
func (PrivateJWK) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("private key")) }

var privateLimits = func() Limits {
	lim := keyLimits
	lim.Reserved = Reserve("kty", "crv", "n", "e", "x", "y", "d", "p", "q", "dp", "dq", "qi", "oth", "k", "use", "key_ops", "alg", "kid", "publish_from", "sign_from", "retire_at")
	return lim
}()

// ParsePrivateJWK reads one private or symmetric key (RFC 7517, RFC 7518 section
// 6, RFC 8037). Its public half must stand beside the private one and belong to it;
// an RSA key must have its two primes. No error holds any of the text.
func ParsePrivateJWK(text string) (*PrivateJWK, error) {
	o, err := ParseObject(text, privateLimits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyValue, err)
	}
	key, public, err := privateKey(o)
	if err != nil {
		return nil, err
	}
	k, err := describe(o, public, "sign")
	if err != nil {
		return nil, err
	}
	return &PrivateJWK{Key: key, Alg: k.Alg, KeyID: k.KeyID, Members: o}, nil
}

func privateKey(o *Object) (key any, public crypto.PublicKey, err error) {
	if kty, _ := o.Text("kty"); kty == "oct" {
		b, err := octets(o, "k")
		if err != nil {
			return nil, nil, err
		}
		secret, err := NewSecret(b)
		return secret, secret, err
	}
	if public, err = publicKey(o); err != nil {
		return nil, nil, err
	}
	d, err := octets(o, "d")
	if err != nil {
		return nil, nil, err
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		key, err = rsaPrivate(o, public, d)
	case *ecdsa.PublicKey:
		key, err = ecPrivate(public, d)
	case ed25519.PublicKey:
		if len(d) != ed25519.SeedSize {
			return nil, nil, fmt.Errorf("%w: d", ErrKeyValue)
		}
		private := ed25519.NewKeyFromSeed(d)
		if !public.Equal(private.Public()) {
			err = errHalves
		}
		key = private
	}
	return key, public, err
}

var errHalves = fmt.Errorf("%w: the public and the private half are of two keys", ErrKeyValue)

func rsaPrivate(o *Object, public *rsa.PublicKey, d []byte) (*rsa.PrivateKey, error) {
	if o.Has("oth") {
		return nil, fmt.Errorf("%w: more than two primes", ErrKeyValue)
	}
	key := &rsa.PrivateKey{PublicKey: *public, D: new(big.Int).SetBytes(d)}
	for _, name := range []string{"p", "q"} {
		prime, err := octets(o, name)
		if err != nil {
			return nil, err
		}
		key.Primes = append(key.Primes, new(big.Int).SetBytes(prime))
	}
	// Before anything else: what is computed with the primes takes the longer, the larger they are.
	if new(big.Int).Mul(key.Primes[0], key.Primes[1]).Cmp(key.N) != 0 || key.D.Cmp(key.N) >= 0 {
		return nil, errHalves
	}
	key.Precompute() // dp, dq and qi are made anew: a wrong one would leak the key by a faulty signature
	if err := key.Validate(); err != nil {
		return nil, errHalves
	}
	return key, nil
}

func ecPrivate(public *ecdsa.PublicKey, d []byte) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.ParseRawPrivateKey(public.Curve, d)
	if err != nil {
		return nil, fmt.Errorf("%w: d", ErrKeyValue)
	}
	if !key.PublicKey.Equal(public) {
		return nil, errHalves
	}
	return key, nil
}

// ParsePrivatePEM reads one private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
// Parameters of a curve may stand before it.
func ParsePrivatePEM(text []byte) (crypto.Signer, error) {
	key, err := privatePEM(text)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok || !fitsAny(signer.Public()) {
		return nil, ErrKeyType
	}
	return signer, nil
}

func privatePEM(text []byte) (any, error) {
	var block *pem.Block
	for {
		if block, text = pem.Decode(text); block == nil {
			return nil, fmt.Errorf("%w: no PEM block of a private key", ErrKeyValue)
		}
		if block.Type != "EC PARAMETERS" {
			break
		}
	}
	if len(bytes.TrimSpace(text)) > 0 {
		return nil, fmt.Errorf("%w: data after the PEM block", ErrKeyValue)
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%w: PEM block of another type than PRIVATE KEY, RSA PRIVATE KEY and EC PRIVATE KEY", ErrKeyValue)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the PEM block holds no private key", ErrKeyValue)
	}
	return key, nil
}

// ParsePrivateJWKSet reads a JWK set of private keys, or a single JWK. All of them
// must be good: it is the application's own.
func ParsePrivateJWKSet(text string, maxKeys int) ([]*PrivateJWK, error) {
	o, err := ParseObject(text, Limits{Bytes: maxKeys * keyLimits.Bytes, Depth: 8, Values: maxKeys * keyLimits.Values, Reserved: Reserve("keys")})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	if !o.Has("keys") {
		key, err := ParsePrivateJWK(text)
		if err != nil {
			return nil, err
		}
		return []*PrivateJWK{key}, nil
	}
	raw, _ := o.Raw("keys")
	if raw[0] != '[' {
		return nil, fmt.Errorf("%w: keys is not an array", ErrKeySet)
	}
	var keys []*PrivateJWK
	elements := scanner{s: raw, lim: Limits{Bytes: len(raw), Depth: 8, Values: maxKeys * keyLimits.Values}}
	err = elements.array(2, func(raw string) error {
		if len(keys) == maxKeys {
			return fmt.Errorf("%w: more than %d keys", ErrKeySet, maxKeys)
		}
		key, err := ParsePrivateJWK(raw)
		if err != nil {
			return fmt.Errorf("keys[%d]: %w", len(keys), err)
		}
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}
