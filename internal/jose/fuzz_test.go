package jose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// FuzzCompact: what is accepted has one spelling, and a reader made of
// encoding/base64 and encoding/json sees the same in it.
func FuzzCompact(f *testing.F) {
	for _, header := range []string{
		`{"alg":"ES256"}`, `{"alg":"RS256","kid":"k1","typ":"at+jwt","x5t":"a","x5t#S256":"b","cty":"json"}`,
		`{"\u0061lg":"none","jwk":{"kty":"oct","k":"AA"},"jku":"https://a.test","x5c":["AA"]}`, `{"alg":"ES256","crit":["b64"],"b64":false}`,
		`{"alg":"ES256","alg":"none"}`, `{"ALG":"ES256"}`, `{"kid":"\ud83d\ude00"}`, `{"kid":"\ud800"}`, "{\"\u212aid\":1}", `{}`, `[]`, ``,
	} {
		f.Add(encode(header)+"."+encode(`{"iss":"a","exp":1e3,"aud":["b"]}`)+"."+strings.Repeat("A", 86), header)
	}
	for _, token := range []string{
		"e30.e30.AA", "e30..AAA", "e30.e30.AB", "e30.e30.A\nA", "e30.e30.AA==", "e30.e30.-_+/", "....", strings.Repeat(".", 20000),
		`{"payload":"e30","protected":"e30","signature":"AA.."}`,
	} {
		f.Add(token, `{}`)
	}

	lim := jose.Limits{Bytes: jose.MaxToken, Depth: 32, Values: 4096, Reserved: jose.Reserve("iss", "sub", "aud", "exp")}
	reused := new(jose.Compact)
	check := func(t *testing.T, token string) {
		t.Helper()
		c, err := jose.ParseCompact(token)
		again := reused.Parse(token)
		require.Equal(t, err == nil, again == nil)
		if err != nil {
			require.ErrorIs(t, err, jose.ErrToken)
			require.Equal(t, err.Error(), again.Error())
			return
		}
		parts := strings.Split(token, ".")
		require.Len(t, parts, 3)
		var decoded [3][]byte
		for i, part := range parts {
			decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part)
			require.NoError(t, err)
			require.Equal(t, part, base64.RawURLEncoding.EncodeToString(decoded[i]))
		}
		for _, c := range []*jose.Compact{c, reused} {
			require.Equal(t, string(decoded[1]), c.Payload)
			require.Equal(t, decoded[2], c.Signature)
			require.NotEmpty(t, c.Signature)
			require.Equal(t, parts[0]+"."+parts[1], string(c.SigningInput))
			require.Equal(t, token, string(c.SigningInput)+"."+base64.RawURLEncoding.EncodeToString(c.Signature))
		}
		requireHeader(t, decoded[0], c.Header)
		require.Equal(t, c.Header, reused.Header)

		o, err := c.ParsePayload(lim)
		other, otherErr := jose.ParseObject(string(decoded[1]), lim)
		require.Equal(t, otherErr, err)
		require.Equal(t, other, o)
		require.Equal(t, decoded[2], c.Signature)
	}
	// The header once more in clear, where a fuzzer gets further than in base64url.
	f.Fuzz(func(t *testing.T, token, header string) {
		check(t, token)
		check(t, tokenOf(header))
	})
}

// requireHeader reads a header as encoding/json does, by exact names and by
// names that it folds, and wants the same.
func requireHeader(t *testing.T, text []byte, got jose.Header) {
	t.Helper()
	var exact map[string]any
	require.NoError(t, json.Unmarshal(text, &exact))
	var folding struct {
		Alg  string `json:"alg"`
		Kid  string `json:"kid"`
		X5T  string `json:"x5t"`
		S256 string `json:"x5t#S256"`
		Typ  string `json:"typ"`
		Cty  string `json:"cty"`
		Crit any    `json:"crit"`
		B64  any    `json:"b64"`
	}
	require.NoError(t, json.Unmarshal(text, &folding))
	require.Nil(t, folding.Crit)
	require.Nil(t, folding.B64)
	require.NotContains(t, exact, "crit")
	require.NotContains(t, exact, "b64")
	for name, values := range map[string][2]string{
		"alg": {folding.Alg, got.Alg}, "kid": {folding.Kid, got.KeyID}, "x5t": {folding.X5T, got.X5T},
		"x5t#S256": {folding.S256, got.X5TS256}, "typ": {folding.Typ, got.Type}, "cty": {folding.Cty, got.ContentType},
	} {
		value, has := exact[name]
		if !has {
			value = ""
		}
		require.Equal(t, value, values[0], name)
		require.Equal(t, value, values[1], name)
		if name == "typ" {
			require.Equal(t, has, got.HasType)
		}
	}
}

