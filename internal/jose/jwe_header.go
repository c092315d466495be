package jose

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"slices"
)

// errEncryptedHeader stays inside: Decrypt says ErrEncrypted.
var errEncryptedHeader = errors.New("jose: header of an encrypted token")

// maxPartyInfo bounds apu and apv, in bytes.
const maxPartyInfo = 512

var encryptedLimits = func() Limits {
	lim := headerLimits
	lim.Reserved = Reserve(append(slices.Clone(lim.Reserved.names), "epk", "apu", "apv", "iv", "tag", "p2s", "p2c")...)
	return lim
}()

// encryptedHeader is what is read of a JOSE header of a JWE (RFC 7516 section 4, RFC
// 7518 sections 4.6 to 4.8).
type encryptedHeader struct {
	alg         *keyAlg
	enc         *contentEnc
	keyID       string
	hasKeyID    bool
	contentType string
	epk         *ecdh.PublicKey // with ECDH-ES only
	apu, apv    []byte
}

// parse reads the header. The algorithms are held against what is allowed before
// anything is computed.
func (h *encryptedHeader) parse(text string, keys []DecryptionKey, encs []string) error {
	o, err := ParseObject(text, encryptedLimits)
	if err != nil {
		return err
	}
	var alg, enc, epk, apu, apv string
	for i := range o.members {
		ok := true
		switch o.name(i) {
		case "alg":
			alg, ok = o.textAt(i)
		case "enc":
			enc, ok = o.textAt(i)
		case "kid":
			h.keyID, ok = o.keyID(i)
			h.hasKeyID = true
		case "x5t", "x5t#S256":
			_, ok = o.keyID(i) // no key is found by it
		case "typ":
			_, ok = o.textAt(i)
		case "cty":
			h.contentType, ok = o.textAt(i)
		case "epk":
			epk = o.raw(i)
		case "apu":
			apu, ok = o.textAt(i)
		case "apv":
			apv, ok = o.textAt(i)
		case "zip", "crit", "b64", "iv", "tag", "p2s", "p2c":
			// Nothing is inflated (RFC 8725 section 3.6), no extension is understood, and
			// the others belong to algorithms that are not known here.
			ok = false
		}
		if !ok {
			return errEncryptedHeader
		}
	}
	if h.alg = findKeyAlg(alg); h.alg == nil || !slices.ContainsFunc(keys, func(k DecryptionKey) bool { return k.Alg == alg }) {
		return errEncryptedHeader
	}
	if h.enc = findContentEnc(enc); h.enc == nil || !slices.Contains(encs, enc) {
		return errEncryptedHeader
	}
	if h.alg.oaep != 0 {
		if epk != "" || apu != "" || apv != "" {
			return errEncryptedHeader
		}
		return nil
	}
	if h.apu, err = partyInfo(apu); err != nil {
		return err
	}
	if h.apv, err = partyInfo(apv); err != nil {
		return err
	}
	h.epk, err = ephemeralKey(epk)
	return err
}

func partyInfo(text string) ([]byte, error) {
	b, err := decodeSegment(make([]byte, rawURL.DecodedLen(len(text))), []byte(text))
	if err != nil || len(b) > maxPartyInfo {
		return nil, errEncryptedHeader
	}
	return b, nil
}

// ephemeralKey reads epk (RFC 7518 section 4.6.1.1): a public key alone. That its
// point lies on the curve is checked by crypto/ecdh; that it is the curve of the
// recipient's key, too, when they agree.
func ephemeralKey(raw string) (*ecdh.PublicKey, error) {
	o, err := ParseObject(raw, keyLimits)
	if err != nil || o.Has("d") {
		return nil, errEncryptedHeader
	}
	kty, _ := o.Text("kty")
	crv, _ := o.Text("crv")
	var curve ecdh.Curve
	var size int
	names := []string{"x", "y"}
	switch kty + " " + crv {
	case "EC P-256":
		curve, size = ecdh.P256(), 32
	case "EC P-384":
		curve, size = ecdh.P384(), 48
	case "EC P-521":
		curve, size = ecdh.P521(), 66
	case "OKP X25519":
		curve, size, names = ecdh.X25519(), 32, names[:1]
	default:
		return nil, errEncryptedHeader
	}
	var point []byte
	if len(names) == 2 {
		point = append(point, 4) // uncompressed
	}
	for _, name := range names {
		coordinate, err := octets(o, name)
		if err != nil || len(coordinate) != size {
			return nil, errEncryptedHeader
		}
		point = append(point, coordinate...)
	}
	key, err := curve.NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEncryptedHeader, err)
	}
	return key, nil
}
