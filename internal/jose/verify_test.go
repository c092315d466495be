package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// testKeys are made once for all tests of the package.
type testKeys struct {
	rsa              *rsa.PrivateKey
	p256, p384, p521 *ecdsa.PrivateKey
	ed25519          ed25519.PrivateKey
	secret           *jose.Secret
	secretBytes      []byte
}

var makeKeys = sync.OnceValue(func() testKeys {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var k testKeys
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	k.p521, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(err)
	_, k.ed25519, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	k.secretBytes = []byte("0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDE!")
	k.secret, err = jose.NewSecret(k.secretBytes)
	must(err)
	return k
})

// algorithm is an algorithm with a key that fits it.
type algorithm struct {
	alg     jose.Alg
	name    string
	kind    string // keys of one kind are one key
	private any
	public  crypto.PublicKey
	hash    crypto.Hash
}

func algorithms() []algorithm {
	k := makeKeys()
	list := []algorithm{
		{jose.RS256, "RS256", "RSA", k.rsa, nil, crypto.SHA256},
		{jose.RS384, "RS384", "RSA", k.rsa, nil, crypto.SHA384},
		{jose.RS512, "RS512", "RSA", k.rsa, nil, crypto.SHA512},
		{jose.PS256, "PS256", "RSA", k.rsa, nil, crypto.SHA256},
		{jose.PS384, "PS384", "RSA", k.rsa, nil, crypto.SHA384},
		{jose.PS512, "PS512", "RSA", k.rsa, nil, crypto.SHA512},
		{jose.ES256, "ES256", "P-256", k.p256, nil, crypto.SHA256},
		{jose.ES384, "ES384", "P-384", k.p384, nil, crypto.SHA384},
		{jose.ES512, "ES512", "P-521", k.p521, nil, crypto.SHA512},
		{jose.EdDSA, "EdDSA", "Ed25519", k.ed25519, nil, 0},
		{jose.Ed25519, "Ed25519", "Ed25519", k.ed25519, nil, 0},
		{jose.HS256, "HS256", "secret", k.secret, nil, crypto.SHA256},
		{jose.HS384, "HS384", "secret", k.secret, nil, crypto.SHA384},
		{jose.HS512, "HS512", "secret", k.secret, nil, crypto.SHA512},
	}
	for i := range list {
		list[i].public = list[i].private
		if signer, ok := list[i].private.(crypto.Signer); ok {
			list[i].public = signer.Public()
		}
	}
	return list
}

func (a algorithm) digest(input []byte) []byte {
	h := a.hash.New()
	h.Write(input)
	return h.Sum(nil)
}

func TestAlgNames(t *testing.T) {
	t.Parallel()
	list := algorithms()
	require.Len(t, list, 14)
	require.Equal(t, jose.AlgCount, jose.Alg(len(list)+1))
	for i, a := range list {
		got, ok := jose.ParseAlg(a.name)
		require.True(t, ok, a.name)
		require.Equal(t, a.alg, got)
		require.Equal(t, jose.Alg(i+1), got)
		require.True(t, got.Valid())
		require.Equal(t, a.name, got.String())
		require.Equal(t, strings.HasPrefix(a.name, "HS"), got.Symmetric())
	}
	for _, name := range []string{
		"", "none", "None", "NONE", "nOnE", "none ", "rs256", "Rs256", "RS256 ", " RS256", "RS256\x00", "RS\u0132256",
		"HS1", "RS1", "HS224", "HS256/64", "RS224", "ES224", "ES256K", "ES512256", "ES521", "PS1", "RSA1_5", "RSA-OAEP", "dir", "A256GCM",
		"EDDSA", "eddsa", "ed25519", "ED25519", "Ed448", "X25519", "ML-DSA-44", "__proto__", "constructor", "invalid", "RS2561", "S256",
	} {
		got, ok := jose.ParseAlg(name)
		require.False(t, ok, name)
		require.Zero(t, got, name)
	}
	for _, a := range []jose.Alg{0, jose.AlgCount, jose.AlgCount + 1, 255} {
		require.False(t, a.Valid())
		require.False(t, a.Symmetric())
		require.Equal(t, "invalid", a.String())
	}
}

