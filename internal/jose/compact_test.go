package jose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// The ends of the messages of ErrToken.
const (
	tokenSize   = "larger than 16 KiB"
	segments    = "not three segments"
	encoding    = "base64url"
	noSignature = "no signature"
	headerType  = "header member of the wrong type"
	critical    = "crit or b64"
	nested      = "nested"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// tokenOf is a token of that header, with a payload and a signature of nobody.
func tokenOf(header string) string { return encode(header) + "." + encode(`{"sub":"s"}`) + ".c2ln" }

// requireTokenVerdict holds the error of Parse against the end of its message;
// "" is acceptance. The whole text is compared: no error holds any of the token.
func requireTokenVerdict(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, jose.ErrToken)
	require.EqualError(t, err, "jose: malformed token: "+want)
}

func inHeader(want string) string { return "header: jose: malformed JSON: " + want }

func TestParseSegments(t *testing.T) {
	t.Parallel()
	const header, payload, signature = "eyJhbGciOiJFUzI1NiJ9", "eyJzdWIiOiJzIn0", "c2ln" // {"alg":"ES256"}, {"sub":"s"}, sig
	tests := []struct {
		name, token string
		want        string
	}{
		{"three", header + "." + payload + "." + signature, ""},
		{"empty payload", header + ".." + signature, ""}, // the payload's reader refuses it: it is no object
		{"nothing", "", segments},
		{"one", header, segments},
		{"two", header + "." + payload, segments},
		{"header and signature", header + "." + signature, segments},
		{"four", header + "." + payload + "." + signature + "." + signature, segments},
		{"five, as a JWE", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT", segments},
		{"six", "a.b.c.d.e.f", segments},
		{"one dot", ".", segments},
		{"two dots", "..", noSignature},
		{"three dots", "...", segments},
		{"leading dot", "." + header + "." + payload + "." + signature, segments},
		{"trailing dot", header + "." + payload + "." + signature + ".", segments},
		{"dot twice, before the payload", header + ".." + payload + "." + signature, segments},
		{"dot twice, before the signature", header + "." + payload + ".." + signature, segments},
		{"no signature", header + "." + payload + ".", noSignature}, // CVE-2020-28042
		{"no header", "." + payload + "." + signature, inHeader(notObject)},
		{"only a signature", ".." + signature, inHeader(notObject)},
		{"percent-encoded dots", header + "%2e" + payload + "%2e" + signature, segments},
		{"full-width dots", header + "．" + payload + "．" + signature, segments},
		{"scheme before it", "Bearer " + header + "." + payload + "." + signature, encoding},
		{"two tokens", header + "." + payload + "." + signature + "," + header + "." + payload + "." + signature, segments},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := jose.ParseCompact(tt.token)
			requireTokenVerdict(t, err, tt.want)
			if tt.want != "" {
				require.Nil(t, c)
				return
			}
			require.Equal(t, jose.Header{Alg: "ES256"}, c.Header)
			require.Equal(t, tt.token[:strings.LastIndexByte(tt.token, '.')], string(c.SigningInput))
			require.Equal(t, "sig", string(c.Signature))
		})
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	const header = "eyJhbGciOiJFUzI1NiJ9."
	fill := func(n int) string { return header + strings.Repeat("A", n-len(header)-len(".AAAA")) + ".AAAA" }
	tests := []struct {
		name, token string
		want        string
	}{
		{"16 KiB", fill(16 << 10), ""},
		{"one byte more", fill(16<<10) + "A", tokenSize},
		{"one dot more", fill(16<<10) + ".", tokenSize}, // the size comes before the segments
		{"16 KiB of dots", strings.Repeat(".", 16<<10), segments},
		{"50 000 dots", strings.Repeat(".", 50000), tokenSize}, // CVE-2025-30204, CVE-2025-22868, CVE-2025-27144
		{"10 MB of dots", strings.Repeat(".", 10_000_000), tokenSize},
		{"1 MB without dots", strings.Repeat("A", 1<<20), tokenSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := jose.ParseCompact(tt.token)
			requireTokenVerdict(t, err, tt.want)
		})
	}
}

