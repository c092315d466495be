package jose_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// inner is a compact JWS, as far as Decrypt looks.
const inner = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzIn0.c2ln"

var (
	rsaAlgs  = []string{"RSA-OAEP", "RSA-OAEP-256"}
	ecdhAlgs = []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"}
	allEncs  = []string{"A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"}
)

var makeX25519 = sync.OnceValue(func() *ecdh.PrivateKey {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// decryptionKeys are a key of each kind for each algorithm that it fits; no two have
// one ID.
func decryptionKeys(tb testing.TB) []jose.DecryptionKey {
	tb.Helper()
	var keys []jose.DecryptionKey
	for _, alg := range rsaAlgs {
		keys = append(keys, jose.DecryptionKey{ID: alg, Alg: alg, Key: makeKeys().rsa})
	}
	for _, alg := range ecdhAlgs {
		for _, k := range []*ecdsa.PrivateKey{makeKeys().p256, makeKeys().p384, makeKeys().p521} {
			key, err := k.ECDH()
			require.NoError(tb, err)
			keys = append(keys, jose.DecryptionKey{ID: alg + " " + k.Params().Name, Alg: alg, Key: key})
		}
		keys = append(keys, jose.DecryptionKey{ID: alg + " X25519", Alg: alg, Key: makeX25519()})
	}
	return keys
}

func keyOf(tb testing.TB, id string) jose.DecryptionKey {
	tb.Helper()
	for _, k := range decryptionKeys(tb) {
		if k.ID == id {
			return k
		}
	}
	tb.Fatal(id)
	return jose.DecryptionKey{}
}

// sealing makes an encrypted token, by means of its own. The functions spoil what
// would be right; what depends on it is made of the spoilt.
type sealing struct {
	key       jose.DecryptionKey // its public half
	enc       string             // empty: A128GCM
	header    map[string]any     // members set; nil takes one away
	raw       string             // the text of the header, instead
	plaintext string             // empty: inner
	cek       []byte             // empty: random
	pad       func([]byte) []byte
	wrapped   func([]byte) []byte // the encrypted key
	iv        int                 // length; zero: what is right
	initial   byte                // of the key wrap; zero: what is right
	tag       func([]byte) []byte
}

func (s sealing) token(tb testing.TB) string {
	tb.Helper()
	enc := s.enc
	if enc == "" {
		enc = "A128GCM"
	}
	plaintext := []byte(inner)
	if s.plaintext != "" {
		plaintext = []byte(s.plaintext)
	}
	cek := make([]byte, map[string]int{"A128GCM": 16, "A256GCM": 32, "A128CBC-HS256": 32, "A256CBC-HS512": 64}[enc])
	_, err := rand.Read(cek)
	require.NoError(tb, err)
	if s.cek != nil {
		cek = s.cek
	}
	header := map[string]any{"alg": s.key.Alg, "enc": enc, "cty": "JWT"}
	var wrapped []byte
	switch key := s.key.Key.(type) {
	case *rsa.PrivateKey:
		var h hash.Hash = sha1.New()
		if s.key.Alg == "RSA-OAEP-256" {
			h = sha256.New()
		}
		wrapped, err = rsa.EncryptOAEP(h, rand.Reader, &key.PublicKey, cek, nil)
		require.NoError(tb, err)
	case *ecdh.PrivateKey:
		ephemeral, err := key.Curve().GenerateKey(rand.Reader)
		require.NoError(tb, err)
		header["epk"] = publicOf(ephemeral.PublicKey())
		secret, err := ephemeral.ECDH(key.PublicKey())
		require.NoError(tb, err)
		apu, _ := s.header["apu"].(string)
		apv, _ := s.header["apv"].(string)
		switch s.key.Alg {
		case "ECDH-ES":
			cek = concat(tb, secret, enc, apu, apv, len(cek))
		case "ECDH-ES+A128KW":
			wrapped = wrap(tb, concat(tb, secret, s.key.Alg, apu, apv, 16), cek, s.initial)
		case "ECDH-ES+A256KW":
			wrapped = wrap(tb, concat(tb, secret, s.key.Alg, apu, apv, 32), cek, s.initial)
		}
	default:
		tb.Fatalf("%T", key)
	}
	if s.wrapped != nil {
		wrapped = s.wrapped(wrapped)
	}
	text := s.raw
	if text == "" {
		text = toText(tb, with(header, s.header))
	}
	aad := encode(text)
	iv := make([]byte, 12)
	if strings.Contains(enc, "CBC") {
		iv = make([]byte, 16)
	}
	if s.iv != 0 {
		iv = make([]byte, s.iv)
	}
	_, err = rand.Read(iv)
	require.NoError(tb, err)
	var ciphertext, tag []byte
	if !strings.Contains(enc, "CBC") {
		block, err := aes.NewCipher(cek)
		require.NoError(tb, err)
		gcm, err := cipher.NewGCMWithNonceSize(block, len(iv))
		require.NoError(tb, err)
		sealed := gcm.Seal(nil, iv, plaintext, []byte(aad))
		ciphertext, tag = sealed[:len(plaintext)], sealed[len(plaintext):]
	} else {
		half := len(cek) / 2
		pad := s.pad
		if pad == nil {
			pad = pkcs7
		}
		block, err := aes.NewCipher(cek[half:])
		require.NoError(tb, err)
		ciphertext = pad(plaintext)
		if whole := len(ciphertext) / 16 * 16; len(iv) == 16 {
			cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext[:whole], ciphertext[:whole])
		}
		h := sha256.New
		if half == 32 {
			h = sha512.New
		}
		mac := hmac.New(h, cek[:half])
		for _, part := range [][]byte{[]byte(aad), iv, ciphertext, binary.BigEndian.AppendUint64(nil, 8*uint64(len(aad)))} {
			mac.Write(part)
		}
		tag = mac.Sum(nil)
		if s.tag == nil {
			tag = tag[:half]
		}
	}
	if s.tag != nil {
		tag = s.tag(tag)
	}
	return strings.Join([]string{aad, b64(wrapped), b64(iv), b64(ciphertext), b64(tag)}, ".")
}

func pkcs7(b []byte) []byte {
	n := 16 - len(b)%16
	return append(bytes.Clone(b), bytes.Repeat([]byte{byte(n)}, n)...)
}

func publicOf(key *ecdh.PublicKey) map[string]any {
	b := key.Bytes()
	switch key.Curve() {
	case ecdh.X25519():
		return map[string]any{"kty": "OKP", "crv": "X25519", "x": b64(b)}
	case ecdh.P256():
		return map[string]any{"kty": "EC", "crv": "P-256", "x": b64(b[1:33]), "y": b64(b[33:])}
	case ecdh.P384():
		return map[string]any{"kty": "EC", "crv": "P-384", "x": b64(b[1:49]), "y": b64(b[49:])}
	}
	return map[string]any{"kty": "EC", "crv": "P-521", "x": b64(b[1:67]), "y": b64(b[67:])}
}

// concat is the key derivation, in one or two rounds.
func concat(tb testing.TB, secret []byte, id, apu, apv string, size int) []byte {
	tb.Helper()
	var key []byte
	for round := byte(1); round <= 2; round++ {
		text := append([]byte{0, 0, 0, round}, secret...)
		for _, part := range [][]byte{[]byte(id), unbase64(tb, apu), unbase64(tb, apv)} {
			text = append(text, 0, 0, byte(len(part)>>8), byte(len(part)))
			text = append(text, part...)
		}
		text = append(text, 0, 0, byte(size*8>>8), byte(size*8))
		sum := sha256.Sum256(text)
		key = append(key, sum[:]...)
	}
	return key[:size]
}

func unbase64(tb testing.TB, text string) []byte {
	tb.Helper()
	var b []byte
	padded := text + strings.Repeat("=", (4-len(text)%4)%4)
	require.NoError(tb, json.Unmarshal([]byte(`"`+strings.NewReplacer("-", "+", "_", "/").Replace(padded)+`"`), &b))
	return b
}

// wrap is the index-based form of RFC 3394 section 2.2.1. The initial value is a byte
// eight times; zero: the default.
func wrap(tb testing.TB, kek, key []byte, initial byte) []byte {
	tb.Helper()
	block, err := aes.NewCipher(kek)
	require.NoError(tb, err)
	n := len(key) / 8
	if initial == 0 {
		initial = 0xa6
	}
	out := append(bytes.Repeat([]byte{initial}, 8), key...)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			b := append(bytes.Clone(out[:8]), out[8*i:8*i+8]...)
			block.Encrypt(b, b)
			b[6] ^= byte((n*j + i) >> 8)
			b[7] ^= byte(n*j + i)
			copy(out, b[:8])
			copy(out[8*i:], b[8:])
		}
	}
	return out
}

