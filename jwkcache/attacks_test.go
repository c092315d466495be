package jwkcache_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// The tests are named after the lines of the attack catalogue: K for keys and their
// lookup, J for what a key server can do. K13 is a matter of issuers alone.

// target is a service that trusts one issuer with one key, after its first fetch.
type target struct {
	*provider
	cache     *jwkcache.Cache
	validator *jwtvalidate.Validator
	key       testidp.Key
	log       *bytes.Buffer
}

func newTarget(t *testing.T) *target {
	t.Helper()
	a := &target{key: newKey(t, "k", jose.ES256), log: new(bytes.Buffer)}
	a.provider = newProvider(publish(t, a.key))
	a.cache = newCache(t, a.provider, func(c *jwkcache.Config) { c.Logger = slog.New(slog.NewTextHandler(a.log, nil)) })
	a.validator = validator(t, a.cache, issuer, "RS256", "ES256", "EdDSA")
	require.NoError(t, a.check(t, mint(t, a.key, issuer)))
	return a
}

func (a *target) check(t *testing.T, token string) error {
	t.Helper()
	_, err := a.validator.CheckToken(t.Context(), token)
	return err
}

// forge signs a good payload under any header.
func forge(t *testing.T, k testidp.Key, header members) string {
	t.Helper()
	text, err := json.Marshal(header)
	require.NoError(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(mint(t, k, issuer), ".")[1])
	require.NoError(t, err)
	token, err := jose.Sign(k.Alg, k.Signer, text, payload)
	require.NoError(t, err)
	return token
}

func TestK1EmbeddedKey(t *testing.T) {
	a, evil := newTarget(t), newKey(t, "k", jose.ES256)
	own := json.RawMessage(jwk(t, evil, nil))
	require.ErrorIs(t, a.check(t, forge(t, evil, members{"alg": "ES256", "kid": "k", "jwk": own})), jwtvalidate.ErrSignature)
	require.ErrorIs(t, a.check(t, forge(t, evil, members{"alg": "ES256", "jwk": own})), jwtvalidate.ErrSignature)
	require.Equal(t, 1, a.asked())
	require.NoError(t, a.check(t, forge(t, a.key, members{"alg": "ES256", "kid": "k", "jwk": own})), "it is ignored")
}

func TestK2KeyURLs(t *testing.T) {
	a, evil := newTarget(t), newKey(t, "k", jose.ES256)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	for _, member := range []string{"jku", "x5u"} {
		for _, url := range []string{server.URL, "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", keysURL + "?evil"} {
			t.Run(member+" "+url, func(t *testing.T) {
				require.ErrorIs(t, a.check(t, forge(t, evil, members{"alg": "ES256", "kid": "k", member: url})), jwtvalidate.ErrSignature)
			})
		}
	}
	require.Zero(t, asked.Load())
	require.Equal(t, 1, a.asked())
}

func TestK3CertificateChain(t *testing.T) {
	a, evil := newTarget(t), newKey(t, "k", jose.ES256)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, evil.Signer.Public(), evil.Signer)
	require.NoError(t, err)
	chain := []string{base64.StdEncoding.EncodeToString(der)}
	require.ErrorIs(t, a.check(t, forge(t, evil, members{"alg": "ES256", "kid": "k", "x5c": chain})), jwtvalidate.ErrSignature)
	require.Equal(t, 1, a.asked())
}