// TestParseRefusesWithoutAllocating: size and segments are checked before
// anything is copied. (Not parallel: it counts allocations.)
func TestParseRefusesWithoutAllocating(t *testing.T) {
	var c jose.Compact
	for name, token := range map[string]string{
		"10 MB of dots": strings.Repeat(".", 10_000_000),
		"50 000 dots":   strings.Repeat(".", 50000),
		"16 KiB + 1":    strings.Repeat("A", 16<<10+1),
		"16 KiB":        strings.Repeat("A", 16<<10),
		"dots":          strings.Repeat(".", 16<<10),
		"no signature":  strings.Repeat("A", 8<<10) + ".A.",
	} {
		require.Zero(t, testing.AllocsPerRun(10, func() {
			if c.Parse(token) == nil {
				panic("accepted")
			}
		}), name)
	}
}

// TestCompactReusesItsBuffers: of a good token only what the caller keeps is
// allocated, the text of the payload and the Object: the header is that of the token
// before. (Not parallel.)
func TestCompactReusesItsBuffers(t *testing.T) {
	token := encode(`{"alg":"ES256","kid":"k","typ":"JWT"}`) + "." + encode(`{"sub":"s","aud":["a"],"o":{"a":1,"b":{}},"exp":1,"iat":2,"jti":"j"}`) + "." + strings.Repeat("A", 86)
	var c jose.Compact
	require.InDelta(t, 3, testing.AllocsPerRun(100, func() {
		if c.Parse(token) != nil {
			panic("refused")
		}
		if _, err := c.ParsePayload(objectLimits); err != nil {
			panic("refused")
		}
	}), 0)
}

// TestParseCompactEveryByte puts every byte at every place of signatures of every
// length up to one that is decoded in both ways. encoding/base64 says what is right,
// without the line breaks that it skips.
func TestParseCompactEveryByte(t *testing.T) {
	t.Parallel()
	head := encode(`{"alg":"HS256"}`) + "." + encode(`{}`) + "."
	var c jose.Compact
	for length := 1; length <= 33; length++ {
		good := []byte(strings.Repeat("QUJDREVGR0hJSktM", 3)[:length])
		for place := range good {
			for b := range 256 {
				if b == '.' {
					continue // another segment
				}
				signature := bytes.Clone(good)
				signature[place] = byte(b)
				want, err := base64.RawURLEncoding.Strict().DecodeString(string(signature))
				canonical := err == nil && b != '\n' && b != '\r'
				err = c.Parse(head + string(signature))
				if canonical != (err == nil) || canonical && !bytes.Equal(want, c.Signature) {
					t.Fatalf("%q: %v, %x instead of %x", signature, err, c.Signature, want)
				}
			}
		}
	}
}

// TestParseForeignBytes puts each foreign byte at each place of tokens whose
// segments have every length that base64 can have.
func TestParseForeignBytes(t *testing.T) {
	t.Parallel()
	tokens := []string{
		encode(`{"alg":"ES256"}`) + "." + encode(`{"a":1}`) + "." + encode("sig"),
		encode(`{"alg":"ES256" }`) + "." + encode(`{"a":12}`) + "." + encode("sign"),
		encode(`{"alg":"ES256"  }`) + "." + encode(`{"a":123}`) + "." + encode("signa"),
	}
	foreign := []string{
		"\n", "\r", "\r\n", "\n\n", "\n\n\n", "\n\n\n\n", "\r\r\n\n\r", // encoding/base64 skips these, in strict mode too
		" ", "\t", "\v", "\f", "\x00", "\x7f", "\x80", "\xff", "=", "==", "+", "/", "+/", "?", "!", "%", "%2B", ",", "~", "*", "é", "\u200b", "\ufeff",
	}
	for _, token := range tokens {
		_, err := jose.ParseCompact(token)
		require.NoError(t, err)
		for _, s := range foreign {
			for i := range len(token) + 1 {
				_, err := jose.ParseCompact(token[:i] + s + token[i:])
				require.ErrorIs(t, err, jose.ErrToken, "%q at %d of %s", s, i, token)
				require.EqualError(t, err, "jose: malformed token: base64url", "%q at %d of %s", s, i, token)
			}
			for i := range len(token) {
				if token[i] == '.' || len(s) > 1 {
					continue
				}
				_, err := jose.ParseCompact(token[:i] + s + token[i+1:])
				require.EqualError(t, err, "jose: malformed token: base64url", "%q instead of %d of %s", s, i, token)
			}
		}
	}
}