// requireOpens holds the verdict on a token; nil is acceptance. Each refusal is one of
// the two values itself, which hold nothing of the token.
func requireOpens(t *testing.T, token string, keys []jose.DecryptionKey, want error) {
	t.Helper()
	got, err := jose.Decrypt(token, keys, allEncs)
	if want == nil {
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(got, "."))
		return
	}
	require.Same(t, want, err)
	require.Empty(t, got)
}

func TestLooksEncrypted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, token string
		want        bool
	}{
		{"five", "a.b.c.d.e", true},
		{"five with an empty key", "a..c.d.e", true},
		{"five, all empty", "....", true}, // Decrypt refuses it
		{"nothing", "", false},
		{"three", inner, false},
		{"four", "a.b.c.d", false},
		{"six", "a.b.c.d.e.f", false},
		{"largest", "a.b.c.d." + strings.Repeat("e", jose.MaxToken-8), true},
		{"too large", "a.b.c.d." + strings.Repeat("e", jose.MaxToken-7), false},
		{"dots", strings.Repeat(".", 10<<20), false},
		{"JSON", `{"protected":"a","encrypted_key":"b","iv":"c","ciphertext":"d","tag":"e"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, jose.LooksEncrypted(tt.token))
			if !tt.want {
				requireOpens(t, tt.token, decryptionKeys(t), jose.ErrEncrypted)
			}
		})
	}
}

func TestLooksEncryptedAllocatesNothing(t *testing.T) {
	for _, token := range []string{inner, "a.b.c.d.e", strings.Repeat(".", 1<<20)} {
		require.Zero(t, testing.AllocsPerRun(100, func() { jose.LooksEncrypted(token) }))
	}
}

func TestDecrypt(t *testing.T) {
	t.Parallel()
	keys := decryptionKeys(t)
	require.Len(t, keys, 14)
	for _, key := range keys {
		for _, enc := range allEncs {
			t.Run(key.ID+" "+enc, func(t *testing.T) {
				t.Parallel()
				require.NoError(t, key.Check())
				for _, header := range []map[string]any{
					{"kid": key.ID}, {}, {"typ": "JWT", "cty": "application/jwt", "x5t": "a", "sub": "s", "jku": "https://a.test", "jwk": map[string]any{}},
				} {
					token := sealing{key: key, enc: enc, header: header}.token(t)
					require.True(t, jose.LooksEncrypted(token))
					got, err := jose.Decrypt(token, keys, allEncs)
					require.NoError(t, err)
					require.Equal(t, inner, got)
					for _, others := range [][]string{nil, {}, {enc + " "}, {strings.ToLower(enc)}} {
						_, err = jose.Decrypt(token, keys, others)
						require.Same(t, jose.ErrEncrypted, err)
					}
					got, err = jose.Decrypt(token, []jose.DecryptionKey{key}, []string{enc})
					require.NoError(t, err)
					require.Equal(t, inner, got)
				}
			})
		}
	}
}

// TestDecryptLengths: whatever is the length of the plaintext, what comes out is it.
func TestDecryptLengths(t *testing.T) {
	t.Parallel()
	key := keyOf(t, "ECDH-ES X25519")
	for _, enc := range allEncs {
		for n := range 35 {
			plaintext := strings.Repeat("a", n) + "..c"
			got, err := jose.Decrypt(sealing{key: key, enc: enc, plaintext: plaintext}.token(t), []jose.DecryptionKey{key}, []string{enc})
			require.NoError(t, err)
			require.Equal(t, plaintext, got)
		}
	}
}

func TestDecryptSize(t *testing.T) {
	t.Parallel()
	key := keyOf(t, "ECDH-ES X25519")
	atLimit, above := 0, 0
	for pad := range 4 { // base64url skips a length here and there
		for n := 11800; n < 12200; n++ {
			if full := len(sealing{key: key, header: map[string]any{"p": strings.Repeat("p", pad)}}.token(t)) + (n-len(inner))*4/3; full < jose.MaxToken-2 || full > jose.MaxToken+3 {
				continue
			}
			token := sealing{key: key, plaintext: strings.Repeat("a", n-3) + "..c", header: map[string]any{"p": strings.Repeat("p", pad)}}.token(t)
			switch {
			case len(token) == jose.MaxToken:
				atLimit++
				requireOpens(t, token, []jose.DecryptionKey{key}, nil)
			case len(token) > jose.MaxToken:
				above++
				requireOpens(t, token, []jose.DecryptionKey{key}, jose.ErrEncrypted)
			}
		}
	}
	require.Positive(t, atLimit)
	require.Positive(t, above)
}

func TestDecryptHeader(t *testing.T) {
	t.Parallel()
	type members = map[string]any
	raw := func(more string) string { return `{"alg":"RSA-OAEP-256","enc":"A128GCM","cty":"JWT"` + more + `}` }
	tests := []struct {
		name   string
		header members
		raw    string
		want   error
	}{
		{"as it is", nil, raw(""), nil},
		{"escaped names and values", nil, `{"\u0061lg":"RSA-OAEP-\u00325\u0036","enc":"A128GCM","cty":"J\u0057T"}`, nil},
		{"unknown member", members{"x": []any{1, nil}}, "", nil},
		{"no alg", members{"alg": nil}, "", jose.ErrEncrypted},
		{"alg of another type", members{"alg": 1}, "", jose.ErrEncrypted},
		{"alg null", nil, `{"alg":null,"enc":"A128GCM","cty":"JWT"}`, jose.ErrEncrypted},
		{"alg empty", members{"alg": ""}, "", jose.ErrEncrypted},
		{"alg in other case", members{"alg": "rsa-oaep-256"}, "", jose.ErrEncrypted},
		{"alg dir", members{"alg": "dir"}, "", jose.ErrEncrypted},
		{"alg none", members{"alg": "none"}, "", jose.ErrEncrypted},
		{"alg RSA1_5", members{"alg": "RSA1_5"}, "", jose.ErrEncrypted},
		{"alg RSA-OAEP-512", members{"alg": "RSA-OAEP-512"}, "", jose.ErrEncrypted},
		{"alg A128KW", members{"alg": "A128KW"}, "", jose.ErrEncrypted},
		{"alg A256GCMKW", members{"alg": "A256GCMKW", "iv": "AAAAAAAAAAAAAAAA", "tag": "AAAAAAAAAAAAAAAAAAAAAA"}, "", jose.ErrEncrypted},
		{"alg ECDH-ES+A192KW", members{"alg": "ECDH-ES+A192KW"}, "", jose.ErrEncrypted},
		{"alg PBES2", members{"alg": "PBES2-HS256+A128KW", "p2s": "AAAAAAAAAAA", "p2c": 1000}, "", jose.ErrEncrypted},
		{"alg PBES2 with a count of 2^31", members{"alg": "PBES2-HS512+A256KW", "p2s": "AAAAAAAAAAA", "p2c": 1 << 31}, "", jose.ErrEncrypted},
		{"alg of a signature", members{"alg": "RS256"}, "", jose.ErrEncrypted},
		{"alg of no key", members{"alg": "ECDH-ES"}, "", jose.ErrEncrypted},
		{"no enc", members{"enc": nil}, "", jose.ErrEncrypted},
		{"enc of another type", members{"enc": []string{"A128GCM"}}, "", jose.ErrEncrypted},
		{"enc A192GCM", members{"enc": "A192GCM"}, "", jose.ErrEncrypted},
		{"enc A128CBC+HS256", members{"enc": "A128CBC+HS256"}, "", jose.ErrEncrypted},
		{"enc none", members{"enc": "none"}, "", jose.ErrEncrypted},
		{"enc of another size", members{"enc": "A256GCM"}, "", jose.ErrDecrypt},
		{"zip", members{"zip": "DEF"}, "", jose.ErrEncrypted},
		{"zip null", nil, raw(`,"zip":null`), jose.ErrEncrypted},
		{"zip empty", members{"zip": ""}, "", jose.ErrEncrypted},
		{"crit", members{"crit": []string{"exp"}, "exp": 1}, "", jose.ErrEncrypted},
		{"crit empty", members{"crit": []string{}}, "", jose.ErrEncrypted},
		{"crit null", nil, raw(`,"crit":null`), jose.ErrEncrypted},
		{"b64", members{"b64": true}, "", jose.ErrEncrypted},
		{"p2c", members{"p2c": 1 << 31}, "", jose.ErrEncrypted},
		{"p2s", members{"p2s": "AAAAAAAAAAA"}, "", jose.ErrEncrypted},
		{"iv", members{"iv": "AAAAAAAAAAAAAAAA"}, "", jose.ErrEncrypted},
		{"tag", members{"tag": "AAAA"}, "", jose.ErrEncrypted},
		{"epk without agreement", members{"epk": publicOf(makeX25519().PublicKey())}, "", jose.ErrEncrypted},
		{"apu without agreement", members{"apu": "AA"}, "", jose.ErrEncrypted},
		{"apv without agreement", members{"apv": "AA"}, "", jose.ErrEncrypted},
		{"no cty", members{"cty": nil}, "", jose.ErrEncrypted},
		{"cty empty", members{"cty": ""}, "", jose.ErrEncrypted},
		{"cty json", members{"cty": "json"}, "", jose.ErrEncrypted},
		{"cty at+jwt", members{"cty": "at+jwt"}, "", jose.ErrEncrypted},
		{"cty JWT;", members{"cty": "JWT; a=1"}, "", jose.ErrEncrypted},
		{"cty of another type", members{"cty": []string{"JWT"}}, "", jose.ErrEncrypted},
		{"cty text/jwt", members{"cty": "text/jwt"}, "", jose.ErrEncrypted},
		{"cty jwt", members{"cty": "jwt"}, "", nil},
		{"cty Application/JWT", members{"cty": "Application/JWT"}, "", nil},
		{"typ of another type", members{"typ": 1}, "", jose.ErrEncrypted},
		{"kid of another type", members{"kid": 1}, "", jose.ErrEncrypted},
		{"kid null", nil, raw(`,"kid":null`), jose.ErrEncrypted},
		{"kid empty", members{"kid": ""}, "", jose.ErrEncrypted},
		{"kid too long", members{"kid": strings.Repeat("k", 513)}, "", jose.ErrEncrypted},
		{"kid of no key", members{"kid": "k2"}, "", jose.ErrDecrypt},
		{"kid in other case", members{"kid": "K"}, "", jose.ErrDecrypt},
		{"kid of a path", members{"kid": "../../dev/null"}, "", jose.ErrDecrypt},
		{"kid", members{"kid": "k"}, "", nil},
		{"x5t of another type", members{"x5t": 1}, "", jose.ErrEncrypted},
		{"x5t#S256 empty", members{"x5t#S256": ""}, "", jose.ErrEncrypted},
		{"alg twice", nil, raw(`,"alg":"RSA-OAEP-256"`), jose.ErrEncrypted},
		{"alg twice, escaped", nil, raw(`,"al\u0067":"RSA-OAEP-256"`), jose.ErrEncrypted},
		{"member twice", nil, raw(`,"a":1,"a":1`), jose.ErrEncrypted},
		{"member twice, below", nil, raw(`,"a":{"b":1,"b":1}`), jose.ErrEncrypted},
		{"Alg", nil, raw(`,"Alg":"dir"`), jose.ErrEncrypted},
		{"ENC", nil, raw(`,"ENC":"A256GCM"`), jose.ErrEncrypted},
		{"Zip", nil, raw(`,"Zip":"DEF"`), jose.ErrEncrypted},
		{"EPK", nil, raw(`,"EPK":{}`), jose.ErrEncrypted},
		{"P2C", nil, raw(`,"P2C":1`), jose.ErrEncrypted},
		{"kid folded beyond ASCII", nil, raw(`,"\u212aid":"k"`), jose.ErrEncrypted},
		{"byte order mark", nil, "\ufeff" + raw(""), jose.ErrEncrypted},
		{"data behind", nil, raw("") + "{}", jose.ErrEncrypted},
		{"not UTF-8", nil, raw(",\"a\":\"\xff\""), jose.ErrEncrypted},
		{"array", nil, "[" + raw("") + "]", jose.ErrEncrypted},
		{"deep", nil, raw(`,"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)), jose.ErrEncrypted},
		{"many values", nil, raw(`,"a":[` + strings.Repeat("1,", 300) + "1]"), jose.ErrEncrypted},
	}
	counted := &counting{Decrypter: makeKeys().rsa}
	key := jose.DecryptionKey{ID: "k", Alg: "RSA-OAEP-256", Key: counted}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := counted.calls
			s := sealing{key: jose.DecryptionKey{Alg: key.Alg, Key: makeKeys().rsa}, header: tt.header, raw: tt.raw}
			requireOpens(t, s.token(t), []jose.DecryptionKey{key}, tt.want)
			if tt.want == jose.ErrEncrypted {
				require.Equal(t, before, counted.calls, "no private operation")
			}
		})
	}
}