func TestK4HostileKids(t *testing.T) {
	for _, tt := range []struct {
		name string
		kid  any
		want error
	}{
		{"path traversal", "../../../../etc/passwd", jwtvalidate.ErrUnknownKey},
		{"SQL", `' OR '1'='1' --`, jwtvalidate.ErrUnknownKey},
		{"NUL", "k\x00", jwtvalidate.ErrUnknownKey},
		{"newline", "k\r\nlevel=ERROR msg=forged", jwtvalidate.ErrUnknownKey},
		{"format verbs", "%s%n%v", jwtvalidate.ErrUnknownKey},
		{"the longest", strings.Repeat("k", 512), jwtvalidate.ErrUnknownKey},
		{"too long", strings.Repeat("k", 513), jwtvalidate.ErrMalformed},
		{"8 KB", strings.Repeat("k", 8<<10), jwtvalidate.ErrMalformed},
		{"1 MB", strings.Repeat("k", 1<<20), jwtvalidate.ErrMalformed},
		{"empty", "", jwtvalidate.ErrMalformed},
		{"a number", 1, jwtvalidate.ErrMalformed},
		{"an array", []string{"k"}, jwtvalidate.ErrMalformed},
		{"null", nil, jwtvalidate.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, stray := newTarget(t), newKey(t, "stray", jose.ES256)
			require.ErrorIs(t, a.check(t, forge(t, stray, members{"alg": "ES256", "kid": tt.kid})), tt.want)
			want := 1
			if tt.want == jwtvalidate.ErrUnknownKey {
				want = 2
			}
			require.Equal(t, want, a.asked())
			require.Empty(t, a.log.String())
			for _, r := range a.seen() {
				require.Equal(t, keysURL, r.URL.String())
			}
			if kid, ok := tt.kid.(string); ok && kid != "" {
				require.Empty(t, lookup(t, a.cache, kid, "ES256"), "at the cache itself")
				a.set(fails)
				_, err := newCache(t, a.provider).Keys(t.Context(), kid, "ES256")
				require.ErrorIs(t, err, jwkcache.ErrUnavailable)
				require.NotContains(t, err.Error(), kid)
				require.NotContains(t, fmt.Sprintf("%v %+v", a.cache.Status(), a.cache.Status()), kid)
			}
			require.NoError(t, a.check(t, mint(t, a.key, issuer)))
		})
	}
}

func TestK5RandomKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, stray := newTarget(t), newKey(t, "stray", jose.ES256)
		good := mint(t, a.key, issuer)
		time.Sleep(time.Minute)
		a.set(after(2*time.Second, publish(t, a.key)))
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 1000 {
			token := forge(t, stray, members{"alg": "ES256", "kid": fmt.Sprintf("random-%d", i)})
			wg.Go(func() {
				require.ErrorIs(t, a.check(t, token), jwtvalidate.ErrUnknownKey)
				require.LessOrEqual(t, time.Since(start), 4*time.Second)
			})
			if i%10 == 0 {
				wg.Go(func() { atOnce(t, func() { require.NoError(t, a.check(t, good)) }) })
			}
		}
		wg.Wait()
		require.LessOrEqual(t, a.asked(), 3)

		for i := range 600 { // and for ten minutes more, each second another
			_ = a.check(t, forge(t, stray, members{"alg": "ES256", "kid": fmt.Sprintf("later-%d", i)}))
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, a.asked(), 3+int(time.Since(start)/(30*time.Second)), "one in 30 s")
	})
}

func TestK6AbsentKid(t *testing.T) {
	for _, n := range []int{1, 2, 4, 5} {
		t.Run(fmt.Sprintf("%d keys", n), func(t *testing.T) {
			a := newTarget(t)
			var keys []testidp.Key
			for i := range n {
				keys = append(keys, newKey(t, fmt.Sprintf("k-%d", i), jose.ES256))
			}
			p := newProvider(publish(t, append(keys, newKey(t, "rsa", jose.RS256))...))
			v := validator(t, newCache(t, p), issuer, "ES256", "RS256")
			for i, k := range keys {
				_, err := v.CheckToken(t.Context(), forge(t, k, members{"alg": "ES256"}))
				if i < 4 {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, jwtvalidate.ErrSignature, "no more than four are tried")
				}
			}
			_, err := v.CheckToken(t.Context(), forge(t, a.key, members{"alg": "ES256"}))
			require.ErrorIs(t, err, jwtvalidate.ErrSignature)
			require.Equal(t, 1, p.asked())
		})
	}
}

func TestK7SameKidAnotherType(t *testing.T) {
	ec, rs := newKey(t, "same", jose.ES256), newKey(t, "same", jose.RS256)
	free := members{"alg": nil}
	p := newProvider(publishes(jwk(t, rs, free), jwk(t, ec, free)))
	c := newCache(t, p)
	v := validator(t, c, issuer, "ES256", "RS256", "EdDSA")
	for _, k := range []testidp.Key{ec, rs} {
		_, err := v.CheckToken(t.Context(), mint(t, k, issuer))
		require.NoError(t, err)
		requireKeys(t, lookup(t, c, "same", k.Alg.String()), k)
	}
	_, err := v.CheckToken(t.Context(), mint(t, newKey(t, "same", jose.EdDSA), issuer))
	require.ErrorIs(t, err, jwtvalidate.ErrUnknownKey)
}

