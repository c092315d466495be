package jose

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"encoding/binary"
)

// contentEnc is a content encryption of RFC 7518 section 5.1. Sizes are in bytes.
type contentEnc struct {
	name         string
	key, iv, tag int
	mac          crypto.Hash // 0: GCM
}

var contentEncs = [...]contentEnc{
	{"A128GCM", 16, 12, 16, 0},
	{"A256GCM", 32, 12, 16, 0},
	{"A128CBC-HS256", 32, 16, 16, crypto.SHA256},
	{"A256CBC-HS512", 64, 16, 32, crypto.SHA512},
}

func findContentEnc(name string) *contentEnc {
	for i := range contentEncs {
		if contentEncs[i].name == name {
			return &contentEncs[i]
		}
	}
	return nil
}

// open decrypts the content with a key of the right size. The sizes of IV and tag
// were checked; e stays as it is, so that another key can be tried.
func (c *contentEnc) open(cek []byte, e *encrypted) (plaintext []byte, ok bool) {
	if c.mac != 0 {
		return c.openCBC(cek, e)
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, false
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, false
	}
	sealed := e.ciphertext[:len(e.ciphertext)+len(e.tag)]
	plaintext, err = gcm.Open(nil, e.iv, sealed, e.protected)
	return plaintext, err == nil
}

// openCBC is RFC 7518 section 5.2.2.2: nothing is decrypted before the tag was good,
// so that padding tells nobody anything.
func (c *contentEnc) openCBC(cek []byte, e *encrypted) (plaintext []byte, ok bool) {
	half := len(cek) / 2
	mac := hmac.New(c.mac.New, cek[:half])
	mac.Write(e.protected)
	mac.Write(e.iv)
	mac.Write(e.ciphertext)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(e.protected))*8))
	if !hmac.Equal(mac.Sum(nil)[:half], e.tag) {
		return nil, false
	}
	n := len(e.ciphertext)
	if n == 0 || n%aes.BlockSize != 0 {
		return nil, false
	}
	block, err := aes.NewCipher(cek[half:])
	if err != nil {
		return nil, false
	}
	plaintext = make([]byte, n)
	cipher.NewCBCDecrypter(block, e.iv).CryptBlocks(plaintext, e.ciphertext)
	padding := int(plaintext[n-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, false
	}
	for _, b := range plaintext[n-padding:] {
		if int(b) != padding {
			return nil, false
		}
	}
	return plaintext[:n-padding], true
}