// TestVerifyBindsKeyToAlgorithm holds every key against every algorithm, with a
// signature that is good for one of them.
func TestVerifyBindsKeyToAlgorithm(t *testing.T) {
	t.Parallel()
	list := algorithms()
	input := []byte("eyJhbGciOiI_In0.e30")
	for _, signed := range list {
		sig := sign(t, signed, input)
		for _, claimed := range list {
			for _, key := range list {
				err := jose.Verify(claimed.alg, key.public, input, sig)
				fits := key.kind == claimed.kind
				same := claimed.alg == signed.alg || claimed.kind == "Ed25519" && signed.kind == "Ed25519"
				what := fmt.Sprintf("signed %s, claimed %s, key of %s", signed.name, claimed.name, key.name)
				switch {
				case !fits:
					require.ErrorIs(t, err, jose.ErrKey, what)
					require.NotErrorIs(t, err, jose.ErrSignature, what)
					require.ErrorIs(t, jose.CheckKey(claimed.alg, key.public), jose.ErrKey, what)
				case !same:
					require.Equal(t, jose.ErrSignature, err, what)
				default:
					require.NoError(t, err, what)
					require.NoError(t, jose.CheckKey(claimed.alg, key.public), what)
				}
			}
		}
	}
}

// sign makes a bare signature.
func sign(t *testing.T, a algorithm, input []byte) []byte {
	t.Helper()
	switch {
	case strings.HasPrefix(a.name, "RS"):
		sig, err := rsa.SignPKCS1v15(nil, a.private.(*rsa.PrivateKey), a.hash, a.digest(input))
		require.NoError(t, err)
		return sig
	case strings.HasPrefix(a.name, "PS"):
		return signPSS(t, a, input, rsa.PSSSaltLengthEqualsHash)
	case strings.HasPrefix(a.name, "ES"):
		r, s := signECDSA(t, a, input)
		return fixed(a, r, s)
	case strings.HasPrefix(a.name, "HS"):
		h := hmac.New(a.hash.New, makeKeys().secretBytes)
		h.Write(input)
		return h.Sum(nil)
	}
	return ed25519.Sign(a.private.(ed25519.PrivateKey), input)
}

func signPSS(t *testing.T, a algorithm, input []byte, salt int) []byte {
	t.Helper()
	sig, err := rsa.SignPSS(rand.Reader, a.private.(*rsa.PrivateKey), a.hash, a.digest(input), &rsa.PSSOptions{SaltLength: salt})
	require.NoError(t, err)
	return sig
}

func signECDSA(t *testing.T, a algorithm, input []byte) (r, s *big.Int) {
	t.Helper()
	der, err := ecdsa.SignASN1(rand.Reader, a.private.(*ecdsa.PrivateKey), a.digest(input))
	require.NoError(t, err)
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	require.NoError(t, err)
	require.Empty(t, rest)
	return sig.R, sig.S
}

func half(a algorithm) int { return (a.public.(*ecdsa.PublicKey).Curve.Params().BitSize + 7) / 8 }

func fixed(a algorithm, r, s *big.Int) []byte {
	b := make([]byte, 2*half(a))
	r.FillBytes(b[:half(a)])
	s.FillBytes(b[half(a):])
	return b
}

// ecPoint is a key of any coordinates, on the curve or not.
func ecPoint(curve elliptic.Curve, x, y *big.Int) *ecdsa.PublicKey {
	return &ecdsa.PublicKey{Curve: curve, X: x, Y: y}
}

// affine are the coordinates of a key.
func affine(t *testing.T, key *ecdsa.PublicKey) (x, y *big.Int) {
	t.Helper()
	b, err := key.Bytes()
	require.NoError(t, err)
	return new(big.Int).SetBytes(b[1 : 1+len(b)/2]), new(big.Int).SetBytes(b[1+len(b)/2:])
}

func der(t *testing.T, r, s *big.Int) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	require.NoError(t, err)
	return b
}

// TestVerifyTampered: one bit of the input or of the signature, or their length.
func TestVerifyTampered(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			input := []byte("eyJhbGciOiI_In0.eyJzdWIiOiJzIn0")
			good := sign(t, a, input)
			require.NoError(t, jose.Verify(a.alg, a.public, input, good))
			refused := func(name string, input, sig []byte) {
				t.Helper()
				require.Equal(t, jose.ErrSignature, jose.Verify(a.alg, a.public, input, sig), name)
			}
			for i := 0; i < len(input); i += 5 {
				other := bytes.Clone(input)
				other[i] ^= 1 << (i % 8)
				refused(fmt.Sprintf("input, byte %d", i), other, good)
			}
			refused("input shorter", input[1:], good)
			refused("input longer", append(bytes.Clone(input), 0), good)
			refused("no input", nil, good)
			for i := 0; i < len(good); i += max(1, len(good)/12) {
				other := bytes.Clone(good)
				other[i] ^= 1 << (i % 8)
				refused(fmt.Sprintf("signature, byte %d", i), input, other)
			}
			refused("no signature", input, nil)
			refused("empty signature", input, []byte{})
			refused("one byte", input, good[:1])
			refused("half", input, good[:len(good)/2])
			refused("last byte cut off", input, good[:len(good)-1])
			refused("first byte cut off", input, good[1:])
			refused("zero behind", input, append(bytes.Clone(good), 0))
			refused("zero before", input, append([]byte{0}, good...))
			refused("twice", input, append(bytes.Clone(good), good...))
			refused("zeros", input, make([]byte, len(good)))
			refused("0xff", input, bytes.Repeat([]byte{0xff}, len(good)))
			refused("1 MB", input, make([]byte, 1<<20))
			slices.Reverse(good)
			refused("backwards", input, good)
		})
	}
}