// reserved are the names that FuzzObject reserves.
var reserved = []string{"iss", "aud", "exp", "kid", "x5t#S256"}

// FuzzObject: encoding/json accepts all that is accepted and decodes it to equal
// values. What is refused beyond that has one of the reasons that are ours.
func FuzzObject(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { "a" : [ 1 , -0.5e+3 , true , false , null , "x" , { } ] } `, `{"a":{"b":{"c":[[]]}}}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
		`{"iss":"a","aud":["a","b"],"exp":1e400}`, `{"ISS":1}`, `{"i\u017fs":1}`, "{\"\u212aid\":1}", `{"a":"\ud83d\ude00"}`, `{"a":"\ud800"}`,
		"{\"a\":\"\xff\"}", "\ufeff{}", `{}{}`, `{"a":01}`, `{"a":1.}`, `{"a":"\u00g0"}`, `[1]`, `"a"`, `{"a":[1,]}`, `{"a":tru}`, `{"a":[[[[[[[[[1]]]]]]]]]}`,
		`{"":{"":{"":""}}}`, `{"a":"\"\\\/\b\f\n\r\t\u0000"}`, members(30, `"name3":1`), members(40, `"x":{"y":1,"y":2}`),
	} {
		f.Add(text)
	}
	lim := jose.Limits{Bytes: 4096, Depth: 8, Values: 128, Reserved: jose.Reserve(reserved...)}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := jose.ParseObject(text, lim)
		if err != nil {
			require.Nil(t, o)
			require.ErrorIs(t, err, jose.ErrJSON)
			requireOwnReason(t, text, strings.TrimPrefix(err.Error(), "jose: malformed JSON: "), lim)
			return
		}
		var want map[string]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		require.NoError(t, d.Decode(&want))
		_, err = d.Token()
		require.ErrorIs(t, err, io.EOF)
		require.True(t, utf8.ValidString(text))
		depth, values, twice := survey(text)
		require.False(t, twice)
		require.LessOrEqual(t, depth, lim.Depth)
		require.LessOrEqual(t, values, lim.Values)
		require.LessOrEqual(t, len(text), lim.Bytes)

		require.Equal(t, text, o.JSON())
		require.Len(t, o.Names(), len(want))
		for _, name := range o.Names() {
			value, has := want[name]
			require.True(t, has)
			got, ok := o.Get(name)
			require.True(t, ok)
			require.Equal(t, value, got)
			requireViews(t, o, name, value)
			for _, r := range reserved {
				require.Equal(t, name == r, strings.EqualFold(name, r))
			}
		}
	})
}

// requireViews holds the other readers of a member against its value.
func requireViews(t *testing.T, o *jose.Object, name string, value any) {
	t.Helper()
	require.True(t, o.Has(name))
	raw, ok := o.Raw(name)
	require.True(t, ok)
	var again any
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber()
	require.NoError(t, d.Decode(&again))
	require.Equal(t, value, again)
	require.Equal(t, strings.Trim(raw, " \t\r\n"), raw)

	s, isText := value.(string)
	text, ok := o.Text(name)
	require.Equal(t, isText, ok)
	require.Equal(t, s, text)

	list, ok := o.Strings(name)
	want, wantOK := []string{}, true
	switch v := value.(type) {
	case string:
		want = append(want, v)
	case []any:
		for _, e := range v {
			s, isText := e.(string)
			wantOK = wantOK && isText
			want = append(want, s)
		}
	default:
		wantOK = false
	}
	require.Equal(t, wantOK, ok)
	if ok {
		require.Equal(t, want, list)
	}
}

