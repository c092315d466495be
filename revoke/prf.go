package revoke

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// prf makes the fingerprints of one namespace secret: AES-CMAC (RFC 4493), as HMAC
// would cost a check more than all the rest of it. Nobody without the secret can
// tell what a fingerprint is of, or make two that collide.
type prf struct {
	block  cipher.Block
	k1, k2 [16]byte
	mac    *prf // for the MACs of records
}

func newPRF(secret []byte) *prf {
	derive := func(label string) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("gatehouse revoke 1 " + label))
		return h.Sum(nil)
	}
	p := cmac(derive("fingerprint")[:16])
	p.mac = cmac(derive("record")[:16])
	return p
}

// cmac makes the subkeys of RFC 4493 section 2.3. The key has 16 bytes.
func cmac(key []byte) *prf {
	block, _ := aes.NewCipher(key) // it has the right length
	p := &prf{block: block}
	block.Encrypt(p.k1[:], p.k1[:])
	double(&p.k1)
	p.k2 = p.k1
	double(&p.k2)
	return p
}

// double multiplies in the field of RFC 4493 section 2.3.
func double(b *[16]byte) {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	carry := hi >> 63
	binary.BigEndian.PutUint64(b[:8], hi<<1|lo>>63)
	binary.BigEndian.PutUint64(b[8:], lo<<1^carry*0x87)
}

// scratch is what a check writes to. It is pooled: what an interface is given
// would otherwise be allocated.
type scratch struct {
	state [16]byte
	msg   []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{msg: make([]byte, 0, 256)} }}

// maxScratch is how much a pooled scratch may hold on to.
const maxScratch = 16 << 10

func (s *scratch) release() {
	if cap(s.msg) <= maxScratch {
		scratches.Put(s)
	}
}

// prefix is the state after whole blocks that many messages begin with.
func (p *prf) prefix(msg []byte) [16]byte {
	s := &scratch{msg: pad(msg)}
	p.absorb(s, len(s.msg))
	return s.state
}

// pad fills up the last block. Messages here tell their lengths, so that no two of
// them become the same.
func pad(msg []byte) []byte {
	for len(msg)%16 != 0 {
		msg = append(msg, 0)
	}
	return msg
}

func (p *prf) absorb(s *scratch, n int) {
	for i := 0; i < n; i += 16 {
		xor(&s.state, (*[16]byte)(s.msg[i:]))
		p.block.Encrypt(s.state[:], s.state[:])
	}
}

func xor(a, b *[16]byte) {
	binary.NativeEndian.PutUint64(a[:8], binary.NativeEndian.Uint64(a[:8])^binary.NativeEndian.Uint64(b[:8]))
	binary.NativeEndian.PutUint64(a[8:], binary.NativeEndian.Uint64(a[8:])^binary.NativeEndian.Uint64(b[8:]))
}

// sum is the CMAC of a prefix and s.msg, which is not empty, in s.state.
func (p *prf) sum(s *scratch, prefix *[16]byte) {
	s.state = *prefix
	whole := (len(s.msg) - 1) / 16 * 16
	p.absorb(s, whole)
	var last [16]byte
	n := copy(last[:], s.msg[whole:])
	if n < 16 {
		last[n] = 0x80
		xor(&last, &p.k2)
	} else {
		xor(&last, &p.k1)
	}
	xor(&s.state, &last)
	p.block.Encrypt(s.state[:], s.state[:])
}

// fingerprint is the first half of the sum, but neither of the two values that mean
// something else in a table.
func (p *prf) fingerprint(s *scratch, prefix *[16]byte) uint64 {
	p.sum(s, prefix)
	return max(binary.BigEndian.Uint64(s.state[:8]), gone+1)
}

func randomSecret() []byte {
	secret := make([]byte, minSecret)
	_, _ = rand.Read(secret) // it never fails
	return secret
}