func TestParseCanonicalEncoding(t *testing.T) {
	t.Parallel()
	const header, payload = "eyJhbGciOiJFUzI1NiJ9", "e30"
	tests := []struct {
		name, token string
		want        string
	}{
		{"one byte", header + "." + payload + ".AA", ""},
		{"two bytes", header + "." + payload + ".AAA", ""},
		{"three bytes", header + "." + payload + ".AAAA", ""},
		{"both letters of the URL alphabet", header + "." + payload + ".-_-_", ""},
		{"a sextet alone", header + "." + payload + ".A", encoding},
		{"four bytes and a sextet", header + "." + payload + ".AAAAA", encoding},
		{"a sextet alone as the payload", header + ".A.AAAA", encoding},
		{"a sextet alone as the header", "e." + payload + ".AAAA", encoding},
		{"a sextet and three line feeds", header + "." + payload + ".A\n\n\n", encoding},
		{"three bytes and a line feed", header + "." + payload + ".AAAA\n", encoding},
		{"only line feeds as the signature", header + "." + payload + ".\n\n\n\n", encoding},
		{"only a line feed as the signature", header + "." + payload + ".\n", encoding},
		{"only line feeds as the payload", header + ".\n\n.AAAA", encoding},
		{"padded signature", header + "." + payload + ".AA==", encoding},
		{"padded signature, one sign", header + "." + payload + ".AAA=", encoding},
		{"padded payload", header + ".e30=.AAAA", encoding},
		{"padding alone", header + "." + payload + ".=", encoding},
		{"standard alphabet", header + "." + payload + ".+/+/", encoding},
		{"loose bits in the header", "eyJhbGciOiJFUzI1NiJ" + "-" + "." + payload + ".AAAA", inHeader(syntax)}, // a whole byte: another text
		{"loose bits in a header of two letters more", encode(`{"alg":"ES256" }`)[:21] + "R." + payload + ".AAAA", encoding},
		{"loose bits in the payload", header + ".e31.AAAA", encoding},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := jose.ParseCompact(tt.token)
			requireTokenVerdict(t, err, tt.want)
		})
	}

	// Of all last letters only those pass whose loose bits are zero.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for before, zero := range map[string]string{"A": "AQgw", "AA": "AEIMQUYcgkosw048"} {
		var passed []byte
		for _, last := range []byte(alphabet) {
			_, err := jose.ParseCompact(header + "." + payload + "." + before + string(last))
			if err == nil {
				passed = append(passed, last)
			}
		}
		require.Equal(t, zero, string(passed))
	}
}

