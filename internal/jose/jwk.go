package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// JWK is a verification key with what its document says of it.
type JWK struct {
	Key     crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or *Secret
	Alg     Alg              // 0: the document names none
	KeyID   string
	X5T     string
	X5TS256 string
	Issuer  string // the member of that name, which Entra ID sets
}

// Fits reports whether the key may verify signatures of that algorithm. EdDSA
// and Ed25519 name the same operation on the same key.
func (k *JWK) Fits(a Alg) bool {
	return CheckKey(a, k.Key) == nil && (k.Alg == 0 || k.Alg == a || algs[k.Alg].family == edwards)
}

// Causes for which a key is not used; all of them wrap ErrKey.
var (
	ErrKeyType    = fmt.Errorf("%w: unsupported kty or crv", ErrKey)
	ErrKeyPrivate = fmt.Errorf("%w: private or symmetric key material in a public document", ErrKey)
	ErrKeyUse     = fmt.Errorf("%w: use, key_ops or alg is not for verifying signatures", ErrKey)
	ErrKeyValue   = fmt.Errorf("%w: missing or malformed member", ErrKey)
)

var keyLimits = Limits{
	Bytes: 64 << 10, Depth: 8, Values: 512,
	Reserved: Reserve("kty", "crv", "n", "e", "x", "y", "d", "k", "use", "key_ops", "alg", "kid", "x5t", "x5t#S256"),
}

// ParseJWK reads one public key (RFC 7517). The values are checked here, to the
// octet; the checked key is then handed to jwx. x5c, x5u and unknown members
// are ignored.
func ParseJWK(text string) (*JWK, error) {
	o, err := ParseObject(text, keyLimits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyValue, err)
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if o.Has(name) {
			return nil, ErrKeyPrivate
		}
	}
	key, err := publicKey(o)
	if err != nil {
		return nil, err
	}
	return describe(o, key, "verify")
}

// describe reads the members beside the key and holds them against it, and against
// what it is wanted for: an operation of key_ops.
func describe(o *Object, key crypto.PublicKey, operation string) (*JWK, error) {
	k := &JWK{Key: key}
	var alg, use string
	for _, m := range []struct {
		name string
		into *string
	}{
		{"kid", &k.KeyID}, {"x5t", &k.X5T}, {"x5t#S256", &k.X5TS256}, {"issuer", &k.Issuer},
		{"alg", &alg}, {"use", &use},
	} {
		if !o.Has(m.name) {
			continue
		}
		var ok bool
		if *m.into, ok = o.Text(m.name); !ok || len(*m.into) > maxKeyID {
			return nil, ErrKeyValue
		}
	}
	if o.Has("use") && use != "sig" {
		return nil, ErrKeyUse
	}
	if o.Has("key_ops") && !allows(o, operation) {
		return nil, ErrKeyUse
	}
	if o.Has("alg") {
		var ok bool
		if k.Alg, ok = ParseAlg(alg); !ok {
			return nil, ErrKeyUse
		}
		if err := CheckKey(k.Alg, key); err != nil {
			return nil, err
		}
		return k, nil
	}
	if !fitsAny(key) {
		return nil, ErrKeyType
	}
	return k, nil
}

func fitsAny(key crypto.PublicKey) bool {
	for a := Alg(1); a < AlgCount; a++ {
		if CheckKey(a, key) == nil {
			return true
		}
	}
	return false
}

// allows holds key_ops against RFC 7517 section 4.3: an array of distinct
// strings. With use=sig beside it, the operation is also what the two agree on.
func allows(o *Object, operation string) bool {
	v, _ := o.Get("key_ops")
	ops, ok := v.([]any)
	if !ok {
		return false
	}
	for i, op := range ops {
		if _, text := op.(string); !text || slices.Contains(ops[:i], op) {
			return false
		}
	}
	return slices.Contains(ops, any(operation))
}

func publicKey(o *Object) (crypto.PublicKey, error) {
	kty, _ := o.Text("kty")
	switch kty {
	case "RSA":
		return rsaKey(o)
	case "EC":
		return ecKey(o)
	case "OKP":
		return okpKey(o)
	}
	return nil, ErrKeyType
}

func rsaKey(o *Object) (crypto.PublicKey, error) {
	n, err := octets(o, "n")
	if err != nil {
		return nil, err
	}
	e, err := octets(o, "e")
	if err != nil {
		return nil, err
	}
	// RFC 7518 section 6.3.1.1: encoders that prepend a zero octet exist. The
	// number is the same, so it is read; what is used is the minimal form.
	exponent := new(big.Int).SetBytes(e)
	if len(n) > MaxRSABits/8+1 || exponent.BitLen() > 31 {
		return nil, fmt.Errorf("%w: RSA modulus or exponent out of range", ErrKeyValue)
	}
	modulus := new(big.Int).SetBytes(n)
	if err := checkRSA(&rsa.PublicKey{N: modulus, E: int(exponent.Int64())}); err != nil {
		return nil, err
	}
	var key rsa.PublicKey
	return &key, importJWK(map[string]string{
		"kty": "RSA", "n": encode(modulus.Bytes()), "e": encode(exponent.Bytes()),
	}, &key)
}