// counting is a Decrypter as an HSM has it, which counts.
type counting struct {
	crypto.Decrypter
	calls int
	err   error
	out   []byte
}

func (c *counting) Decrypt(random io.Reader, text []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	c.calls++
	if c.err != nil || c.out != nil {
		return c.out, c.err
	}
	return c.Decrypter.Decrypt(random, text, opts)
}

func TestDecryptPartyInfo(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"ECDH-ES P-256", "ECDH-ES+A128KW P-521", "ECDH-ES+A256KW X25519"} {
		for _, tt := range []struct {
			name   string
			header map[string]any
			want   error
		}{
			{"both", map[string]any{"apu": "QWxpY2U", "apv": "Qm9i"}, nil},
			{"apu", map[string]any{"apu": "QWxpY2U"}, nil},
			{"apv", map[string]any{"apv": "Qm9i"}, nil},
			{"empty", map[string]any{"apu": "", "apv": ""}, nil},
			{"largest", map[string]any{"apu": b64(make([]byte, 512)), "apv": b64(make([]byte, 512))}, nil},
			{"apu too large", map[string]any{"apu": b64(make([]byte, 513))}, jose.ErrEncrypted},
			{"apv too large", map[string]any{"apv": b64(make([]byte, 513))}, jose.ErrEncrypted},
			{"apu padded", map[string]any{"apu": "QQ=="}, jose.ErrEncrypted},
			{"apv with loose bits", map[string]any{"apv": "QR"}, jose.ErrEncrypted},
			{"apu with a line break", map[string]any{"apu": "QWxp\nY2U"}, jose.ErrEncrypted},
			{"apu of another alphabet", map[string]any{"apu": "+/+/"}, jose.ErrEncrypted},
		} {
			t.Run(id+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				s := sealing{key: keyOf(t, id), header: tt.header}
				if tt.want != nil { // sealed without them: that it does not open would say nothing
					text := toText(t, with(map[string]any{"alg": s.key.Alg, "enc": "A128GCM", "cty": "JWT", "epk": publicOf(s.key.Key.(*ecdh.PrivateKey).PublicKey())}, tt.header))
					s.header, s.raw = nil, text
				}
				requireOpens(t, s.token(t), decryptionKeys(t), tt.want)
			})
		}
		for _, name := range []string{"apu", "apv"} {
			s := sealing{key: keyOf(t, id)}
			text := toText(t, map[string]any{"alg": s.key.Alg, "enc": "A128GCM", "cty": "JWT", "epk": publicOf(s.key.Key.(*ecdh.PrivateKey).PublicKey()), name: 1})
			s.raw = text
			requireOpens(t, s.token(t), decryptionKeys(t), jose.ErrEncrypted)
		}
	}
}