func TestParseHeader(t *testing.T) {
	t.Parallel()
	id512, id513 := strings.Repeat("k", 512), strings.Repeat("k", 513)
	es256 := jose.Header{Alg: "ES256"}
	tests := []struct {
		name, header string
		want         string // the error; empty: accepted, as
		as           jose.Header
	}{
		{"alg only", `{"alg":"ES256"}`, "", es256},
		{"all that is read", `{"alg":"ES256","kid":"k","x5t":"x","x5t#S256":"y","typ":"at+jwt","cty":"json"}`, "",
			jose.Header{Alg: "ES256", KeyID: "k", X5T: "x", X5TS256: "y", Type: "at+jwt", HasType: true, ContentType: "json"}},
		{"escaped name and value", `{"\u0061lg":"\u0045S256"}`, "", es256},
		{"no member", `{}`, "", jose.Header{}},
		{"unknown alg", `{"alg":"__proto__"}`, "", jose.Header{Alg: "__proto__"}},
		{"none", `{"alg":"none"}`, "", jose.Header{Alg: "none"}}, // ParseAlg refuses these
		{"empty alg", `{"alg":""}`, "", jose.Header{}},
		{"empty typ", `{"alg":"ES256","typ":""}`, "", jose.Header{Alg: "ES256", HasType: true}},
		{"unknown members", `{"alg":"ES256","foo":[1,{"bar":null}],"ALGO":1}`, "", es256},
		{"kid with a path, a quote, NUL and a line feed", `{"alg":"ES256","kid":"../../dev/null' OR 1=1--\u0000\n"}`, "",
			jose.Header{Alg: "ES256", KeyID: "../../dev/null' OR 1=1--\x00\n"}},

		// JSON that is refused, by the one parse that there is.
		{"array", `[{"alg":"ES256"}]`, inHeader(notObject), es256},
		{"null", `null`, inHeader(notObject), es256},
		{"string", `"alg"`, inHeader(notObject), es256},
		{"byte order mark", "\xef\xbb\xbf" + `{"alg":"ES256"}`, inHeader(notObject), es256},
		{"trailing data", `{"alg":"ES256"}{"alg":"none"}`, inHeader(trailing), es256},
		{"trailing NUL", `{"alg":"ES256"}` + "\x00", inHeader(trailing), es256},
		{"alg twice", `{"alg":"ES256","alg":"none"}`, inHeader(duplicate), es256},
		{"alg twice, escaped", `{"alg":"ES256","\u0061lg":"none"}`, inHeader(duplicate), es256},
		{"unknown member twice", `{"alg":"ES256","foo":1,"foo":2}`, inHeader(duplicate), es256},
		{"twice in a nested object", `{"alg":"ES256","jwk":{"x":1,"x":2}}`, inHeader(duplicate), es256},
		{"Alg", `{"Alg":"ES256"}`, inHeader(folded), es256},
		{"ALG beside alg", `{"alg":"ES256","ALG":"none"}`, inHeader(folded), es256},
		{"Kelvin sign", `{"alg":"ES256","\u212aid":"k"}`, inHeader(folded), es256},
		{"Kid", `{"alg":"ES256","Kid":"k"}`, inHeader(folded), es256},
		{"Typ", `{"alg":"ES256","Typ":"JWT"}`, inHeader(folded), es256},
		{"CRIT", `{"alg":"ES256","CRIT":["x"]}`, inHeader(folded), es256},
		{"B64", `{"alg":"ES256","B64":false}`, inHeader(folded), es256},
		{"Cty", `{"alg":"ES256","Cty":"JWT"}`, inHeader(folded), es256},
		{"X5T", `{"alg":"ES256","X5T":"x"}`, inHeader(folded), es256},
		{"x5t#s256", `{"alg":"ES256","x5t#s256":"x"}`, inHeader(folded), es256},
		{"JKU", `{"alg":"ES256","JKU":"x"}`, inHeader(folded), es256},
		{"jwK with a Kelvin sign", `{"alg":"ES256","jw\u212a":{}}`, inHeader(folded), es256},
		{"X5U", `{"alg":"ES256","X5U":"x"}`, inHeader(folded), es256},
		{"X5C", `{"alg":"ES256","X5C":[]}`, inHeader(folded), es256},
		{"ENC", `{"alg":"ES256","ENC":"x"}`, inHeader(folded), es256},
		{"Zip", `{"alg":"ES256","Zip":"DEF"}`, inHeader(folded), es256},
		{"invalid UTF-8", `{"alg":"ES256` + "\xff" + `"}`, inHeader(badString), es256},
		{"lone surrogate", `{"alg":"ES256","kid":"\ud800"}`, inHeader(badString), es256},
		{"16 deep", `{"alg":"ES256","a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, "", es256},
		{"17 deep", `{"alg":"ES256","a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, inHeader(tooDeep), es256},
		{"256 values", `{"alg":"ES256","a":[0` + strings.Repeat(",0", 253) + `]}`, "", es256},
		{"257 values", `{"alg":"ES256","a":[0` + strings.Repeat(",0", 254) + `]}`, inHeader(tooMany), es256},

		// crit and b64, of any type (RFC 7515 section 4.1.11, RFC 7797 section 7).
		{"crit unknown", `{"alg":"ES256","crit":["unknown"],"unknown":1}`, critical, es256}, // GHSA-752w-5fwx-jx9f, CVE-2025-59420
		{"crit empty", `{"alg":"ES256","crit":[]}`, critical, es256},
		{"crit no array", `{"alg":"ES256","crit":"exp"}`, critical, es256},
		{"crit null", `{"alg":"ES256","crit":null}`, critical, es256},
		{"crit false", `{"alg":"ES256","crit":false}`, critical, es256},
		{"crit registered", `{"alg":"ES256","crit":["alg"]}`, critical, es256},
		{"crit absent member", `{"alg":"ES256","crit":["exp"]}`, critical, es256},
		{"crit twice the same", `{"alg":"ES256","crit":["exp","exp"],"exp":1}`, critical, es256},
		{"crit before alg", `{"crit":["exp"],"exp":1,"alg":"ES256"}`, critical, es256},
		{"crit escaped", `{"alg":"ES256","cr\u0069t":["exp"]}`, critical, es256},
		{"crit not at the top", `{"alg":"ES256","a":{"crit":["exp"]}}`, "", es256},
		{"b64 false with crit", `{"alg":"ES256","b64":false,"crit":["b64"]}`, critical, es256},
		{"b64 false without crit", `{"alg":"ES256","b64":false}`, critical, es256},
		{"b64 true", `{"alg":"ES256","b64":true}`, critical, es256},
		{"b64 null", `{"alg":"ES256","b64":null}`, critical, es256},

		// Nested tokens.
		{"cty JWT", `{"alg":"ES256","cty":"JWT"}`, nested, es256},
		{"cty jwt", `{"alg":"ES256","cty":"jwt"}`, nested, es256},
		{"cty jWt before alg", `{"cty":"jWt","alg":"ES256"}`, nested, es256},
		{"cty application/jwt", `{"alg":"ES256","cty":"application/jwt"}`, nested, es256},
		{"cty Application/JWT", `{"alg":"ES256","cty":"Application/JWT"}`, nested, es256},
		{"cty escaped", `{"alg":"ES256","cty":"J\u0057T"}`, nested, es256},
		{"cty of another kind", `{"alg":"ES256","cty":"jwt2"}`, "", jose.Header{Alg: "ES256", ContentType: "jwt2"}},
		{"cty empty", `{"alg":"ES256","cty":""}`, "", es256},

		// Lengths of what keys are looked up by.
		{"kid of 512 bytes", `{"alg":"ES256","kid":"` + id512 + `"}`, "", jose.Header{Alg: "ES256", KeyID: id512}},
		{"kid of 513 bytes", `{"alg":"ES256","kid":"` + id513 + `"}`, headerType, es256},
		{"kid of 512 bytes once unescaped", `{"alg":"ES256","kid":"\u006b` + id512[1:] + `"}`, "", jose.Header{Alg: "ES256", KeyID: id512}},
		{"kid of 513 bytes once unescaped", `{"alg":"ES256","kid":"\u006b` + id512 + `"}`, headerType, es256},
		{"kid of 257 letters in 514 bytes", `{"alg":"ES256","kid":"` + strings.Repeat("é", 257) + `"}`, headerType, es256},
		{"x5t of 512 bytes", `{"alg":"ES256","x5t":"` + id512 + `"}`, "", jose.Header{Alg: "ES256", X5T: id512}},
		{"x5t of 513 bytes", `{"alg":"ES256","x5t":"` + id513 + `"}`, headerType, es256},
		{"x5t#S256 of 512 bytes", `{"alg":"ES256","x5t#S256":"` + id512 + `"}`, "", jose.Header{Alg: "ES256", X5TS256: id512}},
		{"x5t#S256 of 513 bytes", `{"alg":"ES256","x5t#S256":"` + id513 + `"}`, headerType, es256},
		{"kid empty", `{"alg":"ES256","kid":""}`, headerType, es256},
		{"x5t empty", `{"alg":"ES256","x5t":""}`, headerType, es256},
		{"x5t#S256 empty", `{"alg":"ES256","x5t#S256":""}`, headerType, es256},
		{"kid of 11 KiB", `{"alg":"ES256","kid":"` + strings.Repeat("k", 11<<10) + `"}`, headerType, es256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := jose.ParseCompact(tokenOf(tt.header))
			requireTokenVerdict(t, err, tt.want)
			if tt.want == "" {
				require.Equal(t, tt.as, c.Header)
				require.JSONEq(t, `{"sub":"s"}`, c.Payload)
			} else if strings.HasPrefix(tt.want, "header: ") {
				require.ErrorIs(t, err, jose.ErrJSON)
			}
		})
	}
}

// TestParseHeaderTypes: what is read is a string or nothing.
func TestParseHeaderTypes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"alg", "kid", "x5t", "x5t#S256", "typ", "cty"} {
		for _, value := range []string{`1`, `1.5`, `true`, `false`, `null`, `[]`, `{}`, `["ES256"]`, `[["ES256"]]`, `{"alg":"ES256"}`} {
			t.Run(name+" "+value, func(t *testing.T) {
				t.Parallel()
				_, err := jose.ParseCompact(tokenOf(`{"` + name + `":` + value + `}`))
				requireTokenVerdict(t, err, headerType)
			})
		}
		t.Run(name+" text", func(t *testing.T) {
			t.Parallel()
			_, err := jose.ParseCompact(tokenOf(`{"` + name + `":"ES256"}`))
			requireTokenVerdict(t, err, "")
		})
	}
}

