package jwtvalidate_test

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

func TestConfig(t *testing.T) {
	static, err := jwtvalidate.StaticKeys(&ecKey().PublicKey)
	require.NoError(t, err)
	issuer := func(edit func(*jwtvalidate.Issuer)) func(*jwtvalidate.Config) {
		return func(c *jwtvalidate.Config) { edit(&c.Issuers[0]) }
	}
	for _, row := range []struct {
		name  string
		edit  func(*jwtvalidate.Config)
		wants []string // each is a part of the error; none: there is none
	}{
		{"good", func(*jwtvalidate.Config) {}, nil},
		{"nothing at all", func(c *jwtvalidate.Config) { *c = jwtvalidate.Config{} }, []string{"Issuers: at least one"}},
		{"an empty issuer", func(c *jwtvalidate.Config) { c.Issuers[0] = jwtvalidate.Issuer{} }, []string{
			"Issuers[0].URL: required", "Issuers[0].Algorithms: at least one", "Issuers[0].Keys: required", "Issuers[0].Audiences: at least one",
		}},
		{"two empty issuers", func(c *jwtvalidate.Config) { c.Issuers = make([]jwtvalidate.Issuer, 2) }, []string{
			"Issuers[0].URL: required", "Issuers[0].Algorithms", "Issuers[0].Keys", "Issuers[0].Audiences",
			"Issuers[1].URL: required", "Issuers[1].Algorithms", "Issuers[1].Keys", "Issuers[1].Audiences",
		}},
		{"all that can be wrong, at once", func(c *jwtvalidate.Config) {
			*c = jwtvalidate.Config{
				Issuers: []jwtvalidate.Issuer{{
					URL: strings.Repeat("u", 513), Algorithms: []string{"none", "RS1"}, Audiences: []string{""}, Required: []string{""},
					Profile: jwtvalidate.Profile{Required: []string{"x"}}, MaxLifetime: -1, KeyID: "9",
				}, {}},
				Leeway: time.Hour, Realm: `"`, ResourceMetadata: "nowhere",
			}
		}, []string{
			"Issuers[0].URL", `Issuers[0].Algorithms: "none"`, `Issuers[0].Algorithms: "RS1"`, "Issuers[0].Keys: required", "Issuers[0].Audiences: an empty one",
			"Issuers[0].Profile.Types: required", "Issuers[0].Required", "Issuers[0].MaxLifetime", "Issuers[0].KeyID",
			"Issuers[1].URL", "Issuers[1].Algorithms", "Issuers[1].Keys", "Issuers[1].Audiences", "Leeway", "Realm", "ResourceMetadata",
		}},
		{"two issuers", func(c *jwtvalidate.Config) {
			c.Issuers = append(c.Issuers, c.Issuers[0])
			c.Issuers[1].URL = "https://other.example.com/"
		}, nil},
		{"one issuer twice", func(c *jwtvalidate.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, []string{"Issuers[1].URL: is listed twice"}},
		{"URL of 512 bytes", issuer(func(p *jwtvalidate.Issuer) { p.URL = strings.Repeat("u", 512) }), nil},
		{"URL of 513 bytes", issuer(func(p *jwtvalidate.Issuer) { p.URL = strings.Repeat("u", 513) }), []string{"Issuers[0].URL"}},

		{"A1 alg none", issuer(func(p *jwtvalidate.Issuer) { p.Algorithms = []string{"none"} }), []string{`Issuers[0].Algorithms: "none" is not supported`}},
		{"A2 alg in lower case", issuer(func(p *jwtvalidate.Issuer) { p.Algorithms = []string{"rs256"} }), []string{`"rs256"`}},
		{"alg empty", issuer(func(p *jwtvalidate.Issuer) { p.Algorithms = []string{""} }), []string{`Issuers[0].Algorithms: ""`}},
		{"one bad alg among good", issuer(func(p *jwtvalidate.Issuer) { p.Algorithms = []string{"RS256", "ES256K"} }), []string{`"ES256K"`}},
		{"all algorithms of public keys", issuer(func(p *jwtvalidate.Issuer) {
			p.Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
		}), nil},

		{"A13 HS256 with keys that are no Secret", issuer(algs("HS256")), []string{"Issuers[0].Keys: HS256 needs a Secret"}},
		{"A13 HS256 with a Secret that is wrapped", issuer(keysOf(wrapped{mustSecret(t, secret)}, "HS256")), []string{"HS256 needs a Secret"}},
		{"A13 HS256 with static keys", issuer(keysOf(static, "HS256")), []string{"HS256 needs a Secret"}},
		{"HS256 beside RS256, with keys", issuer(algs("HS256", "RS256")), []string{"HS256 needs a Secret", "RS256 beside HS*"}},
		{"HS256 beside RS256, with a Secret", issuer(keysOf(mustSecret(t, secret), "HS256", "RS256")), []string{"Algorithms: RS256 cannot be verified with a Secret"}},
		{"RS256 with a Secret", issuer(keysOf(mustSecret(t, secret), "RS256")), []string{"RS256 cannot be verified with a Secret"}},
		{"HS256, HS384 and HS512 with 64 bytes", issuer(keysOf(mustSecret(t, secret), "HS256", "HS384", "HS512")), nil},
		{"A7 HS256 with 31 bytes", issuer(keysOf(mustSecret(t, secret[:31]), "HS256")), []string{"shorter than the hash of HS256"}},
		{"A7 HS256 with 32 bytes", issuer(keysOf(mustSecret(t, secret[:32]), "HS256")), nil},
		{"A7 HS384 with 47 bytes", issuer(keysOf(mustSecret(t, secret[:47]), "HS384")), []string{"shorter than the hash of HS384"}},
		{"A7 HS512 with 63 bytes", issuer(keysOf(mustSecret(t, secret[:63]), "HS256", "HS512")), []string{"shorter than the hash of HS512"}},

		{"keys nil", issuer(func(p *jwtvalidate.Issuer) { p.Keys = nil }), []string{"Issuers[0].Keys: required"}},
		{"keys a nil pointer", issuer(func(p *jwtvalidate.Issuer) { p.Keys = (*source)(nil) }), []string{"Issuers[0].Keys: required"}},
		{"keys of a type without pointer", issuer(func(p *jwtvalidate.Issuer) { p.Keys = contextual{} }), nil},
		{"static keys that fit", issuer(keysOf(static, "RS256", "ES256")), nil},
		{"static keys that fit the first", issuer(keysOf(static, "ES256", "EdDSA")), nil},
		{"static keys that fit nothing", issuer(keysOf(static, "RS256", "ES384")), []string{"Issuers[0].Keys: none of the static keys fits"}},

		{"audience empty beside a good one", issuer(func(p *jwtvalidate.Issuer) { p.Audiences = []string{audience, ""} }), []string{"Issuers[0].Audiences"}},
		{"no audience, AllAudiences", issuer(func(p *jwtvalidate.Issuer) { p.Audiences, p.AllAudiences = nil, true }), []string{"Issuers[0].Audiences"}},
		{"no audience, AudienceClaim", issuer(func(p *jwtvalidate.Issuer) { p.Audiences, p.AudienceClaim = nil, "client_id" }), []string{"Issuers[0].Audiences"}},
		{"own profile", issuer(func(p *jwtvalidate.Issuer) { p.Profile = jwtvalidate.Profile{Types: []string{"", "x"}} }), nil},
		{"own profile without types", issuer(func(p *jwtvalidate.Issuer) { p.Profile = jwtvalidate.Profile{Required: []string{"sub"}} }), []string{"Issuers[0].Profile.Types"}},
		{"own profile with a type that would stand for none", issuer(func(p *jwtvalidate.Issuer) { p.Profile = jwtvalidate.Profile{Types: []string{"application/"}} }), []string{"Issuers[0].Profile.Types"}},
		{"own profile of claims without types", issuer(func(p *jwtvalidate.Issuer) { p.Profile = jwtvalidate.Profile{Claims: map[string]string{"a": "b"}} }), []string{"Issuers[0].Profile.Types"}},
		{"own profile with an empty text", issuer(func(p *jwtvalidate.Issuer) {
			p.Profile = jwtvalidate.Profile{Types: []string{"x"}, Claims: map[string]string{"a": ""}}
		}), []string{"Issuers[0].Profile.Claims"}},
		{"own profile with an empty name", issuer(func(p *jwtvalidate.Issuer) {
			p.Profile = jwtvalidate.Profile{Types: []string{"x"}, Claims: map[string]string{"": "a"}}
		}), []string{"Issuers[0].Profile.Claims"}},
		{"RFC9068", issuer(func(p *jwtvalidate.Issuer) { p.Profile = jwtvalidate.RFC9068 }), nil},
		{"LogoutToken", issuer(func(p *jwtvalidate.Issuer) { p.Profile = jwtvalidate.LogoutToken }), nil},
		{"required claim without a name", issuer(func(p *jwtvalidate.Issuer) { p.Required = []string{"sub", ""} }), []string{"Issuers[0].Required"}},
		{"required claim of a profile without a name", issuer(func(p *jwtvalidate.Issuer) {
			p.Profile = jwtvalidate.Profile{Types: []string{"x"}, Required: []string{""}}
		}), []string{"Issuers[0].Required"}},
		{"MaxLifetime negative", issuer(func(p *jwtvalidate.Issuer) { p.MaxLifetime = -time.Second }), []string{"Issuers[0].MaxLifetime"}},
		{"the last strategy", issuer(func(p *jwtvalidate.Issuer) { p.KeyID = "kid+x5t" }), nil},
		{"a strategy that is none", issuer(func(p *jwtvalidate.Issuer) { p.KeyID = "KID" }), []string{"Issuers[0].KeyID"}},

		{"leeway of a minute", func(c *jwtvalidate.Config) { c.Leeway = time.Minute }, nil},
		{"leeway of more than a minute", func(c *jwtvalidate.Config) { c.Leeway = time.Minute + 1 }, []string{"Leeway"}},
		{"no leeway", func(c *jwtvalidate.Config) { c.Leeway = jwtvalidate.NoLeeway }, nil},
		{"leeway negative", func(c *jwtvalidate.Config) { c.Leeway = -2 }, []string{"Leeway"}},
		{"leeway minus a second", func(c *jwtvalidate.Config) { c.Leeway = -time.Second }, []string{"Leeway"}},

		{"realm with a space", func(c *jwtvalidate.Config) { c.Realm = "all orders ~!" }, nil},
		{"realm with a quote", func(c *jwtvalidate.Config) { c.Realm = `a"b` }, []string{"Realm"}},
		{"realm with a backslash", func(c *jwtvalidate.Config) { c.Realm = `a\b` }, []string{"Realm"}},
		{"H11 realm with CR LF", func(c *jwtvalidate.Config) { c.Realm = "a\r\nSet-Cookie: b" }, []string{"Realm"}},
		{"realm with a tab", func(c *jwtvalidate.Config) { c.Realm = "a\tb" }, []string{"Realm"}},
		{"realm with DEL", func(c *jwtvalidate.Config) { c.Realm = "a\x7f" }, []string{"Realm"}},
		{"realm with a letter beyond ASCII", func(c *jwtvalidate.Config) { c.Realm = "\u00e4" }, []string{"Realm"}},
		{"metadata URL", func(c *jwtvalidate.Config) { c.ResourceMetadata = "https://api.example.com/.well-known/x" }, nil},
		{"metadata on loopback", func(c *jwtvalidate.Config) { c.ResourceMetadata = "http://127.0.0.1/x" }, nil},
		{"metadata path only", func(c *jwtvalidate.Config) { c.ResourceMetadata = "/.well-known/x" }, []string{"ResourceMetadata"}},
		{"metadata of another scheme", func(c *jwtvalidate.Config) { c.ResourceMetadata = "ftp://x/y" }, []string{"ResourceMetadata"}},
		{"metadata without a host", func(c *jwtvalidate.Config) { c.ResourceMetadata = "https:///y" }, []string{"ResourceMetadata"}},
		{"metadata that is no URL", func(c *jwtvalidate.Config) { c.ResourceMetadata = "https://x/%zz" }, []string{"ResourceMetadata"}},
		{"metadata with a quote", func(c *jwtvalidate.Config) { c.ResourceMetadata = `https://x/?"` }, []string{"ResourceMetadata"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}}
			row.edit(&cfg)
			v, err := jwtvalidate.New(cfg)
			if len(row.wants) == 0 {
				require.NoError(t, err)
				require.NotNil(t, v)
				return
			}
			require.Nil(t, v)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(row.wants), err)
			for _, want := range row.wants {
				require.ErrorContains(t, err, want)
			}
			for _, line := range lines {
				require.Regexp(t, `^jwtvalidate: (Issuers|Issuers\[\d\]\.\w+(\.\w+)?|Leeway|Realm|ResourceMetadata): `, line)
			}
			require.NotContains(t, err.Error(), string(secret[:16]))
		})
	}
}

