package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// The keys that RFC 7515 and RFC 8037 print.
const (
	rsaN  = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
	p256X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
	p256Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
	p521X = "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk"
	p521Y = "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"
	edX   = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

	rsaKey  = `"kty":"RSA","e":"AQAB","n":"` + rsaN + `"`
	ecKey   = `"kty":"EC","crv":"P-256","x":"` + p256X + `","y":"` + p256Y + `"`
	p521Key = `"kty":"EC","crv":"P-521","x":"` + p521X + `","y":"` + p521Y + `"`
	edKey   = `"kty":"OKP","crv":"Ed25519","x":"` + edX + `"`
	octKey  = `"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"`
)

func bits(n int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(n)) }

// rsaJWK is an RSA key of any numbers, with leading zeros.
func rsaJWK(n *big.Int, zerosN int, e *big.Int, zerosE int) string {
	pad := func(v *big.Int, zeros int) string { return encode(strings.Repeat("\x00", zeros) + string(v.Bytes())) }
	return `{"kty":"RSA","n":"` + pad(n, zerosN) + `","e":"` + pad(e, zerosE) + `"}`
}

func ecJWK(crv string, x, y []byte) string {
	return `{"kty":"EC","crv":"` + crv + `","x":"` + encode(string(x)) + `","y":"` + encode(string(y)) + `"}`
}

func edJWK(x []byte) string {
	return `{"kty":"OKP","crv":"Ed25519","x":"` + encode(string(x)) + `"}`
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	var b []byte
	for len(text) > 0 { // by hand: the package under test has its own
		n := min(4, len(text))
		var v uint32
		for i := range 4 {
			v <<= 6
			if i < n {
				k := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text[i])
				require.GreaterOrEqual(t, k, 0)
				v |= uint32(k)
			}
		}
		b = append(b, []byte{byte(v >> 16), byte(v >> 8), byte(v)}[:n-1]...)
		text = text[n:]
	}
	return b
}