func TestK8KeyOfAnotherIssuer(t *testing.T) {
	const a, b = "https://a.example.com/", "https://b.example.com/"
	keyA, keyB := newKey(t, "same", jose.ES256), newKey(t, "same", jose.ES256)
	p := newProvider(at(map[string]replier{"/a": publish(t, keyA), "/b": publish(t, keyB)}))
	var issuers []jwtvalidate.Issuer
	for url, path := range map[string]string{a: "/a", b: "/b"} {
		keys := newCache(t, p, func(c *jwkcache.Config) { c.URL = "https://idp.example.com" + path })
		issuers = append(issuers, jwtvalidate.Issuer{URL: url, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{testidp.Audience}})
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: issuers})
	require.NoError(t, err)
	for _, tt := range []struct {
		iss string
		key testidp.Key
		ok  bool
	}{{a, keyA, true}, {a, keyB, false}, {b, keyA, false}, {b, keyB, true}} {
		_, err := v.CheckToken(t.Context(), mint(t, tt.key, tt.iss))
		if tt.ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, jwtvalidate.ErrSignature)
		}
	}
}

func TestK9UnknownIssuer(t *testing.T) {
	k := newKey(t, "k", jose.ES256)
	p := newProvider(publish(t, k))
	v := validator(t, newCache(t, p), issuer, "ES256")
	for _, iss := range []string{"https://evil.example.com/", "", "http://169.254.169.254/", keysURL} {
		_, err := v.CheckToken(t.Context(), mint(t, k, iss))
		require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)
	}
	require.Zero(t, p.asked())
}

func TestK10IssuerLookAlikes(t *testing.T) {
	k := newKey(t, "k", jose.ES256)
	p := newProvider(publish(t, k))
	v := validator(t, newCache(t, p), issuer, "ES256")
	for _, iss := range []string{
		issuer + "/", "https://IDP.example.com/tenant", "HTTPS://idp.example.com/tenant", "http://idp.example.com/tenant",
		"https://user@idp.example.com/tenant", "https://idp.example.com:443/tenant", "https://idp.example.com/./tenant",
		"https://idp.example.com/%74enant", "https://idp.example.com./tenant", "https://іdp.example.com/tenant", // a Cyrillic i
		issuer + " ", issuer + "\x00", issuer + "#", issuer + "?",
	} {
		t.Run(iss, func(t *testing.T) {
			_, err := v.CheckToken(t.Context(), mint(t, k, iss))
			require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)
		})
	}
	require.Zero(t, p.asked())
	_, err := v.CheckToken(t.Context(), mint(t, k, issuer))
	require.NoError(t, err)
}

func TestK11RemovedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, next := newTarget(t), newKey(t, "next", jose.ES256)
		token := mint(t, a.key, issuer)
		require.NoError(t, a.check(t, token))
		a.set(publish(t, next))
		refreshed(t, a.cache)
		require.ErrorIs(t, a.check(t, token), jwtvalidate.ErrUnknownKey)
		require.EqualValues(t, 2, a.cache.Status().Generation)
	})
}

