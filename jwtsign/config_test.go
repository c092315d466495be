package jwtsign_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// TestNewReportsAll: one error names every field that is wrong.
func TestNewReportsAll(t *testing.T) {
	_, err := jwtsign.New(jwtsign.Config{
		Issuer: "login.example.com", JWKSURL: "/jwks", Timeout: -1, MaxCalls: -1, Statuses: []int{204, 99, 200},
		Decrypt: func(b []byte) ([]byte, error) { return b, nil },
		Keys: []jwtsign.Key{
			{},
			{Private: jwtsign.SignerKey(ecKey()), Algorithm: "none"},
			{Private: jwtsign.SignerKey(ecKey()), Algorithm: "ES256", ID: strings.Repeat("k", 513)},
			{Private: jwtsign.SignerKey(ecKey()), Algorithm: "ES256", ID: "a", PublishFrom: clock()},
			{Private: jwtsign.SignerKey(ecKey()), Algorithm: "RS256"},
		},
		Token: jwtsign.Token{Lifetime: time.Millisecond, Type: "a b", Required: []string{""}, Keep: []string{"sub"}},
		Fields: []jwtsign.Field{
			{},
			{Path: []string{"a", ""}, Token: access()},
			{Path: []string{"b"}, Token: jwtsign.Token{Type: "x"}},
			{Path: []string{"b", "c"}, Token: jwtsign.Token{Type: "y", Lifetime: time.Hour, Audience: []string{""}}},
		},
	})
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		"Issuer: required", "JWKSURL: ", "Timeout, MaxCalls: ", "Statuses: 204", "Statuses: 99", "Decrypt: ",
		"Keys[0].Private: ", "Keys[1].Algorithm: ", "Keys[2].ID: ", "Keys[3].PublishFrom, ", "Keys[4].Private: ",
		"Token.Lifetime: ", "Token.Audience: ", "Token.Type: ", "Token.Required: ", "Token.Keep: ",
		"Fields[0].Path: ", "Fields[1].Path: ", "Fields[2].Token.Lifetime: ", "Fields[2].Token.Audience: ",
		"Fields[3].Path: ", "Fields[3].Token.Audience: ",
	} {
		n := 0
		for _, line := range lines {
			if strings.HasPrefix(line, "jwtsign: "+want) {
				n++
			}
		}
		require.Equal(t, 1, n, "%s, in\n%s", want, err)
	}
	require.Len(t, lines, 22, "%s", err)
}

