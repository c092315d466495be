package jose

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
)

// unwrapKey is the AES key unwrap of RFC 3394 section 2.2.2, with its default initial
// value. What was wrapped has at least two blocks of eight bytes.
func unwrapKey(kek, wrapped []byte) (key []byte, ok bool) {
	block, err := aes.NewCipher(kek)
	if err != nil || len(wrapped) < 24 || len(wrapped)%8 != 0 {
		return nil, false
	}
	key = make([]byte, len(wrapped)-8)
	copy(key, wrapped[8:])
	var b [aes.BlockSize]byte // A, and the R at hand
	copy(b[:8], wrapped)
	n := len(key) / 8
	for t := 6 * n; t > 0; t-- {
		r := key[(t-1)%n*8:][:8]
		copy(b[8:], r)
		binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(t))
		block.Decrypt(b[:], b[:])
		copy(r, b[8:])
	}
	initial := [8]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}
	return key, subtle.ConstantTimeCompare(b[:8], initial[:]) == 1
}