// TestParseIgnoresKeysInTheHeader: CVE-2018-0114 and its kin. A key that came
// with the token, or where to get one, leaves no trace, whatever its type.
func TestParseIgnoresKeysInTheHeader(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"jwk", "jku", "x5u", "x5c"} {
		for _, value := range []string{
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			`{"kty":"oct","k":"AAAA"}`, `"https://attacker.test/jwks.json"`, `"http://169.254.169.254/latest/meta-data/"`,
			`"file:///etc/passwd"`, `["MIIBAAAA"]`, `1`, `-1e5`, `true`, `false`, `null`, `[]`, `{}`, `""`, `[[{"a":[null]}]]`,
		} {
			t.Run(name+" "+value, func(t *testing.T) {
				t.Parallel()
				c, err := jose.ParseCompact(tokenOf(`{"` + name + `":` + value + `,"alg":"ES256","kid":"k"}`))
				require.NoError(t, err)
				require.Equal(t, jose.Header{Alg: "ES256", KeyID: "k"}, c.Header)
			})
		}
	}
}

func TestParseRefusesJSONSerialisations(t *testing.T) {
	t.Parallel()
	const header, payload, signature = "eyJhbGciOiJFUzI1NiJ9", "e30", "c2ln"
	tests := []struct {
		name, token string
		want        string
	}{
		{"flattened", `{"protected":"` + header + `","payload":"` + payload + `","signature":"` + signature + `"}`, segments},
		{"flattened, unprotected header", `{"header":{"alg":"ES256"},"payload":"e30","signature":"c2ln"}`, segments}, // GHSA-jc38-x7x8-2xc8
		{"general", `{"payload":"e30","signatures":[{"protected":"` + header + `","signature":"c2ln"}]}`, segments},
		{"general, two dots inside", `{"payload":"e30","a":"1.2.3","signatures":[]}`, encoding},
		{"compact in a JSON string", `"` + header + `.` + payload + `.` + signature + `"`, encoding},
		{"compact in a JSON array", `["` + header + `.` + payload + `.` + signature + `"]`, encoding},
		{"compact beside JSON in its segments", header + `.` + payload + `.{"signature":"c2ln"}`, encoding},
		{"header not encoded", `{"alg":"ES256"}.e30.c2ln`, encoding},
		{"payload not encoded", header + `.{}.c2ln`, encoding},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := jose.ParseCompact(tt.token)
			requireTokenVerdict(t, err, tt.want)
		})
	}
}

