package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256.New
	_ "crypto/sha512" // crypto.SHA384.New, crypto.SHA512.New
	"errors"
	"fmt"
)

// Alg is a signature algorithm that this module knows. The zero value is none
// of them; "none" is not one of them.
type Alg uint8

// The algorithms of RFC 7518 section 3.1, EdDSA of RFC 8037, and Ed25519, its
// fully specified name in RFC 9864.
const (
	RS256 Alg = iota + 1
	RS384
	RS512
	PS256
	PS384
	PS512
	ES256
	ES384
	ES512
	EdDSA
	Ed25519
	HS256
	HS384
	HS512

	// AlgCount bounds arrays that are indexed by Alg.
	AlgCount
)

type family uint8

const (
	pkcs1 family = iota + 1
	pss
	ecdsaFixed
	edwards
	mac
)

// The size is that of a signature in bytes; for RSA it is the size of the modulus.
var algs = [AlgCount]struct {
	name   string
	family family
	hash   crypto.Hash
	curve  elliptic.Curve
	size   int
}{
	RS256:   {"RS256", pkcs1, crypto.SHA256, nil, 0},
	RS384:   {"RS384", pkcs1, crypto.SHA384, nil, 0},
	RS512:   {"RS512", pkcs1, crypto.SHA512, nil, 0},
	PS256:   {"PS256", pss, crypto.SHA256, nil, 0},
	PS384:   {"PS384", pss, crypto.SHA384, nil, 0},
	PS512:   {"PS512", pss, crypto.SHA512, nil, 0},
	ES256:   {"ES256", ecdsaFixed, crypto.SHA256, elliptic.P256(), 64},
	ES384:   {"ES384", ecdsaFixed, crypto.SHA384, elliptic.P384(), 96},
	ES512:   {"ES512", ecdsaFixed, crypto.SHA512, elliptic.P521(), 132},
	EdDSA:   {"EdDSA", edwards, 0, nil, ed25519.SignatureSize},
	Ed25519: {"Ed25519", edwards, 0, nil, ed25519.SignatureSize},
	HS256:   {"HS256", mac, crypto.SHA256, nil, 32},
	HS384:   {"HS384", mac, crypto.SHA384, nil, 48},
	HS512:   {"HS512", mac, crypto.SHA512, nil, 64},
}

// ParseAlg finds an algorithm by its exact, case-sensitive name.
func ParseAlg(name string) (Alg, bool) {
	switch name {
	case "RS256":
		return RS256, true
	case "RS384":
		return RS384, true
	case "RS512":
		return RS512, true
	case "PS256":
		return PS256, true
	case "PS384":
		return PS384, true
	case "PS512":
		return PS512, true
	case "ES256":
		return ES256, true
	case "ES384":
		return ES384, true
	case "ES512":
		return ES512, true
	case "EdDSA":
		return EdDSA, true
	case "Ed25519":
		return Ed25519, true
	case "HS256":
		return HS256, true
	case "HS384":
		return HS384, true
	case "HS512":
		return HS512, true
	}
	return 0, false
}

// Valid reports whether a is one of the algorithms above.
func (a Alg) Valid() bool { return a > 0 && a < AlgCount }

// String is the registered name, or "invalid".
func (a Alg) String() string {
	if !a.Valid() {
		return "invalid"
	}
	return algs[a].name
}

// Symmetric reports whether a is a MAC, whose verifiers can also sign.
func (a Alg) Symmetric() bool { return a.Valid() && algs[a].family == mac }

// Bounds of RSA keys. RFC 7518 section 3.3 asks for 2048 bits or more; the upper
// bound keeps one verification cheap.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// ErrKey is wrapped by every error about a key that must not be used.
var ErrKey = errors.New("jose: unusable key")

// CheckKey binds a key to an algorithm: type, curve and size must fit. A key is
// a *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or *Secret. It is cheap
// enough to run before each verification. That a point lies on its curve is
// checked by crypto/ecdsa.
func CheckKey(a Alg, key crypto.PublicKey) error {
	if !a.Valid() {
		return fmt.Errorf("%w: unknown algorithm", ErrKey)
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if f := algs[a].family; f != pkcs1 && f != pss {
			return fmt.Errorf("%w: RSA key for %s", ErrKey, a)
		}
		return checkRSA(k)
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil || k.Curve != algs[a].curve ||
			k.X == nil || k.Y == nil { //nolint:staticcheck // SA1019: compared with nil only, on which crypto/ecdsa would panic
			return fmt.Errorf("%w: not a %s key", ErrKey, a)
		}
		return nil
	case ed25519.PublicKey:
		if algs[a].family != edwards {
			return fmt.Errorf("%w: Ed25519 key for %s", ErrKey, a)
		}
		return checkEd25519(k)
	case *Secret:
		if k == nil || algs[a].family != mac {
			return fmt.Errorf("%w: secret for %s", ErrKey, a)
		}
		if k.size < algs[a].size {
			return fmt.Errorf("%w: secret shorter than the hash of %s (RFC 7518 section 3.2)", ErrKey, a)
		}
		return nil
	}
	return fmt.Errorf("%w: unsupported type %T", ErrKey, key)
}

func checkRSA(k *rsa.PublicKey) error {
	if k == nil || k.N == nil {
		return fmt.Errorf("%w: empty RSA key", ErrKey)
	}
	if n := k.N.BitLen(); n < MinRSABits || n > MaxRSABits {
		return fmt.Errorf("%w: RSA modulus of %d bits", ErrKey, n)
	}
	// crypto/rsa takes exponents up to 2^31-1; even ones and 1 are no keys.
	if k.E < 3 || k.E&1 == 0 || k.E > 1<<31-1 || k.N.Bit(0) == 0 {
		return fmt.Errorf("%w: RSA exponent or modulus out of range", ErrKey)
	}
	return nil
}

// smallOrder holds the encodings of the points of small order on edwards25519,
// canonical and not: with such a key, signatures verify that nobody made.
var smallOrder = func() map[[32]byte]struct{} {
	const (
		y8a = "\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05"
		y8b = "\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a"
		ff  = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		oo  = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	)
	set := make(map[[32]byte]struct{}, 14)
	for _, y := range []string{
		"\x00" + oo, "\x01" + oo, y8a, y8b, // y = 0, 1 and the two of order 8
		"\xec" + ff + "\x7f", "\xed" + ff + "\x7f", "\xee" + ff + "\x7f", // p-1, p, p+1
	} {
		b := [32]byte([]byte(y))
		set[b] = struct{}{}
		b[31] |= 0x80 // the other sign of x
		set[b] = struct{}{}
	}
	return set
}()

func checkEd25519(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: Ed25519 key of %d bytes", ErrKey, len(k))
	}
	if _, small := smallOrder[[32]byte(k)]; small {
		return fmt.Errorf("%w: Ed25519 point of small order", ErrKey)
	}
	return nil
}
