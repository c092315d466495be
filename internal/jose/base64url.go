package jose

import (
	"encoding/base64"
	"encoding/binary"
)

var rawURL = base64.RawURLEncoding.Strict()

// sextets are what each character of base64url stands for, at each of the four places
// of a quantum (RFC 4648 section 5). Others have the bit noSextet.
var sextets = func() (t [4][256]uint32) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for place := range t {
		for c := range t[place] {
			t[place][c] = noSextet
		}
		for v := range len(alphabet) {
			t[place][alphabet[v]] = uint32(v) << (18 - 6*place)
		}
	}
	return t
}()

const noSextet = 1 << 31

// decodeSegment decodes base64url in its one canonical spelling: no padding, no
// other alphabet, no loose trailing bits. dst has room for the result.
//
// Much of what the refusal of a stranger's token costs is spent here. So whole quanta
// are decoded eight characters at a time, and the rest by encoding/base64.
func decodeSegment(dst, src []byte) ([]byte, error) {
	in, out := src, dst
	seen := uint32(0)
	for len(in) >= 16 && len(out) >= 8 { // the rest is never empty, and shorter than 16
		a := sextets[0][in[0]] | sextets[1][in[1]] | sextets[2][in[2]] | sextets[3][in[3]]
		b := sextets[0][in[4]] | sextets[1][in[5]] | sextets[2][in[6]] | sextets[3][in[7]]
		seen |= a | b
		binary.BigEndian.PutUint64(out, uint64(a)<<40|uint64(b&(1<<24-1))<<16)
		in, out = in[8:], out[6:]
	}
	if seen&noSextet != 0 {
		return nil, errEncoding
	}
	// encoding/base64 skips line breaks also in strict mode; a text that held some
	// decodes to fewer bytes.
	n, err := rawURL.Decode(out, in)
	if err != nil || len(in)%4 == 1 || n != rawURL.DecodedLen(len(in)) {
		return nil, errEncoding
	}
	return dst[:len(dst)-len(out)+n], nil
}