// TestCompactIsReused: the buffers serve the next token, and what was handed
// out of the one before stays as it was.
func TestCompactIsReused(t *testing.T) {
	t.Parallel()
	tokens := []struct{ header, payload, signature string }{
		{`{"alg":"ES256","kid":"first","typ":"JWT"}`, `{"sub":"first","n":1,"\u0061":["x"]}`, "first signature"},
		{`{"alg":"RS256","x5t":"` + strings.Repeat("second", 40) + `"}`, `{"sub":"second","long":"` + strings.Repeat("2", 900) + `","n":2}`, strings.Repeat("second signature", 30)},
		{`{}`, ``, "3"},
		{`{"kid":"fourth","cty":"x"}`, `no JSON`, "4th"},
		{`{"alg":"PS256"}`, `{"sub":"fifth"}`, strings.Repeat("5", 64)},
	}
	var c jose.Compact
	type kept struct {
		header  jose.Header
		payload string
		object  *jose.Object
	}
	var before []kept
	lim := jose.Limits{Bytes: 1 << 12, Depth: 4, Values: 9}
	for range 3 {
		for _, token := range tokens {
			compact := encode(token.header) + "." + encode(token.payload) + "." + encode(token.signature)
			require.NoError(t, c.Parse(compact))
			fresh, err := jose.ParseCompact(compact)
			require.NoError(t, err)
			require.Equal(t, fresh.Header, c.Header)
			require.Equal(t, token.payload, c.Payload)
			require.Equal(t, token.signature, string(c.Signature))
			require.Equal(t, encode(token.header)+"."+encode(token.payload), string(c.SigningInput))

			object, err := c.ParsePayload(lim)
			want, wantErr := jose.ParseObject(token.payload, lim)
			require.Equal(t, wantErr, err)
			require.Equal(t, want, object)
			// The signature must survive the reading of the payload.
			require.Equal(t, token.signature, string(c.Signature))
			require.Equal(t, fresh.Header, c.Header)
			before = append(before, kept{c.Header, c.Payload, object})
		}
	}
	for i, k := range before {
		token := tokens[i%len(tokens)]
		fresh, err := jose.ParseCompact(tokenOf(token.header))
		require.NoError(t, err)
		require.Equal(t, fresh.Header, k.header)
		require.Equal(t, token.payload, k.payload)
		want, _ := jose.ParseObject(token.payload, lim)
		require.Equal(t, want, k.object)
		if want != nil {
			for _, name := range want.Names() {
				w, _ := want.Get(name)
				got, ok := k.object.Get(name)
				require.True(t, ok)
				require.Equal(t, w, got)
			}
		}
	}
}