func TestK12PrivateKeys(t *testing.T) {
	leaked := newKey(t, "leaked", jose.ES256)
	d, err := leaked.Signer.(*ecdsa.PrivateKey).Bytes()
	require.NoError(t, err)
	good := newKey(t, "good", jose.ES256)
	var event jwkcache.Event
	var log bytes.Buffer
	p := newProvider(publishes(jwk(t, leaked, members{"d": base64.RawURLEncoding.EncodeToString(d)}), jwk(t, good, nil)))
	c := newCache(t, p, func(c *jwkcache.Config) {
		c.Observe = func(_ context.Context, e jwkcache.Event) { event = e }
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	v := validator(t, c, issuer, "ES256")
	_, err = v.CheckToken(t.Context(), mint(t, good, issuer))
	require.NoError(t, err)
	require.Contains(t, log.String(), `level=WARN msg="the key set shows private or symmetric keys"`)
	require.Contains(t, log.String(), "keys=1")
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	_, err = v.CheckToken(t.Context(), mint(t, leaked, issuer))
	require.ErrorIs(t, err, jwtvalidate.ErrUnknownKey)
	_, err = v.CheckToken(t.Context(), mint(t, good, issuer))
	require.NoError(t, err)
	require.Equal(t, 1, event.Skipped)
	st := c.Status()
	require.Equal(t, "leaked", st.Keys[1].ID)
	require.Contains(t, st.Keys[1].Skipped, "private")
	require.NotContains(t, fmt.Sprintf("%+v", st), base64.RawURLEncoding.EncodeToString(d))

	_, err = jwkcache.New(jwkcache.Config{Set: []byte(jwk(t, leaked, members{"d": base64.RawURLEncoding.EncodeToString(d)}))})
	require.ErrorContains(t, err, "private")
	require.NotContains(t, err.Error(), base64.RawURLEncoding.EncodeToString(d))
}

// keyServer is a real server on loopback whose keys are asked for in the clear.
func keyServer(t *testing.T, change ...func(*jwkcache.Config)) (*testidp.IDP, *jwkcache.Cache) {
	t.Helper()
	idp := testidp.New(t, jose.ES256)
	cfg := jwkcache.Config{URL: idp.JWKSURL(), InsecureHTTP: true}
	for _, f := range change {
		f(&cfg)
	}
	c, err := jwkcache.New(cfg)
	require.NoError(t, err)
	has(t, c, idp.Key())
	return idp, c
}

// refuses looks an unknown kid up: the fetch must fail with why, and the keys stay.
func refuses(t *testing.T, idp *testidp.IDP, c *jwkcache.Cache, why error) {
	t.Helper()
	_, err := c.Keys(t.Context(), "unknown", "ES256")
	require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	require.ErrorIs(t, err, why)
	has(t, c, idp.Key())
	require.ErrorIs(t, c.Status().LastError, why)
}

func TestJ1LargeBodies(t *testing.T) {
	for _, h := range hostile {
		if h.name != "100 MB" && h.name != "gzip bomb" {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			idp, c := keyServer(t)
			idp.Answer(testidp.JWKSPath, h.serve)
			refuses(t, idp, c, fetch.ErrTooLarge)
		})
	}
}

func TestJ2SlowLoris(t *testing.T) {
	idp, c := keyServer(t, func(c *jwkcache.Config) { c.Timeout = 200 * time.Millisecond })
	arrived := make(chan struct{}, 1)
	idp.Answer(testidp.JWKSPath, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		hostile[2].serve(w, r)
	})
	answered := make(chan error, 1)
	go func() {
		_, err := c.Keys(t.Context(), "unknown", "ES256")
		answered <- err
	}()
	<-arrived
	for range 1000 {
		has(t, c, idp.Key())
	}
	require.ErrorIs(t, <-answered, context.DeadlineExceeded)
	has(t, c, idp.Key())
}

func TestJ3Redirects(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	idp := testidp.NewTLS(t, jose.ES256)
	roots := x509.NewCertPool()
	roots.AddCert(idp.Server().Certificate())
	http1 := "http" + strings.TrimPrefix(idp.JWKSURL(), "https")
	for _, tt := range []struct{ name, to string }{
		{"to http", http1},
		{"to another host", "https://evil.example.com/jwks"},
		{"to another port", other.URL},
		{"in a loop", idp.JWKSURL()},
		{"to a metadata service", "http://169.254.169.254/latest/meta-data"},
		{"to a file", "file:///etc/passwd"},
		{"with userinfo", strings.Replace(idp.JWKSURL(), "https://", "https://user:secret@", 1)},
	} {
		for _, insecure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, InsecureHTTP %v", tt.name, insecure), func(t *testing.T) {
				idp.Answer(testidp.JWKSPath, nil)
				c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), RootCAs: roots, InsecureHTTP: insecure})
				require.NoError(t, err)
				has(t, c, idp.Key())
				idp.Answer(testidp.JWKSPath, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", tt.to)
					w.WriteHeader(http.StatusFound)
				})
				before := idp.Requests(testidp.JWKSPath)
				refuses(t, idp, c, fetch.ErrRedirect)
				require.NotContains(t, c.Status().LastError.Error(), "secret")
				require.LessOrEqual(t, idp.Requests(testidp.JWKSPath)-before, 4)
			})
		}
	}
	require.Zero(t, elsewhere.Load())
	idp.Answer(testidp.JWKSPath, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
	})
	idp.Answer("/moved", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(idp.JWKS()))
	})
	c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), RootCAs: roots})
	require.NoError(t, err)
	has(t, c, idp.Key()) // within the origin it is the server's business
}

