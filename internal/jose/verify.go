package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// ErrSignature says that a signature is not one of this key over this input.
var ErrSignature = errors.New("jose: signature does not verify")

// Verify checks a signature. The key is bound to the algorithm first (CheckKey),
// so that no key ever serves another algorithm than its own.
func Verify(a Alg, key crypto.PublicKey, input, signature []byte) error {
	if err := CheckKey(a, key); err != nil {
		return err
	}
	if size := algs[a].size; size != 0 && len(signature) != size {
		return ErrSignature
	}
	good := false
	switch algs[a].family {
	case pkcs1:
		var sum [sha512.Size]byte
		digest := digestOf(a, &sum, input)
		good = rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), algs[a].hash, digest, signature) == nil
	case pss:
		// RFC 7518 section 3.5: the salt is as long as the hash, not "any length".
		var sum [sha512.Size]byte
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		digest := digestOf(a, &sum, input)
		good = rsa.VerifyPSS(key.(*rsa.PublicKey), algs[a].hash, digest, signature, opts) == nil
	case ecdsaFixed:
		var sum [sha512.Size]byte
		var der [maxDER]byte
		digest := digestOf(a, &sum, input)
		good = ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), digest, appendDER(der[:0], signature))
	case edwards:
		good = ed25519.Verify(key.(ed25519.PublicKey), input, signature)
	case mac:
		good = key.(*Secret).verify(a, input, signature)
	}
	if !good {
		return ErrSignature
	}
	return nil
}

func digestOf(a Alg, sum *[sha512.Size]byte, input []byte) []byte {
	switch algs[a].hash {
	case crypto.SHA256:
		s := sha256.Sum256(input)
		return sum[:copy(sum[:], s[:])]
	case crypto.SHA384:
		s := sha512.Sum384(input)
		return sum[:copy(sum[:], s[:])]
	default:
		*sum = sha512.Sum512(input)
		return sum[:]
	}
}

// maxDER is the size of two P-521 integers as an ASN.1 sequence.
const maxDER = 3 + 2*(2+66+1)

// appendDER turns the fixed-length R || S of RFC 7518 section 3.4 into the
// ASN.1 form that crypto/ecdsa takes. Zero and too large values are left to it.
func appendDER(dst, rs []byte) []byte {
	half := len(rs) / 2
	r, s := trimZeros(rs[:half]), trimZeros(rs[half:])
	n := derLen(r) + derLen(s)
	dst = append(dst, 0x30)
	if n >= 0x80 {
		dst = append(dst, 0x81)
	}
	dst = append(dst, byte(n))
	return appendInteger(appendInteger(dst, r), s)
}

func trimZeros(b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

func derLen(b []byte) int { return 2 + len(b) + int(b[0]>>7) }

func appendInteger(dst, b []byte) []byte {
	sign := b[0] >> 7 // a leading zero keeps the number positive
	dst = append(dst, 0x02, byte(len(b))+sign)
	if sign == 1 {
		dst = append(dst, 0)
	}
	return append(dst, b...)
}

// Secret is a key of the HS* algorithms. It never shows itself: the bytes live
// inside functions, and every way of printing it says "secret".
type Secret struct {
	size int
	macs [3]sync.Pool // *hmacState, by hash
}

// hmacState is a keyed hash with room for its result, so that a verification
// allocates nothing.
type hmacState struct {
	h   hash.Hash
	sum []byte
}

// NewSecret copies the key. Its length is checked against the algorithm by
// CheckKey; an empty one is refused here.
func NewSecret(key []byte) (*Secret, error) {
	if len(key) == 0 {
		return nil, fmt.Errorf("%w: empty secret", ErrKey)
	}
	key = append([]byte(nil), key...)
	s := &Secret{size: len(key)}
	for i, h := range []func() hash.Hash{sha256.New, sha512.New384, sha512.New} {
		s.macs[i].New = func() any { return &hmacState{h: hmac.New(h, key)} }
	}
	return s, nil
}

// Format keeps the secret out of every fmt verb; slog and JSON see no exported field.
func (s *Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("secret")) }

// mac computes into a pooled state, which the caller gives back with Put.
func (s *Secret) mac(a Alg, input []byte) (*sync.Pool, *hmacState) {
	pool := &s.macs[a-HS256]
	st := pool.Get().(*hmacState)
	st.h.Reset()
	st.h.Write(input)
	st.sum = st.h.Sum(st.sum[:0])
	return pool, st
}

func (s *Secret) verify(a Alg, input, signature []byte) bool {
	pool, st := s.mac(a, input)
	good := hmac.Equal(st.sum, signature)
	pool.Put(st)
	return good
}
