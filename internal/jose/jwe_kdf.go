package jose

import (
	"crypto/sha256"
	"encoding/binary"
)

// concatKDF derives a key of size bytes from an agreed secret: the single-step function
// of NIST SP 800-56A with SHA-256, as RFC 7518 section 4.6.2 uses it. The id is the
// enc where the key is used directly, else the alg.
func concatKDF(secret []byte, id string, apu, apv []byte, size int) []byte {
	info := appendSized(nil, []byte(id))
	info = appendSized(info, apu)
	info = appendSized(info, apv)
	info = binary.BigEndian.AppendUint32(info, uint32(size)*8) // SuppPubInfo; SuppPrivInfo is empty
	key := make([]byte, 0, size+sha256.Size)
	for counter := uint32(1); len(key) < size; counter++ {
		h := sha256.New()
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		h.Write(secret)
		h.Write(info)
		key = h.Sum(key)
	}
	return key[:size]
}

func appendSized(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}