// requireOwnReason: JSON that encoding/json takes is refused for a reason of
// RFC 7493 or of the limits, which must be there; never for its syntax.
func requireOwnReason(t *testing.T, text, reason string, lim jose.Limits) {
	t.Helper()
	depth, values, twice := survey(text)
	switch reason {
	case tooLarge:
		require.Greater(t, len(text), lim.Bytes)
	case duplicate:
		require.True(t, twice)
	case tooDeep:
		require.Greater(t, depth, lim.Depth)
	case tooMany:
		require.Greater(t, values, lim.Values)
	case folded:
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &object) == nil {
			require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(object)), func(name string) bool {
				return !slices.Contains(reserved, name) &&
					slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(name, r) })
			}))
		}
	case badString: // invalid UTF-8 or half a surrogate pair, unless the syntax is wrong too
		if json.Valid([]byte(text)) {
			require.True(t, !utf8.ValidString(text) || strings.Contains(text, `\u`))
		}
	case notObject:
		var object map[string]json.RawMessage
		err := json.Unmarshal([]byte(text), &object)
		require.True(t, err != nil || object == nil)
	default:
		require.Contains(t, []string{syntax, badNumber, trailing}, reason)
		require.False(t, json.Valid([]byte(text)))
	}
}

// survey walks over the text with the tokens of encoding/json, as far as that
// goes: how deep, how many values, and whether a name stands twice in an object.
func survey(text string) (depth, values int, twice bool) {
	d := json.NewDecoder(strings.NewReader(text))
	type level struct {
		names map[string]bool // nil in an array
		name  bool            // the next token is a name
	}
	var open []*level
	for {
		token, err := d.Token()
		if err != nil {
			return depth, values, twice
		}
		var top *level
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			open = open[:len(open)-1]
			continue
		}
		if top != nil && top.names != nil && top.name {
			name, _ := token.(string)
			twice = twice || top.names[name]
			top.names[name] = true
			top.name = false
			continue
		}
		if top != nil {
			values++
			top.name = top.names != nil
		}
		switch token {
		case json.Delim('{'):
			open = append(open, &level{names: map[string]bool{}, name: true})
		case json.Delim('['):
			open = append(open, &level{})
		}
		depth = max(depth, len(open))
	}
}

// FuzzJWKSet: a set is refused whole or read key by key; each key that is used
// fits an algorithm and is published as itself.
func FuzzJWKSet(f *testing.F) {
	for _, keys := range []string{
		``, `{` + rsaKey + `}`, `{` + ecKey + `,"kid":"k","use":"sig","alg":"ES256","key_ops":["verify"]}`, `{` + p521Key + `}`, `{` + edKey + `,"alg":"EdDSA"}`,
		`{` + octKey + `}`, `{` + ecKey + `,"d":"AA"}`, `{` + ecKey + `,"x":"AA"}`, `{` + rsaKey + `},{` + ecKey + `},{` + edKey + `},1,null,"x",[]`,
		`{"kty":"RSA","n":"AQAB","e":"AQAB"}`, `{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"kty":"EC","crv":"P-256","x":"` + p256Y + `","y":"` + p256X + `"}`, `{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}`, `{` + rsaKey + `,"use":"enc"}`,
	} {
		f.Add(`{"keys":[` + keys + `]}`)
	}
	f.Add(`{"keys":{}}`)
	f.Add(`{"Keys":[]}`)
	f.Add(`{"keys":[],"keys":[]}`)
	f.Add(`{` + ecKey + `}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := jose.ParseJWKSet(text, 1<<16, 16)
		if err != nil {
			require.ErrorIs(t, err, jose.ErrKeySet)
			require.Nil(t, keys)
			return
		}
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &set))
		require.Len(t, keys, len(set.Keys))
		require.LessOrEqual(t, len(keys), 16)
		for i, k := range keys {
			require.True(t, bytes.Equal(set.Keys[i], []byte(k.Raw)))
			alone, err := jose.ParseJWK(k.Raw)
			require.Equal(t, k.Err, err)
			require.Equal(t, k.JWK, alone)
			if k.Err != nil {
				require.ErrorIs(t, k.Err, jose.ErrKey)
				require.Nil(t, k.JWK)
				continue
			}
			requireRoundTrip(t, k.JWK)
			requirePublic(t, k)
		}
	})
}

// requirePublic reads the key's text once more, for what must not be in it.
func requirePublic(t *testing.T, k jose.SetKey) {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(k.Raw), &m))
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		require.NotContains(t, m, name)
	}
	require.Contains(t, []any{"RSA", "EC", "OKP"}, m["kty"])
	require.Contains(t, []any{nil, "sig"}, m["use"])
	if alg, has := m["alg"]; has {
		require.Equal(t, alg, k.JWK.Alg.String())
	}
	if kid, has := m["kid"]; has {
		require.Equal(t, kid, k.JWK.KeyID)
	}
	_, err := jose.ParseSecretJWK(k.Raw)
	require.ErrorIs(t, err, jose.ErrKeyType)
}