func TestParseJWK(t *testing.T) {
	t.Parallel()
	x, y := decode(t, p256X), decode(t, p256Y)
	x521, y521 := decode(t, p521X), decode(t, p521Y)
	n := new(big.Int).SetBytes(decode(t, rsaN))
	f4 := big.NewInt(65537)
	k := makeKeys()
	point := func(key *ecdsa.PrivateKey) (px, py []byte) {
		b, err := key.PublicKey.Bytes()
		require.NoError(t, err)
		return b[1 : 1+len(b)/2], b[1+len(b)/2:]
	}
	x384, y384 := point(k.p384)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	x224, y224 := point(p224)
	prime := elliptic.P256().Params().P
	cat := slices.Concat[[]byte]
	zero := []byte{0}
	little := func(y *big.Int) []byte {
		b := y.FillBytes(make([]byte, 32))
		slices.Reverse(b)
		return b
	}
	p25519 := new(big.Int).Sub(bits(255), big.NewInt(19))
	value, private, use, kind, unusable := jose.ErrKeyValue, jose.ErrKeyPrivate, jose.ErrKeyUse, jose.ErrKeyType, jose.ErrKey

	tests := []struct {
		name, text string
		err        error
	}{
		{"RSA", `{` + rsaKey + `}`, nil},
		{"P-256", `{` + ecKey + `}`, nil},
		{"P-384", ecJWK("P-384", x384, y384), nil},
		{"P-521", `{` + p521Key + `}`, nil},
		{"Ed25519", `{` + edKey + `}`, nil},

		// The document.
		{"nothing", ``, value},
		{"null", `null`, value},
		{"array", `[{` + ecKey + `}]`, value},
		{"trailing data", `{` + ecKey + `}{}`, value},
		{"kty twice", `{"kty":"RSA",` + ecKey + `}`, value},
		{"x twice", `{` + ecKey + `,"x":"` + p256X + `"}`, value},
		{"x twice, escaped", `{` + ecKey + `,"\u0078":"` + p256X + `"}`, value},
		{"unknown member twice", `{` + ecKey + `,"z":1,"z":1}`, value},
		{"twice in a nested object", `{` + ecKey + `,"z":{"a":1,"a":2}}`, value},
		{"Kty", `{"Kty":"EC",` + ecKey + `}`, value},
		{"Kty alone", `{"Kty":"EC","crv":"P-256","x":"` + p256X + `","y":"` + p256Y + `"}`, value},
		{"CRV", `{` + ecKey + `,"CRV":"P-384"}`, value},
		{"X", `{` + ecKey + `,"X":"AA"}`, value},
		{"Y", `{` + ecKey + `,"Y":"AA"}`, value},
		{"N", `{` + rsaKey + `,"N":"AA"}`, value},
		{"E", `{` + rsaKey + `,"E":"Aw"}`, value},
		{"D", `{` + ecKey + `,"D":"AA"}`, value},
		{"K, Kelvin sign", `{` + ecKey + `,"` + "\u212a" + `":"AA"}`, value},
		{"USE", `{` + ecKey + `,"USE":"enc"}`, value},
		{"u, long s, e", `{` + ecKey + `,"u` + "\u017f" + `e":"enc"}`, value},
		{"Key_ops", `{` + ecKey + `,"Key_ops":["encrypt"]}`, value},
		{"ALG", `{` + ecKey + `,"ALG":"none"}`, value},
		{"Kid", `{` + ecKey + `,"Kid":"k"}`, value},
		{"X5t", `{` + ecKey + `,"X5t":"k"}`, value},
		{"x5t#s256", `{` + ecKey + `,"x5t#s256":"k"}`, value},
		{"invalid UTF-8", `{` + ecKey + `,"kid":"` + "\xff" + `"}`, value},
		{"lone surrogate", `{` + ecKey + `,"kid":"\udc00"}`, value},
		{"8 deep", `{` + ecKey + `,"a":[[[[[[[]]]]]]]}`, nil},
		{"9 deep", `{` + ecKey + `,"a":[[[[[[[[]]]]]]]]}`, value},
		{"512 values", `{` + ecKey + `,"a":[0` + strings.Repeat(",0", 506) + `]}`, nil},
		{"513 values", `{` + ecKey + `,"a":[0` + strings.Repeat(",0", 507) + `]}`, value},
		{"64 KiB", `{` + ecKey + `,"a":"` + strings.Repeat("a", 64<<10-len(`{`+ecKey+`,"a":""}`)) + `"}`, nil},
		{"64 KiB and a byte", `{` + ecKey + `,"a":"` + strings.Repeat("a", 64<<10-len(`{`+ecKey+`,"a":""}`)+1) + `"}`, value},
		{"unknown members and x5c, x5u", `{` + ecKey + `,"x5c":["AAAA",1],"x5u":"file:///etc/passwd","foo":{"d":1},"nbf":1}`, nil},

		// Private and symmetric members, of whatever type and kty.
		{"d of EC", `{` + ecKey + `,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`, private},
		{"d of OKP", `{` + edKey + `,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`, private},
		{"d null", `{` + ecKey + `,"d":null}`, private},
		{"d empty", `{` + ecKey + `,"d":""}`, private},
		{"d, escaped name", `{` + ecKey + `,"\u0064":"AA"}`, private},
		{"d of RSA", `{` + rsaKey + `,"d":"AQAB"}`, private},
		{"p", `{` + rsaKey + `,"p":"AQAB"}`, private},
		{"q", `{` + rsaKey + `,"q":"AQAB"}`, private},
		{"dp", `{` + rsaKey + `,"dp":"AQAB"}`, private},
		{"dq", `{` + rsaKey + `,"dq":"AQAB"}`, private},
		{"qi", `{` + rsaKey + `,"qi":"AQAB"}`, private},
		{"oth", `{` + rsaKey + `,"oth":[]}`, private},
		{"k beside a public key", `{` + rsaKey + `,"k":"AQAB"}`, private},
		{"priv of AKP", `{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","priv":"AA"}`, private},
		{"oct", `{` + octKey + `}`, private}, // never from a document (RFC 8725 section 3.1, A13)
		{"oct with alg HS256", `{` + octKey + `,"alg":"HS256"}`, private},
		{"oct without k", `{"kty":"oct"}`, kind},

		// kty and crv.
		{"no kty", `{"crv":"P-256","x":"` + p256X + `","y":"` + p256Y + `"}`, kind},
		{"kty null", `{"kty":null,"n":"` + rsaN + `","e":"AQAB"}`, kind},
		{"kty array", `{"kty":["RSA"],"n":"` + rsaN + `","e":"AQAB"}`, kind},
		{"kty rsa", `{"kty":"rsa","n":"` + rsaN + `","e":"AQAB"}`, kind},
		{"kty ec", `{"kty":"ec","crv":"P-256","x":"` + p256X + `","y":"` + p256Y + `"}`, kind},
		{"kty AKP", `{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}`, kind},
		{"kty OKP for EC", `{"kty":"OKP","crv":"P-256","x":"` + p256X + `","y":"` + p256Y + `"}`, kind},
		{"kty EC for Ed25519", `{"kty":"EC","crv":"Ed25519","x":"` + edX + `","y":"` + edX + `"}`, kind},
		{"no crv", `{"kty":"EC","x":"` + p256X + `","y":"` + p256Y + `"}`, kind},
		{"no crv of OKP", `{"kty":"OKP","x":"` + edX + `"}`, kind},
		{"crv number", `{"kty":"EC","crv":256,"x":"` + p256X + `","y":"` + p256Y + `"}`, kind},
		{"crv P256", `{"kty":"EC","crv":"P256","x":"` + p256X + `","y":"` + p256Y + `"}`, kind},
		{"crv p-256", `{"kty":"EC","crv":"p-256","x":"` + p256X + `","y":"` + p256Y + `"}`, kind},
		{"crv secp256k1", ecJWK("secp256k1", x, y), kind},
		{"crv P-224", ecJWK("P-224", x224, y224), kind},
		{"crv X25519", `{"kty":"OKP","crv":"X25519","x":"` + edX + `"}`, kind},
		{"crv Ed448", `{"kty":"OKP","crv":"Ed448","x":"` + encode(strings.Repeat("a", 57)) + `"}`, kind},
		{"crv ed25519", `{"kty":"OKP","crv":"ed25519","x":"` + edX + `"}`, kind},

		// Missing members, of another type, or spelt otherwise.
		{"no n", `{"kty":"RSA","e":"AQAB"}`, value},
		{"no e", `{"kty":"RSA","n":"` + rsaN + `"}`, value},
		{"no x", `{"kty":"EC","crv":"P-256","y":"` + p256Y + `"}`, value},
		{"no y", `{"kty":"EC","crv":"P-256","x":"` + p256X + `"}`, value},
		{"no x of OKP", `{"kty":"OKP","crv":"Ed25519"}`, value},
		{"n number", `{"kty":"RSA","e":"AQAB","n":65537}`, value},
		{"e number", `{"kty":"RSA","e":65537,"n":"` + rsaN + `"}`, value},
		{"e null", `{"kty":"RSA","e":null,"n":"` + rsaN + `"}`, value},
		{"e empty", `{"kty":"RSA","e":"","n":"` + rsaN + `"}`, value},
		{"n empty", `{"kty":"RSA","e":"AQAB","n":""}`, value},
		{"x array", `{"kty":"EC","crv":"P-256","x":["` + p256X + `"],"y":"` + p256Y + `"}`, value},
		{"x padded", `{"kty":"EC","crv":"P-256","x":"` + p256X + `=","y":"` + p256Y + `"}`, value},
		{"y with a line feed", `{"kty":"EC","crv":"P-256","x":"` + p256X + `","y":"` + p256Y + `\n"}`, value},
		{"y with line feeds inside", `{"kty":"EC","crv":"P-256","x":"` + p256X + `","y":"x_FEzRu9m36HLN_tue659LNp\nXW6pCyStikYjKIWI5a0"}`, value},
		{"y in the standard alphabet", `{"kty":"EC","crv":"P-256","x":"` + p256X + `","y":"x/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0"}`, value},
		{"x with loose bits", `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV","y":"` + p256Y + `"}`, value},
		{"x with a space", `{"kty":"OKP","crv":"Ed25519","x":" ` + edX + `"}`, value},
		{"x in hexadecimal", `{"kty":"OKP","crv":"Ed25519","x":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}`, unusable},
		{"e with a letter left over", `{"kty":"RSA","e":"AQABA","n":"` + rsaN + `"}`, value},

		// RSA numbers.
		{"1024 bits", rsaJWK(new(big.Int).Add(bits(1023), big.NewInt(1)), 0, f4, 0), unusable},
		{"2047 bits", rsaJWK(new(big.Int).Add(bits(2046), big.NewInt(1)), 0, f4, 0), unusable},
		{"2047 bits and zeros", rsaJWK(new(big.Int).Add(bits(2046), big.NewInt(1)), 100, f4, 0), unusable},
		{"2048 bits", rsaJWK(new(big.Int).Add(bits(2047), big.NewInt(1)), 0, f4, 0), nil},
		{"8192 bits", rsaJWK(new(big.Int).Add(bits(8191), big.NewInt(1)), 0, f4, 0), nil},
		{"8192 bits and a zero", rsaJWK(new(big.Int).Add(bits(8191), big.NewInt(1)), 1, f4, 0), nil},
		{"8192 bits and two zeros", rsaJWK(new(big.Int).Add(bits(8191), big.NewInt(1)), 2, f4, 0), value},
		{"8193 bits", rsaJWK(new(big.Int).Add(bits(8192), big.NewInt(1)), 0, f4, 0), unusable},
		{"300 000 bits", rsaJWK(new(big.Int).Add(bits(300000), big.NewInt(1)), 0, f4, 0), value},
		{"modulus 0", rsaJWK(new(big.Int), 256, f4, 0), unusable},
		{"modulus even", rsaJWK(bits(2047), 0, f4, 0), unusable},
		{"e = 0", rsaJWK(n, 0, new(big.Int), 1), unusable},
		{"e = 1", rsaJWK(n, 0, big.NewInt(1), 0), unusable},
		{"e = 2", rsaJWK(n, 0, big.NewInt(2), 0), unusable},
		{"e = 3", rsaJWK(n, 0, big.NewInt(3), 0), nil},
		{"e = 65536", rsaJWK(n, 0, big.NewInt(65536), 0), unusable},
		{"e = 2^31-1", rsaJWK(n, 0, big.NewInt(1<<31-1), 0), nil},
		{"e = 2^31+1", rsaJWK(n, 0, big.NewInt(1<<31+1), 0), value},
		{"e = 2^32+65537", rsaJWK(n, 0, new(big.Int).Add(bits(32), f4), 0), value},
		{"e = 2^64+65537", rsaJWK(n, 0, new(big.Int).Add(bits(64), f4), 0), value}, // must not be read as 65537
		{"e = 2^63+65537", rsaJWK(n, 0, new(big.Int).Add(bits(63), f4), 0), value}, // nor as a negative number
		{"e = n", rsaJWK(n, 0, n, 0), value},
		{"leading zero in n", rsaJWK(n, 1, f4, 0), nil},
		{"leading zeros in e", rsaJWK(n, 0, f4, 1), nil},

		// EC points.
		{"x of 31 bytes", ecJWK("P-256", x[:31], y), value},
		{"x of 33 bytes", ecJWK("P-256", cat(zero, x), y), value}, // RFC 7518 section 6.2.1.2: exactly the full length
		{"y of 31 bytes", ecJWK("P-256", x, y[1:]), value},
		{"y of 33 bytes", ecJWK("P-256", x, cat(zero, y)), value},
		{"y with a zero behind", ecJWK("P-256", x, cat(y, zero)), value},
		{"both padded", ecJWK("P-256", cat(zero, x), cat(zero, y)), value},
		{"31 and 33 bytes, together a point", ecJWK("P-256", x[:31], cat(x[31:], y)), value},
		{"33 and 31 bytes, together a point", ecJWK("P-256", cat(x, y[:1]), y[1:]), value},
		{"compressed", ecJWK("P-256", cat([]byte{3}, x), nil), value},
		{"x uncompressed", ecJWK("P-256", cat([]byte{4}, x, y), y), value},
		{"65 bytes of P-521", ecJWK("P-521", x521[1:], y521), value},
		{"67 bytes of P-521", ecJWK("P-521", cat(zero, x521), y521), value},
		{"48 bytes of P-521", ecJWK("P-521", x384, y384), value},
		{"32 bytes of P-384", ecJWK("P-384", x, y), value},
		{"48 bytes of P-256", ecJWK("P-256", x384, y384), value},
		{"off the curve, y", ecJWK("P-256", x, cat(y[:31], []byte{y[31] ^ 1})), value},
		{"off the curve, x", ecJWK("P-256", cat(x[:31], []byte{x[31] ^ 1}), y), value},
		{"off the curve, swapped", ecJWK("P-256", y, x), value},
		{"other point of that x", ecJWK("P-256", x, new(big.Int).Sub(prime, new(big.Int).SetBytes(y)).FillBytes(make([]byte, 32))), nil},
		{"0, 0", ecJWK("P-256", make([]byte, 32), make([]byte, 32)), value},
		{"x = prime", ecJWK("P-256", prime.Bytes(), y), value},
		{"all ones", ecJWK("P-256", bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0xff}, 32)), value},
		{"off the curve, P-384", ecJWK("P-384", y384, x384), value},
		{"off the curve, P-521", ecJWK("P-521", y521, x521), value},
		{"P-521 with bits above the prime", ecJWK("P-521", cat([]byte{x521[0] | 0x80}, x521[1:]), y521), value},

		// Edwards points (RFC 8032 section 5.1.3).
		{"31 bytes", edJWK(decode(t, edX)[:31]), unusable},
		{"33 bytes", edJWK(cat(decode(t, edX), zero)), unusable},
		{"64 bytes", edJWK(cat(decode(t, edX), decode(t, edX))), unusable},
		{"y = 3", edJWK(little(big.NewInt(3))), nil},
		{"y = 3, other sign", edJWK(little(new(big.Int).Add(bits(255), big.NewInt(3)))), nil},
		{"y = 2, no point", edJWK(little(big.NewInt(2))), value},
		{"y = 7, no point, other sign", edJWK(little(new(big.Int).Add(bits(255), big.NewInt(7)))), value},
		{"y = p+3, read as 3", edJWK(little(new(big.Int).Add(p25519, big.NewInt(3)))), value},
		{"y = p+18", edJWK(little(new(big.Int).Add(p25519, big.NewInt(18)))), value},
		{"y = p+4, other sign", edJWK(little(new(big.Int).Add(p25519, new(big.Int).Add(bits(255), big.NewInt(4))))), value},
		{"y = p-2, no point", edJWK(little(new(big.Int).Sub(p25519, big.NewInt(2)))), value},
		{"y = p-3", edJWK(little(new(big.Int).Sub(p25519, big.NewInt(3)))), nil},
		{"an Ed25519 key with y", `{` + edKey + `,"y":"` + edX + `"}`, nil}, // unknown to it

		// use, key_ops and alg, and how they go together.
		{"use sig", `{` + ecKey + `,"use":"sig"}`, nil},
		{"use enc", `{` + rsaKey + `,"use":"enc"}`, use},
		{"use SIG", `{` + ecKey + `,"use":"SIG"}`, use},
		{"use empty", `{` + ecKey + `,"use":""}`, use},
		{"use null", `{` + ecKey + `,"use":null}`, value},
		{"use array", `{` + ecKey + `,"use":["sig"]}`, value},
		{"key_ops verify", `{` + ecKey + `,"key_ops":["verify"]}`, nil},
		{"key_ops sign, verify", `{` + ecKey + `,"key_ops":["sign","verify"]}`, nil},
		{"key_ops verify and an unknown one", `{` + ecKey + `,"key_ops":["x","verify"]}`, nil},
		{"key_ops empty", `{` + ecKey + `,"key_ops":[]}`, use},
		{"key_ops sign", `{` + ecKey + `,"key_ops":["sign"]}`, use},
		{"key_ops Verify", `{` + ecKey + `,"key_ops":["Verify"]}`, use},
		{"key_ops text", `{` + ecKey + `,"key_ops":"verify"}`, use},
		{"key_ops null", `{` + ecKey + `,"key_ops":null}`, use},
		{"key_ops object", `{` + ecKey + `,"key_ops":{"verify":true}}`, use},
		{"key_ops twice the same", `{` + ecKey + `,"key_ops":["verify","verify"]}`, use}, // RFC 7517 section 4.3
		{"key_ops twice another", `{` + ecKey + `,"key_ops":["verify","a","a"]}`, use},
		{"key_ops with a number", `{` + ecKey + `,"key_ops":["verify",1]}`, use},
		{"key_ops with an array", `{` + ecKey + `,"key_ops":[["verify"],["verify"],"verify"]}`, use},
		{"use sig, key_ops encrypt", `{` + rsaKey + `,"use":"sig","key_ops":["encrypt"]}`, use},
		{"use enc, key_ops verify", `{` + rsaKey + `,"use":"enc","key_ops":["verify"]}`, use},
		{"use sig, key_ops verify, alg", `{` + rsaKey + `,"use":"sig","key_ops":["verify"],"alg":"PS384"}`, nil},
		{"alg of another key type", `{` + ecKey + `,"alg":"RS256"}`, unusable},
		{"alg of another curve", `{` + ecKey + `,"alg":"ES384"}`, unusable},
		{"alg ES512 of P-521", `{` + p521Key + `,"alg":"ES512"}`, nil},
		{"alg EdDSA", `{` + edKey + `,"alg":"EdDSA"}`, nil},
		{"alg Ed25519", `{` + edKey + `,"alg":"Ed25519"}`, nil},
		{"alg HS256 on a public key", `{` + rsaKey + `,"alg":"HS256"}`, unusable},
		{"alg RSA-OAEP", `{` + rsaKey + `,"alg":"RSA-OAEP"}`, use},
		{"alg ECDH-ES", `{` + ecKey + `,"alg":"ECDH-ES"}`, use},
		{"alg none", `{` + ecKey + `,"alg":"none"}`, use},
		{"alg es256", `{` + ecKey + `,"alg":"es256"}`, use},
		{"alg empty", `{` + ecKey + `,"alg":""}`, use},
		{"alg null", `{` + ecKey + `,"alg":null}`, value},
		{"alg array", `{` + ecKey + `,"alg":["ES256"]}`, value},

		// Ids.
		{"kid number", `{` + ecKey + `,"kid":1}`, value},
		{"kid null", `{` + ecKey + `,"kid":null}`, value},
		{"kid array", `{` + ecKey + `,"kid":["k"]}`, value},
		{"kid object", `{` + ecKey + `,"kid":{}}`, value},
		{"kid empty", `{` + ecKey + `,"kid":""}`, nil}, // no token can name it
		{"kid of 512 bytes", `{` + ecKey + `,"kid":"` + strings.Repeat("k", 512) + `"}`, nil},
		{"kid of 513 bytes", `{` + ecKey + `,"kid":"` + strings.Repeat("k", 513) + `"}`, value},
		{"x5t number", `{` + ecKey + `,"x5t":1}`, value},
		{"x5t of 513 bytes", `{` + ecKey + `,"x5t":"` + strings.Repeat("k", 513) + `"}`, value},
		{"x5t#S256 number", `{` + ecKey + `,"x5t#S256":1}`, value},
		{"issuer number", `{` + ecKey + `,"issuer":1}`, value},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := jose.ParseJWK(tt.text)
			if tt.err == nil {
				require.NoError(t, err)
				requireRoundTrip(t, key)
				return
			}
			require.Nil(t, key)
			require.ErrorIs(t, err, tt.err)
			require.ErrorIs(t, err, jose.ErrKey)
			for _, other := range []error{value, private, use, kind} {
				if other != tt.err {
					require.NotErrorIs(t, err, other)
				}
			}
		})
	}
}