func TestJ4PrivateAddresses(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	pool, err := jwkcache.NewPool(jwkcache.PoolConfig{Cache: jwkcache.Config{InsecureHTTP: true}})
	require.NoError(t, err)
	for _, host := range []string{
		"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "[::]",
		"169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "localhost",
	} {
		t.Run(host, func(t *testing.T) {
			for _, url := range []string{"", "http://" + host + port + "/jwks"} {
				c, err := pool.Get("http://"+host+port, url)
				require.NoError(t, err)
				_, err = c.Keys(t.Context(), "k", "ES256")
				require.ErrorIs(t, err, jwkcache.ErrUnavailable)
				if host != "localhost" || !strings.Contains(err.Error(), "lookup") {
					require.ErrorIs(t, err, fetch.ErrAddress)
				}
			}
		})
	}
	for _, host := range []string{"2130706433", "0x7f.1", "127.1", "0177.0.0.1"} { // what inet_aton takes for 127.0.0.1
		t.Run(host, func(t *testing.T) {
			c, err := pool.Get("http://"+host+port, "")
			if err != nil {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err = c.Keys(ctx, "k", "ES256")
			require.Error(t, err)
		})
	}
	require.Zero(t, asked.Load())
}

func TestJ5BadSets(t *testing.T) {
	for name, body := range map[string]string{
		"HTML": "<html></html>", "empty keys": `{"keys":[]}`, "{}": "{}", "null": "null",
		"none usable": `{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"AKP"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			idp, c := keyServer(t)
			idp.Answer(testidp.JWKSPath, testidp.Body(http.StatusOK, "application/json", body))
			_, err := c.Keys(t.Context(), "unknown", "ES256")
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
			has(t, c, idp.Key())
			require.EqualValues(t, 1, c.Status().Failures)
		})
	}
}

func TestJ6NotModified(t *testing.T) {
	t.Run("304 without prior", func(t *testing.T) {
		_, err := newCache(t, newProvider(says(304, ""))).Keys(t.Context(), "k", "ES256")
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	})
	for _, etag := range []string{"", "unquoted", `"unterminated`, `"a" "b"`, `"` + strings.Repeat("x", 300) + `"`, "\"a\x7f\"", `w/"lower"`} {
		t.Run("bad ETag "+etag[:min(len(etag), 20)], func(t *testing.T) {
			k := newKey(t, "k", jose.ES256)
			p := newProvider(says(200, setOf(jwk(t, k, nil)), "ETag: "+etag))
			c := newCache(t, p)
			has(t, c, k)
			p.set(says(304, ""))
			_, err := c.Keys(t.Context(), "unknown", "ES256")
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
			require.NotContains(t, p.seen()[1].Header, "If-None-Match")
			has(t, c, k)
		})
	}
	t.Run("ETag of another place", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const oidc = "/tenant/.well-known/openid-configuration"
			a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
			p := newProvider(at(map[string]replier{oidc: metadata(issuer, keysURL), "/jwks": says(200, setOf(jwk(t, a, nil)), `ETag: "1"`)}))
			c, err := jwkcache.New(jwkcache.Config{Issuer: issuer, Client: p.client()})
			require.NoError(t, err)
			has(t, c, a)
			p.set(at(map[string]replier{oidc: metadata(issuer, "https://idp.example.com/moved"), "/moved": publish(t, b)}))
			has(t, c, b)
			for _, r := range p.seen() {
				require.Equal(t, r.URL.Path == "/jwks" && len(r.Header["If-None-Match"]) == 1, r.Header.Get("If-None-Match") != "")
				if r.URL.Path == "/moved" {
					require.NotContains(t, r.Header, "If-None-Match")
				}
			}
		})
	})
}

func TestJ7CacheControl(t *testing.T) {
	for value, want := range map[string][2]time.Duration{
		"max-age=0":                    {time.Minute, time.Minute},
		"max-age=31536000":             {13*time.Minute + 30*time.Second, 16*time.Minute + 30*time.Second},
		"max-age=-1":                   {time.Minute, time.Minute},
		"max-age=99999999999999999999": {13*time.Minute + 30*time.Second, 16*time.Minute + 30*time.Second},
		"max-age=1, max-age=31536000":  {time.Minute, time.Minute},
		"MAX-AGE = 0":                  {time.Minute, time.Minute},
		"immutable, max-age=315360000": {13*time.Minute + 30*time.Second, 16*time.Minute + 30*time.Second},
	} {
		t.Run(value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, newProvider(says(200, setOf(jwk(t, newKey(t, "k", jose.ES256), nil)), "Cache-Control: "+value)))
				require.NoError(t, c.Warm(t.Context()))
				require.GreaterOrEqual(t, untilRefresh(c), want[0])
				require.LessOrEqual(t, untilRefresh(c), want[1])
			})
		})
	}
}