type wrapped struct{ jwtvalidate.KeySource }

// New opens nothing and asks nothing.
func TestNewAsksNothing(t *testing.T) {
	keys := sourceOf(allKeys()...)
	validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(keys)},
		Observe: func(context.Context, jwtvalidate.Event) { t.Error("observed") },
		Now:     func() time.Time { t.Error("asked the time"); return clock() },
	})
	require.Zero(t, keys.calls.Load())
}

func TestConfigIsCopied(t *testing.T) {
	algorithms, audiences, required := []string{"ES256"}, []string{audience}, []string{"sub"}
	profile := jwtvalidate.Profile{Types: []string{"JWT"}, Required: []string{"jti"}}
	issuers := []jwtvalidate.Issuer{{
		URL: issuerURL, Algorithms: algorithms, Keys: sourceOf(allKeys()...), Audiences: audiences, Required: required, Profile: profile,
	}}
	v := validator(t, jwtvalidate.Config{Issuers: issuers})

	algorithms[0], audiences[0], required[0] = "RS256", "https://evil.example.com", "no_such_claim"
	profile.Types[0], profile.Required[0] = "evil+jwt", "no_such_claim"
	issuers[0] = jwtvalidate.Issuer{}

	for _, row := range []struct {
		name, token string
		want        error
	}{
		{"still good", good(t), nil},
		{"the later algorithm", mint(t, jose.RS256, rsaKey(), `{"alg":"RS256","typ":"JWT"}`, goodPayload), jwtvalidate.ErrAlgorithm},
		{"the later audience", es256(t, goodHeader, meantFor(`"https://evil.example.com"`)), jwtvalidate.ErrAudience},
		{"the later type", es256(t, `{"alg":"ES256","typ":"evil+jwt"}`, goodPayload), jwtvalidate.ErrType},
		{"the first required claim", es256(t, goodHeader, payload(`"jti":"x"`)), jwtvalidate.ErrMissingClaim},
		{"the profile's first required claim", es256(t, goodHeader, payload(`"sub":"x"`)), jwtvalidate.ErrMissingClaim},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := v.CheckToken(t.Context(), row.token)
			require.ErrorIs(t, err, row.want)
		})
	}

	t.Run("a secret", func(t *testing.T) {
		b := append([]byte(nil), secret...)
		v := trust(t, keysOf(mustSecret(t, b), "HS256"))
		clear(b)
		_, err := v.CheckToken(t.Context(), mint(t, jose.HS256, secret, `{"alg":"HS256"}`, goodPayload))
		require.NoError(t, err)
		_, err = v.CheckToken(t.Context(), mint(t, jose.HS256, b, `{"alg":"HS256"}`, goodPayload))
		require.ErrorIs(t, err, jwtvalidate.ErrSignature)
	})
	t.Run("static keys", func(t *testing.T) {
		list := []crypto.PublicKey{&ecKey().PublicKey}
		s, err := jwtvalidate.StaticKeys(list...)
		require.NoError(t, err)
		list[0] = &evilEC().PublicKey
		v := trust(t, keysOf(s, "ES256"))
		_, err = v.CheckToken(t.Context(), good(t))
		require.NoError(t, err)
		_, err = v.CheckToken(t.Context(), mint(t, jose.ES256, evilEC(), goodHeader, goodPayload))
		require.ErrorIs(t, err, jwtvalidate.ErrSignature)
	})
}