// requireRoundTrip: a key that is used is published as itself.
func requireRoundTrip(t require.TestingT, key *jose.JWK) {
	text, err := jose.MarshalJWK(key.Key, key.KeyID, key.Alg)
	require.NoError(t, err)
	again, err := jose.ParseJWK(string(text))
	require.NoError(t, err)
	require.True(t, again.Key.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Key))
	require.Equal(t, key.KeyID, again.KeyID)
	require.Equal(t, key.Alg, again.Alg)
	fits := 0
	for a := range jose.AlgCount {
		require.Equal(t, key.Fits(a), again.Fits(a))
		if key.Fits(a) {
			require.NoError(t, jose.CheckKey(a, key.Key))
			require.False(t, a.Symmetric())
			fits++
		}
	}
	require.NotZero(t, fits)
	first, err := jose.Thumbprint(key.Key)
	require.NoError(t, err)
	second, err := jose.Thumbprint(again.Key)
	require.NoError(t, err)
	require.Equal(t, first, second)
}

func TestParseJWKMembers(t *testing.T) {
	t.Parallel()
	key, err := jose.ParseJWK(`{` + ecKey + `,"kid":"k\u0031","x5t":"t","x5t#S256":"s","issuer":"https://login.example/tid/v2.0","alg":"ES256","use":"sig"}`)
	require.NoError(t, err)
	public := key.Key.(*ecdsa.PublicKey)
	require.Equal(t, elliptic.P256(), public.Curve)
	point, err := public.Bytes()
	require.NoError(t, err)
	require.Equal(t, slices.Concat([]byte{4}, decode(t, p256X), decode(t, p256Y)), point)
	require.Equal(t, &jose.JWK{Key: public, Alg: jose.ES256, KeyID: "k1", X5T: "t", X5TS256: "s", Issuer: "https://login.example/tid/v2.0"}, key)

	key, err = jose.ParseJWK(`{` + rsaKey + `}`)
	require.NoError(t, err)
	require.Equal(t, &jose.JWK{Key: &rsa.PublicKey{N: new(big.Int).SetBytes(decode(t, rsaN)), E: 65537}}, key)

	key, err = jose.ParseJWK(`{` + edKey + `}`)
	require.NoError(t, err)
	require.Equal(t, &jose.JWK{Key: ed25519.PublicKey(decode(t, edX))}, key)
}

