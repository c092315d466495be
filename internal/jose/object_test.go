package jose_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

var objectLimits = jose.Limits{
	Bytes: 1 << 16, Depth: 4, Values: 64,
	Reserved: jose.Reserve("iss", "kid", "exp", "x5t#S256"),
}

// The ends of the messages of ErrJSON.
const (
	tooLarge  = "too large"
	notObject = "not an object"
	syntax    = "syntax"
	trailing  = "data after the object"
	tooDeep   = "nested too deeply"
	tooMany   = "too many values"
	duplicate = "duplicate member name"
	folded    = "name differs from a registered one by case only"
	badString = "string"
	badNumber = "number"
)

// requireJSONVerdict holds err against the end of its message; "" is acceptance.
// The whole text is compared, so no error can hold any of what was read.
func requireJSONVerdict(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, jose.ErrJSON)
	require.EqualError(t, err, "jose: malformed JSON: "+want)
}

func TestParseObject(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       string // the error; empty: accepted
	}{
		{"empty object", `{}`, ""},
		{"one member", `{"a":1}`, ""},
		{"white space everywhere", " \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n, \t\r\n\"b\" \t\r\n: \t\r\n{ \t\r\n} \t\r\n} \t\r\n", ""},
		{"every kind of value", `{"s":"","n":0,"t":true,"f":false,"z":null,"a":[],"o":{}}`, ""},
		{"empty name", `{"":1}`, ""},

		// Not an object, or not only one.
		{"nothing", ``, notObject},
		{"white space only", " \n", notObject},
		{"null", `null`, notObject},
		{"array", `[{}]`, notObject},
		{"string", `"{}"`, notObject},
		{"number", `1`, notObject},
		{"byte order mark", "\xef\xbb\xbf{}", notObject},
		{"UTF-16", "{\x00}\x00", syntax},
		{"no-break space before", "\u00a0{}", notObject},
		{"form feed before", "\f{}", notObject},
		{"comment before", `/**/{}`, notObject},
		{"second object", `{}{}`, trailing},
		{"garbage behind", `{} x`, trailing},
		{"NUL behind", "{}\x00", trailing},
		{"comma behind", `{},`, trailing},
		{"brace behind", `{}}`, trailing},
		{"line comment behind", `{}//`, trailing},

		// Syntax.
		{"open object", `{`, syntax},
		{"open after white space", `{ `, syntax},
		{"open after name", `{"a"`, syntax},
		{"open after colon", `{"a":`, syntax},
		{"open after value", `{"a":1`, syntax},
		{"open after comma", `{"a":1,`, syntax},
		{"trailing comma", `{"a":1,}`, syntax},
		{"leading comma", `{,"a":1}`, syntax},
		{"two commas", `{"a":1,,"b":2}`, syntax},
		{"no comma", `{"a":1 "b":2}`, syntax},
		{"semicolon", `{"a":1;"b":2}`, syntax},
		{"no colon", `{"a" 1}`, syntax},
		{"equals sign", `{"a"=1}`, syntax},
		{"two colons", `{"a"::1}`, syntax},
		{"no value", `{"a":}`, syntax},
		{"no value, comma", `{"a":,"b":1}`, syntax},
		{"bare name", `{a:1}`, syntax},
		{"number as name", `{1:1}`, syntax},
		{"null as name", `{null:1}`, syntax},
		{"object as name", `{{}:1}`, syntax},
		{"name in single quotes", `{'a':1}`, syntax},
		{"value in single quotes", `{"a":'b'}`, syntax},
		{"comment inside", `{/**/"a":1}`, syntax},
		{"form feed inside", "{\f\"a\":1}", syntax},
		{"vertical tab inside", "{\v\"a\":1}", syntax},
		{"line separator inside", "{\u2028\"a\":1}", syntax},
		{"object closed by a bracket", `{"a":1]`, syntax},
		{"array closed by a brace", `{"a":[1}}`, syntax},
		{"open array", `{"a":[`, syntax},
		{"open array after element", `{"a":[1`, syntax},
		{"open array after comma", `{"a":[1,`, syntax},
		{"array with trailing comma", `{"a":[1,]}`, syntax},
		{"array with leading comma", `{"a":[,1]}`, syntax},
		{"array with two commas", `{"a":[1,,2]}`, syntax},
		{"array without comma", `{"a":[1 2]}`, syntax},
		{"array with a name", `{"a":["b":1]}`, syntax},
		{"nested object open", `{"a":{`, syntax},
		{"nested object with trailing comma", `{"a":{"b":1,}}`, syntax},

		// Literals.
		{"True", `{"a":True}`, syntax},
		{"TRUE", `{"a":TRUE}`, syntax},
		{"tru", `{"a":tru}`, syntax},
		{"tru at the end", `{"a":tru`, syntax},
		{"truee", `{"a":truee}`, syntax},
		{"falze", `{"a":falze}`, syntax},
		{"nul", `{"a":nul}`, syntax},
		{"nil", `{"a":nil}`, syntax},
		{"undefined", `{"a":undefined}`, syntax},
		{"NaN", `{"a":NaN}`, syntax},
		{"Infinity", `{"a":Infinity}`, syntax},

		// Numbers.
		{"zero", `{"a":0}`, ""},
		{"minus zero", `{"a":-0}`, ""},
		{"fraction", `{"a":1.5}`, ""},
		{"exponents", `{"a":[1e5,1E5,1e+5,1e-5,0e0,-0.0E-0]}`, ""},
		{"1e400", `{"a":1e400}`, ""}, // a number all the same: who wants a float must refuse it
		{"2^53+1", `{"a":9007199254740993}`, ""},
		{"leading zero", `{"a":01}`, syntax},
		{"minus leading zero", `{"a":-01}`, syntax},
		{"two zeros", `{"a":00}`, syntax},
		{"plus", `{"a":+1}`, syntax},
		{"leading point", `{"a":.5}`, syntax},
		{"minus only", `{"a":-}`, badNumber},
		{"minus at the end", `{"a":-`, badNumber},
		{"two minuses", `{"a":--1}`, badNumber},
		{"minus Infinity", `{"a":-Infinity}`, badNumber},
		{"trailing point", `{"a":1.}`, badNumber},
		{"point at the end", `{"a":1.`, badNumber},
		{"point and exponent", `{"a":1.e1}`, badNumber},
		{"two points", `{"a":1.5.5}`, syntax},
		{"exponent without digits", `{"a":1e}`, badNumber},
		{"exponent with sign only", `{"a":1e+}`, badNumber},
		{"exponent with two signs", `{"a":1e+-1}`, badNumber},
		{"exponent with fraction", `{"a":1e1.5}`, syntax},
		{"two exponents", `{"a":1e1e1}`, syntax},
		{"hexadecimal", `{"a":0x10}`, syntax},
		{"underscore", `{"a":1_000}`, syntax},
		{"suffix", `{"a":1n}`, syntax},
		{"Arabic digit", `{"a":٣}`, syntax},

		// Strings.
		{"every short escape", `{"a":"\"\\\/\b\f\n\r\t"}`, ""},
		{"DEL", "{\"a\":\"\x7f\"}", ""},
		{"escaped NUL", `{"a":"\u0000"}`, ""},
		{"U+FFFD itself", "{\"a\":\"\xef\xbf\xbd\"}", ""},
		{"U+FFFD escaped", `{"a":"\ufffd"}`, ""},
		{"last code point", "{\"a\":\"\xf4\x8f\xbf\xbf\"}", ""},
		{"open string", `{"a":"`, badString},
		{"open name", `{"a`, badString},
		{"open after backslash", `{"a":"\`, badString},
		{"open after escaped quote", `{"a":"\"`, badString},
		{"NUL", "{\"a\":\"\x00\"}", badString},
		{"line feed", "{\"a\":\"\n\"}", badString},
		{"tab", "{\"a\":\"\t\"}", badString},
		{"unit separator", "{\"a\":\"\x1f\"}", badString},
		{"line feed in a name", "{\"a\n\":1}", badString},
		{"escape a", `{"a":"\a"}`, badString},
		{"escape v", `{"a":"\v"}`, badString},
		{"escape 0", `{"a":"\0"}`, badString},
		{"escape x", `{"a":"\x41"}`, badString},
		{"escape U", `{"a":"\U0041"}`, badString},
		{"escaped single quote", `{"a":"\'"}`, badString},
		{"escaped line feed", "{\"a\":\"\\\n\"}", badString},
		{"three hex digits", `{"a":"\u004"}`, badString},
		{"hex digits cut off", `{"a":"\u00`, badString},
		{"no hex digit, first", `{"a":"\ug041"}`, badString},
		{"no hex digit, last", `{"a":"\u004g"}`, badString},
		{"hex digits next to 0-9", `{"a":"\u00/0"}`, badString},
		{"hex digits behind 0-9", `{"a":"\u00:0"}`, badString},
		{"hex digits next to A-F", `{"a":"\u00@0"}`, badString},
		{"hex digits behind A-F", `{"a":"\u00G0"}`, badString},
		{"hex digits next to a-f", "{\"a\":\"\\u00`0\"}", badString},
		{"braced escape", `{"a":"\u{41}"}`, badString},
		{"bad escape in a name", `{"\q":1}`, badString},

		// Invalid UTF-8: each in a value, and one in a name.
		{"continuation byte alone", "{\"a\":\"\x80\"}", badString},
		{"0xFF", "{\"a\":\"\xff\"}", badString},
		{"Latin-1", "{\"a\":\"caf\xe9\"}", badString},
		{"sequence cut off", "{\"a\":\"\xe2\x82\"}", badString},
		{"overlong slash", "{\"a\":\"\xc0\xaf\"}", badString},
		{"overlong quote, three bytes", "{\"a\":\"\xe0\x80\xa2\"}", badString},
		{"modified UTF-8 NUL", "{\"a\":\"\xc0\x80\"}", badString},
		{"surrogate as bytes", "{\"a\":\"\xed\xa0\x80\"}", badString},
		{"CESU-8 pair", "{\"a\":\"\xed\xa0\xbd\xed\xb8\x80\"}", badString},
		{"beyond U+10FFFF", "{\"a\":\"\xf4\x90\x80\x80\"}", badString},
		{"five bytes", "{\"a\":\"\xf8\x88\x80\x80\x80\"}", badString},
		{"0xFF in a name", "{\"\xff\":1}", badString},
		{"0xFF nested", "{\"a\":[{\"b\":\"\xff\"}]}", badString},
		{"0xFF between tokens", "{\xff}", syntax},

		// Surrogate escapes (RFC 7493 section 2.1).
		{"pair", `{"a":"\ud83d\ude00"}`, ""},
		{"pair, first and last", `{"a":"\ud800\udc00\uDBFF\uDFFF"}`, ""},
		{"before the surrogates", `{"a":"\ud7ff"}`, ""},
		{"behind the surrogates", `{"a":"\ue000"}`, ""},
		{"high alone", `{"a":"\ud800"}`, badString},
		{"last high alone", `{"a":"\udbff"}`, badString},
		{"low alone", `{"a":"\udc00"}`, badString},
		{"last low alone", `{"a":"\udfff"}`, badString},
		{"high and a letter", `{"a":"\ud800A"}`, badString},
		{"high and six letters", `{"a":"\ud800udc00ab"}`, badString},
		{"high and half an escape", `{"a":"\ud800xudc00"}`, badString},
		{"low twice", `{"a":"\udc00\udc00"}`, badString},
		{"last low and a low", `{"a":"\udfff\udc00"}`, badString},
		{"high and another escape", `{"a":"\ud800\ndc00"}`, badString},
		{"high and an escape that is no half", `{"a":"\ud800\u0041"}`, badString},
		{"high and what is below a low", `{"a":"\ud800\udbff"}`, badString},
		{"high and what is above a low", `{"a":"\ud800\ue000"}`, badString},
		{"high twice", `{"a":"\ud83d\ud83d\ude00"}`, badString},
		{"low before high", `{"a":"\ude00\ud83d"}`, badString},
		{"low without hex digits", `{"a":"\ud800\udc0x"}`, badString},
		{"low cut off", `{"a":"\ud800\udc0`, badString},
		{"low cut off after u", `{"a":"\ud800\u`, badString},
		{"low cut off after backslash", `{"a":"\ud800\`, badString},
		{"high at the end", `{"a":"\ud800`, badString},
		{"high alone in a name", `{"\ud800":1}`, badString},
		{"high alone nested", `{"a":[{"b":"\ud800"}]}`, badString},

		// Names once at every level.
		{"distinct names", `{"a":1,"b":1,"aa":1,"A":1}`, ""},
		{"same name in other objects", `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`, ""},
		{"same name after a nested object", `{"b":{"a":1,"c":2},"a":1,"c":3}`, ""},
		{"twice", `{"a":1,"a":1}`, duplicate},
		{"first and last", `{"a":1,"b":2,"c":3,"a":4}`, duplicate},
		{"empty name twice", `{"":1,"":2}`, duplicate},
		{"twice, second escaped", `{"alg":1,"\u0061lg":2}`, duplicate},
		{"twice, first escaped", `{"\u0061lg":1,"alg":2}`, duplicate},
		{"twice, both escaped differently", `{"\u0061\u006C":1,"\u0061\u006c":2}`, duplicate},
		{"twice, escaped slash", `{"a/b":1,"a\/b":2}`, duplicate},
		{"twice, beyond the BMP", `{"😀":1,"\ud83d\ude00":2}`, duplicate},
		{"twice with another between, nested", `{"o":{"a":1,"b":2,"a":3}}`, duplicate},
		{"twice, escaped, nested", `{"o":{"sub":1,"s\u0075b":2}}`, duplicate},
		{"twice in an object of an array", `{"o":[{"a":1,"b":{"a":1},"a":2}]}`, duplicate},
		{"name of an open object after a nested one", `{"a":{"b":{}},"a":1}`, duplicate},
		{"composed and decomposed", "{\"\u00e9\":1,\"e\u0301\":2}", ""}, // names are bytes: no normalisation

		// Case folding against what is registered.
		{"registered", `{"iss":1,"kid":1,"exp":1,"x5t#S256":1}`, ""},
		{"registered, escaped", `{"\u0069ss":1}`, ""},
		{"ISS", `{"ISS":1}`, folded},
		{"Iss beside iss", `{"iss":1,"Iss":2}`, folded},
		{"iss beside ISS", `{"ISS":1,"iss":2}`, folded},
		{"EXP", `{"EXP":1}`, folded},
		{"long s", "{\"i\u017fs\":1}", folded},
		{"two long s", "{\"i\u017f\u017f\":1}", folded},
		{"long s, escaped", `{"i\u017fs":1}`, folded},
		{"Kelvin sign", "{\"\u212aid\":1}", folded},
		{"Kelvin sign, escaped", `{"\u212aid":1}`, folded},
		{"escaped capital", `{"\u0049ss":1}`, folded},
		{"x5t#s256", `{"x5t#s256":1}`, folded},
		{"X5T#S256", `{"X5T#S256":1}`, folded},
		{"others with capitals", `{"SUB":1,"Groups":1,"issX":1,"IS":1,"ISSS":1}`, ""},
		{"others beyond ASCII", `{"ïss":1,"кid":1,"ıss":1}`, ""},
		{"folded, nested", `{"a":{"ISS":1}}`, ""}, // registered names are those of the top level
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := jose.ParseObject(tt.text, objectLimits)
			requireJSONVerdict(t, err, tt.want)
			if tt.want != "" {
				require.Nil(t, o)
				return
			}
			require.True(t, json.Valid([]byte(tt.text)))
			require.Equal(t, tt.text, o.JSON())
		})
	}
}

// TestParseObjectFoldedLetters: one letter in another case is enough, whichever
// it is. The registered names hold no capital here, as the claims' do not.
func TestParseObjectFoldedLetters(t *testing.T) {
	t.Parallel()
	var names []string
	for c := 'a'; c <= 'z'; c++ {
		names = append(names, "_"+string(c)+"_")
	}
	lim := jose.Limits{Bytes: 99, Depth: 1, Values: 9, Reserved: jose.Reserve(names...)}
	twins := map[string]string{"s": "\u017f", "k": "\u212a"}
	for _, name := range names {
		letter := strings.Trim(name, "_")
		for _, other := range []string{strings.ToUpper(letter), twins[letter]} {
			if other == "" {
				continue
			}
			_, err := jose.ParseObject(`{"_`+other+`_":1}`, lim)
			requireJSONVerdict(t, err, folded)
			_, err = jose.ParseObject(`{"_`+other+`":1}`, lim)
			require.NoError(t, err)
		}
		_, err := jose.ParseObject(`{"`+name+`":1,"`+letter+`":2}`, lim)
		require.NoError(t, err)
	}
	_, err := jose.ParseObject(`{"_@_":1,"_[_":2,"_\u0131_":3}`, lim) // beside A and Z, and the dotless i
	require.NoError(t, err)
	_, err = jose.ParseObject(`{"ISS":1,"iss":2}`, jose.Limits{Bytes: 99, Depth: 1, Values: 9})
	require.NoError(t, err)
}

// members makes an object of n members; last stands behind them.
func members(n int, last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, `"name%d":%d,`, i, i)
	}
	return b.String() + last + "}"
}