func TestDecryptEphemeralKey(t *testing.T) {
	t.Parallel()
	type members = map[string]any
	p256, p384, x25519 := keyOf(t, "ECDH-ES P-256"), keyOf(t, "ECDH-ES P-384"), keyOf(t, "ECDH-ES X25519")
	public := func(k jose.DecryptionKey) members { return publicOf(k.Key.(*ecdh.PrivateKey).PublicKey()) }
	good := public(p256)
	x, y := good["x"].(string), good["y"].(string)
	longer := func(text string) string { return b64(append([]byte{0}, unbase64(t, text)...)) }
	beyond := b64(new(big.Int).Add(new(big.Int).SetBytes(unbase64(t, y)), elliptic.P256().Params().P).FillBytes(make([]byte, 33))) // the same point
	tests := []struct {
		name string
		key  jose.DecryptionKey
		epk  any
		want error
	}{
		{"none", p256, nil, jose.ErrEncrypted},
		{"text", p256, "epk", jose.ErrEncrypted},
		{"array", p256, []any{good}, jose.ErrEncrypted},
		{"empty", p256, members{}, jose.ErrEncrypted},
		{"no kty", p256, with(good, members{"kty": nil}), jose.ErrEncrypted},
		{"no crv", p256, with(good, members{"crv": nil}), jose.ErrEncrypted},
		{"no x", p256, with(good, members{"x": nil}), jose.ErrEncrypted},
		{"no y", p256, with(good, members{"y": nil}), jose.ErrEncrypted},
		{"x of another type", p256, with(good, members{"x": 1}), jose.ErrEncrypted},
		{"x with a zero before it", p256, with(good, members{"x": longer(x)}), jose.ErrEncrypted},
		{"y with a zero before it", p256, with(good, members{"y": longer(y)}), jose.ErrEncrypted},
		{"y beyond the prime", p256, with(good, members{"y": beyond}), jose.ErrEncrypted},
		{"x cut", p256, with(good, members{"x": b64(unbase64(t, x)[1:])}), jose.ErrEncrypted},
		{"lengths that make up for each other", p256, with(good, members{"x": b64(append(unbase64(t, x), unbase64(t, y)[0])), "y": b64(unbase64(t, y)[1:])}), jose.ErrEncrypted},
		{"not on the curve", p256, with(good, members{"y": x}), jose.ErrEncrypted},
		{"not on the curve, of small order elsewhere", p256, with(good, members{"x": b64(make([]byte, 32)), "y": b64(append(make([]byte, 31), 1))}), jose.ErrEncrypted},
		{"zero", p256, with(good, members{"x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}), jose.ErrEncrypted},
		{"padded base64", p256, with(good, members{"x": x + "="}), jose.ErrEncrypted},
		{"with its private half", p256, with(good, members{"d": x}), jose.ErrEncrypted},
		{"kty OKP", p256, with(good, members{"kty": "OKP"}), jose.ErrEncrypted},
		{"kty in other case", p256, with(good, members{"kty": "ec"}), jose.ErrEncrypted},
		{"crv in other case", p256, with(good, members{"crv": "p-256"}), jose.ErrEncrypted},
		{"crv P-384 with a point of P-256", p256, with(good, members{"crv": "P-384"}), jose.ErrEncrypted},
		{"crv secp256k1", p256, with(good, members{"crv": "secp256k1"}), jose.ErrEncrypted},
		{"Ed25519", x25519, with(public(x25519), members{"crv": "Ed25519"}), jose.ErrEncrypted},
		{"X448", x25519, with(public(x25519), members{"crv": "X448"}), jose.ErrEncrypted},
		{"Crv beside crv", p256, with(good, members{"Crv": "P-384"}), jose.ErrEncrypted},
		{"X beside x", p256, with(good, members{"X": x}), jose.ErrEncrypted},
		{"of another curve", p256, public(p384), jose.ErrDecrypt},
		{"of another kind", p256, public(x25519), jose.ErrDecrypt},
		{"EC for an X25519 key", x25519, good, jose.ErrDecrypt},
		{"another point", p256, good, jose.ErrDecrypt},
		{"X25519, zero", x25519, with(public(x25519), members{"x": b64(make([]byte, 32))}), jose.ErrDecrypt},
		{"X25519, one", x25519, with(public(x25519), members{"x": b64(append([]byte{1}, make([]byte, 31)...))}), jose.ErrDecrypt},
		{"X25519, cut", x25519, with(public(x25519), members{"x": b64(make([]byte, 31))}), jose.ErrEncrypted},
		{"X25519, longer", x25519, with(public(x25519), members{"x": b64(make([]byte, 33))}), jose.ErrEncrypted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token := sealing{key: tt.key, header: map[string]any{"epk": tt.epk}}.token(t)
			requireOpens(t, token, []jose.DecryptionKey{tt.key}, tt.want)
		})
	}
	for _, raw := range []string{
		`{"alg":"ECDH-ES","enc":"A128GCM","cty":"JWT","epk":{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","x":"` + x + `"}}`,
		`{"alg":"ECDH-ES","enc":"A128GCM","cty":"JWT","epk":null}`,
	} {
		requireOpens(t, sealing{key: p256, raw: raw}.token(t), []jose.DecryptionKey{p256}, jose.ErrEncrypted)
	}
}

// TestDecryptParts: every part has one length, and what comes out of key and padding is
// checked. Tags and MACs are right for what stands there.
func TestDecryptParts(t *testing.T) {
	t.Parallel()
	rsaKey, direct := keyOf(t, "RSA-OAEP-256"), keyOf(t, "ECDH-ES P-256")
	kw, kw256 := keyOf(t, "ECDH-ES+A128KW P-256"), keyOf(t, "ECDH-ES+A256KW X25519")
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	longer := func(n int) func([]byte) []byte {
		return func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, n)...) }
	}
	be := func(b ...byte) func([]byte) []byte { return func([]byte) []byte { return b } }
	first := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b }
	endWith := func(tail ...byte) func([]byte) []byte {
		return func(b []byte) []byte {
			b = append(bytes.Clone(b), bytes.Repeat([]byte{'a'}, 32-(len(b)+len(tail))%16)...)
			return append(b, tail...)
		}
	}
	zeros := func(n int) []byte { return make([]byte, n) }
	tests := []struct {
		name string
		s    sealing
		want error
	}{
		{"GCM tag of 96 bits", sealing{key: direct, tag: first(12)}, jose.ErrDecrypt},
		{"GCM tag of 120 bits", sealing{key: direct, tag: cut(1)}, jose.ErrDecrypt},
		{"GCM no tag", sealing{key: direct, tag: first(0)}, jose.ErrDecrypt},
		{"GCM tag longer", sealing{key: direct, tag: longer(1)}, jose.ErrDecrypt},
		{"GCM IV of 8 bytes", sealing{key: direct, iv: 8}, jose.ErrDecrypt},
		{"GCM IV of 16 bytes", sealing{key: direct, iv: 16}, jose.ErrDecrypt},
		{"GCM IV of 1 byte", sealing{key: direct, iv: 1}, jose.ErrDecrypt},
		{"HS256 tag is the first half", sealing{key: direct, enc: "A128CBC-HS256", tag: first(16)}, nil},
		{"HS256 whole MAC", sealing{key: direct, enc: "A128CBC-HS256", tag: first(32)}, jose.ErrDecrypt},
		{"HS256 second half", sealing{key: direct, enc: "A128CBC-HS256", tag: func(b []byte) []byte { return b[16:] }}, jose.ErrDecrypt},
		{"HS256 tag cut", sealing{key: direct, enc: "A128CBC-HS256", tag: first(15)}, jose.ErrDecrypt},
		{"HS256 tag of one byte", sealing{key: direct, enc: "A128CBC-HS256", tag: first(1)}, jose.ErrDecrypt},
		{"HS256 no tag", sealing{key: direct, enc: "A128CBC-HS256", tag: first(0)}, jose.ErrDecrypt},
		{"HS256 wrong tag", sealing{key: direct, enc: "A128CBC-HS256", tag: func(b []byte) []byte { return flip(b[:16]) }}, jose.ErrDecrypt},
		{"HS512 tag is the first half", sealing{key: direct, enc: "A256CBC-HS512", tag: first(32)}, nil},
		{"HS512 whole MAC", sealing{key: direct, enc: "A256CBC-HS512", tag: first(64)}, jose.ErrDecrypt},
		{"HS512 tag of 128 bits", sealing{key: direct, enc: "A256CBC-HS512", tag: first(16)}, jose.ErrDecrypt},
		{"CBC IV of 12 bytes", sealing{key: direct, enc: "A128CBC-HS256", iv: 12}, jose.ErrDecrypt},
		{"CBC IV of 17 bytes", sealing{key: direct, enc: "A256CBC-HS512", iv: 17}, jose.ErrDecrypt},
		{"CBC no ciphertext", sealing{key: direct, enc: "A128CBC-HS256", pad: first(0)}, jose.ErrDecrypt},
		{"CBC ciphertext of 17 bytes", sealing{key: direct, enc: "A128CBC-HS256", pad: first(17)}, jose.ErrDecrypt},
		{"CBC padding of one", sealing{key: direct, enc: "A128CBC-HS256", pad: endWith(1)}, nil},
		{"CBC padding of zero", sealing{key: direct, enc: "A128CBC-HS256", pad: endWith(0)}, jose.ErrDecrypt},
		{"CBC padding of 17", sealing{key: direct, enc: "A128CBC-HS256", pad: endWith(bytes.Repeat([]byte{17}, 17)...)}, jose.ErrDecrypt},
		{"CBC padding of 255", sealing{key: direct, enc: "A128CBC-HS256", pad: endWith(255)}, jose.ErrDecrypt},
		{"CBC padding of other bytes", sealing{key: direct, enc: "A128CBC-HS256", pad: endWith(1, 2, 3, 4)}, jose.ErrDecrypt},
		{"CBC padding with one wrong byte", sealing{key: direct, enc: "A128CBC-HS256", pad: endWith(3, 4, 4, 4)}, jose.ErrDecrypt},
		{"ECDH-ES with an encrypted key", sealing{key: direct, wrapped: be(1)}, jose.ErrDecrypt},
		{"A128KW no encrypted key", sealing{key: kw, wrapped: first(0)}, jose.ErrDecrypt},
		{"A128KW cut", sealing{key: kw, wrapped: cut(8)}, jose.ErrDecrypt},
		{"A128KW cut by one", sealing{key: kw, wrapped: cut(1)}, jose.ErrDecrypt},
		{"A128KW longer", sealing{key: kw, wrapped: longer(8)}, jose.ErrDecrypt},
		{"A128KW of 8 bytes", sealing{key: kw, wrapped: first(8)}, jose.ErrDecrypt},
		{"A128KW spoilt", sealing{key: kw, wrapped: flip}, jose.ErrDecrypt},
		{"A128KW spoilt, and a key of zeros", sealing{key: kw, wrapped: flip, cek: zeros(16)}, jose.ErrDecrypt},
		{"A128KW with another initial value", sealing{key: kw, initial: 0xa7}, jose.ErrDecrypt},
		{"A256KW with another initial value", sealing{key: kw256, initial: 0xa7, enc: "A256CBC-HS512"}, jose.ErrDecrypt},
		{"A128KW, and a key of zeros", sealing{key: kw, cek: zeros(16)}, nil},
		{"A256KW spoilt, and a key of zeros", sealing{key: kw256, wrapped: flip, cek: zeros(64), enc: "A256CBC-HS512"}, jose.ErrDecrypt},
		{"A256KW holds a key of another size", sealing{key: kw256, cek: zeros(24)}, jose.ErrDecrypt},
		{"RSA no encrypted key", sealing{key: rsaKey, wrapped: first(0)}, jose.ErrDecrypt},
		{"RSA cut", sealing{key: rsaKey, wrapped: cut(1)}, jose.ErrDecrypt},
		{"RSA without its leading zero", sealing{key: rsaKey, cek: zeros(16), wrapped: func(b []byte) []byte {
			for b[0] != 0 {
				var err error
				b, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &makeKeys().rsa.PublicKey, zeros(16), nil)
				require.NoError(t, err)
			}
			return b[1:]
		}}, jose.ErrDecrypt},
		{"RSA longer", sealing{key: rsaKey, wrapped: func(b []byte) []byte { return append([]byte{0}, b...) }}, jose.ErrDecrypt},
		{"RSA spoilt", sealing{key: rsaKey, wrapped: flip}, jose.ErrDecrypt},
		{"RSA spoilt, and a key of zeros", sealing{key: rsaKey, wrapped: flip, cek: zeros(16)}, jose.ErrDecrypt},
		{"RSA above the modulus, and a key of zeros", sealing{key: rsaKey, wrapped: be(bytes.Repeat([]byte{255}, 256)...), cek: zeros(16)}, jose.ErrDecrypt},
		{"RSA, and a key of zeros", sealing{key: rsaKey, cek: zeros(16)}, nil},
		{"RSA holds a longer key", sealing{key: rsaKey, cek: zeros(32)}, jose.ErrDecrypt},
		{"RSA holds a key of 192 bits", sealing{key: rsaKey, cek: zeros(24)}, jose.ErrDecrypt},
		{"RSA holds a CBC key of another size", sealing{key: rsaKey, cek: zeros(64), enc: "A128CBC-HS256"}, jose.ErrDecrypt},
		{"RSA by PKCS #1 v1.5", sealing{key: rsaKey, cek: zeros(16), wrapped: func([]byte) []byte {
			b, err := rsa.EncryptPKCS1v15(rand.Reader, &makeKeys().rsa.PublicKey, zeros(16)) //nolint:staticcheck // it is what must be refused
			require.NoError(t, err)
			return b
		}}, jose.ErrDecrypt},
		{"RSA by the other hash", sealing{key: rsaKey, cek: zeros(16), wrapped: func([]byte) []byte {
			b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &makeKeys().rsa.PublicKey, zeros(16), nil)
			require.NoError(t, err)
			return b
		}}, jose.ErrDecrypt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			requireOpens(t, tt.s.token(t), decryptionKeys(t), tt.want)
		})
	}
}