// TestParseJWKLeadingZeros: another spelling of the same numbers is the same key.
func TestParseJWKLeadingZeros(t *testing.T) {
	t.Parallel()
	n := new(big.Int).SetBytes(decode(t, rsaN))
	plain, err := jose.ParseJWK(`{` + rsaKey + `}`)
	require.NoError(t, err)
	for _, zeros := range [][2]int{{1, 0}, {0, 1}, {3, 5}, {700, 20000}} {
		padded, err := jose.ParseJWK(rsaJWK(n, zeros[0], big.NewInt(65537), zeros[1]))
		require.NoError(t, err)
		require.True(t, plain.Key.(*rsa.PublicKey).Equal(padded.Key))
		require.Equal(t, thumbprint(t, plain), thumbprint(t, padded))
		want, err := jose.MarshalJWK(plain.Key, "", 0)
		require.NoError(t, err)
		got, err := jose.MarshalJWK(padded.Key, "", 0)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

// TestParseJWKEdwards: points of all kinds that exist, and half of the numbers
// that are none.
func TestParseJWKEdwards(t *testing.T) {
	t.Parallel()
	for i := range 64 {
		seed := sha256.Sum256([]byte{byte(i)})
		public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
		key, err := jose.ParseJWK(edJWK(public))
		require.NoError(t, err)
		require.Equal(t, public, key.Key)
	}
	none := 0
	for i := range 256 {
		y := sha256.Sum256([]byte{byte(i), 1})
		if _, err := jose.ParseJWK(edJWK(y[:])); err != nil {
			require.ErrorIs(t, err, jose.ErrKeyValue)
			none++
		}
	}
	require.InDelta(t, 128, none, 40)
	for _, text := range smallOrder {
		_, err := jose.ParseJWK(edJWK(unhex(t, text)))
		require.ErrorIs(t, err, jose.ErrKey)
		require.EqualError(t, err, "jose: unusable key: Ed25519 point of small order")
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		fits       []jose.Alg
	}{
		{"RSA", `{` + rsaKey + `}`, []jose.Alg{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}},
		{"RSA for RS256", `{` + rsaKey + `,"alg":"RS256"}`, []jose.Alg{jose.RS256}},
		{"RSA for PS512", `{` + rsaKey + `,"alg":"PS512"}`, []jose.Alg{jose.PS512}},
		{"P-256", `{` + ecKey + `}`, []jose.Alg{jose.ES256}},
		{"P-256 for ES256", `{` + ecKey + `,"alg":"ES256"}`, []jose.Alg{jose.ES256}},
		{"P-521", `{` + p521Key + `}`, []jose.Alg{jose.ES512}},
		{"Ed25519", `{` + edKey + `}`, []jose.Alg{jose.EdDSA, jose.Ed25519}},
		{"Ed25519 for EdDSA", `{` + edKey + `,"alg":"EdDSA"}`, []jose.Alg{jose.EdDSA, jose.Ed25519}},
		{"Ed25519 for Ed25519", `{` + edKey + `,"alg":"Ed25519"}`, []jose.Alg{jose.EdDSA, jose.Ed25519}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := jose.ParseJWK(tt.text)
			require.NoError(t, err)
			var fits []jose.Alg
			for a := range jose.AlgCount + 3 {
				if key.Fits(a) {
					fits = append(fits, a)
				}
			}
			require.Equal(t, tt.fits, fits)
		})
	}

	secret, err := jose.ParseSecretJWK(`{` + octKey + `}`)
	require.NoError(t, err)
	for a := range jose.AlgCount {
		require.Equal(t, a.Symmetric(), secret.Fits(a))
	}
}

func TestParseSecretJWK(t *testing.T) {
	t.Parallel()
	of := func(n int) string { return encode(strings.Repeat("s", n)) }
	tests := []struct {
		name, text string
		err        error
		fits       []jose.Alg
	}{
		{"64 bytes", `{"kty":"oct","k":"` + of(64) + `"}`, nil, []jose.Alg{jose.HS256, jose.HS384, jose.HS512}},
		{"63 bytes", `{"kty":"oct","k":"` + of(63) + `"}`, nil, []jose.Alg{jose.HS256, jose.HS384}},
		{"47 bytes", `{"kty":"oct","k":"` + of(47) + `"}`, nil, []jose.Alg{jose.HS256}},
		{"32 bytes", `{"kty":"oct","k":"` + of(32) + `"}`, nil, []jose.Alg{jose.HS256}},
		{"31 bytes", `{"kty":"oct","k":"` + of(31) + `"}`, jose.ErrKeyType, nil},
		{"HS384 and 48 bytes", `{"kty":"oct","alg":"HS384","k":"` + of(48) + `"}`, nil, []jose.Alg{jose.HS384}},
		{"HS384 and 47 bytes", `{"kty":"oct","alg":"HS384","k":"` + of(47) + `"}`, jose.ErrKey, nil},
		{"alg RS256", `{"kty":"oct","alg":"RS256","k":"` + of(64) + `"}`, jose.ErrKey, nil},
		{"alg A256GCM", `{"kty":"oct","alg":"A256GCM","k":"` + of(64) + `"}`, jose.ErrKeyUse, nil},
		{"use enc", `{"kty":"oct","use":"enc","k":"` + of(64) + `"}`, jose.ErrKeyUse, nil},
		{"key_ops encrypt", `{"kty":"oct","key_ops":["encrypt"],"k":"` + of(64) + `"}`, jose.ErrKeyUse, nil},
		{"key_ops sign, verify", `{"kty":"oct","key_ops":["sign","verify"],"k":"` + of(32) + `"}`, nil, []jose.Alg{jose.HS256}},
		{"no k", `{"kty":"oct"}`, jose.ErrKeyValue, nil},
		{"k empty", `{"kty":"oct","k":""}`, jose.ErrKeyValue, nil},
		{"k null", `{"kty":"oct","k":null}`, jose.ErrKeyValue, nil},
		{"k padded", `{"kty":"oct","k":"` + of(64) + `=="}`, jose.ErrKeyValue, nil},
		{"k twice", `{"kty":"oct","k":"` + of(64) + `","k":"` + of(64) + `"}`, jose.ErrKeyValue, nil},
		{"K", `{"kty":"oct","K":"` + of(64) + `"}`, jose.ErrKeyValue, nil},
		{"kid number", `{"kty":"oct","kid":1,"k":"` + of(64) + `"}`, jose.ErrKeyValue, nil},
		{"no kty", `{"k":"` + of(64) + `"}`, jose.ErrKeyType, nil},
		{"kty OCT", `{"kty":"OCT","k":"` + of(64) + `"}`, jose.ErrKeyType, nil},
		{"kty RSA", `{` + rsaKey + `,"k":"` + of(64) + `"}`, jose.ErrKeyType, nil},
		{"public key", `{` + ecKey + `}`, jose.ErrKeyType, nil},
		{"no JSON", of(64), jose.ErrKeyValue, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := jose.ParseSecretJWK(tt.text)
			if tt.err != nil {
				require.Nil(t, key)
				require.ErrorIs(t, err, jose.ErrKey)
				require.ErrorIs(t, err, tt.err)
				require.NotContains(t, err.Error(), of(64)[:8])
				require.NotContains(t, err.Error(), "sss")
				return
			}
			require.NoError(t, err)
			var fits []jose.Alg
			for a := range jose.AlgCount {
				if key.Fits(a) {
					fits = append(fits, a)
				}
			}
			require.Equal(t, tt.fits, fits)
		})
	}
}