func TestVerifyECDSA(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms()[6:9] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			input := []byte("e30.e30")
			n := a.public.(*ecdsa.PublicKey).Curve.Params().N
			p := a.public.(*ecdsa.PublicKey).Curve.Params().P
			r, s := signECDSA(t, a, input)
			size := half(a)
			one, zero := big.NewInt(1), big.NewInt(0)
			most := new(big.Int).Sub(new(big.Int).Lsh(one, uint(8*size)), one)
			less, more := new(big.Int).Sub(n, one), new(big.Int).Add(n, one)

			accept := func(name string, sig []byte) {
				t.Helper()
				require.NoError(t, jose.Verify(a.alg, a.public, input, sig), name)
			}
			refuse := func(name string, sig []byte) {
				t.Helper()
				require.Equal(t, jose.ErrSignature, jose.Verify(a.alg, a.public, input, sig), name)
			}
			accept("good", fixed(a, r, s))
			// The twin is a signature too: no signature's bytes identify a token.
			accept("high-S or low-S twin", fixed(a, r, new(big.Int).Sub(n, s)))
			refuse("r and s swapped", fixed(a, s, r))

			// CVE-2022-21449 and what is like it.
			for name, v := range map[string]*big.Int{"0": zero, "n": n, "n+1": more, "n-1": less, "1": one, "p": p, "all ones": most} {
				if v.BitLen() > 8*size {
					continue
				}
				refuse("r and s "+name, fixed(a, v, v))
				refuse("r "+name, fixed(a, v, s))
				refuse("s "+name, fixed(a, r, v))
				refuse("r "+name+", s 0", fixed(a, v, zero))
			}
			// P-521 has room for r+n in its 66 bytes.
			if above := new(big.Int).Add(r, n); above.BitLen() <= 8*size {
				refuse("r+n", fixed(a, above, s))
				refuse("s+n", fixed(a, r, new(big.Int).Add(s, n)))
			} else {
				require.NotEqual(t, jose.ES512, a.alg)
			}

			// DER, which crypto/ecdsa would take.
			refuse("DER", der(t, r, s))
			refuse("DER of zeros", der(t, zero, zero))
			padded := make([]byte, 2*size)
			copy(padded, der(t, big.NewInt(5), big.NewInt(7)))
			refuse("DER filled up to the length", padded)

			// Other lengths (63 and 65 bytes for ES256), with nothing but zeros added or left out.
			good := fixed(a, r, s)
			refuse("one byte less", good[:2*size-1])
			refuse("one byte more", append(bytes.Clone(good), 0))
			refuse("a zero before r", append([]byte{0}, good...))
			refuse("a zero before r and before s", slices.Concat([]byte{0}, good[:size], []byte{0}, good[size:]))
			refuse("two zeros behind", append(bytes.Clone(good), 0, 0))
			for _, other := range []int{64, 96, 132} {
				if other != 2*size {
					wide := make([]byte, other)
					copy(wide, good)
					refuse(fmt.Sprintf("%d bytes", other), wide)
				}
			}
		})
	}
}

// TestVerifyECDSALeadingBytes: R and S of every shape that ASN.1 spells
// differently, with a leading zero byte, with a leading bit, and short.
func TestVerifyECDSALeadingBytes(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms()[6:9] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			var zeroR, zeroS, highR, highS bool
			bits := (a.public.(*ecdsa.PublicKey).Curve.Params().BitSize-1)%8 + 1 // of the first byte
			for i := 0; !zeroR || !zeroS || (bits == 8 && (!highR || !highS)); i++ {
				require.Less(t, i, 20000)
				input := fmt.Appendf(nil, "e30.%d", i)
				r, s := signECDSA(t, a, input)
				zeroR = zeroR || len(r.Bytes()) < half(a)
				zeroS = zeroS || len(s.Bytes()) < half(a)
				highR = highR || r.BitLen() == 8*half(a)
				highS = highS || s.BitLen() == 8*half(a)
				if i > 8 && len(r.Bytes()) == half(a) && len(s.Bytes()) == half(a) {
					continue
				}
				require.NoError(t, jose.Verify(a.alg, a.public, input, fixed(a, r, s)))
			}
		})
	}
}