// TestDecryptBoundary: tag and ciphertext, of which GCM wants the one behind the other,
// have one place where they part.
func TestDecryptBoundary(t *testing.T) {
	t.Parallel()
	for _, enc := range allEncs {
		key := keyOf(t, "ECDH-ES X25519")
		token := sealing{key: key, enc: enc}.token(t)
		parts := strings.Split(token, ".")
		ciphertext, tag := unbase64(t, parts[3]), unbase64(t, parts[4])
		both := append(bytes.Clone(ciphertext), tag...)
		for at := range len(both) + 1 {
			moved := strings.Join([]string{parts[0], parts[1], parts[2], b64(both[:at]), b64(both[at:])}, ".")
			if at == len(ciphertext) {
				requireOpens(t, moved, []jose.DecryptionKey{key}, nil)
				continue
			}
			requireOpens(t, moved, []jose.DecryptionKey{key}, jose.ErrDecrypt)
		}
	}
}

// TestDecryptTampered: no changed character passes, and none says more than another.
func TestDecryptTampered(t *testing.T) {
	t.Parallel()
	for _, s := range []sealing{
		{key: keyOf(t, "RSA-OAEP-256")}, {key: keyOf(t, "ECDH-ES P-256"), enc: "A128CBC-HS256"},
		{key: keyOf(t, "ECDH-ES+A128KW X25519"), enc: "A256CBC-HS512"}, {key: keyOf(t, "ECDH-ES+A256KW P-384"), enc: "A256GCM"},
	} {
		t.Run(s.key.ID+" "+s.enc, func(t *testing.T) {
			t.Parallel()
			keys := []jose.DecryptionKey{s.key}
			token := s.token(t)
			requireOpens(t, token, keys, nil)
			segment := 0
			for i := range len(token) {
				if token[i] == '.' {
					segment++
					requireOpens(t, token[:i]+token[i+1:], keys, jose.ErrEncrypted)
					continue
				}
				if segment == 1 && len(token) > 600 && i%9 != 0 { // each costs an operation with the RSA key
					continue
				}
				for _, c := range []string{"A", "B", "g", "_", "=", "+", "\n", "%", "", "AA"} {
					spoilt := token[:i] + c + token[i+1:]
					if spoilt == token {
						continue
					}
					got, err := jose.Decrypt(spoilt, keys, allEncs)
					require.Empty(t, got)
					if segment == 0 {
						require.True(t, err == jose.ErrEncrypted || err == jose.ErrDecrypt, "%v", err)
					} else {
						require.Same(t, jose.ErrDecrypt, err, "at %d: %q", i, c)
					}
				}
			}
			parts := strings.Split(token, ".")
			for i := range parts {
				for j := range i {
					swapped := append([]string(nil), parts...)
					swapped[i], swapped[j] = swapped[j], swapped[i]
					_, err := jose.Decrypt(strings.Join(swapped, "."), keys, allEncs)
					require.Error(t, err)
					if j > 0 && parts[i] != parts[j] {
						require.Same(t, jose.ErrDecrypt, err)
					}
				}
				emptied := append([]string(nil), parts...)
				if emptied[i] != "" {
					emptied[i] = ""
					_, err := jose.Decrypt(strings.Join(emptied, "."), keys, allEncs)
					require.Error(t, err)
				}
			}
			other := strings.Split(s.token(t), ".")
			for i := range parts { // a part of another good token
				mixed := append([]string(nil), parts...)
				if mixed[i] == other[i] {
					continue
				}
				mixed[i] = other[i]
				requireOpens(t, strings.Join(mixed, "."), keys, jose.ErrDecrypt)
			}
		})
	}
}