func TestParseJWKSet(t *testing.T) {
	t.Parallel()
	const good = `{` + ecKey + `,"kid":"good"}`
	tests := []struct {
		name, text string
		want       string   // the error, behind "jose: malformed JWK set: "
		keys       []string // a kid, or "-" for a key that is not used
	}{
		{"one", `{"keys":[` + good + `]}`, "", []string{"good"}},
		{"white space", " { \"keys\" : [ " + good + " , " + good + "\n] } ", "", []string{"good", "good"}},
		{"none", `{"keys":[]}`, "", nil},
		{"other members", `{"a":1,"keys":[` + good + `],"b":{"keys":[]}}`, "", []string{"good"}},
		{"order and one kid twice", `{"keys":[{` + rsaKey + `,"kid":"r"},` + good + `,{` + edKey + `,"kid":"r"}]}`, "", []string{"r", "good", "r"}},
		{"escaped name", `{"\u006beys":[` + good + `]}`, "", []string{"good"}},

		// One odd key spoils no other (RFC 7517 section 5).
		{"no objects", `{"keys":[1,` + good + `,null,"k",true,[],[` + good + `],{},-1.5e3]}`, "", []string{"-", "good", "-", "-", "-", "-", "-", "-", "-"}},
		{"unknown kty", `{"keys":[{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"},` + good + `]}`, "", []string{"-", "good"}},
		{"symmetric", `{"keys":[{` + octKey + `},` + good + `]}`, "", []string{"-", "good"}},
		{"private", `{"keys":[{` + ecKey + `,"d":"AA","kid":"p"},` + good + `]}`, "", []string{"-", "good"}},
		{"off the curve", `{"keys":[` + good + `,{"kty":"EC","crv":"P-256","x":"` + p256X + `","y":"` + p256X + `"}]}`, "", []string{"good", "-"}},
		{"encryption", `{"keys":[{` + rsaKey + `,"use":"enc"},` + good + `]}`, "", []string{"-", "good"}},
		{"a name twice in a key", `{"keys":[{` + ecKey + `,"kid":"a","kid":"b"},` + good + `]}`, "", []string{"-", "good"}},
		{"a name twice, deeper in a key", `{"keys":[{` + ecKey + `,"a":{"b":1,"b":2}},` + good + `]}`, "", []string{"-", "good"}},
		{"a name in two spellings in a key", `{"keys":[{` + ecKey + `,"kid":"a","KID":"b"},` + good + `]}`, "", []string{"-", "good"}},
		{"a key 9 deep", `{"keys":[{` + ecKey + `,"a":[[[[[[[[]]]]]]]]},` + good + `]}`, "", []string{"-", "good"}},
		{"a key of 600 values", `{"keys":[{` + ecKey + `,"a":[0` + strings.Repeat(",0", 600) + `]},` + good + `]}`, "", []string{"-", "good"}},
		{"a key of 70 KiB", `{"keys":[{` + ecKey + `,"a":"` + strings.Repeat("a", 70<<10) + `"},` + good + `]}`, "", []string{"-", "good"}},
		{"all unusable", `{"keys":[{},{"kty":"RSA"}]}`, "", []string{"-", "-"}},
		{"names twice beside keys", `{"a":{"b":1,"b":2},"keys":[` + good + `]}`, "", []string{"good"}},

		// The set itself.
		{"as many as allowed", `{"keys":[{},{},{},{},{},{},{},{},{},` + good + `]}`, "", []string{"-", "-", "-", "-", "-", "-", "-", "-", "-", "good"}},
		{"one more", `{"keys":[{},{},{},{},{},{},{},{},{},{},` + good + `]}`, "more than 10 keys", nil},
		{"one more, odd", `{"keys":[{},{},{},{},{},{},{},{},{},` + good + `,1]}`, "more than 10 keys", nil},
		{"nothing", ``, "jose: malformed JSON: not an object", nil},
		{"HTML", `<!DOCTYPE html><html></html>`, "jose: malformed JSON: not an object", nil},
		{"null", `null`, "jose: malformed JSON: not an object", nil},
		{"array of keys", `[` + good + `]`, "jose: malformed JSON: not an object", nil},
		{"a key", good, "no member keys", nil},
		{"empty object", `{}`, "no member keys", nil},
		{"error answer", `{"error":"server_error"}`, "no member keys", nil},
		{"keys null", `{"keys":null}`, "keys is not an array", nil},
		{"keys object", `{"keys":{"a":` + good + `}}`, "keys is not an array", nil},
		{"keys a key", `{"keys":` + good + `}`, "keys is not an array", nil},
		{"keys text", `{"keys":"[]"}`, "keys is not an array", nil},
		{"keys number", `{"keys":1}`, "keys is not an array", nil},
		{"keys twice", `{"keys":[` + good + `],"keys":[]}`, "jose: malformed JSON: duplicate member name", nil},
		{"keys twice, escaped", `{"keys":[` + good + `],"\u006beys":[]}`, "jose: malformed JSON: duplicate member name", nil},
		{"another member twice", `{"keys":[` + good + `],"a":1,"a":2}`, "jose: malformed JSON: duplicate member name", nil},
		{"Keys", `{"Keys":[` + good + `]}`, "jose: malformed JSON: name differs from a registered one by case only", nil},
		{"keys with a Kelvin sign", `{"keys":[` + good + `],"\u212aeys":[]}`, "jose: malformed JSON: name differs from a registered one by case only", nil},
		{"keyſ", `{"key` + "\u017f" + `":[` + good + `]}`, "jose: malformed JSON: name differs from a registered one by case only", nil},
		{"cut off", `{"keys":[` + good + `,`, "jose: malformed JSON: syntax", nil},
		{"trailing comma", `{"keys":[` + good + `,]}`, "jose: malformed JSON: syntax", nil},
		{"trailing data", `{"keys":[` + good + `]}{}`, "jose: malformed JSON: data after the object", nil},
		{"byte order mark", "\ufeff" + `{"keys":[` + good + `]}`, "jose: malformed JSON: not an object", nil},
		{"invalid UTF-8 in a key", `{"keys":[` + good + `,{"a":"` + "\xff" + `"}]}`, "jose: malformed JSON: string", nil},
		{"16 deep", `{"keys":[` + good + `],"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, "", []string{"good"}},
		{"17 deep", `{"keys":[` + good + `],"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, "jose: malformed JSON: nested too deeply", nil},
		{"2560 values", `{"keys":[],"a":[0` + strings.Repeat(",0", 2557) + `]}`, "", nil},
		{"2561 values", `{"keys":[],"a":[0` + strings.Repeat(",0", 2558) + `]}`, "jose: malformed JSON: too many values", nil},
		{"too large", `{"keys":[]` + strings.Repeat(" ", 1<<17) + `}`, "jose: malformed JSON: too large", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			keys, err := jose.ParseJWKSet(tt.text, 1<<17, 10)
			if tt.want != "" {
				require.Nil(t, keys)
				require.ErrorIs(t, err, jose.ErrKeySet)
				require.EqualError(t, err, "jose: malformed JWK set: "+tt.want)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, k := range keys {
				require.Contains(t, tt.text, k.Raw)
				require.True(t, json.Valid([]byte(k.Raw)))
				if k.Err != nil {
					require.ErrorIs(t, k.Err, jose.ErrKey)
					require.Nil(t, k.JWK)
					got = append(got, "-")
					continue
				}
				got = append(got, k.JWK.KeyID)
			}
			require.Equal(t, tt.keys, got)
		})
	}
}

// TestParseJWKSetRaw: each element comes with its text, whatever it is.
func TestParseJWKSetRaw(t *testing.T) {
	t.Parallel()
	keys, err := jose.ParseJWKSet(`{"keys":[ 1 , {"a" : "\u0061"} ,"x",[ ]]}`, 1<<10, 10)
	require.NoError(t, err)
	var raw []string
	for _, k := range keys {
		raw = append(raw, k.Raw)
	}
	require.Equal(t, []string{`1`, `{"a" : "\u0061"}`, `"x"`, `[ ]`}, raw)
}

func TestParseJWKSetNone(t *testing.T) {
	t.Parallel()
	_, err := jose.ParseJWKSet(`{"keys":[]}`, 0, 10)
	require.ErrorIs(t, err, jose.ErrKeySet)
	_, err = jose.ParseJWKSet(`{"keys":[]}`, 1<<10, 0)
	require.ErrorIs(t, err, jose.ErrKeySet)
}

// TestMarshalJWK: what is published is public, and the public key whole.
func TestMarshalJWK(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms()[:11] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			text, err := jose.MarshalJWK(a.public, `k "1" <&>`+"\u2028\n", a.alg)
			require.NoError(t, err)
			var members map[string]string
			require.NoError(t, json.Unmarshal(text, &members))
			names := map[string][]string{
				"RSA":     {"alg", "e", "kid", "kty", "n", "use"},
				"P-256":   {"alg", "crv", "kid", "kty", "use", "x", "y"},
				"P-384":   {"alg", "crv", "kid", "kty", "use", "x", "y"},
				"P-521":   {"alg", "crv", "kid", "kty", "use", "x", "y"},
				"Ed25519": {"alg", "crv", "kid", "kty", "use", "x"},
			}[a.kind]
			require.Equal(t, names, slices.Sorted(maps.Keys(members)))
			require.Equal(t, `k "1" <&>`+"\u2028\n", members["kid"])
			require.Equal(t, a.name, members["alg"])
			require.Equal(t, "sig", members["use"])

			key, err := jose.ParseJWK(string(text))
			require.NoError(t, err)
			require.Equal(t, a.alg, key.Alg)
			require.True(t, key.Key.(interface{ Equal(crypto.PublicKey) bool }).Equal(a.public))

			text, err = jose.MarshalJWK(a.public, "", 0)
			require.NoError(t, err)
			clear(members)
			require.NoError(t, json.Unmarshal(text, &members))
			require.NotContains(t, members, "kid")
			require.NotContains(t, members, "alg")

			// A label that the key does not fit.
			for _, other := range algorithms() {
				if _, err := jose.MarshalJWK(a.public, "k", other.alg); other.kind == a.kind {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, jose.ErrKey)
				}
			}
			_, err = jose.MarshalJWK(a.public, "k", jose.AlgCount)
			require.ErrorIs(t, err, jose.ErrKey)
		})
	}
}

