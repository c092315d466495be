package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // G505: RSA-OAEP is OAEP with SHA-1 (RFC 7518 section 4.3), which rests on no collisions
	"fmt"
	"slices"
)

// keyAlg is a way to come to the content encryption key (RFC 7518 section 4.1).
type keyAlg struct {
	name string
	oaep crypto.Hash // 0: ECDH-ES
	kek  int         // size in bytes of the agreed key that wraps another; 0: it is the content encryption key itself
}

var keyAlgs = [...]keyAlg{
	{"RSA-OAEP", crypto.SHA1, 0},
	{"RSA-OAEP-256", crypto.SHA256, 0},
	{"ECDH-ES", 0, 0},
	{"ECDH-ES+A128KW", 0, 16},
	{"ECDH-ES+A256KW", 0, 32},
}

func findKeyAlg(name string) *keyAlg {
	for i := range keyAlgs {
		if keyAlgs[i].name == name {
			return &keyAlgs[i]
		}
	}
	return nil
}

// DecryptionKey is a private key for encrypted tokens, bound to one algorithm.
type DecryptionKey struct {
	ID  string // the kid of tokens for it; empty: only tokens without kid
	Alg string // RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW

	// Key is, for RSA, a *rsa.PrivateKey or another crypto.Decrypter, as of an HSM; for
	// ECDH a *ecdh.PrivateKey on P-256, P-384, P-521 or X25519, or a *ecdsa.PrivateKey,
	// which costs one more operation for each token. A Decrypter that is out of reach
	// cannot be told from a token that is not for it.
	Key any `json:"-"`
}

// Format shows no key, whatever the verb.
func (DecryptionKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("private key")) }

// Check reports a key that does not fit its algorithm, by type, size or curve. Such a
// key decrypts nothing.
func (k DecryptionKey) Check() error {
	alg := findKeyAlg(k.Alg)
	if alg == nil {
		return fmt.Errorf("%w: unknown algorithm for decryption", ErrKey)
	}
	if len(k.ID) > maxKeyID {
		return fmt.Errorf("%w: key id longer than %d bytes", ErrKey, maxKeyID)
	}
	var err error
	if alg.oaep != 0 {
		_, _, err = k.decrypter()
	} else {
		_, err = k.ecdh()
	}
	return err
}

func (k DecryptionKey) decrypter() (crypto.Decrypter, *rsa.PublicKey, error) {
	key, ok := k.Key.(crypto.Decrypter)
	private, own := k.Key.(*rsa.PrivateKey)
	if !ok || own && private == nil {
		return nil, nil, fmt.Errorf("%w: %T for %s", ErrKey, k.Key, k.Alg)
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("%w: not an RSA key for %s", ErrKey, k.Alg)
	}
	if err := checkRSA(public); err != nil {
		return nil, nil, err
	}
	if own && (private.D == nil || private.Validate() != nil) {
		return nil, nil, errHalves
	}
	return key, public, nil
}