// TestParseObjectManyNames: more than 24 names of an object are kept in a set.
func TestParseObjectManyNames(t *testing.T) {
	t.Parallel()
	lim := jose.Limits{Bytes: 1 << 20, Depth: 3, Values: 1 << 12}
	for _, n := range []int{1, 22, 23, 24, 25, 26, 27, 48, 96, 97, 1000} {
		first, mid, last := 0, n/2, n-1
		for _, tt := range []struct {
			name, member string
			want         string
		}{
			{"distinct", `"other":1`, ""},
			{"first again", fmt.Sprintf(`"name%d":1`, first), duplicate},
			{"middle again", fmt.Sprintf(`"name%d":1`, mid), duplicate},
			{"last again", fmt.Sprintf(`"name%d":1`, last), duplicate},
			{"first again, escaped", fmt.Sprintf(`"\u006eame%d":1`, first), duplicate},
			{"last again, escaped", fmt.Sprintf(`"\u006eame%d":1`, last), duplicate},
			{"two others alike", `"o":1,"p":2,"o":3`, duplicate},
		} {
			t.Run(fmt.Sprintf("%d and %s", n, tt.name), func(t *testing.T) {
				t.Parallel()
				text := members(n, tt.member)
				for place, text := range map[string]string{
					"top":            text,
					"nested":         `{"o":` + text + `}`,
					"nested, behind": `{"p":{"name0":1},"o":` + text + `,"name0":1}`,
					"in an array":    `{"o":[{"name0":1},` + text + `]}`,
				} {
					_, err := jose.ParseObject(text, lim)
					if tt.want == "" {
						require.NoError(t, err, place)
						continue
					}
					require.EqualError(t, err, "jose: malformed JSON: "+tt.want, place)
				}
			})
		}
	}

	// A nested object must not end the memory of the one around it.
	for _, n := range []int{3, 30} {
		text := strings.TrimSuffix(members(n, `"o":`+members(40, `"x":1`)), "}")
		_, err := jose.ParseObject(text+"}", lim)
		require.NoError(t, err)
		for _, again := range []string{"name0", fmt.Sprintf("name%d", n-1), "o"} {
			_, err := jose.ParseObject(text+`,"`+again+`":1}`, lim)
			requireJSONVerdict(t, err, duplicate)
		}
	}
}

func TestParseObjectLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		lim  jose.Limits
		want string
	}{
		{"bytes, as many as allowed", `{"a":1}`, jose.Limits{Bytes: 7, Depth: 1, Values: 1}, ""},
		{"bytes, one more", `{"a":1} `, jose.Limits{Bytes: 7, Depth: 1, Values: 1}, tooLarge},
		{"bytes before syntax", `no JSON!`, jose.Limits{Bytes: 7, Depth: 1, Values: 1}, tooLarge},
		{"depth 1", `{"a":1}`, jose.Limits{Bytes: 99, Depth: 1, Values: 9}, ""},
		{"depth 1, object", `{"a":{}}`, jose.Limits{Bytes: 99, Depth: 1, Values: 9}, tooDeep},
		{"depth 1, array", `{"a":[]}`, jose.Limits{Bytes: 99, Depth: 1, Values: 9}, tooDeep},
		{"depth 3, objects", `{"a":{"b":{}}}`, jose.Limits{Bytes: 99, Depth: 3, Values: 9}, ""},
		{"depth 3, one more", `{"a":{"b":{"c":{}}}}`, jose.Limits{Bytes: 99, Depth: 3, Values: 9}, tooDeep},
		{"depth 3, arrays", `{"a":[[]]}`, jose.Limits{Bytes: 99, Depth: 3, Values: 9}, ""},
		{"depth 3, one more array", `{"a":[[[]]]}`, jose.Limits{Bytes: 99, Depth: 3, Values: 9}, tooDeep},
		{"depth 3, mixed", `{"a":[{"b":[]}]}`, jose.Limits{Bytes: 99, Depth: 3, Values: 9}, tooDeep},
		{"depth is not width", `{"a":[],"b":[],"c":[{},{},{}]}`, jose.Limits{Bytes: 99, Depth: 3, Values: 9}, ""},
		{"depth 0", `{}`, jose.Limits{Bytes: 99, Values: 9}, tooDeep},
		{"values, members", `{"a":1,"b":2,"c":3}`, jose.Limits{Bytes: 99, Depth: 9, Values: 3}, ""},
		{"values, one member more", `{"a":1,"b":2,"c":3,"d":4}`, jose.Limits{Bytes: 99, Depth: 9, Values: 3}, tooMany},
		{"values, elements", `{"a":[1,2]}`, jose.Limits{Bytes: 99, Depth: 9, Values: 3}, ""},
		{"values, one element more", `{"a":[1,2,3]}`, jose.Limits{Bytes: 99, Depth: 9, Values: 3}, tooMany},
		{"values, nested members", `{"a":{"b":{"c":{}}}}`, jose.Limits{Bytes: 99, Depth: 9, Values: 3}, ""},
		{"values, one nested member more", `{"a":{"b":{"c":{"d":1}}}}`, jose.Limits{Bytes: 99, Depth: 9, Values: 3}, tooMany},
		{"values 0", `{}`, jose.Limits{Bytes: 99, Depth: 9}, ""},
		{"values 0, one member", `{"a":1}`, jose.Limits{Bytes: 99, Depth: 9}, tooMany},
		{"zero limits", `{}`, jose.Limits{}, tooLarge},

		{"default depth", `{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, jose.DefaultLimits, ""},
		{"default depth, one more", `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, jose.DefaultLimits, tooDeep},
		{"default values", `{"a":[0` + strings.Repeat(",0", 4094) + `]}`, jose.DefaultLimits, ""},
		{"default values, one more", `{"a":[0` + strings.Repeat(",0", 4095) + `]}`, jose.DefaultLimits, tooMany},
		{"default bytes", `{}` + strings.Repeat(" ", 1<<20-2), jose.DefaultLimits, ""},
		{"default bytes, one more", `{}` + strings.Repeat(" ", 1<<20-1), jose.DefaultLimits, tooLarge},
		{"10 000 deep, arrays", `{"a":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, jose.DefaultLimits, tooDeep},
		{"10 000 deep, objects", strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), jose.DefaultLimits, tooDeep},
		{"10 000 deep, never closed", `{"a":` + strings.Repeat("[", 10000), jose.DefaultLimits, tooDeep},
		{"100 000 members", members(100000, `"z":1`), jose.Limits{Bytes: 4 << 20, Depth: 9, Values: 4096}, tooMany},
		{"100 000 elements", `{"a":[0` + strings.Repeat(",0", 100000) + `]}`, jose.DefaultLimits, tooMany},
		{"a string of 1 MB", `{"a":"` + strings.Repeat("a", 1<<20) + `"}`, jose.DefaultLimits, tooLarge},
		{"a string of nearly 1 MB", `{"a":"` + strings.Repeat("a", 1<<20-8) + `"}`, jose.DefaultLimits, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := jose.ParseObject(tt.text, tt.lim)
			requireJSONVerdict(t, err, tt.want)
		})
	}
}

func TestObjectValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, raw string
		get       any
		isText    bool
		list      []string // of Strings; nil: not a list of strings
	}{
		{"string", `"a b"`, "a b", true, []string{"a b"}},
		{"empty string", `""`, "", true, []string{""}},
		{"short escapes", `"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true, []string{"\"\\/\b\f\n\r\t"}},
		{"escaped quote at the end", `"a\""`, `a"`, true, []string{`a"`}},
		{"hex escape", `"\u0041\u00e9\u20AC\u0000"`, "Aé€\x00", true, []string{"Aé€\x00"}},
		{"surrogate pair", `"\uD83D\uDE00"`, "😀", true, []string{"😀"}},
		{"UTF-8", `"é€😀"`, "é€😀", true, []string{"é€😀"}},
		{"text that looks like JSON", `"[1,{}]"`, "[1,{}]", true, []string{"[1,{}]"}},
		{"true", `true`, true, false, nil},
		{"false", `false`, false, false, nil},
		{"null", `null`, nil, false, nil},
		{"integer", `12`, json.Number("12"), false, nil},
		{"minus zero", `-0`, json.Number("-0"), false, nil},
		{"2^53+1", `9007199254740993`, json.Number("9007199254740993"), false, nil},
		{"40 digits", `1234567890123456789012345678901234567890`, json.Number("1234567890123456789012345678901234567890"), false, nil},
		{"fraction, all digits", `0.10000000000000000555111512312578270`, json.Number("0.10000000000000000555111512312578270"), false, nil},
		{"1E400", `1E400`, json.Number("1E400"), false, nil},
		{"empty array", `[]`, []any{}, false, []string{}},
		{"empty array with white space", `[ ` + "\n" + `]`, []any{}, false, []string{}},
		{"strings", `["a","b"]`, []any{"a", "b"}, false, []string{"a", "b"}},
		{"strings with white space", "[ \"a\" ,\n\t\"b\"\r]", []any{"a", "b"}, false, []string{"a", "b"}},
		{"strings that hold brackets and commas", `["a,b","]","[","\",\""]`, []any{"a,b", "]", "[", `","`}, false, []string{"a,b", "]", "[", `","`}},
		{"escaped strings", `["\u0061","b\\","\ud83d\ude00"]`, []any{"a", `b\`, "😀"}, false, []string{"a", `b\`, "😀"}},
		{"the same string twice", `["a","a"]`, []any{"a", "a"}, false, []string{"a", "a"}},
		{"twenty strings", `["0","1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17","18","19"]`,
			[]any{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19"}, false,
			[]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19"}},
		{"a number among strings", `["a",1]`, []any{"a", json.Number("1")}, false, nil},
		{"null among strings", `[null,"a"]`, []any{nil, "a"}, false, nil},
		{"an array among strings", `["a",["b"]]`, []any{"a", []any{"b"}}, false, nil},
		{"an object among strings", `[{"a":"b"}]`, []any{map[string]any{"a": "b"}}, false, nil},
		{"object", `{"b":[1.50,{"c":null}]}`, map[string]any{"b": []any{json.Number("1.50"), map[string]any{"c": nil}}}, false, nil},
		{"empty object", `{}`, map[string]any{}, false, nil},
		{"nested big number", `[18446744073709551617]`, []any{json.Number("18446744073709551617")}, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := jose.ParseObject("{\"before\":0, \"a\" :\n"+tt.raw+" \t,\"after\":{}}", objectLimits)
			require.NoError(t, err)

			require.True(t, o.Has("a"))
			raw, ok := o.Raw("a")
			require.True(t, ok)
			require.Equal(t, tt.raw, raw)
			for range 2 { // decoded, then remembered
				got, ok := o.Get("a")
				require.True(t, ok)
				require.Equal(t, tt.get, got)
			}

			text, ok := o.Text("a")
			require.Equal(t, tt.isText, ok)
			if tt.isText {
				require.Equal(t, tt.get, text)
			} else {
				require.Empty(t, text)
			}

			list, ok := o.Strings("a")
			require.Equal(t, tt.list != nil, ok)
			require.Equal(t, tt.list, list)
		})
	}
}

func TestObjectNames(t *testing.T) {
	t.Parallel()
	o, err := jose.ParseObject(`{"b":1,"\u0061":2,"":3,"sub":{"x":1},"A":null}`, objectLimits)
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a", "", "sub", "A"}, o.Names())

	for _, name := range []string{"b", "a", "", "sub", "A"} {
		require.True(t, o.Has(name), name)
	}
	// Names are exact: no case, no prefix, no escapes, no members of members.
	for _, name := range []string{"B", "SUB", "su", "subs", "x", `\u0061`, " ", "sub.x"} {
		require.False(t, o.Has(name), name)
		_, ok := o.Raw(name)
		require.False(t, ok, name)
		_, ok = o.Text(name)
		require.False(t, ok, name)
		v, ok := o.Get(name)
		require.False(t, ok, name)
		require.Nil(t, v, name)
		list, ok := o.Strings(name) // an absent list is an empty one
		require.True(t, ok, name)
		require.Nil(t, list, name)
	}

	empty, err := jose.ParseObject(` {} `, objectLimits)
	require.NoError(t, err)
	require.Empty(t, empty.Names())
	require.Equal(t, ` {} `, empty.JSON())
}

// TestObjectGetShares: a value is decoded once, and handed out as it is.
func TestObjectGetShares(t *testing.T) {
	t.Parallel()
	o, err := jose.ParseObject(`{"a":{"b":[1]}}`, objectLimits)
	require.NoError(t, err)
	first, _ := o.Get("a")
	second, _ := o.Get("a")
	require.Equal(t, reflect.ValueOf(first).UnsafePointer(), reflect.ValueOf(second).UnsafePointer())
}

// TestObjectConcurrently is for the race detector: one Object, many readers.
func TestObjectConcurrently(t *testing.T) {
	t.Parallel()
	const text = `{"s":"a\u0062","n":12.50,"t":true,"z":null,"l":["x","\u0079"],"o":{"p":{"q":[1,2,3]}}}`
	o, err := jose.ParseObject(text, objectLimits)
	require.NoError(t, err)
	want := map[string]any{
		"s": "ab", "n": json.Number("12.50"), "t": true, "z": nil,
		"l": []any{"x", "y"}, "o": map[string]any{"p": map[string]any{"q": []any{json.Number("1"), json.Number("2"), json.Number("3")}}},
	}
	const readers = 16
	wrong := make([]string, readers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			<-start
			for _, name := range o.Names() {
				got, ok := o.Get(name)
				list, listOK := o.Strings(name)
				text, textOK := o.Text(name)
				if !ok || !reflect.DeepEqual(got, want[name]) ||
					textOK != (name == "s") || textOK && text != "ab" ||
					listOK != (name == "s" || name == "l") || name == "l" && !reflect.DeepEqual(list, []string{"x", "y"}) {
					wrong[i] += " " + name
				}
			}
		})
	}
	close(start)
	wg.Wait()
	require.Equal(t, make([]string, readers), wrong)
}

// Eight bytes at a time say what one at a time does: every byte, at every place of a
// string, beside letters and beside bytes that borrow.
func TestStringsByEights(t *testing.T) {
	for place := range 24 {
		for c := range 256 {
			for _, beside := range []string{"a", " ", "\x7f", "!", "#"} {
				body := []byte(strings.Repeat(beside, 24))
				body[place] = byte(c)
				_, err := jose.ParseObject(`{"x":"`+string(body)+`"}`, jose.DefaultLimits)
				good := c >= 0x20 && c < 0x80 && c != '"' && c != '\\'
				if c == '\\' && place < 23 { // what stands behind it decides
					continue
				}
				require.Equal(t, good, err == nil, "%d %q %q", place, byte(c), beside)
			}
		}
	}
}