// TestPublishNothingElse: private, symmetric and broken keys have neither a JWK
// nor a thumbprint.
func TestPublishNothingElse(t *testing.T) {
	t.Parallel()
	k := makeKeys()
	public := k.ed25519.Public().(ed25519.PublicKey)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	ecdhKey, err := k.p256.ECDH()
	require.NoError(t, err)
	x, y := affine(t, &k.p256.PublicKey)
	tests := map[string]any{
		"nil":                 nil,
		"RSA":                 k.rsa,
		"RSA by value":        *k.rsa,
		"EC":                  k.p256,
		"EC by value":         *k.p256,
		"Ed25519":             k.ed25519,
		"Ed25519 by pointer":  &k.ed25519,
		"signer":              crypto.Signer(k.p384),
		"opaque signer":       opaque{k.p384},
		"secret":              k.secret,
		"bytes":               k.secretBytes,
		"text":                string(k.secretBytes),
		"ECDH":                ecdhKey,
		"public ECDH":         ecdhKey.PublicKey(),
		"public RSA by value": k.rsa.PublicKey,
		"public EC by value":  k.p256.PublicKey,
		"JWK":                 &jose.JWK{Key: k.secret},

		"nil RSA public":      (*rsa.PublicKey)(nil),
		"nil EC public":       (*ecdsa.PublicKey)(nil),
		"nil Ed25519 public":  ed25519.PublicKey(nil),
		"nil secret":          (*jose.Secret)(nil),
		"empty RSA public":    &rsa.PublicKey{},
		"empty EC public":     &ecdsa.PublicKey{},
		"EC without a curve":  ecPoint(nil, x, y),
		"EC off the curve":    ecPoint(elliptic.P256(), big.NewInt(1), big.NewInt(1)),
		"EC infinity":         ecPoint(elliptic.P256(), big.NewInt(0), big.NewInt(0)),
		"EC negative":         ecPoint(elliptic.P256(), new(big.Int).Neg(x), y),
		"EC of 300 bits":      ecPoint(elliptic.P256(), bits(300), y),
		"P-224":               &p224.PublicKey,
		"RSA of 1024 bits":    &small.PublicKey,
		"RSA with e = 1":      &rsa.PublicKey{N: k.rsa.N, E: 1},
		"31 bytes of Ed25519": public[:31],
		"Ed25519 small order": ed25519.PublicKey(unhex(t, smallOrder[0])),
	}
	_, err = jose.MarshalJWK(k.secret, "k", 0)
	require.EqualError(t, err, "jose: unusable key: *jose.Secret is no public key of a known algorithm")
	for name, key := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for a := range jose.AlgCount {
				text, err := jose.MarshalJWK(key, "k", a)
				require.ErrorIs(t, err, jose.ErrKey)
				require.Nil(t, text)
				require.NotContains(t, err.Error(), "0123456789abcdef")
			}
			sum, err := jose.Thumbprint(key)
			require.ErrorIs(t, err, jose.ErrKey)
			require.Empty(t, sum)
		})
	}
}