// TestDecryptNested: what was encrypted must be one compact JWS; the rest is said by
// those who read it.
func TestDecryptNested(t *testing.T) {
	t.Parallel()
	key := keyOf(t, "ECDH-ES X25519")
	unsigned := encode(`{"alg":"none"}`) + "." + encode(`{"sub":"s"}`) + "."
	tests := []struct {
		name, plaintext string
		want            error
		parsed          error // of what comes out
	}{
		{"signed", inner, nil, nil},
		{"encrypted again", sealing{key: key}.token(t), jose.ErrDecrypt, nil},
		{"claims", `{"sub":"s"}`, jose.ErrDecrypt, nil},
		{"claims with two dots", `{"sub":"a.b.c"}`, nil, jose.ErrToken},
		{"nothing but a dot", ".", jose.ErrDecrypt, nil},
		{"two segments", "a.b", jose.ErrDecrypt, nil},
		{"four segments", "a.b.c.d", jose.ErrDecrypt, nil},
		{"unsigned", unsigned, nil, jose.ErrToken}, // CVE-2026-29000
		{"signed and nesting", encode(`{"alg":"ES256","cty":"JWT"}`) + "." + encode(inner) + ".c2ln", nil, jose.ErrToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, enc := range allEncs {
				token := sealing{key: key, enc: enc, plaintext: tt.plaintext}.token(t)
				requireOpens(t, token, []jose.DecryptionKey{key}, tt.want)
				if tt.want != nil {
					continue
				}
				got, err := jose.Decrypt(token, []jose.DecryptionKey{key}, allEncs)
				require.NoError(t, err)
				_, err = jose.ParseCompact(got)
				require.ErrorIs(t, err, tt.parsed)
			}
		})
	}
	withNone := encode(`{"alg":"none"}`) + "." + encode(`{"sub":"s"}`) + ".c2ln"
	got, err := jose.Decrypt(sealing{key: key, plaintext: withNone}.token(t), []jose.DecryptionKey{key}, allEncs)
	require.NoError(t, err)
	_, _, err = parseToken(got)
	require.ErrorIs(t, err, errAlg)
}

// TestDecryptNoToken: other forms, and other kinds of tokens (attacks T8, T11).
func TestDecryptNoToken(t *testing.T) {
	t.Parallel()
	keys := decryptionKeys(t)
	token := sealing{key: keys[0]}.token(t)
	p := strings.Split(token, ".")
	for name, text := range map[string]string{
		"nothing": "", "JWS": inner, "scheme": "Bearer " + token, "space behind": token + " ", "line behind": token + "\n",
		"flattened JSON": fmt.Sprintf(`{"protected":%q,"encrypted_key":%q,"iv":%q,"ciphertext":%q,"tag":%q}`, p[0], p[1], p[2], p[3], p[4]),
		"general JSON":   fmt.Sprintf(`{"protected":%q,"recipients":[{"encrypted_key":%q}],"iv":%q,"ciphertext":%q,"tag":%q}`, p[0], p[1], p[2], p[3], p[4]),
		"JSON with dots": `{"unprotected":{"alg":"dir"},"protected":"....","tag":""}`,
		"dots":           "....", "header in clear": `{"alg":"RSA-OAEP"}` + ".a.b.c.d", "two": token + "." + token,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := jose.Decrypt(text, keys, allEncs)
			require.Error(t, err)
			require.True(t, err == jose.ErrEncrypted || strings.HasPrefix(text, token) && err == jose.ErrDecrypt, "%v", err)
		})
	}
	_, err := jose.ParseCompact(token)
	require.ErrorIs(t, err, jose.ErrToken)
}

func TestDecryptChoosesKeys(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	mine := makeKeys().rsa
	count := func(n int, key *rsa.PrivateKey, id, alg string) (keys []jose.DecryptionKey, calls func() int) {
		var counters []*counting
		for i := range n {
			counters = append(counters, &counting{Decrypter: key})
			keys = append(keys, jose.DecryptionKey{ID: fmt.Sprintf(id, i), Alg: alg, Key: counters[i]})
		}
		return keys, func() int {
			sum := 0
			for _, c := range counters {
				sum += c.calls
			}
			return sum
		}
	}
	seal := func(header map[string]any) string {
		return sealing{key: jose.DecryptionKey{Alg: "RSA-OAEP", Key: mine}, header: header}.token(t)
	}
	key := jose.DecryptionKey{ID: "mine", Alg: "RSA-OAEP", Key: mine}
	type list = []jose.DecryptionKey

	t.Run("kid", func(t *testing.T) {
		t.Parallel()
		others, calls := count(20, other, "k%d", "RSA-OAEP")
		requireOpens(t, seal(map[string]any{"kid": "mine"}), append(others, key), nil)
		require.Zero(t, calls())
		requireOpens(t, seal(map[string]any{"kid": "k3"}), append(others, key), jose.ErrDecrypt)
		require.Equal(t, 1, calls())
		requireOpens(t, seal(map[string]any{"kid": "k99"}), append(others, key), jose.ErrDecrypt)
		require.Equal(t, 1, calls())
	})
	t.Run("no kid", func(t *testing.T) {
		t.Parallel()
		others, calls := count(7, other, "k%d", "RSA-OAEP")
		requireOpens(t, seal(nil), append(others, key), nil)
		require.Equal(t, 7, calls())
	})
	t.Run("no kid, too many keys", func(t *testing.T) {
		t.Parallel()
		others, calls := count(20, other, "k%d", "RSA-OAEP")
		requireOpens(t, seal(nil), append(others, key), jose.ErrDecrypt)
		require.Equal(t, jose.MaxDecryptionKeys, calls())
	})
	t.Run("no kid, many keys of other algorithms", func(t *testing.T) {
		t.Parallel()
		others, calls := count(20, other, "k%d", "RSA-OAEP-256")
		requireOpens(t, seal(nil), append(others, key), nil)
		require.Zero(t, calls())
	})
	t.Run("one kid for several keys", func(t *testing.T) {
		t.Parallel()
		others, calls := count(2, other, "k%d", "RSA-OAEP")
		for i := range others {
			others[i].ID = "mine"
		}
		requireOpens(t, seal(map[string]any{"kid": "mine"}), append(others, key), nil)
		require.Equal(t, 2, calls())
	})
	t.Run("a key without ID", func(t *testing.T) {
		t.Parallel()
		key := jose.DecryptionKey{Alg: "RSA-OAEP", Key: mine}
		requireOpens(t, seal(nil), list{key}, nil)
		requireOpens(t, seal(map[string]any{"kid": "mine"}), list{key}, jose.ErrDecrypt)
	})
	t.Run("kid of a key of another algorithm", func(t *testing.T) {
		t.Parallel()
		bound, calls := count(1, mine, "k%d", "RSA-OAEP-256")
		bound[0].ID = "mine"
		requireOpens(t, seal(map[string]any{"kid": "mine"}), bound, jose.ErrEncrypted)
		requireOpens(t, seal(map[string]any{"kid": "mine"}), append(bound, jose.DecryptionKey{ID: "else", Alg: "RSA-OAEP", Key: mine}), jose.ErrDecrypt)
		require.Zero(t, calls())
	})
	t.Run("no keys", func(t *testing.T) {
		t.Parallel()
		requireOpens(t, seal(nil), nil, jose.ErrEncrypted)
		requireOpens(t, seal(nil), list{{Alg: "dir", Key: []byte("k")}}, jose.ErrEncrypted)
		requireOpens(t, seal(map[string]any{"alg": "dir"}), list{{Alg: "dir", Key: []byte("k")}}, jose.ErrEncrypted)
	})
	t.Run("a key that fits not", func(t *testing.T) {
		t.Parallel()
		small, err := rsa.GenerateKey(rand.Reader, 1024)
		require.NoError(t, err)
		for _, bad := range []any{nil, small, (*rsa.PrivateKey)(nil), &rsa.PrivateKey{}, makeX25519(), "key", makeKeys().p256} {
			requireOpens(t, seal(nil), list{{Alg: "RSA-OAEP", Key: bad}}, jose.ErrDecrypt)
			requireOpens(t, seal(nil), list{{Alg: "RSA-OAEP", Key: bad}, key}, nil)
		}
		requireOpens(t, sealing{key: jose.DecryptionKey{Alg: "RSA-OAEP", Key: small}}.token(t), list{{Alg: "RSA-OAEP", Key: small}}, jose.ErrDecrypt)
	})
	t.Run("an HSM", func(t *testing.T) {
		t.Parallel()
		for _, hsm := range []*counting{
			{Decrypter: mine, err: errors.New("out of reach")}, {Decrypter: mine, out: []byte{1}}, {Decrypter: mine, out: make([]byte, 17)},
			{Decrypter: mine, err: errors.New("out of reach"), out: make([]byte, 16)},
		} {
			token := sealing{key: jose.DecryptionKey{Alg: "RSA-OAEP", Key: mine}, cek: make([]byte, 16)}.token(t)
			requireOpens(t, token, list{{Alg: "RSA-OAEP", Key: hsm}}, jose.ErrDecrypt)
			require.Equal(t, 1, hsm.calls)
		}
	})
	t.Run("an ECDSA key", func(t *testing.T) {
		t.Parallel()
		for id, key := range map[string]*ecdsa.PrivateKey{"ECDH-ES P-256": makeKeys().p256, "ECDH-ES+A128KW P-384": makeKeys().p384, "ECDH-ES+A256KW P-521": makeKeys().p521} {
			k := keyOf(t, id)
			token := sealing{key: k}.token(t)
			k.Key = key
			require.NoError(t, k.Check())
			requireOpens(t, token, list{k}, nil)
		}
	})
}