// TestVerifyECDSAPoints: CheckKey leaves the point to crypto/ecdsa, which must
// refuse what is none, and not panic.
func TestVerifyECDSAPoints(t *testing.T) {
	t.Parallel()
	good := &makeKeys().p256.PublicKey
	p := good.Curve.Params().P
	input, sig := []byte("e30.e30"), sign(t, algorithms()[6], []byte("e30.e30"))
	require.NoError(t, jose.Verify(jose.ES256, good, input, sig))
	x, y := affine(t, good)
	tests := []struct {
		name string
		x, y *big.Int
		err  error
	}{
		{"off the curve", big.NewInt(1), big.NewInt(1), jose.ErrSignature},
		{"infinity", big.NewInt(0), big.NewInt(0), jose.ErrSignature},
		{"negative x", new(big.Int).Neg(x), y, jose.ErrSignature},
		{"negative y", x, new(big.Int).Neg(y), jose.ErrSignature},
		{"x above the prime", new(big.Int).Add(x, p), y, jose.ErrSignature},
		{"300 bits", new(big.Int).Lsh(x, 44), y, jose.ErrSignature},
		{"other point of that x", x, new(big.Int).Sub(p, y), jose.ErrSignature},
		{"no x", nil, y, jose.ErrKey},
		{"no y", x, nil, jose.ErrKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key := ecPoint(elliptic.P256(), tt.x, tt.y)
			require.ErrorIs(t, jose.Verify(jose.ES256, key, input, sig), tt.err)
		})
	}
}

func TestVerifyEd25519(t *testing.T) {
	t.Parallel()
	k := makeKeys().ed25519
	public := k.Public().(ed25519.PublicKey)
	input := []byte("e30.e30")
	good := ed25519.Sign(k, input)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10) // L
	// plus adds a number to S, which is little-endian.
	plus := func(n *big.Int) []byte {
		s := bytes.Clone(good[32:])
		slices.Reverse(s)
		sum := new(big.Int).Add(new(big.Int).SetBytes(s), n).FillBytes(make([]byte, 32))
		slices.Reverse(sum)
		return slices.Concat(good[:32], sum)
	}
	l := order.FillBytes(make([]byte, 32))
	slices.Reverse(l)

	for _, a := range []jose.Alg{jose.EdDSA, jose.Ed25519} {
		require.NoError(t, jose.Verify(a, public, input, good))
		require.NoError(t, jose.Verify(a, public, input, plus(new(big.Int))))
		for name, sig := range map[string][]byte{
			"S+L":                   plus(order), // the same number modulo L
			"S+2L":                  plus(new(big.Int).Lsh(order, 1)),
			"S = L":                 slices.Concat(good[:32], l),
			"highest bit of S":      plus(new(big.Int).Lsh(big.NewInt(1), 255)),
			"bit 253 of S":          plus(new(big.Int).Lsh(big.NewInt(1), 253)),
			"63 bytes":              good[:63],
			"65 bytes":              append(bytes.Clone(good), 0),
			"114 bytes, as Ed448":   append(bytes.Clone(good), make([]byte, 50)...),
			"R and S swapped":       slices.Concat(good[32:], good[:32]),
			"of the prehashed kind": signEd25519(t, k, input, crypto.SHA512, ""),
			"with a context":        signEd25519(t, k, input, 0, "context"),
		} {
			require.Equal(t, jose.ErrSignature, jose.Verify(a, public, input, sig), name)
		}
	}
}

func signEd25519(t *testing.T, k ed25519.PrivateKey, input []byte, hash crypto.Hash, context string) []byte {
	t.Helper()
	if hash == crypto.SHA512 {
		sum := sha512.Sum512(input)
		input = sum[:]
	}
	sig, err := k.Sign(nil, input, &ed25519.Options{Hash: hash, Context: context})
	require.NoError(t, err)
	return sig
}

// smallOrder are the spellings of the points of small order on edwards25519.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000", // order 4
	"0000000000000000000000000000000000000000000000000000000000000080",
	"0100000000000000000000000000000000000000000000000000000000000000", // the neutral element
	"0100000000000000000000000000000000000000000000000000000000000080", // the same, with the sign of no x
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p, read as 0
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p+1, read as 1
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

// TestVerifyEd25519SmallOrder: with such a key crypto/ed25519 takes a signature
// that nobody made, R = A or the neutral element and S = 0, for some inputs.
func TestVerifyEd25519SmallOrder(t *testing.T) {
	t.Parallel()
	require.Len(t, smallOrder, 14)
	for _, text := range smallOrder {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			key := ed25519.PublicKey(unhex(t, text))
			sig := make([]byte, 64)
			sig[0] = 1
			forged := false
			for i := range 64 {
				input := fmt.Appendf(nil, "e30.%d", i)
				forged = forged || ed25519.Verify(key, input, sig)
				for _, a := range []jose.Alg{jose.EdDSA, jose.Ed25519} {
					require.ErrorIs(t, jose.Verify(a, key, input, sig), jose.ErrKey)
				}
			}
			require.True(t, forged, "the standard library takes the forgery")
		})
	}
}