func ecKey(o *Object) (crypto.PublicKey, error) {
	crv, _ := o.Text("crv")
	var curve elliptic.Curve
	switch crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, ErrKeyType
	}
	x, err := octets(o, "x")
	if err != nil {
		return nil, err
	}
	y, err := octets(o, "y")
	if err != nil {
		return nil, err
	}
	// RFC 7518 section 6.2.1.2: exactly the full length of a coordinate.
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil, fmt.Errorf("%w: coordinate of the wrong length", ErrKeyValue)
	}
	point := append(append([]byte{4}, x...), y...)
	if _, err := ecdsa.ParseUncompressedPublicKey(curve, point); err != nil {
		return nil, fmt.Errorf("%w: point is not on the curve", ErrKeyValue)
	}
	var key ecdsa.PublicKey
	return &key, importJWK(map[string]string{"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)}, &key)
}

func okpKey(o *Object) (crypto.PublicKey, error) {
	if crv, _ := o.Text("crv"); crv != "Ed25519" {
		return nil, ErrKeyType
	}
	x, err := octets(o, "x")
	if err != nil {
		return nil, err
	}
	if err := checkEd25519(x); err != nil {
		return nil, err
	}
	if !onEdwards25519(x) {
		return nil, fmt.Errorf("%w: no point of the curve in its one encoding", ErrKeyValue)
	}
	var key ed25519.PublicKey
	err = importJWK(map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode(x)}, &key)
	return key, err
}

// The field prime of edwards25519, and its constant d = -121665/121666.
var (
	prime25519 = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d25519, _  = new(big.Int).SetString("37095705934669439343138083508754565189542113879843219016388785533085940283555", 10)
)

// onEdwards25519 reports whether RFC 8032 section 5.1.3 decodes x: y is below
// the prime, and (y^2-1)/(d*y^2+1) is the square of an x. crypto/ed25519 only
// finds that out, or overlooks it, at each verification.
func onEdwards25519(x []byte) bool {
	b := slices.Clone(x)
	slices.Reverse(b)
	b[0] &= 0x7f // the sign of x
	y := new(big.Int).SetBytes(b)
	if y.Cmp(prime25519) >= 0 {
		return false
	}
	one := big.NewInt(1)
	y2 := y.Mul(y, y)
	v := new(big.Int).Mul(d25519, y2)
	v.Add(v, one)
	v.Mul(v, y2.Sub(y2, one)) // u/v is a square where u*v is one; y = 1 and p-1 were refused before
	return big.Jacobi(v.Mod(v, prime25519), prime25519) == 1
}

func octets(o *Object, name string) ([]byte, error) {
	text, ok := o.Text(name)
	if !ok || text == "" {
		return nil, fmt.Errorf("%w: %s", ErrKeyValue, name)
	}
	b, err := decodeSegment(make([]byte, len(text)), []byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrKeyValue, name)
	}
	return b, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func importJWK(members map[string]string, into any) error {
	text, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	key, err := jwk.ParseKey(text)
	if err == nil {
		err = key.Raw(into)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

// SetKey is one element of a JWK set: a key, or why it is not used.
type SetKey struct {
	JWK *JWK
	Err error
	Raw string // its text
}

// ErrKeySet is wrapped by every error of ParseJWKSet.
var ErrKeySet = errors.New("jose: malformed JWK set")

// ParseJWKSet reads a JWK set of at most maxKeys public keys. It is strict about
// the set and lenient about each key (RFC 7517 section 5): a key that cannot be
// used stands in the answer with its error, and spoils no other.
func ParseJWKSet(text string, maxBytes, maxKeys int) ([]SetKey, error) {
	s := scanner{loose: true}
	lim := Limits{Bytes: maxBytes, Depth: 16, Values: 256 * maxKeys, Reserved: Reserve("keys")}
	var o Object
	if err := s.object(&o, text, lim); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	raw, has := o.Raw("keys")
	if !has {
		return nil, fmt.Errorf("%w: no member keys", ErrKeySet)
	}
	if raw[0] != '[' {
		return nil, fmt.Errorf("%w: keys is not an array", ErrKeySet)
	}
	var keys []SetKey
	elements := scanner{s: raw, lim: lim, loose: true}
	err := elements.array(2, func(raw string) error {
		if len(keys) == maxKeys {
			return fmt.Errorf("%w: more than %d keys", ErrKeySet, maxKeys)
		}
		key, err := ParseJWK(raw)
		keys = append(keys, SetKey{key, err, raw})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// Thumbprint is the base64url SHA-256 thumbprint of a public key (RFC 7638) that
// fits some algorithm.
func Thumbprint(key crypto.PublicKey) (string, error) {
	k, err := publicJWK(key)
	if err != nil {
		return "", err
	}
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return encode(sum), nil
}

// MarshalJWK writes a public key as a JWK with use sig. An empty kid and a zero
// alg are left out. Anything but a public key that fits the alg is an error, so
// that no private or symmetric key is ever published by it.
func MarshalJWK(key crypto.PublicKey, kid string, a Alg) ([]byte, error) {
	k, err := publicJWK(key)
	if err != nil {
		return nil, err
	}
	if a != 0 {
		if err := CheckKey(a, key); err != nil {
			return nil, err
		}
	}
	members := map[string]string{jwk.KeyUsageKey: "sig"}
	if kid != "" {
		members[jwk.KeyIDKey] = kid
	}
	if a != 0 {
		members[jwk.AlgorithmKey] = a.String()
	}
	for name, value := range members {
		if err := k.Set(name, value); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
	}
	text, err := json.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return text, nil
}

func publicJWK(key crypto.PublicKey) (jwk.Key, error) {
	if _, secret := key.(*Secret); secret || !fitsAny(key) {
		return nil, fmt.Errorf("%w: %T is no public key of a known algorithm", ErrKey, key)
	}
	if k, ok := key.(*ecdsa.PublicKey); ok {
		if _, err := k.Bytes(); err != nil { // jwx panics on a coordinate that is too large
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
	}
	k, err := jwk.FromRaw(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, nil
}