func (k DecryptionKey) ecdh() (*ecdh.PrivateKey, error) {
	switch key := k.Key.(type) {
	case *ecdh.PrivateKey:
		if key != nil && key.Curve() != nil {
			return key, nil
		}
	case *ecdsa.PrivateKey:
		if key != nil && key.Curve != nil && key.D != nil { //nolint:staticcheck // SA1019: compared with nil only, on which crypto/ecdsa would panic
			if key, err := key.ECDH(); err == nil { // not P-224, nor a curve of someone's own
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %T for %s, or of a curve other than P-256, P-384, P-521 and X25519", ErrKey, k.Key, k.Alg)
}

// unwrap comes to the content encryption key. False is for what anyone can see: a
// length, a curve. Where the encrypted key itself is at fault, a random one stands in
// for it, and the content does not open (RFC 7516 section 11.5).
func (k DecryptionKey) unwrap(h *encryptedHeader, encryptedKey []byte) (cek []byte, ok bool) {
	cek = make([]byte, h.enc.key)
	if h.alg.oaep != 0 {
		private, public, err := k.decrypter()
		if err != nil || len(encryptedKey) != public.Size() {
			return nil, false
		}
		_, _ = rand.Read(cek) // it never fails
		key, err := private.Decrypt(rand.Reader, encryptedKey, &rsa.OAEPOptions{Hash: h.alg.oaep})
		if err == nil && len(key) == len(cek) {
			copy(cek, key)
		}
		return cek, true
	}
	private, err := k.ecdh()
	if err != nil {
		return nil, false
	}
	size := 0
	if h.alg.kek != 0 {
		size = len(cek) + 8
	}
	if len(encryptedKey) != size {
		return nil, false
	}
	secret, err := private.ECDH(h.epk)
	if err != nil { // epk is of another curve, or a point of small order of X25519
		return nil, false
	}
	if h.alg.kek == 0 {
		return concatKDF(secret, h.enc.name, h.apu, h.apv, len(cek)), true
	}
	_, _ = rand.Read(cek)
	kek := concatKDF(secret, h.alg.name, h.apu, h.apv, h.alg.kek)
	if key, ok := unwrapKey(kek, encryptedKey); ok {
		copy(cek, key)
	}
	return cek, true
}

// ParseDecryptionJWK reads one private RSA, EC or X25519 key (RFC 7517, RFC 7518
// section 6, RFC 8037) with its kid and alg; Alg is empty if the document names none.
// Both halves must be there and belong together. A key for signatures is refused. No
// error holds any of the text.
func ParseDecryptionJWK(text string) (DecryptionKey, error) {
	o, err := ParseObject(text, privateLimits)
	if err != nil {
		return DecryptionKey{}, fmt.Errorf("%w: %w", ErrKeyValue, err)
	}
	var k DecryptionKey
	var use string
	for _, m := range []struct {
		name string
		into *string
	}{{"kid", &k.ID}, {"alg", &k.Alg}, {"use", &use}} {
		if !o.Has(m.name) {
			continue
		}
		var ok bool
		if *m.into, ok = o.Text(m.name); !ok || len(*m.into) > maxKeyID {
			return DecryptionKey{}, ErrKeyValue
		}
	}
	if o.Has("use") && use != "enc" {
		return DecryptionKey{}, errKeyUseDecrypt
	}
	// Of a key for an agreement, some tools say that it unwraps the content key.
	operations := []string{"deriveKey", "deriveBits", "unwrapKey"}
	switch kty, _ := o.Text("kty"); kty {
	case "RSA":
		operations = []string{"decrypt", "unwrapKey"}
		k.Key, _, err = privateKey(o)
	case "EC":
		k.Key, err = agreementKey(o)
	case "OKP":
		k.Key, err = x25519Private(o)
	default:
		err = ErrKeyType
	}
	if err != nil {
		return DecryptionKey{}, err
	}
	if o.Has("key_ops") && !slices.ContainsFunc(operations, func(op string) bool { return allows(o, op) }) {
		return DecryptionKey{}, errKeyUseDecrypt
	}
	if o.Has("alg") {
		if err := k.Check(); err != nil {
			return DecryptionKey{}, err
		}
	}
	return k, nil
}

// ParseDecryptionPEM reads one private RSA, EC or X25519 key, as ParsePrivatePEM does.
// ID and Alg are left to the caller, and with them Check.
func ParseDecryptionPEM(text []byte) (DecryptionKey, error) {
	key, err := privatePEM(text)
	if err != nil {
		return DecryptionKey{}, err
	}
	k := DecryptionKey{Key: key}
	if _, ok := key.(*rsa.PrivateKey); ok {
		_, _, err = k.decrypter()
	} else {
		k.Key, err = k.ecdh()
	}
	if err != nil {
		return DecryptionKey{}, ErrKeyType
	}
	return k, nil
}

var errKeyUseDecrypt = fmt.Errorf("%w: use or key_ops is not for decrypting", ErrKey)

// agreementKey is an EC key in the form that is used for ECDH.
func agreementKey(o *Object) (*ecdh.PrivateKey, error) {
	key, _, err := privateKey(o)
	if err != nil {
		return nil, err
	}
	return DecryptionKey{Key: key}.ecdh()
}

func x25519Private(o *Object) (*ecdh.PrivateKey, error) {
	if crv, _ := o.Text("crv"); crv != "X25519" {
		return nil, ErrKeyType
	}
	d, err := octets(o, "d")
	if err != nil {
		return nil, err
	}
	x, err := octets(o, "x")
	if err != nil {
		return nil, err
	}
	key, err := ecdh.X25519().NewPrivateKey(d)
	if err != nil {
		return nil, fmt.Errorf("%w: d", ErrKeyValue)
	}
	if !bytes.Equal(key.PublicKey().Bytes(), x) {
		return nil, errHalves
	}
	return key, nil
}