func TestVerifyPSSSalt(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms()[3:6] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			input := []byte("e30.e30")
			size := a.hash.Size()
			for _, salt := range []int{1, 8, 20, size - 1, size + 1, size / 2, rsa.PSSSaltLengthAuto} {
				sig := signPSS(t, a, input, salt)
				require.NoError(t, rsa.VerifyPSS(a.public.(*rsa.PublicKey), a.hash, a.digest(input), sig, nil), "of any salt it is good")
				require.Equal(t, jose.ErrSignature, jose.Verify(a.alg, a.public, input, sig), "salt of %d bytes", salt)
			}
			none := pssWithoutSalt(a, input)
			require.NoError(t, rsa.VerifyPSS(a.public.(*rsa.PublicKey), a.hash, a.digest(input), none, nil))
			require.Equal(t, jose.ErrSignature, jose.Verify(a.alg, a.public, input, none))
			require.NoError(t, jose.Verify(a.alg, a.public, input, signPSS(t, a, input, size)))
		})
	}
}

// pssWithoutSalt is RFC 8017 section 9.1.1 with an empty salt, which crypto/rsa
// has no option for.
func pssWithoutSalt(a algorithm, input []byte) []byte {
	key := a.private.(*rsa.PrivateKey)
	bits := key.N.BitLen() - 1
	em := make([]byte, (bits+7)/8)
	h := a.hash.New()
	h.Write(make([]byte, 8))
	h.Write(a.digest(input))
	sum := h.Sum(nil)
	db := em[:len(em)-len(sum)-1]
	db[len(db)-1] = 1
	var mask []byte
	for i := byte(0); len(mask) < len(db); i++ {
		h.Reset()
		h.Write(sum)
		h.Write([]byte{0, 0, 0, i})
		mask = h.Sum(mask)
	}
	for i := range db {
		db[i] ^= mask[i]
	}
	db[0] &= 0xff >> (8*len(em) - bits)
	copy(em[len(db):], sum)
	em[len(em)-1] = 0xbc
	return private(key, em)
}

func TestVerifyRSALength(t *testing.T) {
	t.Parallel()
	k := makeKeys().rsa
	most := new(big.Int).Lsh(big.NewInt(1), 2048)
	for _, a := range algorithms()[:6] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			// A signature to which n can be added within the same length.
			var input, good []byte
			var above *big.Int
			for i := 0; above == nil || above.Cmp(most) >= 0; i++ {
				require.Less(t, i, 1000)
				input = fmt.Appendf(nil, "e30.%d", i)
				good = sign(t, a, input)
				above = new(big.Int).Add(new(big.Int).SetBytes(good), k.N)
			}
			require.NoError(t, jose.Verify(a.alg, &k.PublicKey, input, good))
			if a.alg <= jose.RS512 {
				require.Equal(t, good, paddedPKCS1(k, a, input, 1, 0xff), "the helper pads as it should")
			}
			for name, sig := range map[string][]byte{
				"plus n":         above.FillBytes(make([]byte, 256)),
				"n":              k.N.FillBytes(make([]byte, 256)),
				"n-1":            new(big.Int).Sub(k.N, big.NewInt(1)).FillBytes(make([]byte, 256)),
				"0":              make([]byte, 256),
				"1":              append(make([]byte, 255), 1),
				"all ones":       bytes.Repeat([]byte{0xff}, 256),
				"257 bytes":      append([]byte{0}, good...),
				"255 bytes":      good[1:],
				"512 bytes":      append(make([]byte, 256), good...),
				"negative twin":  new(big.Int).Sub(k.N, new(big.Int).SetBytes(good)).FillBytes(make([]byte, 256)),
				"empty":          {},
				"byte behind":    append(bytes.Clone(good), 0),
				"without hash":   rawPKCS1(k, a.digest(input)),
				"block type 2":   paddedPKCS1(k, a, input, 2, 0xff),
				"padding 0x00":   paddedPKCS1(k, a, input, 1, 0x00),
				"padding 0xfe":   paddedPKCS1(k, a, input, 1, 0xfe),
				"short padding":  shortPKCS1(k, a, input),
				"other hash OID": otherOID(t, k, a, input),
			} {
				require.Equal(t, jose.ErrSignature, jose.Verify(a.alg, &k.PublicKey, input, sig), name)
			}
		})
	}
}

// private applies the private key to a block of 256 bytes as it stands.
func private(k *rsa.PrivateKey, em []byte) []byte {
	m := new(big.Int).SetBytes(em)
	return m.Exp(m, k.D, k.N).FillBytes(make([]byte, k.Size()))
}

var digestInfo = map[crypto.Hash]string{
	crypto.SHA256: "3031300d060960864801650304020105000420",
	crypto.SHA384: "3041300d060960864801650304020205000430",
	crypto.SHA512: "3051300d060960864801650304020305000440",
}