// The first profile of a Config must not grow into the next one's.
func TestProfilesDoNotShareMemory(t *testing.T) {
	required := append(make([]string, 0, 8), "sub")
	shared := jwtvalidate.Profile{Types: []string{"JWT"}, Required: required}
	a, b := policy(sourceOf(allKeys()...)), policy(sourceOf(allKeys()...))
	a.Profile, a.Required = shared, []string{"jti"}
	b.Profile, b.Required, b.URL = shared, []string{"tenant"}, "https://other.example.com/"
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{a, b}})
	require.Empty(t, required[:2][1], "what is behind the caller's slice is the caller's")
	_, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(`"sub":"x","tenant":"y"`)))
	require.ErrorIs(t, err, jwtvalidate.ErrMissingClaim)
	_, err = v.CheckToken(t.Context(), good(t))
	require.NoError(t, err)
}

// A3 and A7: what everybody knows is no secret.
func TestSecret(t *testing.T) {
	pkix, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	require.NoError(t, err)
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	ec, err := x509.MarshalPKIXPublicKey(&ecKey().PublicKey)
	require.NoError(t, err)
	certificate, err := x509.CreateCertificate(rand.Reader, template(), template(), &ecKey().PublicKey, ecKey())
	require.NoError(t, err)
	jwk, err := jose.MarshalJWK(&rsaKey().PublicKey, "k1", jose.RS256)
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}))
	std := base64.StdEncoding.EncodeToString

	for name, b := range map[string]string{
		"PEM":                          text,
		"PEM without its newline":      strings.TrimRight(text, "\n"),
		"PEM behind a space":           " \n" + text,
		"PEM behind a BOM":             "\ufeff" + text,
		"PEM behind a comment":         "the key:\n" + text,
		"PEM with CR LF":               strings.ReplaceAll(text, "\n", "\r\n"),
		"PEM with its newlines quoted": strings.ReplaceAll(text, "\n", `\n`),
		"PEM in quotes":                `"` + text + `"`,
		"PEM cut off":                  text[:100],
		"PEM of PKCS #1":               string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})),
		"PEM of a certificate":         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		"PEM of a private key":         "-----BEGIN PRIVATE KEY-----\nMIIE",
		"DER":                          string(pkix),
		"DER and a newline":            string(pkix) + "\n",
		"DER of PKCS #1":               string(pkcs1),
		"DER of an EC key":             string(ec),
		"DER that ends in a newline":   endsInNewline(t),
		"DER of a certificate":         string(certificate),
		"DER as base64":                std(pkix),
		"DER as base64 in lines":       std(pkix)[:64] + "\n" + std(pkix)[64:] + "\n",
		"DER of PKCS #1 as base64":     std(pkcs1),
		"certificate as base64":        std(certificate),
		"JWK":                          string(jwk),
		"JWK and a newline":            string(jwk) + "\n",
		"JWK behind a BOM":             "\ufeff" + string(jwk),
		"JWK indented":                 "{\n  \"kty\" : \"RSA\" , \"n\" : \"AAAA\" , \"e\" : \"AQAB\"\n}",
		"JWK with a name twice":        `{"kty":"RSA","kty":"RSA","n":"AAAA","e":"AQAB"}`,
		"JWK with kty escaped":         `{"\u006bty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		"JWK of the secret":            `{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		"JWK set":                      `{"keys":[` + string(jwk) + `]}`,
		"list of JWKs":                 `[` + string(jwk) + `]`,
		"ssh-rsa":                      "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 me@example.com",
		"ssh-ed25519":                  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@example.com\n",
		"ssh ecdsa":                    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY me",
		"ssh security key":             "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t me",
		"ssh ecdsa security key":       "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZ me",
		"SSH2":                         "---- BEGIN SSH2 PUBLIC KEY ----\nAAAAB3NzaC1yc2EAAAADAQABAAABAQC7\n---- END SSH2 PUBLIC KEY ----",
		"nothing":                      "",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := jwtvalidate.Secret([]byte(b))
			require.Nil(t, s)
			require.ErrorContains(t, err, "jwtvalidate: Secret: ")
			if len(b) > 40 {
				require.NotContains(t, err.Error(), b[20:40])
			}
		})
	}
	for name, b := range map[string]string{
		"twin: text":                    string(secret),
		"twin: with spaces and newline": " " + string(secret) + "\n",
		"twin: any bytes":               "\x00\xff\xfe\x30\x82" + string(secret),
		"twin: base64 of random bytes":  std(secret),
		"twin: a brace":                 "{" + string(secret),
		"twin: digits":                  strings.Repeat("1234567890", 5),
		"twin: dashes":                  "-----" + string(secret),
	} {
		t.Run(name, func(t *testing.T) {
			v := trust(t, keysOf(mustSecret(t, []byte(b)), "HS256"))
			_, err := v.CheckToken(t.Context(), mint(t, jose.HS256, []byte(b), `{"alg":"HS256"}`, goodPayload))
			require.NoError(t, err, "white space is part of a secret")
		})
	}
}

