package jwkcache_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

const keysURL = "https://idp.example.com/jwks"

// provider answers in memory, as Config.Client's Transport, so that a bubble's
// time is virtual. It counts what it is asked.
type provider struct {
	mu       sync.Mutex
	reply    replier
	requests []*http.Request
}

type replier func(*http.Request) (*http.Response, error)

func newProvider(r replier) *provider { return &provider{reply: r} }

func (p *provider) set(r replier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reply = r
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err // as http.Transport does
	}
	p.mu.Lock()
	p.requests = append(p.requests, r)
	reply := p.reply
	p.mu.Unlock()
	return reply(r)
}

func (p *provider) client() *http.Client { return &http.Client{Transport: p} }

// asked is how many requests there were.
func (p *provider) asked() int { return len(p.seen()) }

func (p *provider) seen() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// says answers with a status, a body, and header lines like "ETag: x".
func says(status int, body string, header ...string) replier {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			h.Set(name, value)
		}
		return &http.Response{
			StatusCode: status, Header: h, Request: r, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

// publishes answers with a set of these JWKs.
func publishes(jwks ...string) replier { return says(http.StatusOK, setOf(jwks...)) }

func fails(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// after answers late, and hangs at most as long as the client waits.
func after(d time.Duration, then replier) replier {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

var hangs = after(time.Hour, fails)

// at answers by path.
func at(paths map[string]replier) replier {
	return func(r *http.Request) (*http.Response, error) {
		if reply := paths[r.URL.Path]; reply != nil {
			return reply(r)
		}
		return says(http.StatusNotFound, "")(r)
	}
}

func setOf(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

func newKey(tb testing.TB, id string, alg jose.Alg) testidp.Key {
	tb.Helper()
	if alg >= jose.RS256 && alg <= jose.PS512 {
		return testidp.Key{ID: id, Alg: alg, Signer: rsaKey()}
	}
	return testidp.Key{ID: id, Alg: alg, Signer: testidp.GenerateKey(tb, alg)}
}

// rsaKey is made once: that is slow.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

type members = map[string]any

// jwk is a key's public half. The members given replace those of the same name;
// nil leaves one out.
func jwk(tb testing.TB, k testidp.Key, with members) string {
	tb.Helper()
	text, err := jose.MarshalJWK(k.Signer.Public(), k.ID, k.Alg)
	require.NoError(tb, err)
	all := members{}
	require.NoError(tb, json.Unmarshal(text, &all))
	maps.Copy(all, with)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err = json.Marshal(all)
	require.NoError(tb, err)
	return string(text)
}

func publish(tb testing.TB, keys ...testidp.Key) replier {
	tb.Helper()
	var list []string
	for _, k := range keys {
		list = append(list, jwk(tb, k, nil))
	}
	return publishes(list...)
}

// newCache is a cache of what p answers at keysURL.
func newCache(tb testing.TB, p *provider, change ...func(*jwkcache.Config)) *jwkcache.Cache {
	tb.Helper()
	cfg := jwkcache.Config{URL: keysURL, Client: p.client()}
	for _, f := range change {
		f(&cfg)
	}
	c, err := jwkcache.New(cfg)
	require.NoError(tb, err)
	return c
}

// lookup is Keys without an error.
func lookup(tb testing.TB, c *jwkcache.Cache, kid, alg string) []crypto.PublicKey {
	tb.Helper()
	keys, err := c.Keys(tb.Context(), kid, alg)
	require.NoError(tb, err)
	return keys
}

func has(tb testing.TB, c *jwkcache.Cache, k testidp.Key) {
	tb.Helper()
	requireKeys(tb, lookup(tb, c, k.ID, k.Alg.String()), k)
}

func hasNot(tb testing.TB, c *jwkcache.Cache, k testidp.Key) {
	tb.Helper()
	require.Empty(tb, lookup(tb, c, k.ID, k.Alg.String()))
}

func requireKeys(tb testing.TB, got []crypto.PublicKey, want ...testidp.Key) {
	tb.Helper()
	require.Len(tb, got, len(want))
	for i, k := range want {
		equal, ok := k.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
		require.True(tb, ok)
		require.True(tb, equal.Equal(got[i]), "key %d is not %s", i, k.ID)
	}
}

func TestLookup(t *testing.T) {
	plain := members{"alg": nil}
	r, e, d := newKey(t, "rsa", jose.RS256), newKey(t, "ec", jose.ES256), newKey(t, "ed", jose.EdDSA)
	e384, full, named := newKey(t, "ec", jose.ES384), newKey(t, "full", jose.ES512), newKey(t, "named", jose.Ed25519)
	p := newProvider(publishes(
		jwk(t, r, members{"alg": nil, "x5t": "thumb-1", "x5t#S256": "thumb-256"}),
		jwk(t, e, plain),
		jwk(t, e384, members{"alg": nil, "x5t": "thumb-384"}),
		jwk(t, d, nil),
		jwk(t, full, members{"kid": nil, "x5t": "only-x5t"}),
		jwk(t, named, nil),
	))
	c := newCache(t, p)
	for _, tt := range []struct {
		name, id, alg string
		want          []testidp.Key
	}{
		{"kid", "rsa", "RS256", []testidp.Key{r}},
		{"kid, another algorithm of the key", "rsa", "PS512", []testidp.Key{r}},
		{"x5t", "thumb-1", "RS256", []testidp.Key{r}},
		{"x5t#S256", "thumb-256", "RS256", []testidp.Key{r}},
		{"kid and x5t", "rsathumb-1", "RS256", []testidp.Key{r}},
		{"x5t and kid", "thumb-1rsa", "RS256", nil},
		{"kid and x5t#S256", "rsathumb-256", "RS256", nil},
		{"x5t without a kid", "only-x5t", "ES512", []testidp.Key{full}},
		{"shared kid, first curve", "ec", "ES256", []testidp.Key{e}},
		{"shared kid, second curve", "ec", "ES384", []testidp.Key{e384}},
		{"shared kid and x5t", "ecthumb-384", "ES384", []testidp.Key{e384}},
		{"shared kid and the x5t of the other", "ecthumb-384", "ES256", nil},
		{"shared kid, another type", "ec", "RS256", nil},
		{"alg EdDSA, asked as such", "ed", "EdDSA", []testidp.Key{d}},
		{"alg EdDSA, asked as Ed25519", "ed", "Ed25519", []testidp.Key{d}},
		{"alg Ed25519, asked as EdDSA", "named", "EdDSA", []testidp.Key{named}},
		{"alg Ed25519, asked as such", "named", "Ed25519", []testidp.Key{named}},
		{"kid of another case", "RSA", "RS256", nil},
		{"kid with a blank", "rsa ", "RS256", nil},
		{"prefix of a kid", "rs", "RS256", nil},
		{"no kid", "", "RS256", []testidp.Key{r}},
		{"no kid, several", "", "EdDSA", []testidp.Key{d, named}},
		{"no kid, by curve", "", "ES384", []testidp.Key{e384}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requireKeys(t, lookup(t, c, tt.id, tt.alg), tt.want...)
		})
	}
}

func TestAlgOfTheKeyBinds(t *testing.T) {
	rs, ps, es := newKey(t, "same", jose.RS256), newKey(t, "same", jose.PS256), newKey(t, "same", jose.ES256)
	ps.Signer = testidp.GenerateKey(t, jose.PS256)
	free := newKey(t, "free", jose.RS512)
	free.Signer = testidp.GenerateKey(t, jose.RS512)
	c := newCache(t, newProvider(publishes(jwk(t, rs, nil), jwk(t, ps, nil), jwk(t, es, nil), jwk(t, free, members{"alg": nil}))))
	for _, tt := range []struct {
		kid, alg string
		want     []testidp.Key
	}{
		{"same", "RS256", []testidp.Key{rs}},
		{"same", "PS256", []testidp.Key{ps}},
		{"same", "ES256", []testidp.Key{es}},
		{"same", "RS384", nil},
		{"same", "EdDSA", nil},
		{"free", "RS384", []testidp.Key{free}},
		{"free", "ES256", nil},
		{"", "RS256", []testidp.Key{rs, free}},
		{"", "PS512", []testidp.Key{free}},
	} {
		t.Run(tt.kid+" "+tt.alg, func(t *testing.T) {
			requireKeys(t, lookup(t, c, tt.kid, tt.alg), tt.want...)
		})
	}
}

func TestOneIDUnderTwoNamesIsOneKey(t *testing.T) {
	k := newKey(t, "thumb", jose.ES256)
	c := newCache(t, newProvider(publishes(jwk(t, k, members{"x5t": "thumb", "x5t#S256": "thumb"}))))
	requireKeys(t, lookup(t, c, "thumb", "ES256"), k)
	requireKeys(t, lookup(t, c, "thumbthumb", "ES256"), k)
	requireKeys(t, lookup(t, c, "", "ES256"), k)
}

func TestLookupIsBounded(t *testing.T) {
	var keys []testidp.Key
	for range 12 {
		keys = append(keys, newKey(t, "same", jose.EdDSA))
	}
	c := newCache(t, newProvider(publish(t, keys...)))
	requireKeys(t, lookup(t, c, "", "EdDSA"), keys[:4]...)
	requireKeys(t, lookup(t, c, "same", "EdDSA"), keys[:8]...)
	require.Len(t, c.Status().Keys, 12)
}

func TestUnknownAlgorithmFetchesNothing(t *testing.T) {
	p := newProvider(publish(t, newKey(t, "k", jose.ES256)))
	c := newCache(t, p)
	for _, alg := range []string{
		"", "none", "None", "es256", "ES256 ", "ES256K", "ML-DSA-65", "RS1", "RSA-OAEP", "HS256", "HS384", "HS512", "__proto__",
	} {
		t.Run(alg, func(t *testing.T) {
			require.Empty(t, lookup(t, c, "k", alg))
		})
	}
	require.Zero(t, p.asked())
	require.Zero(t, c.Status().Fetches)
}

// numbered is a base64url text of n bytes, each of them b.
func numbered(n int, b byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(string([]byte{b}), n)))
}

// oddKeys are JWKs that must not be used, with what Status must say of them.
func oddKeys(tb testing.TB) []struct{ name, jwk, why string } {
	r, e, d := newKey(tb, "odd", jose.RS256), newKey(tb, "odd", jose.ES256), newKey(tb, "odd", jose.EdDSA)
	return []struct{ name, jwk, why string }{
		{"unknown kty", `{"kty":"XYZ","kid":"odd"}`, "unsupported kty"},
		{"no kty", `{"kid":"odd"}`, "unsupported kty"},
		{"kty of another type", `{"kty":["RSA"],"kid":"odd"}`, "unsupported kty"},
		{"AKP, ML-DSA-65", `{"kty":"AKP","alg":"ML-DSA-65","kid":"odd","pub":"` + numbered(1952, 7) + `"}`, "unsupported kty"},
		{"AKP, SLH-DSA", `{"kty":"AKP","alg":"SLH-DSA-SHA2-128s","kid":"odd","pub":"` + numbered(32, 7) + `"}`, "unsupported kty"},
		{"secp256k1", jwk(tb, e, members{"crv": "secp256k1", "alg": "ES256K"}), "unsupported kty or crv"},
		{"X25519", jwk(tb, d, members{"crv": "X25519", "alg": nil}), "unsupported kty or crv"},
		{"Ed448", jwk(tb, d, members{"crv": "Ed448", "x": numbered(57, 7)}), "unsupported kty or crv"},
		{"curve of another case", jwk(tb, e, members{"crv": "p-256"}), "unsupported kty or crv"},
		{"point off the curve", jwk(tb, e, members{"x": numbered(32, 1), "y": numbered(32, 1)}), "not on the curve"},
		{"coordinate too long", jwk(tb, e, members{"x": numbered(33, 0)}), "wrong length"},
		{"coordinate missing", jwk(tb, e, members{"y": nil}), "malformed member"},
		{"key of another curve for its alg", jwk(tb, e, members{"alg": "ES384"}), "unusable key"},
		{"RSA of 1024 bits", jwk(tb, r, members{"n": numbered(128, 0xff)}), "1024 bits"},
		{"RSA of 512 bits", jwk(tb, r, members{"n": numbered(64, 0xff)}), "512 bits"},
		{"RSA of 16384 bits", jwk(tb, r, members{"n": numbered(2048, 0xff)}), "out of range"},
		{"RSA with e = 1", jwk(tb, r, members{"e": "AQ"}), "out of range"},
		{"RSA with an even e", jwk(tb, r, members{"e": "AQAC"}), "out of range"},
		{"RSA with e = 2^64+65537", jwk(tb, r, members{"e": "AQAAAAAAAQAB"}), "out of range"},
		{"RSA in padded base64", jwk(tb, r, members{"e": "AQAB="}), "malformed member"},
		{"use enc", jwk(tb, r, members{"use": "enc"}), "use, key_ops or alg"},
		{"use of another type", jwk(tb, r, members{"use": []string{"sig"}}), "malformed member"},
		{"key_ops encrypt", jwk(tb, r, members{"use": nil, "key_ops": []string{"encrypt"}}), "use, key_ops or alg"},
		{"use sig, key_ops sign", jwk(tb, r, members{"key_ops": []string{"sign"}}), "use, key_ops or alg"},
		{"key_ops empty", jwk(tb, r, members{"key_ops": []string{}}), "use, key_ops or alg"},
		{"key_ops a string", jwk(tb, r, members{"key_ops": "verify"}), "use, key_ops or alg"},
		{"alg RSA-OAEP", jwk(tb, r, members{"alg": "RSA-OAEP"}), "use, key_ops or alg"},
		{"alg HS256 on an RSA key", jwk(tb, r, members{"alg": "HS256"}), "unusable key"},
		{"alg none", jwk(tb, r, members{"alg": "none"}), "use, key_ops or alg"},
		{"private RSA", jwk(tb, r, members{"d": numbered(256, 7)}), "private or symmetric"},
		{"private EC", jwk(tb, e, members{"d": numbered(32, 7)}), "private or symmetric"},
		{"private OKP", jwk(tb, d, members{"d": numbered(32, 7)}), "private or symmetric"},
		{"one private factor", jwk(tb, r, members{"qi": "AQAB"}), "private or symmetric"},
		{"symmetric", `{"kty":"oct","kid":"odd","alg":"HS256","k":"` + numbered(32, 7) + `"}`, "private or symmetric"},
		{"small order", jwk(tb, d, members{"x": numbered(32, 0)}), "small order"},
		{"a name twice", strings.Replace(jwk(tb, e, nil), `{`, `{"kid":"odd",`, 1), "duplicate"},
		{"a name twice, escaped", strings.Replace(jwk(tb, e, nil), `{`, `{"kt\u0079":"EC",`, 1), "duplicate"},
		{"a name of another case", strings.Replace(jwk(tb, e, nil), `{`, `{"KTY":"EC",`, 1), "case only"},
		{"kid of another type", jwk(tb, e, members{"kid": 7}), "malformed member"},
		{"kid too long", jwk(tb, e, members{"kid": strings.Repeat("k", 513)}), "malformed member"},
		{"no object", `"odd"`, "malformed member"},
		{"null", `null`, "malformed member"},
		{"nested too deeply", jwk(tb, e, members{"x": json.RawMessage(strings.Repeat("[", 9) + strings.Repeat("]", 9))}), "malformed member"},
	}
}

func TestOddKeysSpoilNoOther(t *testing.T) {
	first, last := newKey(t, "first", jose.ES256), newKey(t, "last", jose.RS256)
	odd := oddKeys(t)
	all := []string{jwk(t, first, nil)}
	for _, tt := range odd {
		all = append(all, tt.jwk)
		t.Run(tt.name, func(t *testing.T) {
			var event jwkcache.Event
			c := newCache(t, newProvider(publishes(jwk(t, first, nil), tt.jwk, jwk(t, last, nil))), func(c *jwkcache.Config) {
				c.Observe = func(_ context.Context, e jwkcache.Event) { event = e }
			})
			has(t, c, first)
			has(t, c, last)
			for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
				require.LessOrEqual(t, len(lookup(t, c, "", alg)), 1)
			}
			st := c.Status()
			require.Len(t, st.Keys, 3)
			require.Equal(t, jwkcache.KeyStatus{ID: "first", Algorithm: "ES256"}, st.Keys[0])
			require.Equal(t, jwkcache.KeyStatus{ID: "last", Algorithm: "RS256"}, st.Keys[1])
			require.Contains(t, st.Keys[2].Skipped, tt.why)
			require.NotContains(t, st.Keys[2].Skipped, numbered(32, 7), "no key material")
			require.NoError(t, st.LastError)
			require.Equal(t, 2, event.Keys)
			require.Equal(t, 1, event.Skipped)
		})
		t.Run(tt.name+" alone", func(t *testing.T) {
			c := newCache(t, newProvider(publishes(tt.jwk)))
			_, err := c.Keys(t.Context(), "odd", "RS256")
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
			require.ErrorContains(t, err, "no usable key of 1; key 0: ")
			require.ErrorContains(t, err, tt.why)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	c := newCache(t, newProvider(publishes(append(all, jwk(t, last, nil))...)))
	has(t, c, first)
	has(t, c, last)
	require.Len(t, c.Status().Keys, len(odd)+2)
}

func TestSkippedKeysAreNamed(t *testing.T) {
	good := newKey(t, "good", jose.ES256)
	for _, tt := range []struct{ name, jwk, id string }{
		{"by kid", `{"kty":"AKP","kid":"pq-1"}`, "pq-1"},
		{"without one", `{"kty":"AKP"}`, ""},
		{"kid of another type", `{"kty":"AKP","kid":{}}`, ""},
		{"cut", `{"kty":"AKP","kid":"` + strings.Repeat("k", 200) + `"}`, strings.Repeat("k", 64)},
		{"cut within a character", `{"kty":"AKP","kid":"` + strings.Repeat("k", 63) + `é"}`, strings.Repeat("k", 63)},
		{"not for an ambiguous kid", `{"kty":"AKP","kid":"a","kid":"b"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, newProvider(publishes(jwk(t, good, nil), tt.jwk)))
			has(t, c, good)
			require.Equal(t, tt.id, c.Status().Keys[1].ID)
		})
	}
}

// badAnswers are answers that must count as a failed fetch.
func badAnswers(tb testing.TB) []struct {
	name  string
	reply replier
	why   string
} {
	good := jwk(tb, newKey(tb, "new", jose.ES256), nil)
	many := func(n int) string { return setOf(strings.TrimSuffix(strings.Repeat(good+",", n), ",")) }
	return []struct {
		name  string
		reply replier
		why   string
	}{
		{"HTML", says(200, "<html>maintenance</html>", "Content-Type: text/html"), "content type"},
		{"HTML as JSON", says(200, "<html>maintenance</html>"), "not an object"},
		{"no content type", says(200, setOf(good), "Content-Type: "), "content type"},
		{"text", says(200, setOf(good), "Content-Type: text/plain"), "content type"},
		{"empty", says(200, ""), "not an object"},
		{"{}", says(200, "{}"), "no member keys"},
		{`{"keys":[]}`, says(200, `{"keys":[]}`), "no usable key of 0"},
		{`{"keys":null}`, says(200, `{"keys":null}`), "not an array"},
		{`{"keys":{}}`, says(200, `{"keys":{}}`), "not an array"},
		{"null", says(200, "null"), "not an object"},
		{"a string", says(200, `"keys"`), "not an object"},
		{"an array", says(200, "["+good+"]"), "not an object"},
		{"one key, no set", says(200, good), "no member keys"},
		{"keys twice", says(200, `{"keys":[`+good+`],"keys":[`+good+`]}`), "duplicate"},
		{"keys folded", says(200, `{"Keys":[`+good+`]}`), "case only"},
		{"something behind it", says(200, setOf(good)+"x"), "after the object"},
		{"cut off", says(200, setOf(good)[:40]), "malformed"},
		{"nothing usable", says(200, setOf(`{"kty":"AKP"}`, `{"kty":"oct","k":"AAAA"}`)), "no usable key of 2; key 0"},
		{"too many bytes", says(200, setOf(good)+strings.Repeat(" ", 1<<20)), "too large"},
		{"too many keys", says(200, many(257)), "more than 256 keys"},
		{"status 201", says(201, setOf(good)), "status 201"},
		{"status 204", says(204, ""), "status 204"},
		{"status 304, unasked", says(304, ""), "status 304"},
		{"status 401", says(401, setOf(good)), "status 401"},
		{"status 404", says(404, setOf(good)), "status 404"},
		{"status 500 with a good set", says(500, setOf(good)), "status 500"},
		{"connection lost", fails, "unexpected EOF"},
		{"panic of the transport", func(*http.Request) (*http.Response, error) { panic("secret") }, "aborted"},
	}
}

func TestFailedFetchKeepsTheSet(t *testing.T) {
	old, fresh := newKey(t, "old", jose.ES256), newKey(t, "new", jose.ES256)
	for _, tt := range badAnswers(t) {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(publish(t, old))
				events := make(chan jwkcache.Event, 8)
				c := newCache(t, p, func(c *jwkcache.Config) {
					c.Observe = func(_ context.Context, e jwkcache.Event) { events <- e }
				})
				has(t, c, old)
				require.NoError(t, (<-events).Err)
				before := c.Status()
				p.set(tt.reply)

				time.Sleep(time.Until(before.NextFetch))
				has(t, c, old)
				synctest.Wait()
				require.Equal(t, 2, p.asked())
				has(t, c, old)
				st := c.Status()
				require.ErrorContains(t, st.LastError, tt.why)
				require.NotContains(t, st.LastError.Error(), "secret")
				require.NotContains(t, st.LastError.Error(), "%!")
				require.EqualValues(t, 2, st.Fetches)
				require.EqualValues(t, 1, st.Failures)
				require.Equal(t, before.Generation, st.Generation)
				require.Equal(t, before.FetchedAt, st.FetchedAt)
				require.Equal(t, before.Keys, st.Keys)
				require.True(t, st.Usable)
				require.True(t, st.NextFetch.After(time.Now()))
				e := <-events
				require.Error(t, e.Err)
				require.Zero(t, e.Keys)

				_, err := c.Keys(t.Context(), "new", "ES256")
				require.ErrorIs(t, err, jwkcache.ErrUnavailable, "whether there is such a key cannot be told")
				p.set(publish(t, fresh))
				time.Sleep(time.Minute)
				has(t, c, fresh)
			})
		})
		t.Run(tt.name+", cold", func(t *testing.T) {
			c := newCache(t, newProvider(tt.reply))
			keys, err := c.Keys(t.Context(), "new", "ES256")
			require.Empty(t, keys)
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
			require.ErrorContains(t, err, tt.why)
			require.True(t, strings.HasPrefix(err.Error(), "jwkcache: keys unavailable: "))
			st := c.Status()
			require.False(t, st.Usable)
			require.Empty(t, st.Keys)
			require.EqualValues(t, 1, st.Failures)
		})
	}
}

func TestErrorNamesTheFirstFourKeys(t *testing.T) {
	c := newCache(t, newProvider(publishes(strings.TrimSuffix(strings.Repeat(`{"kty":"AKP"},`, 256), ","))))
	_, err := c.Keys(t.Context(), "k", "ES256")
	require.ErrorContains(t, err, "no usable key of 256; key 0: ")
	require.ErrorContains(t, err, "; key 3: ")
	require.NotContains(t, err.Error(), "key 4")
	require.Less(t, len(err.Error()), 1000)
}

func TestStatusOfAKeyForAnyAlgorithm(t *testing.T) {
	k := newKey(t, "k", jose.RS256)
	c := newCache(t, newProvider(publishes(jwk(t, k, members{"alg": nil}), jwk(t, k, members{"kid": nil, "alg": "PS512"}))))
	has(t, c, k)
	require.Equal(t, []jwkcache.KeyStatus{{ID: "k"}, {Algorithm: "PS512"}}, c.Status().Keys)
}

func TestBoundsOfASet(t *testing.T) {
	k := newKey(t, "k", jose.ES256)
	text := setOf(jwk(t, k, nil), jwk(t, newKey(t, "l", jose.ES256), nil))
	for _, tt := range []struct {
		name   string
		change func(*jwkcache.Config)
		ok     bool
	}{
		{"as many bytes as there may be", func(c *jwkcache.Config) { c.MaxBytes = int64(len(text)) }, true},
		{"one less", func(c *jwkcache.Config) { c.MaxBytes = int64(len(text)) - 1 }, false},
		{"as many keys as there may be", func(c *jwkcache.Config) { c.MaxKeys = 2 }, true},
		{"one less", func(c *jwkcache.Config) { c.MaxKeys = 1 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, newProvider(says(200, text)), tt.change)
			_, err := c.Keys(t.Context(), "k", "ES256")
			require.Equal(t, tt.ok, err == nil, "%v", err)
		})
	}
}

// refreshed lets the set of a bubble's cache age, and waits for the next one.
func refreshed(tb testing.TB, c *jwkcache.Cache) {
	tb.Helper()
	time.Sleep(time.Until(c.Status().NextFetch))
	require.NoError(tb, c.Warm(tb.Context()))
	synctest.Wait()
}

func TestReplaceNeverMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a, b))
		c := newCache(t, p)
		has(t, c, a)
		has(t, c, b)
		p.set(publish(t, b))
		refreshed(t, c)
		has(t, c, b)
		require.Equal(t, []jwkcache.KeyStatus{{ID: "b", Algorithm: "ES256"}}, c.Status().Keys)
		require.Empty(t, lookup(t, c, "a", "ES256"))
		requireKeys(t, lookup(t, c, "", "ES256"), b)
		other := newKey(t, "b", jose.ES256)
		p.set(publish(t, other))
		refreshed(t, c)
		has(t, c, other) // another key under the same id replaces the one before
	})
}

// pointer is what tells that a key is the same value, not only an equal one.
func pointer(tb testing.TB, keys []crypto.PublicKey) any {
	tb.Helper()
	require.Len(tb, keys, 1)
	if k, ok := keys[0].(ed25519.PublicKey); ok {
		return &k[0]
	}
	return keys[0]
}

func TestUnchangedKeysAreCarriedOver(t *testing.T) {
	for _, alg := range []jose.Alg{jose.RS256, jose.ES256, jose.ES512, jose.EdDSA} {
		t.Run(alg.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, gone, come := newKey(t, "k", alg), newKey(t, "gone", jose.ES384), newKey(t, "come", jose.ES384)
				p := newProvider(publish(t, gone, k))
				c := newCache(t, p)
				before := pointer(t, lookup(t, c, "k", alg.String()))
				for _, jwks := range [][]string{
					{jwk(t, k, nil), jwk(t, come, nil)},
					{jwk(t, k, members{"kid": "other", "alg": nil, "x5t": "k"})}, // found by x5t, and the same key
					{jwk(t, k, members{"kid": "k", "alg": nil, "use": nil})},
				} {
					p.set(publishes(jwks...))
					refreshed(t, c)
					require.Same(t, before, pointer(t, lookup(t, c, "k", alg.String())))
				}
				p.set(publish(t, come))
				refreshed(t, c)
				p.set(publish(t, k))
				refreshed(t, c)
				require.NotSame(t, before, pointer(t, lookup(t, c, "k", alg.String())), "gone is gone")
			})
		})
	}
}

func TestGenerationCountsUsableKeysOnly(t *testing.T) {
	a, b, a2 := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256), newKey(t, "a", jose.ES256)
	odd := `{"kty":"AKP","kid":"pq"}`
	spaced := strings.Replace(jwk(t, a, members{"unknown": 1}), ",", " , ", 1)
	for _, tt := range []struct {
		name         string
		before, then []string
		changed      bool
	}{
		{"the same", []string{jwk(t, a, nil)}, []string{jwk(t, a, nil)}, false},
		{"another spelling", []string{jwk(t, a, nil)}, []string{spaced}, false},
		{"another order", []string{jwk(t, a, nil), jwk(t, b, nil)}, []string{jwk(t, b, nil), jwk(t, a, nil)}, false},
		{"an odd key comes", []string{jwk(t, a, nil)}, []string{odd, jwk(t, a, nil)}, false},
		{"an odd key goes", []string{jwk(t, a, nil), odd}, []string{jwk(t, a, nil)}, false},
		{"a key comes", []string{jwk(t, a, nil)}, []string{jwk(t, a, nil), jwk(t, b, nil)}, true},
		{"a key goes", []string{jwk(t, a, nil), jwk(t, b, nil)}, []string{jwk(t, a, nil)}, true},
		{"a key replaces another", []string{jwk(t, a, nil)}, []string{jwk(t, b, nil)}, true},
		{"another key under the same id", []string{jwk(t, a, nil)}, []string{jwk(t, a2, nil)}, true},
		{"twice instead of once", []string{jwk(t, a, nil)}, []string{jwk(t, a, nil), jwk(t, a, nil)}, true},
		{"another id", []string{jwk(t, a, nil)}, []string{jwk(t, a, members{"kid": "z"})}, true},
		{"another alg", []string{jwk(t, a, nil)}, []string{jwk(t, a, members{"alg": nil})}, true},
		{"another x5t", []string{jwk(t, a, nil)}, []string{jwk(t, a, members{"x5t": "z"})}, true},
		{"another x5t#S256", []string{jwk(t, a, nil)}, []string{jwk(t, a, members{"x5t#S256": "z"})}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(publishes(tt.before...))
				c := newCache(t, p)
				require.Zero(t, c.Status().Generation)
				require.NoError(t, c.Warm(t.Context()))
				require.EqualValues(t, 1, c.Status().Generation)
				p.set(publishes(tt.then...))
				refreshed(t, c)
				require.Equal(t, 2, p.asked())
				want := uint64(1)
				if tt.changed {
					want = 2
				}
				require.Equal(t, want, c.Status().Generation)
			})
		})
	}
}

func TestETag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(says(200, setOf(jwk(t, a, nil)), `ETag: "1"`))
		c := newCache(t, p)
		has(t, c, a)
		first := c.Status()
		conditions := func() (list []string) {
			for _, r := range p.seen() {
				list = append(list, r.Header.Get("If-None-Match"))
			}
			return list
		}

		p.set(says(304, ""))
		refreshed(t, c)
		st := c.Status()
		require.Equal(t, first.Generation, st.Generation)
		require.Equal(t, first.Keys, st.Keys)
		require.True(t, st.FetchedAt.After(first.FetchedAt), "it was confirmed")
		require.Zero(t, st.Age)
		require.NoError(t, st.LastError)
		has(t, c, a)

		p.set(fails)
		refreshed(t, c)
		p.set(says(200, setOf(jwk(t, b, nil)), `ETag: W/"2"`))
		refreshed(t, c)
		has(t, c, b)
		p.set(publish(t, a))
		refreshed(t, c)
		has(t, c, a)
		refreshed(t, c)
		require.Equal(t, []string{"", `"1"`, `"1"`, `"1"`, `W/"2"`, ""}, conditions())
	})
}

func TestNotModifiedServesForALookupToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(says(200, setOf(jwk(t, a, nil)), `ETag: "1"`))
		c := newCache(t, p)
		has(t, c, a)
		p.set(says(304, "", "Cache-Control: max-age=120"))
		hasNot(t, c, b)
		require.Equal(t, 2, p.asked())
		require.Equal(t, 2*time.Minute, time.Until(c.Status().NextFetch), "the headers of the 304 count")
		hasNot(t, c, b)
		require.Equal(t, 2, p.asked(), "and b is known not to be there")
	})
}

const issuer = "https://idp.example.com/tenant"

func metadata(iss, jwksURI string) replier {
	return says(200, fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, iss, jwksURI))
}

// paths are what was asked for, in order.
func (p *provider) paths() (list []string) {
	for _, r := range p.seen() {
		list = append(list, r.URL.Path)
	}
	return list
}

func TestDiscovery(t *testing.T) {
	const (
		oidc       = "/tenant/.well-known/openid-configuration"
		oauthFirst = "/.well-known/openid-configuration/tenant"
		oauth      = "/.well-known/oauth-authorization-server/tenant"
	)
	k := newKey(t, "k", jose.ES256)
	for _, tt := range []struct {
		name  string
		paths map[string]replier
		asked []string
		why   string // empty: found
	}{
		{"OpenID Connect", map[string]replier{oidc: metadata(issuer, keysURL)}, []string{oidc, "/jwks"}, ""},
		{"RFC 8414 section 5", map[string]replier{oauthFirst: metadata(issuer, keysURL)}, []string{oidc, oauthFirst, "/jwks"}, ""},
		{"RFC 8414 section 3", map[string]replier{oauth: metadata(issuer, keysURL)}, []string{oidc, oauthFirst, oauth, "/jwks"}, ""},
		{"keys on another host", map[string]replier{oidc: metadata(issuer, "https://keys.example.net/jwks")}, []string{oidc, "/jwks"}, ""},
		{"another issuer", map[string]replier{oidc: metadata("https://evil.example.com/tenant", keysURL)}, []string{oidc, oauthFirst, oauth}, "another issuer"},
		{"issuer with a slash more", map[string]replier{oidc: metadata(issuer+"/", keysURL)}, []string{oidc, oauthFirst, oauth}, "terminating slash"},
		{"issuer of another case", map[string]replier{oidc: metadata("https://IDP.example.com/tenant", keysURL)}, []string{oidc, oauthFirst, oauth}, "another issuer"},
		{"no issuer", map[string]replier{oidc: says(200, `{"jwks_uri":"`+keysURL+`"}`)}, []string{oidc, oauthFirst, oauth}, "no issuer"},
		{"no jwks_uri", map[string]replier{oidc: says(200, `{"issuer":"`+issuer+`"}`)}, []string{oidc}, "no jwks_uri"},
		{"http jwks_uri", map[string]replier{oidc: metadata(issuer, "http://idp.example.com/jwks")}, []string{oidc, oauthFirst, oauth}, "not https"},
		{"jwks_uri of a file", map[string]replier{oidc: metadata(issuer, "file:///etc/jwks")}, []string{oidc, oauthFirst, oauth}, "not https"},
		{"nothing there", nil, []string{oidc, oauthFirst, oauth}, "status 404"},
		{"server down", map[string]replier{oidc: says(503, "")}, []string{oidc}, "status 503"},
		{"no keys at the end", map[string]replier{oidc: metadata(issuer, "https://idp.example.com/none")}, []string{oidc, "/none"}, "status 404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			paths := map[string]replier{"/jwks": publish(t, k)}
			maps.Copy(paths, tt.paths)
			p := newProvider(at(paths))
			c, err := jwkcache.New(jwkcache.Config{Issuer: issuer, Client: p.client()})
			require.NoError(t, err)
			require.Zero(t, p.asked(), "New opens no connection")
			keys, err := c.Keys(t.Context(), "k", "ES256")
			require.Equal(t, tt.asked, p.paths())
			if tt.why != "" {
				require.ErrorIs(t, err, jwkcache.ErrUnavailable)
				require.ErrorContains(t, err, tt.why)
				return
			}
			require.NoError(t, err)
			requireKeys(t, keys, k)
		})
	}
}

func TestMovedKeysAreFoundAgain(t *testing.T) {
	const oidc = "/tenant/.well-known/openid-configuration"
	a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
	for _, tt := range []struct {
		name  string
		old   replier // what the place before answers now
		tries int     // fetches until they are found
		want  []string
	}{
		{"not found", says(404, ""), 1, []string{"/jwks", oidc, "/moved"}},
		{"gone to another host", says(302, "", "Location: https://elsewhere.example.com/"), 1, []string{"/jwks", oidc, "/moved"}},
		{"a page", says(200, "<html>", "Content-Type: text/html"), 1, []string{"/jwks", oidc, "/moved"}},
		{"an empty set", says(200, `{"keys":[]}`), 1, []string{"/jwks", oidc, "/moved"}},
		{"no answer", hangs, 2, nil}, // found at the first try or at the second, whichever of two timers fires first
		{"no answer in time", func(*http.Request) (*http.Response, error) {
			time.Sleep(10*time.Second + 500*time.Millisecond) // deaf: the time of this fetch is over for certain
			return nil, io.ErrUnexpectedEOF
		}, 2, []string{"/jwks", oidc, "/moved"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				paths := map[string]replier{oidc: metadata(issuer, keysURL), "/jwks": publish(t, a)}
				p := newProvider(at(paths))
				c, err := jwkcache.New(jwkcache.Config{Issuer: issuer, Client: p.client()})
				require.NoError(t, err)
				has(t, c, a)
				require.Equal(t, []string{oidc, "/jwks"}, p.paths())
				p.set(at(map[string]replier{
					oidc: metadata(issuer, "https://idp.example.com/moved"), "/jwks": tt.old, "/moved": publish(t, b),
				}))
				keys, err := c.Keys(t.Context(), "b", "ES256")
				for range tt.tries - 1 {
					time.Sleep(time.Second)
					keys, err = c.Keys(t.Context(), "b", "ES256")
				}
				require.NoError(t, err)
				requireKeys(t, keys, b)
				asked := p.asked()
				if tt.want != nil {
					require.Equal(t, tt.want, p.paths()[2:])
				}
				refreshed(t, c)
				require.Equal(t, []string{"/moved"}, p.paths()[asked:], "the new place is kept")
			})
		})
	}
}

func TestMetadataAreAskedAgainWithinMaxStale(t *testing.T) {
	const oidc = "/tenant/.well-known/openid-configuration"
	for _, tt := range []struct {
		name     string
		maxStale time.Duration
		want     time.Duration
	}{
		{"an hour", 0, time.Hour},
		{"an hour, also where keys serve longer", 24 * time.Hour, time.Hour},
		{"MaxStale", 30 * time.Minute, 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
				p := newProvider(at(map[string]replier{oidc: metadata(issuer, keysURL), "/jwks": publish(t, a), "/moved": publish(t, b)}))
				c, err := jwkcache.New(jwkcache.Config{Issuer: issuer, Client: p.client(), RefreshAfter: time.Minute, MaxStale: tt.maxStale})
				require.NoError(t, err)
				has(t, c, a)
				start := time.Now()
				p.set(at(map[string]replier{
					oidc: metadata(issuer, "https://idp.example.com/moved"), "/jwks": publish(t, a), "/moved": publish(t, b),
				}))
				for time.Since(start) < 2*time.Hour && len(lookup(t, c, "", "ES256")) > 0 && c.Status().Keys[0].ID == "a" {
					refreshed(t, c)
				}
				require.GreaterOrEqual(t, time.Since(start), tt.want, "the old place answers")
				require.LessOrEqual(t, time.Since(start), tt.want+2*time.Minute)
				has(t, c, b)
			})
		})
	}
}

// TestNothingOfOneIssuerServesAnother: two caches share a client and nothing else.
func TestNothingOfOneIssuerServesAnother(t *testing.T) {
	a, b := newKey(t, "same", jose.ES256), newKey(t, "same", jose.ES256)
	p := newProvider(at(map[string]replier{"/a": publish(t, a), "/b": publish(t, b)}))
	first := newCache(t, p, func(c *jwkcache.Config) { c.URL = "https://idp.example.com/a" })
	second := newCache(t, p, func(c *jwkcache.Config) { c.URL = "https://idp.example.com/b" })
	has(t, first, a)
	has(t, second, b)
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publishes(jwk(t, k, nil), `{"kty":"AKP","kid":"pq"}`))
		c := newCache(t, p)
		require.Equal(t, jwkcache.Status{}, c.Status())
		has(t, c, k)
		time.Sleep(time.Minute)
		st := c.Status()
		require.Len(t, st.Keys, 2)
		require.Equal(t, jwkcache.KeyStatus{ID: "k", Algorithm: "ES256"}, st.Keys[0])
		require.Equal(t, "pq", st.Keys[1].ID)
		require.Equal(t, time.Minute, st.Age)
		require.Equal(t, time.Now().Add(-time.Minute), st.FetchedAt)
		require.True(t, st.Usable)
		require.EqualValues(t, 1, st.Fetches)
		require.Zero(t, st.Failures)
		require.NoError(t, st.LastError)
		require.NoError(t, st.StoreError)

		st.Keys[0].ID = "changed"
		require.Equal(t, "k", c.Status().Keys[0].ID, "it is a copy")

		time.Sleep(time.Hour - time.Minute - 1)
		require.True(t, c.Status().Usable)
		time.Sleep(1)
		require.False(t, c.Status().Usable)
		require.Equal(t, 1, p.asked(), "Status fetches nothing")
	})
}

func TestSetNeverAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		text := []byte(setOf(jwk(t, k, nil)))
		c, err := jwkcache.New(jwkcache.Config{Set: text})
		require.NoError(t, err)
		clear(text)
		time.Sleep(1000 * time.Hour)
		has(t, c, k)
		require.Empty(t, lookup(t, c, "unknown", "ES256"))
		require.Empty(t, lookup(t, c, "k", "ES384"))
		require.NoError(t, c.Warm(t.Context()))
		st := c.Status()
		require.True(t, st.Usable)
		require.Zero(t, st.NextFetch)
		require.Zero(t, st.Fetches)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, c.Run(ctx), context.DeadlineExceeded)
		require.Zero(t, c.Status().Fetches)
	})
}

func TestPanicOfObserveChangesNothing(t *testing.T) {
	k := newKey(t, "k", jose.ES256)
	called := 0
	p := newProvider(publish(t, k))
	c := newCache(t, p, func(c *jwkcache.Config) {
		c.Observe = func(context.Context, jwkcache.Event) {
			called++
			panic("of a counter")
		}
	})
	has(t, c, k)
	require.Equal(t, 1, called)
	require.NoError(t, c.Status().LastError)
	require.Zero(t, c.Status().Failures)
	p.set(says(503, ""))
	_, err := c.Keys(t.Context(), "unknown", "ES256")
	require.ErrorContains(t, err, "status 503")
	require.Equal(t, 2, called)
}

func TestObserveAndLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var events []jwkcache.Event
		p := newProvider(after(time.Second, fails))
		c := newCache(t, p, func(c *jwkcache.Config) {
			c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
			c.Observe = func(ctx context.Context, e jwkcache.Event) {
				require.NoError(t, ctx.Err())
				events = append(events, e)
			}
		})
		_, err := c.Keys(t.Context(), "k", "ES256")
		require.Error(t, err)
		require.Len(t, events, 1)
		require.ErrorIs(t, events[0].Err, io.ErrUnexpectedEOF)
		require.Contains(t, log.String(), `level=WARN msg="fetching keys failed" error="fetch: unexpected EOF (GET https://idp.example.com/jwks)"`)
		require.Equal(t, 1, strings.Count(log.String(), "\n"))

		k := newKey(t, "k", jose.ES256)
		p.set(after(2*time.Second, publishes(jwk(t, k, nil), `{"kty":"AKP"}`, jwk(t, k, nil))))
		time.Sleep(time.Second)
		found, err := c.Keys(t.Context(), "k", "ES256")
		require.NoError(t, err)
		require.Len(t, found, 1, "a key that the set names twice is tried once")
		require.Len(t, events, 2)
		require.Equal(t, jwkcache.Event{Source: "https://idp.example.com/jwks", Keys: 2, Skipped: 1, Duration: events[1].Duration}, events[1])
		require.Equal(t, 1, strings.Count(log.String(), "\n"), "a success is not logged")
		require.Equal(t, 2*time.Second, events[1].Duration)
	})
}