// infoOf is the DigestInfo of RFC 8017 section 9.2.
func infoOf(h crypto.Hash, digest []byte) []byte {
	prefix, err := hex.DecodeString(digestInfo[h])
	if err != nil {
		panic(err)
	}
	return append(prefix, digest...)
}

func paddedPKCS1(k *rsa.PrivateKey, a algorithm, input []byte, kind, fill byte) []byte {
	info := infoOf(a.hash, a.digest(input))
	em := bytes.Repeat([]byte{fill}, 256)
	em[0], em[1], em[256-len(info)-1] = 0, kind, 0
	copy(em[256-len(info):], info)
	return private(k, em)
}

// rawPKCS1 signs the digest without its DigestInfo.
func rawPKCS1(k *rsa.PrivateKey, digest []byte) []byte {
	em := bytes.Repeat([]byte{0xff}, 256)
	em[0], em[1], em[256-len(digest)-1] = 0, 1, 0
	copy(em[256-len(digest):], digest)
	return private(k, em)
}

// shortPKCS1 has eight bytes of padding and garbage behind the hash.
func shortPKCS1(k *rsa.PrivateKey, a algorithm, input []byte) []byte {
	em := make([]byte, 256)
	copy(em, append([]byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, infoOf(a.hash, a.digest(input))...))
	return private(k, em)
}

func otherOID(t *testing.T, k *rsa.PrivateKey, a algorithm, input []byte) []byte {
	t.Helper()
	other := map[crypto.Hash]crypto.Hash{crypto.SHA256: crypto.SHA512_256, crypto.SHA384: crypto.SHA3_384, crypto.SHA512: crypto.SHA3_512}[a.hash]
	sig, err := rsa.SignPKCS1v15(nil, k, other, a.digest(input))
	require.NoError(t, err)
	return sig
}

// TestVerifyBleichenbacher2006: with e = 3 anybody can make a block that begins
// like a signature and ends in garbage, without a private key.
func TestVerifyBleichenbacher2006(t *testing.T) {
	t.Parallel()
	input := []byte("e30.e30")
	digest := sha256.Sum256(input)
	key := &rsa.PublicKey{N: makeKeys().rsa.N, E: 3}
	require.NoError(t, jose.CheckKey(jose.RS256, key))

	prefix := append([]byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, infoOf(crypto.SHA256, digest[:])...)
	target := new(big.Int).SetBytes(append(bytes.Clone(prefix), bytes.Repeat([]byte{0xff}, 256-len(prefix))...))
	root := cubeRoot(target)
	cube := new(big.Int).Exp(root, big.NewInt(3), nil).FillBytes(make([]byte, 256))
	require.Equal(t, prefix, cube[:len(prefix)], "the forgery begins as it should")
	require.Equal(t, jose.ErrSignature, jose.Verify(jose.RS256, key, input, root.FillBytes(make([]byte, 256))))
}

func cubeRoot(n *big.Int) *big.Int {
	root := new(big.Int)
	for i := n.BitLen()/3 + 1; i >= 0; i-- {
		try := new(big.Int).SetBit(root, i, 1)
		if new(big.Int).Exp(try, big.NewInt(3), nil).Cmp(n) <= 0 {
			root = try
		}
	}
	return root
}

func TestCheckKeyTypes(t *testing.T) {
	t.Parallel()
	k := makeKeys()
	edKey := k.ed25519.Public().(ed25519.PublicKey)
	x, y := affine(t, &k.p256.PublicKey)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	jwk := &jose.JWK{Key: &k.rsa.PublicKey}
	for name, key := range map[string]any{
		"nil": nil, "nil RSA": (*rsa.PublicKey)(nil), "nil EC": (*ecdsa.PublicKey)(nil), "nil Ed25519": ed25519.PublicKey(nil), "nil secret": (*jose.Secret)(nil),
		"RSA without a modulus": &rsa.PublicKey{E: 65537}, "empty EC": &ecdsa.PublicKey{}, "EC without a curve": ecPoint(nil, x, y),
		"RSA by value": k.rsa.PublicKey, "EC by value": k.p256.PublicKey, "Ed25519 by pointer": &edKey,
		"private RSA": k.rsa, "private EC": k.p256, "private Ed25519": k.ed25519,
		"bytes": k.secretBytes, "text": string(k.secretBytes), "JWK": jwk, "P-224": &p224.PublicKey,
		"31 bytes of Ed25519": edKey[:31], "33 bytes of Ed25519": append(bytes.Clone(edKey), 0), "no byte of Ed25519": ed25519.PublicKey{},
		"curve of the caller's own": ecPoint(elliptic.P256().Params(), x, y),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for a := range jose.AlgCount + 2 {
				require.ErrorIs(t, jose.CheckKey(a, key), jose.ErrKey)
				require.ErrorIs(t, jose.Verify(a, key, []byte("e30.e30"), make([]byte, 64)), jose.ErrKey)
			}
		})
	}
	for _, a := range []jose.Alg{0, jose.AlgCount, 255} {
		for _, good := range algorithms() {
			require.ErrorIs(t, jose.CheckKey(a, good.public), jose.ErrKey)
			require.ErrorIs(t, jose.Verify(a, good.public, nil, nil), jose.ErrKey)
		}
	}
}