func TestNewRefuses(t *testing.T) {
	ec := func(id string) jwtsign.Key {
		return jwtsign.Key{Private: jwtsign.SignerKey(ecKey()), Algorithm: "ES256", ID: id}
	}
	at := func(k jwtsign.Key, publish, sign, retire int64) jwtsign.Key {
		for into, seconds := range map[*time.Time]int64{&k.PublishFrom: publish, &k.SignFrom: sign, &k.RetireAt: retire} {
			if seconds != 0 {
				*into = clock().Add(time.Duration(seconds) * time.Second)
			}
		}
		return k
	}
	hs := func() jwtsign.Key {
		k, err := jwtsign.Secret(secret)
		require.NoError(t, err)
		return jwtsign.Key{Private: k, Algorithm: "HS256"}
	}
	keys := func(k ...jwtsign.Key) func(*jwtsign.Config) { return func(c *jwtsign.Config) { c.Keys = k } }
	kinds := func(tokens ...jwtsign.Token) func(*jwtsign.Config) {
		return func(c *jwtsign.Config) {
			c.Fields = nil
			for i, token := range tokens {
				c.Fields = append(c.Fields, jwtsign.Field{Path: []string{string(rune('a' + i))}, Token: token})
			}
		}
	}
	of := func(typ string, audience ...string) jwtsign.Token {
		return jwtsign.Token{Lifetime: time.Hour, Type: typ, Audience: audience}
	}
	paths := func(list ...string) func(*jwtsign.Config) {
		return func(c *jwtsign.Config) {
			c.Fields = nil
			for i, p := range list {
				c.Fields = append(c.Fields, jwtsign.Field{Path: strings.Split(p, "/"), Token: of("JWT", string(rune('a'+i)))})
			}
		}
	}
	inFile := func(jwks ...string) func(*jwtsign.Config) {
		name := filepath.Join(t.TempDir(), "keys.json")
		store(t, name, keySet(jwks...))
		return func(c *jwtsign.Config) { c.Keys, c.File = nil, name }
	}
	for _, row := range []struct {
		name   string
		change func(*jwtsign.Config)
		want   string // empty: taken
	}{
		{"good", func(*jwtsign.Config) {}, ""},
		{"no keys", keys(), "Keys, File: want exactly one"},
		{"keys and a file", func(c *jwtsign.Config) { c.File = "x" }, "Keys, File: want exactly one"},
		{"keys and a file, and what is wrong with them", func(c *jwtsign.Config) { c.File, c.Keys = "no/such/file", []jwtsign.Key{{}} },
			"Keys, File: want exactly one\nKeys[0].Private: \nFile: no such file"},
		{"no keys, and Decrypt", func(c *jwtsign.Config) { c.Keys, c.Decrypt = nil, func(b []byte) ([]byte, error) { return b, nil } },
			"Keys, File: want exactly one\nDecrypt: only with File"},
		{"a file that is not there", func(c *jwtsign.Config) { c.Keys, c.File = nil, "no/such/file" }, "File: "},
		{"a file of two faulty keys", inFile(
			privateJWK(t, newEC(t), "alg", "ES256", "kid", "a", "publish_from", stamp(after(60))),
			privateJWK(t, newEC(t), "alg", "ES256", "kid", "b", "publish_from", stamp(after(60))),
		), "File: keys[0].PublishFrom, \nFile: keys[1].PublishFrom, "},
		{"a file of three odd times", inFile(
			privateJWK(t, newEC(t), "alg", "ES256", "kid", "a", "publish_from", "now", "retire_at", "later"),
			privateJWK(t, newEC(t), "alg", "ES256", "kid", "b", "sign_from", "then"),
		), "File: keys[0]: publish_from: \nFile: keys[0]: retire_at: \nFile: keys[1]: sign_from: "},
		{"a file of one good key", inFile(privateJWK(t, newEC(t), "alg", "ES256", "kid", "a")), ""},
		{"65 keys", func(c *jwtsign.Config) { c.Keys = make([]jwtsign.Key, 65) }, "Keys: more than 64"},

		{"two keys in turn", keys(ec("a"), at(ec("b"), 0, 60, 0)), ""},
		{"kid twice", keys(ec("a"), at(ec("a"), 0, 60, 0)), "Keys[1].ID: "},
		{"thumbprint twice", keys(ec(""), at(ec(""), 0, 60, 0)), "Keys[1].ID: "},
		{"two secrets without kid", keys(hs(), at(hs(), 0, 60, 0)), "Keys[1].ID: "},
		{"kids that are one in JSON", keys(ec("a\xfe"), at(ec("a\xff"), 0, 60, 0)), "ID: "},
		{"same SignFrom", keys(at(ec("a"), 0, -60, 0), at(ec("b"), 0, -60, 0)), "Keys[1].SignFrom: "},
		{"same SignFrom in another zone", keys(at(ec("a"), 0, -60, 0), func() jwtsign.Key {
			k := at(ec("b"), 0, -60, 0)
			k.SignFrom = k.SignFrom.In(time.FixedZone("x", 3600))
			return k
		}()), "Keys[1].SignFrom: "},
		{"both at once", keys(ec("a"), ec("b")), "Keys[1].SignFrom: "},
		{"retires before it signs", keys(ec("a"), at(ec("b"), 0, 60, 59)), "Keys[1].PublishFrom, SignFrom, RetireAt: "},
		{"retires when it signs", keys(ec("a"), at(ec("b"), 0, 60, 60)), "Keys[1].PublishFrom, SignFrom, RetireAt: "},
		{"published after it signs", keys(at(ec("a"), -59, -60, 0)), "Keys[0].PublishFrom, SignFrom, RetireAt: "},
		{"published when it signs", keys(at(ec("a"), -60, -60, 60)), ""},
		{"none signs yet", keys(at(ec("a"), 0, 1, 0)), "Keys, File: none signs"},
		{"none signs any more", keys(at(ec("a"), 0, -60, -1)), "Keys, File: none signs"},
		{"retires now", keys(at(ec("a"), 0, -60, 0), func() jwtsign.Key { k := ec("b"); k.RetireAt = clock(); return k }()), ""},
		{"the only one retires now", keys(func() jwtsign.Key { k := ec("b"); k.RetireAt = clock(); return k }()), "Keys, File: none signs"},
		{"all that is wrong with a key", keys(jwtsign.Key{
			Private: jwtsign.SignerKey(nil), Algorithm: "none", ID: strings.Repeat("k", 513), PublishFrom: clock(),
		}), "Keys[0].Algorithm: \"none\" is not supported, or not what the key is for\nKeys[0].PublishFrom, SignFrom, RetireAt: not in this order\nKeys[0].ID: "},
		{"no algorithm, and no order", keys(jwtsign.Key{Private: jwtsign.SignerKey(newEC(t)), PublishFrom: clock()}), "Keys[0].Algorithm: required\nKeys[0].PublishFrom, SignFrom, RetireAt: "},
		{"kid of 512 bytes", keys(ec(strings.Repeat("k", 512))), ""},

		{"two fields of two types", kinds(of("", "a"), of("refresh+jwt", "a")), ""},
		{"two fields of two audiences", kinds(of("", "a"), of("", "b")), ""},
		{"two fields alike", kinds(of("JWT", "a"), of("JWT", "a")), "Fields[1]: "},
		{"two fields of Config.Token", kinds(jwtsign.Token{}, jwtsign.Token{}), "Fields[1]: "},
		{"one of Config.Token", kinds(jwtsign.Token{}, of("jwt", audience)), "Fields[1]: "},
		{"JWT and none", kinds(of("JWT", "a"), of("", "a")), "Fields[1]: "},
		{"application/", kinds(of("at+jwt", "a"), of("application/at+jwt", "a")), "Fields[1]: "},
		{"APPLICATION/", kinds(of("AT+jwt", "a"), of("APPLICATION/at+JWT", "a")), "Fields[1]: "},
		{"application/jwt and none", kinds(of("", "a"), of("application/jwt", "a")), "Fields[1]: "},
		{"overlapping audiences", kinds(of("JWT", "a", "b"), of("JWT", "c", "b")), "Fields[1]: "},
		{"the third like the first", kinds(of("JWT", "a"), of("JWT", "b"), of("JWT", "c", "a")), "Fields[2]: "},

		{"paths beside each other", paths("a/b", "a/c", "d"), ""},
		{"a path twice", paths("a/b", "a/b"), "Fields[1].Path: "},
		{"a path through a field", paths("a", "a/b"), "Fields[1].Path: "},
		{"a field above a path", paths("a/b", "a"), "Fields[1].Path: "},
		{"an empty name", paths("a//b"), "Fields[0].Path: "},
		{"a name that is no UTF-8", paths("a/\xff"), "Fields[0].Path: "},
		{"paths that differ by case", paths("a/B", "A/b", "a/b"), ""},

		{"an issuer of 512 bytes", func(c *jwtsign.Config) { c.Issuer = "https://a/" + strings.Repeat("x", 502) }, ""},
		{"a longer issuer", func(c *jwtsign.Config) { c.Issuer = "https://a/" + strings.Repeat("x", 503) }, "Issuer: "},
		{"an issuer without host", func(c *jwtsign.Config) { c.Issuer = "https:///x" }, "Issuer: "},
		{"an issuer of another scheme", func(c *jwtsign.Config) { c.Issuer = "ftp://a" }, "Issuer: "},
		{"an issuer with control characters", func(c *jwtsign.Config) { c.Issuer = "https://a/\n" }, "Issuer: "},
		{"an issuer that is no UTF-8", func(c *jwtsign.Config) { c.Issuer = "https://a/\xff" }, "Issuer: "},
		{"an audience that is no UTF-8", func(c *jwtsign.Config) { c.Token.Audience = []string{"\xff"} }, "Token.Audience: "},
		{"a lifetime with fractions", func(c *jwtsign.Config) { c.Token.Lifetime += time.Millisecond }, "Token.Lifetime: "},
		{"a negative lifetime", func(c *jwtsign.Config) { c.Token.Lifetime = -time.Hour }, "Token.Lifetime: "},
		{"eleven years", func(c *jwtsign.Config) { c.Token.Lifetime = 11 * 365 * 24 * time.Hour }, "Token.Lifetime: "},
		{"a typ with a quote", func(c *jwtsign.Config) { c.Token.Type = `a"b` }, "Token.Type: "},
		{"a typ beyond ASCII", func(c *jwtsign.Config) { c.Token.Type = "jwt\u00e9" }, "Token.Type: "},

		// What no request has would let every answer out unsigned.
		{"PUT", func(c *jwtsign.Config) { c.Methods = []string{http.MethodPut} }, ""},
		{"a method in lower case", func(c *jwtsign.Config) { c.Methods = []string{"post"} }, "Methods: "},
		{"an empty method", func(c *jwtsign.Config) { c.Methods = []string{""} }, "Methods: "},
		{"no method at all", func(c *jwtsign.Config) { c.Methods = []string{} }, "Methods: "},
		{"no status at all", func(c *jwtsign.Config) { c.Statuses = []int{} }, "Statuses: "},
		{"206", func(c *jwtsign.Config) { c.Statuses = []int{200, 206} }, "Statuses: 206"},
		{"304", func(c *jwtsign.Config) { c.Statuses = []int{304} }, "Statuses: 304"},
		{"600", func(c *jwtsign.Config) { c.Statuses = []int{600} }, "Statuses: 600"},
		{"401", func(c *jwtsign.Config) { c.Statuses = []int{401} }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := config()
			row.change(&cfg)
			s, err := jwtsign.New(cfg)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "jwtsign: ")
			require.Nil(t, s)
			for want := range strings.SplitSeq(row.want, "\n") {
				found := false
				for line := range strings.SplitSeq(err.Error(), "\n") {
					found = found || strings.HasPrefix(line, "jwtsign: "+want) || want == "ID: " && strings.Contains(line, "].ID: ")
				}
				require.True(t, found, "%s", err)
			}
		})
	}
}