func TestDecryptionKeyCheck(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	even := *makeKeys().rsa
	even.E = 65536
	halves := rsa.PrivateKey{PublicKey: other.PublicKey, D: makeKeys().rsa.D, Primes: makeKeys().rsa.Primes}
	for _, k := range decryptionKeys(t) {
		require.NoError(t, k.Check())
	}
	tests := []struct {
		name string
		key  jose.DecryptionKey
		want string // "" is acceptance
	}{
		{"RSA", jose.DecryptionKey{Alg: "RSA-OAEP", Key: makeKeys().rsa}, ""},
		{"HSM", jose.DecryptionKey{Alg: "RSA-OAEP", Key: &counting{Decrypter: makeKeys().rsa}}, ""},
		{"ECDSA", jose.DecryptionKey{Alg: "ECDH-ES", Key: makeKeys().p521}, ""},
		{"longest ID", jose.DecryptionKey{ID: strings.Repeat("k", 512), Alg: "ECDH-ES", Key: makeX25519()}, ""},
		{"ID that no header may have", jose.DecryptionKey{ID: strings.Repeat("k", 513), Alg: "ECDH-ES", Key: makeX25519()}, "key id longer"},
		{"no alg", jose.DecryptionKey{Key: makeKeys().rsa}, "unknown algorithm"},
		{"alg dir", jose.DecryptionKey{Alg: "dir", Key: make([]byte, 16)}, "unknown algorithm"},
		{"alg RSA1_5", jose.DecryptionKey{Alg: "RSA1_5", Key: makeKeys().rsa}, "unknown algorithm"},
		{"alg in other case", jose.DecryptionKey{Alg: "rsa-oaep", Key: makeKeys().rsa}, "unknown algorithm"},
		{"no key", jose.DecryptionKey{Alg: "RSA-OAEP"}, "<nil> for RSA-OAEP"},
		{"no ECDH key", jose.DecryptionKey{Alg: "ECDH-ES"}, "<nil> for ECDH-ES"},
		{"RSA of 1024 bits", jose.DecryptionKey{Alg: "RSA-OAEP", Key: small}, "RSA modulus of 1024 bits"},
		{"HSM with 1024 bits", jose.DecryptionKey{Alg: "RSA-OAEP", Key: &counting{Decrypter: small}}, "RSA modulus of 1024 bits"},
		{"HSM with another kind of key", jose.DecryptionKey{Alg: "RSA-OAEP", Key: decrypterOf{makeKeys().p256.Public()}}, "not an RSA key"},
		{"RSA nil", jose.DecryptionKey{Alg: "RSA-OAEP", Key: (*rsa.PrivateKey)(nil)}, "for RSA-OAEP"},
		{"RSA empty", jose.DecryptionKey{Alg: "RSA-OAEP", Key: &rsa.PrivateKey{}}, "empty RSA key"},
		{"RSA with a public half only", jose.DecryptionKey{Alg: "RSA-OAEP", Key: &rsa.PrivateKey{PublicKey: makeKeys().rsa.PublicKey}}, "two keys"},
		{"RSA with an even exponent", jose.DecryptionKey{Alg: "RSA-OAEP", Key: &even}, "exponent"},
		{"RSA of two halves", jose.DecryptionKey{Alg: "RSA-OAEP", Key: &halves}, "two keys"},
		{"RSA public", jose.DecryptionKey{Alg: "RSA-OAEP", Key: &makeKeys().rsa.PublicKey}, "*rsa.PublicKey for RSA-OAEP"},
		{"EC for RSA", jose.DecryptionKey{Alg: "RSA-OAEP", Key: makeKeys().p256}, "*ecdsa.PrivateKey for RSA-OAEP"},
		{"RSA for ECDH", jose.DecryptionKey{Alg: "ECDH-ES", Key: makeKeys().rsa}, "*rsa.PrivateKey for ECDH-ES"},
		{"P-224", jose.DecryptionKey{Alg: "ECDH-ES", Key: p224}, "*ecdsa.PrivateKey for ECDH-ES"},
		{"ECDSA nil", jose.DecryptionKey{Alg: "ECDH-ES", Key: (*ecdsa.PrivateKey)(nil)}, "for ECDH-ES"},
		{"ECDSA empty", jose.DecryptionKey{Alg: "ECDH-ES", Key: &ecdsa.PrivateKey{}}, "for ECDH-ES"},
		{"ECDSA with a curve only", jose.DecryptionKey{Alg: "ECDH-ES", Key: &ecdsa.PrivateKey{PublicKey: ecdsa.PublicKey{Curve: elliptic.P256()}}}, "for ECDH-ES"},
		{"ECDSA too large", jose.DecryptionKey{Alg: "ECDH-ES", Key: &ecdsa.PrivateKey{PublicKey: makeKeys().p256.PublicKey, D: new(big.Int).Lsh(big.NewInt(1), 300)}}, "for ECDH-ES"},
		{"ECDH nil", jose.DecryptionKey{Alg: "ECDH-ES", Key: (*ecdh.PrivateKey)(nil)}, "for ECDH-ES"},
		{"ECDH empty", jose.DecryptionKey{Alg: "ECDH-ES", Key: &ecdh.PrivateKey{}}, "for ECDH-ES"},
		{"Ed25519", jose.DecryptionKey{Alg: "ECDH-ES", Key: makeKeys().ed25519}, "ed25519.PrivateKey for ECDH-ES"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.key.Check()
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, jose.ErrKey)
			require.ErrorContains(t, err, tt.want)
			_, err = jose.Decrypt(sealing{key: keyOf(t, "RSA-OAEP")}.token(t), []jose.DecryptionKey{tt.key}, allEncs)
			require.Error(t, err)
			_, err = jose.Decrypt(sealing{key: keyOf(t, "ECDH-ES P-256")}.token(t), []jose.DecryptionKey{tt.key}, allEncs)
			require.Error(t, err)
		})
	}
	for _, enc := range allEncs {
		require.True(t, jose.KnownEncryption(enc))
		require.False(t, jose.KnownEncryption(strings.ToLower(enc)))
	}
	require.False(t, jose.KnownEncryption(""))
	require.False(t, jose.KnownEncryption("A192GCM"))
}

type decrypterOf struct{ public crypto.PublicKey }

func (d decrypterOf) Public() crypto.PublicKey { return d.public }
func (decrypterOf) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, errors.New("no")
}

func TestDecryptionKeyNeverShows(t *testing.T) {
	t.Parallel()
	for _, k := range []any{makeKeys().rsa, makeKeys().p256} {
		document := toText(t, jwkOf(t, k))
		key := jose.DecryptionKey{ID: "k", Alg: "RSA-OAEP", Key: k}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "a", slog.Any("k", key), slog.Any("l", []jose.DecryptionKey{key}))
		slog.New(slog.NewJSONHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "a", slog.Any("k", key), slog.Any("p", &key))
		shown, err := json.Marshal([]any{key, &key})
		require.NoError(t, err)
		text := log.String() + string(shown)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			text += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, &key) + fmt.Sprintf(verb, []jose.DecryptionKey{key}) + fmt.Sprintf(verb, struct{ K jose.DecryptionKey }{key})
		}
		requireNothingOf(t, text, document)
		require.Contains(t, text, "private key")
	}
}