func TestCheckKeyRSA(t *testing.T) {
	t.Parallel()
	odd := func(bits int) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.SetBit(n, 0, 1)
	}
	tests := []struct {
		name string
		key  rsa.PublicKey
		good bool
	}{
		{"512 bits", rsa.PublicKey{N: odd(512), E: 65537}, false},
		{"1024 bits", rsa.PublicKey{N: odd(1024), E: 65537}, false},
		{"2047 bits", rsa.PublicKey{N: odd(2047), E: 65537}, false},
		{"2048 bits", rsa.PublicKey{N: odd(2048), E: 65537}, true},
		{"8192 bits", rsa.PublicKey{N: odd(8192), E: 65537}, true},
		{"8193 bits", rsa.PublicKey{N: odd(8193), E: 65537}, false},
		{"0", rsa.PublicKey{N: new(big.Int), E: 65537}, false},
		{"even modulus", rsa.PublicKey{N: new(big.Int).Add(odd(2048), big.NewInt(1)), E: 65537}, false},
		{"e = 0", rsa.PublicKey{N: odd(2048)}, false},
		{"e = 1", rsa.PublicKey{N: odd(2048), E: 1}, false},
		{"e = -1", rsa.PublicKey{N: odd(2048), E: -1}, false},
		{"e = -3", rsa.PublicKey{N: odd(2048), E: -3}, false},
		{"e = 2", rsa.PublicKey{N: odd(2048), E: 2}, false},
		{"e = 3", rsa.PublicKey{N: odd(2048), E: 3}, true},
		{"e = 65536", rsa.PublicKey{N: odd(2048), E: 65536}, false},
		{"e = 2^31-1", rsa.PublicKey{N: odd(2048), E: 1<<31 - 1}, true},
		{"e = 2^31+1", rsa.PublicKey{N: odd(2048), E: 1<<31 + 1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for a := jose.RS256; a <= jose.PS512; a++ {
				err := jose.CheckKey(a, &tt.key)
				if tt.good {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, jose.ErrKey)
					require.ErrorIs(t, jose.Verify(a, &tt.key, []byte("e30.e30"), make([]byte, 256)), jose.ErrKey)
				}
			}
		})
	}
}

func TestCheckKeySecret(t *testing.T) {
	t.Parallel()
	_, err := jose.NewSecret(nil)
	require.ErrorIs(t, err, jose.ErrKey)
	_, err = jose.NewSecret([]byte{})
	require.ErrorIs(t, err, jose.ErrKey)
	for _, a := range algorithms()[11:] {
		for n, good := range map[int]bool{1: false, 16: false, a.hash.Size() - 1: false, a.hash.Size(): true, a.hash.Size() + 1: true, 4096: true} {
			b := bytes.Repeat([]byte{7}, n)
			secret, err := jose.NewSecret(b)
			require.NoError(t, err)
			h := hmac.New(a.hash.New, b)
			h.Write([]byte("e30.e30"))
			sig := h.Sum(nil)
			clear(b) // the key was copied
			if good {
				require.NoError(t, jose.CheckKey(a.alg, secret))
				require.NoError(t, jose.Verify(a.alg, secret, []byte("e30.e30"), sig))
			} else {
				require.ErrorIs(t, jose.CheckKey(a.alg, secret), jose.ErrKey)
				require.ErrorIs(t, jose.Verify(a.alg, secret, []byte("e30.e30"), sig), jose.ErrKey)
			}
		}
		input := []byte("e30.e30")
		for n := range a.hash.Size() {
			require.Equal(t, jose.ErrSignature, jose.Verify(a.alg, a.public, input, sign(t, a, input)[:n]), "cut to %d bytes", n)
		}
	}
}