// TestParseLeavesNothingAfterAnError: a caller that looks all the same does not
// find the token before.
func TestParseLeavesNothingAfterAnError(t *testing.T) {
	t.Parallel()
	good := encode(`{"alg":"ES256","kid":"k","typ":"JWT"}`) + "." + encode(`{"sub":"s"}`) + ".c2ln"
	for name, bad := range map[string]string{
		"size":      strings.Repeat("A", jose.MaxToken+1),
		"one":       "AAAA",
		"two":       "AAAA.AAAA",
		"four":      "AAAA.AAAA.AAAA.AAAA",
		"unsigned":  "AAAA.AAAA.",
		"header":    "!.e30.AAAA",
		"JSON":      tokenOf(`{"alg"`),
		"payload":   encode(`{}`) + ".!.AAAA",
		"signature": encode(`{}`) + "..!",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c jose.Compact
			require.NoError(t, c.Parse(good))
			require.ErrorIs(t, c.Parse(bad), jose.ErrToken)
			require.Empty(t, c.Header)
			require.Empty(t, c.Signature)
			require.Empty(t, c.Payload)
			require.NoError(t, c.Parse(good))
			require.Equal(t, jose.Header{Alg: "ES256", KeyID: "k", Type: "JWT", HasType: true}, c.Header)
		})
	}
}

