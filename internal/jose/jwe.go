package jose

import (
	"bytes"
	"errors"
	"strings"
)

// The two errors of Decrypt. They are returned as they are and hold nothing of the
// token: which check failed would serve whoever tries ciphertexts (RFC 7516
// section 11.5).
var (
	// ErrEncrypted: too large, not five segments, or a header that is refused.
	ErrEncrypted = errors.New("jose: no encrypted token that is accepted")
	// ErrDecrypt is everything after the header: no key of that id, base64url, lengths,
	// the encrypted key, the tag, and a plaintext that is no compact JWS.
	ErrDecrypt = errors.New("jose: token does not decrypt")
)

// MaxDecryptionKeys bounds the keys that one token is tried with, so that it costs a
// few private operations at the most. Of more, the first are tried.
const MaxDecryptionKeys = 8

// LooksEncrypted reports whether a token has the five segments of a compact JWE (RFC
// 7516 section 9). One that is larger than MaxToken looks like nothing.
func LooksEncrypted(token string) bool {
	return len(token) <= MaxToken && strings.Count(token, ".") == 4
}

// Decrypt opens a JWE in compact serialisation that holds a JWS in compact
// serialisation (RFC 7519 section 5.2, cty JWT), and returns that JWS, unverified:
// anyone can encrypt for a public key. It has three segments; ParseCompact refuses
// one without a signature, and one that nests another.
//
// The algorithms are those of the keys, the encryptions those of encs: what is empty
// accepts nothing. A token with a kid is tried with the keys of that ID only, also if
// a key has none. Never accepted: dir, RSA1_5, AES key wrap without agreement, PBES2;
// zip, crit. Claims that the header repeats (RFC 7519 section 5.3) are not read.
func Decrypt(token string, keys []DecryptionKey, encs []string) (nested string, err error) {
	e, err := parseEncrypted(token, keys, encs)
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(MediaType(e.header.contentType), "JWT") {
		return "", ErrEncrypted
	}
	plaintext, ok := e.open(keys)
	if !ok || bytes.Count(plaintext, []byte{'.'}) != 2 {
		return "", ErrDecrypt
	}
	return string(plaintext), nil
}

// encrypted is a JWE, taken apart.
type encrypted struct {
	header     encryptedHeader
	protected  []byte // the first segment as it came: the additional authenticated data
	key, iv    []byte
	ciphertext []byte
	tag        []byte // stands right behind the ciphertext
}

func parseEncrypted(token string, keys []DecryptionKey, encs []string) (*encrypted, error) {
	if !LooksEncrypted(token) {
		return nil, ErrEncrypted
	}
	segments := bytes.Split([]byte(token), []byte{'.'})
	buf := make([]byte, len(token))
	text, err := decodeSegment(buf, segments[0])
	if err != nil {
		return nil, ErrEncrypted
	}
	e := &encrypted{protected: segments[0]}
	if err := e.header.parse(string(text), keys, encs); err != nil {
		return nil, ErrEncrypted
	}
	for i, part := range []*[]byte{&e.key, &e.iv, &e.ciphertext, &e.tag} {
		if *part, err = decodeSegment(buf, segments[i+1]); err != nil {
			return nil, ErrDecrypt
		}
		buf = buf[len(*part):]
	}
	if enc := e.header.enc; len(e.iv) != enc.iv || len(e.tag) != enc.tag {
		return nil, ErrDecrypt
	}
	return e, nil
}

// open tries the keys that the header allows, and opens the content with the first
// that fits.
func (e *encrypted) open(keys []DecryptionKey) (plaintext []byte, ok bool) {
	tried := 0
	for _, k := range keys {
		if k.Alg != e.header.alg.name || e.header.hasKeyID && k.ID != e.header.keyID {
			continue
		}
		if tried++; tried > MaxDecryptionKeys {
			break
		}
		cek, ok := k.unwrap(&e.header, e.key)
		if !ok {
			continue
		}
		if plaintext, ok := e.header.enc.open(cek, e); ok {
			return plaintext, true
		}
	}
	return nil, false
}