// TestVerifyPublicKeyAsSecret: CVE-2015-9235, CVE-2016-10555, CVE-2026-48526. The
// attacker signs with HS256, and everything that everybody knows is the secret.
func TestVerifyPublicKeyAsSecret(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms()[:11] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			pkix, err := x509.MarshalPKIXPublicKey(a.public)
			require.NoError(t, err)
			block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
			jwk, err := jose.MarshalJWK(a.public, "k", a.alg)
			require.NoError(t, err)
			known := [][]byte{pkix, block, bytes.TrimSpace(block), jwk, []byte(encode(string(pkix)))}
			switch k := a.public.(type) {
			case *rsa.PublicKey:
				known = append(known, x509.MarshalPKCS1PublicKey(k), k.N.Bytes())
			case *ecdsa.PublicKey:
				point, err := k.Bytes()
				require.NoError(t, err)
				known = append(known, point, point[1:33])
			case ed25519.PublicKey:
				known = append(known, k)
			}
			parsed, err := jose.ParseJWK(string(jwk))
			require.NoError(t, err)
			for _, secret := range known {
				for _, mac := range algorithms()[11:] {
					h := hmac.New(mac.hash.New, secret)
					input := encode(`{"alg":"`+mac.name+`"}`) + "." + encode(`{"sub":"admin"}`)
					h.Write([]byte(input))
					c, err := jose.ParseCompact(input + "." + encode(string(h.Sum(nil))))
					require.NoError(t, err)
					claimed, ok := jose.ParseAlg(c.Header.Alg)
					require.True(t, ok)
					require.False(t, parsed.Fits(claimed))
					require.ErrorIs(t, jose.Verify(claimed, a.public, c.SigningInput, c.Signature), jose.ErrKey)
					require.ErrorIs(t, jose.Verify(claimed, parsed.Key, c.SigningInput, c.Signature), jose.ErrKey)
				}
			}
		})
	}
}

// TestSecretNeverShows: no way of printing a secret, or what holds one, has any
// of its bytes in it, in any usual spelling.
func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	key := []byte("correct horse battery staple, and 31 bytes more of the same kind")
	secret, err := jose.NewSecret(key)
	require.NoError(t, err)
	require.NoError(t, jose.Verify(jose.HS256, secret, nil, hmacOf(key, nil))) // the pool holds a keyed hash
	spellings := []string{
		string(key), hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), fmt.Sprintf("% x", key), fmt.Sprintf("%d", key),
		strings.Trim(fmt.Sprint(key), "[]"), base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), fmt.Sprintf("%q", key), fmt.Sprintf("%#v", key),
	}
	for i, s := range spellings { // parts of it would be too much as well
		spellings[i] = s[len(s)/4 : len(s)/2]
	}
	type outer struct {
		Secret *jose.Secret
		Any    any
		hidden *jose.Secret
		list   []*jose.Secret
	}
	jwk, err := jose.ParseSecretJWK(`{"kty":"oct","kid":"k","k":"` + encode(string(key)) + `"}`)
	require.NoError(t, err)
	for name, v := range map[string]any{
		"secret":  secret,
		"struct":  outer{secret, secret, secret, []*jose.Secret{secret}},
		"pointer": &outer{secret, secret, secret, []*jose.Secret{secret}},
		"slice":   []*jose.Secret{secret},
		"map":     map[string]any{"key": secret},
		"JWK":     jwk,
		"error":   jose.CheckKey(jose.RS256, secret),
		"error 2": fmt.Errorf("%w: %v %+v %#v", jose.ErrKey, secret, secret, secret),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var shown []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%g", "%p", "%T", "%O", "%10.3v", "%!"} {
				shown = append(shown, fmt.Sprintf(verb, v))
			}
			shown = append(shown, fmt.Sprint(v), fmt.Sprintln(v))
			text, err := json.Marshal(v)
			require.NoError(t, err)
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "secret", v, slog.Group("g", "s", v))
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "secret", v, slog.Group("g", "s", v))
			shown = append(shown, string(text), log.String())
			for _, s := range shown {
				for _, secret := range spellings {
					require.NotContains(t, s, secret)
				}
			}
		})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, "secret", fmt.Sprintf(verb, secret))
	}
}

func hmacOf(key, input []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(input)
	return h.Sum(nil)
}

// TestVerifyConcurrently is for the race detector: keys, a secret's pooled
// states above all, are shared by all requests.
func TestVerifyConcurrently(t *testing.T) {
	t.Parallel()
	list := algorithms()
	input := []byte("e30.e30")
	var wg sync.WaitGroup
	failed := make([]error, 3*len(list))
	for i := range failed {
		a := list[i%len(list)]
		sig := sign(t, a, input)
		wg.Go(func() {
			for range 3 {
				if err := jose.Verify(a.alg, a.public, input, sig); err != nil {
					failed[i] = err
				}
				if jose.Verify(a.alg, a.public, input[1:], sig) == nil {
					failed[i] = fmt.Errorf("%s: accepted", a.name)
				}
				if a.kind != "secret" {
					continue
				}
				token, err := jose.Sign(a.alg, a.private, []byte(`{}`), input)
				if again, _ := jose.Sign(a.alg, a.private, []byte(`{}`), input); err != nil || again != token {
					failed[i] = fmt.Errorf("%s: signed otherwise", a.name)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, make([]error, len(failed)), failed)
}