func TestJ8IssuerMismatch(t *testing.T) {
	idp, evil := testidp.New(t, jose.ES256), testidp.New(t, jose.ES256)
	c, err := jwkcache.New(jwkcache.Config{Issuer: idp.Issuer(), InsecureHTTP: true})
	require.NoError(t, err)
	lie := testidp.Body(http.StatusOK, "application/json", fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, evil.Issuer(), evil.JWKSURL()))
	idp.Answer(testidp.MetadataPath, lie)
	idp.Answer(testidp.OAuthPath, lie)
	_, err = c.Keys(t.Context(), evil.Key().ID, "ES256")
	require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	require.ErrorIs(t, err, fetch.ErrIssuer)
	require.Zero(t, evil.Requests(testidp.JWKSPath))
}

func TestJ9ManyKeys(t *testing.T) {
	k := newKey(t, "k", jose.ES256)
	good := jwk(t, k, nil)
	for _, tt := range []struct {
		name string
		set  string
		why  string
	}{
		{"10 000", setOf(good, strings.TrimSuffix(strings.Repeat(`{"kty":"EC"},`, 9999), ",")), "more than 256 keys"},
		{"257", setOf(good, strings.TrimSuffix(strings.Repeat("0,", 256), ",")), "more than 256 keys"},
		{"256", setOf(good, strings.TrimSuffix(strings.Repeat("0,", 255), ",")), ""},
		{"one malformed among good", setOf(`{"kty":"EC","kid":"k","crv":"P-256"}`, good), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, newProvider(says(200, tt.set)))
			keys, err := c.Keys(t.Context(), "k", "ES256")
			if tt.why != "" {
				require.ErrorContains(t, err, tt.why)
				return
			}
			require.NoError(t, err)
			requireKeys(t, keys, k)
		})
	}
}

func TestJ10Flapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTarget(t)
		token, stray := mint(t, a.key, issuer), mint(t, newKey(t, "stray", jose.ES256), issuer)
		start := time.Now()
		busy := says(429, "", "Retry-After: 3600")
		a.set(busy)
		for time.Since(start) < 59*time.Minute {
			require.NoError(t, a.check(t, token))
			if err := a.check(t, stray); err != nil {
				require.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
			}
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, a.asked(), 1+59/5+1, "it is honoured up to 5 min")
		require.GreaterOrEqual(t, a.asked(), 59/5)
		require.Contains(t, a.log.String(), "status 429")
		require.Equal(t, int(a.cache.Status().Failures), strings.Count(a.log.String(), "\n"), "one line for each")
	})
}

func TestJ11PlainHTTP(t *testing.T) {
	for _, cfg := range []jwkcache.Config{{URL: "http://idp.example.com/jwks"}, {Issuer: "http://idp.example.com"}, {URL: "HTTP://idp.example.com/jwks"}, {URL: "//idp.example.com/jwks"}} {
		_, err := jwkcache.New(cfg)
		require.ErrorIs(t, err, fetch.ErrURL)
		require.ErrorContains(t, err, "not https")
	}
	idp := testidp.NewTLS(t, jose.ES256)
	roots := x509.NewCertPool()
	roots.AddCert(idp.Server().Certificate())
	lie := testidp.Body(http.StatusOK, "application/json", fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, idp.Issuer(), "http"+strings.TrimPrefix(idp.JWKSURL(), "https")))
	idp.Answer(testidp.MetadataPath, lie)
	idp.Answer(testidp.OAuthPath, lie)
	c, err := jwkcache.New(jwkcache.Config{Issuer: idp.Issuer(), RootCAs: roots})
	require.NoError(t, err)
	_, err = c.Keys(t.Context(), "k", "ES256")
	require.ErrorContains(t, err, "jwks_uri: not https")
	require.Zero(t, idp.Requests(testidp.JWKSPath))
	idp, c = keyServer(t) // its twin, with InsecureHTTP
	has(t, c, idp.Key())
}

func TestJ12Cookies(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	for name, client := range map[string]*http.Client{"own transport": nil, "lent client with a jar": {Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}} {
		t.Run(name, func(t *testing.T) {
			idp := testidp.New(t, jose.ES256)
			var sent []string
			idp.Answer(testidp.JWKSPath, func(w http.ResponseWriter, r *http.Request) {
				sent = append(sent, r.Header.Get("Cookie"))
				http.SetCookie(w, &http.Cookie{Name: "track", Value: "me", Path: "/"})
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(idp.JWKS()))
			})
			c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), InsecureHTTP: true, Client: client})
			require.NoError(t, err)
			has(t, c, idp.Key())
			require.Empty(t, lookup(t, c, "unknown", "ES256"))
			require.Equal(t, []string{"", ""}, sent)
		})
	}
}