// opaque is a signer that does not show its key.
type opaque struct{ crypto.Signer }

// TestThumbprint holds thumbprints against RFC 7638 section 3 written out.
func TestThumbprint(t *testing.T) {
	t.Parallel()
	texts := []string{`{` + rsaKey + `}`, `{` + ecKey + `}`, `{` + p521Key + `}`, `{` + edKey + `}`}
	for _, a := range algorithms()[:11] {
		text, err := jose.MarshalJWK(a.public, "", 0)
		require.NoError(t, err)
		texts = append(texts, string(text))
	}
	seen := map[string]string{}
	for _, text := range texts {
		var m map[string]string
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		var canonical string
		switch m["kty"] {
		case "RSA":
			canonical = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, m["e"], m["n"])
		case "EC":
			canonical = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, m["crv"], m["x"], m["y"])
		case "OKP":
			canonical = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, m["crv"], m["x"])
		}
		sum := sha256.Sum256([]byte(canonical))
		key, err := jose.ParseJWK(text)
		require.NoError(t, err)
		require.Equal(t, encode(string(sum[:])), thumbprint(t, key))
		seen[thumbprint(t, key)] = canonical
	}
	require.Len(t, seen, 9)
}

// TestThumbprintOfShortCoordinates: a coordinate with leading zeros keeps its
// full length.
func TestThumbprintOfShortCoordinates(t *testing.T) {
	t.Parallel()
	for i := 0; ; i++ {
		require.Less(t, i, 20000)
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		b, err := key.PublicKey.Bytes()
		require.NoError(t, err)
		if b[1] != 0 && b[33] != 0 {
			continue
		}
		sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + encode(string(b[1:33])) + `","y":"` + encode(string(b[33:])) + `"}`))
		got, err := jose.Thumbprint(&key.PublicKey)
		require.NoError(t, err)
		require.Equal(t, encode(string(sum[:])), got)
		parsed, err := jose.ParseJWK(ecJWK("P-256", b[1:33], b[33:]))
		require.NoError(t, err)
		require.True(t, key.PublicKey.Equal(parsed.Key))
		return
	}
}