func TestParsePayload(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, payload string
		want          string
	}{
		{"object", `{"sub":"s","aud":["a"]}`, ""},
		{"nothing", ``, notObject},
		{"text", `hello`, notObject},
		{"array", `[{}]`, notObject},
		{"byte order mark", "\xef\xbb\xbf{}", notObject},
		{"a token in a token", tokenOf(`{"alg":"none"}`), notObject},
		{"trailing data", `{}{}`, trailing},
		{"sub twice", `{"sub":"a","sub":"b"}`, duplicate},
		{"sub twice, escaped", `{"sub":"a","s\u0075b":"b"}`, duplicate},
		{"nested twice", `{"cnf":{"jkt":"a","jkt":"b"}}`, duplicate},
		{"folded", `{"ISS":"a"}`, folded},
		{"invalid UTF-8", "{\"sub\":\"\xff\"}", badString},
		{"too deep", `{"a":[[[[]]]]}`, tooDeep},
		{"too many", `{"a":[` + strings.Repeat("0,", 64) + `0]}`, tooMany},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := jose.ParseCompact(encode(`{"alg":"ES256"}`) + "." + encode(tt.payload) + ".c2ln")
			require.NoError(t, err)
			o, err := c.ParsePayload(objectLimits)
			requireJSONVerdict(t, err, tt.want)
			if tt.want != "" {
				require.Nil(t, o)
				return
			}
			require.Equal(t, tt.payload, o.JSON())
			list, ok := o.Strings("aud")
			require.True(t, ok)
			require.Equal(t, []string{"a"}, list)
		})
	}
}

// TestParseBeforeTheStandardLibrary documents why the own checks are there: each
// of these spellings passes encoding/base64 or encoding/json.
func TestParseBeforeTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, segment := range []string{"c2\nln", "c2ln\r\n", "\nc2ln"} {
		_, err := base64.RawURLEncoding.Strict().DecodeString(segment)
		require.NoError(t, err)
		_, err = jose.ParseCompact("e30.e30." + segment)
		requireTokenVerdict(t, err, encoding)
	}
	for _, header := range []string{`{"alg":"none","alg":"ES256"}`, `{"ALG":"ES256"}`, `{"alg":"ES256","a":"\ud800"}`, "{\"alg\":\"ES256\",\"a\":\"\xff\"}"} {
		var h struct {
			Alg string `json:"alg"`
		}
		require.NoError(t, json.Unmarshal([]byte(header), &h))
		require.Equal(t, "ES256", h.Alg)
		_, err := jose.ParseCompact(tokenOf(header))
		require.ErrorIs(t, err, jose.ErrToken)
	}
}