func TestParseDecryptionJWK(t *testing.T) {
	t.Parallel()
	type members = map[string]any
	rsaJWK, ecJWK := jwkOf(t, makeKeys().rsa), jwkOf(t, makeKeys().p384)
	x25519 := with(publicOf(makeX25519().PublicKey()), members{"d": b64(makeX25519().Bytes())})
	otherX, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	otherEC, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	tests := []struct {
		name string
		jwk  members
		id   string
		alg  string
		want error
	}{
		{"RSA", with(rsaJWK, members{"use": "enc", "alg": "RSA-OAEP-256", "kid": "k"}), "k", "RSA-OAEP-256", nil},
		{"RSA alone", rsaJWK, "", "", nil},
		{"RSA key_ops decrypt", with(rsaJWK, members{"key_ops": []string{"decrypt"}}), "", "", nil},
		{"RSA key_ops unwrapKey", with(rsaJWK, members{"key_ops": []string{"wrapKey", "unwrapKey"}}), "", "", nil},
		{"EC", with(ecJWK, members{"use": "enc", "alg": "ECDH-ES+A256KW", "kid": "k"}), "k", "ECDH-ES+A256KW", nil},
		{"EC key_ops deriveBits", with(ecJWK, members{"key_ops": []string{"deriveBits"}}), "", "", nil},
		{"EC key_ops unwrapKey", with(ecJWK, members{"key_ops": []string{"wrapKey", "unwrapKey"}}), "", "", nil},
		{"EC key_ops wrapKey alone", with(ecJWK, members{"key_ops": []string{"wrapKey"}}), "", "", jose.ErrKey},
		{"EC key_ops deriveKey", with(ecJWK, members{"key_ops": []string{"deriveKey"}}), "", "", nil},
		{"X25519", with(x25519, members{"alg": "ECDH-ES", "kid": "k"}), "k", "ECDH-ES", nil},
		{"use sig", with(rsaJWK, members{"use": "sig"}), "", "", jose.ErrKey},
		{"use of another type", with(rsaJWK, members{"use": 1}), "", "", jose.ErrKeyValue},
		{"alg RS256", with(rsaJWK, members{"alg": "RS256"}), "", "", jose.ErrKey},
		{"alg ES384", with(ecJWK, members{"alg": "ES384"}), "", "", jose.ErrKey},
		{"alg RSA1_5", with(rsaJWK, members{"alg": "RSA1_5"}), "", "", jose.ErrKey},
		{"alg empty", with(rsaJWK, members{"alg": ""}), "", "", jose.ErrKey},
		{"alg of another kind", with(rsaJWK, members{"alg": "ECDH-ES"}), "", "", jose.ErrKey},
		{"kid of another type", with(rsaJWK, members{"kid": 1}), "", "", jose.ErrKeyValue},
		{"kid too long", with(rsaJWK, members{"kid": strings.Repeat("k", 513)}), "", "", jose.ErrKeyValue},
		{"key_ops sign", with(rsaJWK, members{"key_ops": []string{"sign"}}), "", "", jose.ErrKey},
		{"EC key_ops decrypt", with(ecJWK, members{"key_ops": []string{"decrypt"}}), "", "", jose.ErrKey},
		{"key_ops twice", with(rsaJWK, members{"key_ops": []string{"decrypt", "decrypt"}}), "", "", jose.ErrKey},
		{"Kid beside kid", with(rsaJWK, members{"Kid": "a"}), "", "", jose.ErrKeyValue},
		{"oct", members{"kty": "oct", "k": b64(make([]byte, 32))}, "", "", jose.ErrKeyType},
		{"Ed25519", jwkOf(t, makeKeys().ed25519), "", "", jose.ErrKeyType},
		{"no kty", with(rsaJWK, members{"kty": nil}), "", "", jose.ErrKeyType},
		{"RSA public", with(rsaJWK, members{"d": nil}), "", "", jose.ErrKeyValue},
		{"RSA without primes", with(rsaJWK, members{"p": nil, "q": nil}), "", "", jose.ErrKeyValue},
		{"RSA of 1024 bits", jwkOf(t, small), "", "", jose.ErrKey},
		{"EC public", with(ecJWK, members{"d": nil}), "", "", jose.ErrKeyValue},
		{"EC of two halves", with(ecJWK, members{"d": jwkOf(t, otherEC)["d"]}), "", "", jose.ErrKeyValue},
		{"X25519 public", with(x25519, members{"d": nil}), "", "", jose.ErrKeyValue},
		{"X25519 without its public half", with(x25519, members{"x": nil}), "", "", jose.ErrKeyValue},
		{"X25519 cut", with(x25519, members{"d": b64(makeX25519().Bytes()[1:])}), "", "", jose.ErrKeyValue},
		{"X25519 of two halves", with(x25519, members{"d": b64(otherX.Bytes())}), "", "", jose.ErrKeyValue},
		{"X448", with(x25519, members{"crv": "X448"}), "", "", jose.ErrKeyType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := toText(t, tt.jwk)
			key, err := jose.ParseDecryptionJWK(text)
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
				require.ErrorIs(t, err, jose.ErrKey)
				require.Nil(t, key.Key)
				requireNothingOf(t, err.Error(), text)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.id, key.ID)
			require.Equal(t, tt.alg, key.Alg)
			if key.Alg == "" {
				require.Error(t, key.Check())
				key.Alg = map[any]string{"RSA": "RSA-OAEP", "EC": "ECDH-ES"}[tt.jwk["kty"]]
			}
			require.NoError(t, key.Check())
			requireOpens(t, sealing{key: key, header: map[string]any{"kid": nil}}.token(t), []jose.DecryptionKey{key}, nil)
		})
	}
	for _, text := range []string{"", "[]", `{"kty":"RSA","kty":"RSA"}`, `{"kty":`} {
		_, err := jose.ParseDecryptionJWK(text)
		require.ErrorIs(t, err, jose.ErrKeyValue)
	}
}

func TestParseDecryptionPEM(t *testing.T) {
	t.Parallel()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		key  any
		alg  string // empty: refused
	}{
		{"RSA", makeKeys().rsa, "RSA-OAEP"},
		{"P-256", makeKeys().p256, "ECDH-ES"},
		{"P-521", makeKeys().p521, "ECDH-ES+A128KW"},
		{"X25519", makeX25519(), "ECDH-ES+A256KW"},
		{"Ed25519", makeKeys().ed25519, ""},
		{"P-224", p224, ""},
		{"RSA of 1024 bits", small, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			der, err := x509.MarshalPKCS8PrivateKey(tt.key)
			require.NoError(t, err)
			key, err := jose.ParseDecryptionPEM(block("PRIVATE KEY", der))
			if tt.alg == "" {
				require.ErrorIs(t, err, jose.ErrKeyType)
				require.Nil(t, key.Key)
				return
			}
			require.NoError(t, err)
			key.Alg = tt.alg
			require.NoError(t, key.Check())
			requireOpens(t, sealing{key: key}.token(t), []jose.DecryptionKey{key}, nil)
		})
	}
	_, err = jose.ParseDecryptionPEM([]byte("key"))
	require.ErrorIs(t, err, jose.ErrKeyValue)
}

// TestDecryptIsBounded: what is allocated is a small multiple of the token's size.
func TestDecryptIsBounded(t *testing.T) {
	key := keyOf(t, "ECDH-ES X25519")
	keys := []jose.DecryptionKey{key}
	epk := toText(t, publicOf(key.Key.(*ecdh.PrivateKey).PublicKey()))
	for name, token := range map[string]string{
		"header":     encode(`{"alg":"ECDH-ES","enc":"A128GCM","cty":"JWT","epk":`+epk+`,"a":"`+strings.Repeat("a", 11000)+`"}`) + "....",
		"members":    encode(`{`+strings.Repeat(`"a":[],`, 1700)+`"b":1}`) + "....",
		"ciphertext": sealing{key: key, plaintext: strings.Repeat("a", 11000) + "..c"}.token(t),
		"tag":        encode(`{"alg":"ECDH-ES","enc":"A128GCM","cty":"JWT","epk":`+epk+`}`) + "....." + strings.Repeat("A", 15000),
		"dots":       strings.Repeat(".", jose.MaxToken),
		"large":      strings.Repeat("a", 1<<24) + "....",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = jose.Decrypt(token, keys, allEncs)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10*jose.MaxToken), name)
	}
}

func TestDecryptConcurrently(t *testing.T) {
	t.Parallel()
	keys := decryptionKeys(t)
	var wg sync.WaitGroup
	for _, key := range keys {
		token := sealing{key: key, header: map[string]any{"kid": key.ID}}.token(t)
		for range 4 {
			wg.Go(func() {
				got, err := jose.Decrypt(token, keys, allEncs)
				if err != nil || got != inner {
					t.Errorf("%s: %v", key.ID, err)
				}
			})
		}
	}
	wg.Wait()
}