// endsInNewline is the DER of a public key whose last byte trimming would take away.
func endsInNewline(t *testing.T) string {
	t.Helper()
	for {
		k, err := newP256()
		require.NoError(t, err)
		der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		require.NoError(t, err)
		if der[len(der)-1] == '\n' {
			return string(der)
		}
	}
}

func TestSecretShowsNothing(t *testing.T) {
	s := mustSecret(t, secret)
	cfg := jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{Keys: s}}}
	v := trust(t, keysOf(s, "HS256"))
	_, err := v.CheckToken(t.Context(), mint(t, jose.HS256, secret, `{"alg":"HS256"}`, goodPayload)) // a used one, too
	require.NoError(t, err)
	for _, value := range []any{s, &s, []jwtvalidate.KeySource{s}, cfg, &cfg, v, wrapped{s}, struct{ s jwtvalidate.KeySource }{s}} {
		requireSilent(t, value, string(secret[:8]))
	}
}

// requireSilent prints a value in every way that a log might.
func requireSilent(t *testing.T, value any, words ...string) {
	t.Helper()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&out, verb+"\n", value)
	}
	text, err := json.Marshal(value)
	fmt.Fprintln(&out, string(text), err)
	var log buffer
	log.logger().Info("x", slog.Any("value", value))
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("value", value))
	out.WriteString(log.String())
	for _, word := range words {
		require.NotContains(t, out.String(), word)
		require.NotContains(t, out.String(), fmt.Sprintf("%x", word))
		require.NotContains(t, out.String(), fmt.Sprintf("%X", word))
		require.NotContains(t, out.String(), strings.Trim(fmt.Sprint([]byte(word)), "[]"))
		require.NotContains(t, out.String(), base64.RawStdEncoding.EncodeToString([]byte(word))[:len(word)])
	}
}