// TestNewCopies: what is done to a Config later changes nothing.
func TestNewCopies(t *testing.T) {
	cfg := config()
	cfg.Methods, cfg.Statuses = []string{http.MethodPost}, []int{200}
	cfg.Token.Required, cfg.Token.Keep = []string{"tenant"}, []string{"jti"}
	s := signer(t, cfg)
	cfg.Methods[0], cfg.Statuses[0] = http.MethodPut, 500
	cfg.Token.Required[0], cfg.Token.Keep[0], cfg.Token.Audience[0] = "other", "aud", "https://evil.example.com"
	cfg.Fields[0].Path[0] = "other"
	cfg.Fields[0].Optional = true
	cfg.Keys[0] = jwtsign.Key{}

	server := ways["Handler"](t, s, write("application/json", `{"access_token":{"tenant":"t","jti":"8","aud":"x"}}`))
	got := ask(t, server, http.MethodPost)
	require.Equal(t, 200, got.status)
	token := strings.TrimSuffix(strings.TrimPrefix(got.body, `{"access_token":"`), `"}`)
	o := open(t, token, "ES256", ecKey())
	require.Equal(t, audience, o.claims["aud"])
	require.Equal(t, "8", o.claims["jti"])
	server = ways["Handler"](t, s, write("application/json", `{"access_token":{"other":"t"}}`))
	require.Equal(t, 502, ask(t, server, http.MethodPost).status)

	text := append([]byte(nil), secret...)
	key, err := jwtsign.Secret(text)
	require.NoError(t, err)
	clear(text)
	cfg = config()
	cfg.Keys = []jwtsign.Key{{Private: key, Algorithm: "HS256"}}
	compact, err := signer(t, cfg).Sign(t.Context(), map[string]any{})
	require.NoError(t, err)
	open(t, compact, "HS256", sharedSecret(t))
}