func TestStaticKeys(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	hidden, err := jose.NewSecret(secret)
	require.NoError(t, err)
	short := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	for _, row := range []struct {
		name string
		keys []crypto.PublicKey
		want string // part of the error
	}{
		{"none", nil, "want 1 to 8 keys"},
		{"nine", []crypto.PublicKey{1, 2, 3, 4, 5, 6, 7, 8, 9}, "want 1 to 8 keys"},
		{"nil", []crypto.PublicKey{nil}, "key 0"},
		{"nil pointer", []crypto.PublicKey{(*rsa.PublicKey)(nil)}, "key 0 (*rsa.PublicKey)"},
		{"nil pointer to an EC key", []crypto.PublicKey{(*ecdsa.PublicKey)(nil)}, "key 0"},
		{"empty EC key", []crypto.PublicKey{&ecdsa.PublicKey{}}, "key 0"},
		{"private RSA key", []crypto.PublicKey{rsaKey()}, "key 0 (*rsa.PrivateKey)"},
		{"private EC key", []crypto.PublicKey{ecKey()}, "key 0"},
		{"private Ed25519 key", []crypto.PublicKey{edKey()}, "key 0 (ed25519.PrivateKey)"},
		{"RSA key that is no pointer", []crypto.PublicKey{rsaKey().PublicKey}, "key 0"},
		{"A6 RSA key of 1024 bits", []crypto.PublicKey{short}, "key 0"},
		{"A6 RSA key with e=1", []crypto.PublicKey{&rsa.PublicKey{N: rsaKey().N, E: 1}}, "key 0"},
		{"P-224", []crypto.PublicKey{&p224.PublicKey}, "key 0"},
		{"EC key off its curve", []crypto.PublicKey{&ecKey().PublicKey, &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}}, "key 1"},
		{"EC key at infinity", []crypto.PublicKey{&ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}}, "key 0"},
		{"short Ed25519 key", []crypto.PublicKey{ed25519.PublicKey("short")}, "key 0"},
		{"S5 Ed25519 key of small order", []crypto.PublicKey{ed25519.PublicKey(make([]byte, 32))}, "key 0"},
		{"secret's bytes", []crypto.PublicKey{secret}, "key 0 ([]uint8)"},
		{"A13 secret", []crypto.PublicKey{hidden}, "key 0"},
		{"PEM text", []crypto.PublicKey{"-----BEGIN PUBLIC KEY-----"}, "key 0 (string)"},
		{"X25519 key", []crypto.PublicKey{x25519.PublicKey()}, "key 0 (*ecdh.PublicKey)"},
		{"the second is bad", []crypto.PublicKey{&ecKey().PublicKey, 5}, "key 1 (int)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, err := jwtvalidate.StaticKeys(row.keys...)
			require.Nil(t, s)
			require.ErrorContains(t, err, "jwtvalidate: StaticKeys: ")
			require.ErrorContains(t, err, row.want)
		})
	}
	t.Run("two bad ones are reported at once", func(t *testing.T) {
		_, err := jwtvalidate.StaticKeys(1, &ecKey().PublicKey, "x")
		require.ErrorContains(t, err, "key 0 (int)")
		require.ErrorContains(t, err, "key 2 (string)")
	})

	s, err := jwtvalidate.StaticKeys(append(allKeys(), &evilEC().PublicKey, &evilRSA().PublicKey, edKey().Public())...) // eight
	require.NoError(t, err)
	v := trust(t, keysOf(s, "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"))
	for name, token := range map[string]string{
		"twin: RS256":                     mint(t, jose.RS256, rsaKey(), `{"alg":"RS256"}`, goodPayload),
		"twin: PS256":                     mint(t, jose.PS256, rsaKey(), `{"alg":"PS256"}`, goodPayload),
		"twin: ES256":                     good(t),
		"twin: ES384":                     mint(t, jose.ES384, p384Key(), `{"alg":"ES384"}`, goodPayload),
		"twin: ES512":                     mint(t, jose.ES512, p521Key(), `{"alg":"ES512"}`, goodPayload),
		"twin: EdDSA":                     mint(t, jose.EdDSA, edKey(), `{"alg":"EdDSA"}`, goodPayload),
		"twin: the second key of a type":  mint(t, jose.ES256, evilEC(), goodHeader, goodPayload),
		"twin: the second key, RS256":     mint(t, jose.RS256, evilRSA(), `{"alg":"RS256"}`, goodPayload),
		"twin: a kid is not looked at":    es256(t, `{"alg":"ES256","kid":"whatever"}`, goodPayload),
		"twin: no kid is needed, nor typ": es256(t, `{"alg":"ES256"}`, goodPayload),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.CheckToken(t.Context(), token)
			require.NoError(t, err)
		})
	}
	t.Run("only keys that fit the algorithm are handed out", func(t *testing.T) {
		for alg, n := range map[string]int{"RS256": 2, "ES256": 2, "ES384": 1, "EdDSA": 2, "Ed25519": 2, "HS256": 0, "none": 0, "": 0} {
			keys, err := s.Keys(t.Context(), "", alg)
			require.NoError(t, err)
			require.Len(t, keys, n, alg)
		}
	})
}

// Zero values are the strict side.
func TestDefaults(t *testing.T) {
	p := policy(sourceOf(allKeys()...))
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}}) // no clock of our own either
	require.NoError(t, err)
	at := func(d time.Duration) string {
		return es256(t, goodHeader, expiring(fmt.Sprint(time.Now().Add(d).Unix())))
	}
	_, err = v.CheckToken(t.Context(), at(time.Minute))
	require.NoError(t, err)
	_, err = v.CheckToken(t.Context(), at(-time.Minute))
	require.ErrorIs(t, err, jwtvalidate.ErrExpired)

	require.Panics(t, func() { v.Handler(nil) }, "at set-up, not at the first request")
	requireRefused(t, record(v.Handler(http.NotFoundHandler()), request()), http.StatusUnauthorized, `Bearer realm="api"`)
}
