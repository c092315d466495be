package jwtsign_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

func sharedSecret(tb testing.TB) *jose.Secret {
	tb.Helper()
	s, err := jose.NewSecret(secret)
	require.NoError(tb, err)
	return s
}

func serveWith(h http.Handler, method string, header http.Header) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/.well-known/jwks.json", http.NoBody)
	for name, values := range header {
		r.Header[name] = values
	}
	h.ServeHTTP(w, r)
	return w
}

func serveJWKS(tb testing.TB, s *jwtsign.Signer, header http.Header) *httptest.ResponseRecorder {
	tb.Helper()
	return serveWith(s.JWKS(), http.MethodGet, header)
}

func kidsIn(tb testing.TB, set string) []string {
	tb.Helper()
	var doc struct {
		Keys []struct{ Kid string }
	}
	require.NoError(tb, json.Unmarshal([]byte(set), &doc))
	kids := []string{}
	for _, k := range doc.Keys {
		kids = append(kids, k.Kid)
	}
	return kids
}

// everyKey is one key of each algorithm; the one that signs first is named.
func everyKey(tb testing.TB, first string) []jwtsign.Key {
	tb.Helper()
	keys := []jwtsign.Key{}
	i := 0
	for alg, key := range allKeys() {
		private, err := jwtsign.ParseKey([]byte(privateJWK(tb, key)))
		require.NoError(tb, err)
		i++
		from := after(i * 100_000)
		if alg == first {
			from = time.Time{}
		}
		keys = append(keys, jwtsign.Key{Private: private, Algorithm: alg, ID: "k-" + alg, SignFrom: from})
	}
	return keys
}

// TestJWKSHoldsPublicHalves: the whole set, member by member.
func TestJWKSHoldsPublicHalves(t *testing.T) {
	cfg := config()
	cfg.Keys = everyKey(t, "HS256")
	s := signer(t, cfg)
	require.NotContains(t, s.Status().Published, "k-HS256")
	w := serveJWKS(t, s, nil)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	var doc map[string][]map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	require.Len(t, doc, 1)
	require.Len(t, doc["keys"], 11)
	want := map[string][]string{"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
	for _, k := range doc["keys"] {
		kty, _ := k["kty"].(string)
		alg, _ := k["alg"].(string)
		require.Contains(t, want, kty)
		require.Len(t, k, 4+len(want[kty]), "%v", k)
		for _, name := range want[kty] {
			require.NotEmpty(t, k[name])
		}
		require.Equal(t, "sig", k["use"])
		require.Equal(t, "k-"+alg, k["kid"])
	}
	for _, key := range allKeys() {
		var members map[string]string
		require.NoError(t, json.Unmarshal([]byte(privateJWK(t, key)), &members))
		for _, name := range []string{"d", "p", "q", "k"} {
			if members[name] != "" {
				require.NotContains(t, w.Body.String(), members[name][:12])
			}
		}
	}

	cfg.Keys = cfg.Keys[:0:0]
	private, err := jwtsign.Secret(secret)
	require.NoError(t, err)
	cfg.Keys = []jwtsign.Key{{Private: private, Algorithm: "HS256"}}
	require.JSONEq(t, `{"keys":[]}`, serveJWKS(t, signer(t, cfg), nil).Body.String())
}

func maxAge(tb testing.TB, w *httptest.ResponseRecorder) int {
	tb.Helper()
	value, found := strings.CutPrefix(w.Header().Get("Cache-Control"), "public, max-age=")
	require.True(tb, found, w.Header())
	n, err := strconv.Atoi(value)
	require.NoError(tb, err)
	return n
}

// TestJWKSChanges: exactly at PublishFrom and at the end of retirement, and no cache
// may keep a set beyond that.
func TestJWKSChanges(t *testing.T) {
	h := newHands()
	cfg := config()
	cfg.Now = h.now
	cfg.Keys = []jwtsign.Key{
		{Private: jwtsign.SignerKey(newEC(t)), Algorithm: "ES256", ID: "one", RetireAt: after(900)},
		{Private: jwtsign.SignerKey(newEC(t)), Algorithm: "ES256", ID: "two", PublishFrom: after(500), SignFrom: after(900)},
	}
	s := signer(t, cfg)
	const gone = 900 + 3600 + 60
	etags := map[string]string{}
	for _, row := range []struct {
		at   float64
		kids string
		age  int
	}{
		{0, "one", 300},
		{200, "one", 300},
		{200.5, "one", 299},
		{499, "one", 1},
		{499.5, "one", 0},
		{499.999999, "one", 0},
		{500, "one two", 300},
		{900, "one two", 300},
		{gone - 300, "one two", 300},
		{gone - 299, "one two", 299},
		{gone - 0.001, "one two", 0},
		{gone, "two", 300},
		{gone + 1e6, "two", 300},
		{0, "one", 300},
	} {
		h.set(row.at)
		w := serveJWKS(t, s, nil)
		kids := strings.Join(kidsIn(t, w.Body.String()), " ")
		require.Equal(t, row.kids, kids, row.at)
		require.Equal(t, row.age, maxAge(t, w), row.at)
		etag := w.Header().Get("ETag")
		require.Regexp(t, `^"[A-Za-z0-9_-]{22}"$`, etag)
		if etags[kids] == "" {
			etags[kids] = etag
		}
		require.Equal(t, etags[kids], etag)
	}
	require.NotEqual(t, etags["one"], etags["one two"])
	require.NotEqual(t, etags["two"], etags["one two"])
}

func TestJWKSRequests(t *testing.T) {
	s := signer(t, config())
	for name, h := range map[string]http.Handler{"JWKS": s.JWKS(), "Discovery": s.Discovery()} {
		full := serveWith(h, http.MethodGet, nil)
		etag := full.Header().Get("ETag")
		require.NotEmpty(t, full.Body.String())
		for _, row := range []struct {
			name, method string
			match        []string
			status       int
		}{
			{"GET", http.MethodGet, nil, 200},
			{"HEAD", http.MethodHead, nil, 200},
			{"the same", http.MethodGet, []string{etag}, 304},
			{"the same, HEAD", http.MethodHead, []string{etag}, 304},
			{"weak", http.MethodGet, []string{"W/" + etag}, 304},
			{"in a list", http.MethodGet, []string{`"x" , ` + etag + `,"y"`}, 304},
			{"in a second line", http.MethodGet, []string{`"x"`, etag}, 304},
			{"any", http.MethodGet, []string{"*"}, 304},
			{"another", http.MethodGet, []string{`"x"`}, 200},
			{"without quotes", http.MethodGet, []string{strings.Trim(etag, `"`)}, 200},
			{"empty", http.MethodGet, []string{""}, 200},
			{"POST", http.MethodPost, []string{etag}, 405},
			{"PUT", http.MethodPut, nil, 405},
			{"OPTIONS", http.MethodOptions, nil, 405},
			{"get", "get", nil, 405},
		} {
			t.Run(name+" "+row.name, func(t *testing.T) {
				w := serveWith(h, row.method, http.Header{"If-None-Match": row.match})
				require.Equal(t, row.status, w.Code)
				switch {
				case row.status == 405:
					require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
					require.Empty(t, w.Body.String())
					return
				case row.status == 200 && row.method == http.MethodGet:
					require.Equal(t, full.Body.String(), w.Body.String())
				default:
					require.Empty(t, w.Body.String())
				}
				require.Equal(t, etag, w.Header().Get("ETag"))
				require.Equal(t, 300, maxAge(t, w))
				if row.status == 200 {
					require.Equal(t, strconv.Itoa(full.Body.Len()), w.Header().Get("Content-Length"))
				}
			})
		}
	}
}

// site is an issuer and an API behind real HTTP, on one clock.
type site struct {
	hands   *hands
	signer  *jwtsign.Signer
	api     *httptest.Server
	cache   *jwkcache.Cache
	refused atomic.Pointer[string]
}

// newSite makes one whose keys are found by discovery. The keys of cfg are the signer's.
func newSite(t *testing.T, cfg jwtsign.Config, algorithms ...string) *site {
	t.Helper()
	s := &site{hands: newHands()}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	cfg.Issuer, cfg.Now = server.URL, s.hands.now
	s.signer = signer(t, cfg)
	mux.Handle("GET /.well-known/jwks.json", s.signer.JWKS())
	mux.Handle("GET /.well-known/openid-configuration", s.signer.Discovery())
	var keys jwtvalidate.KeySource
	var err error
	if strings.HasPrefix(algorithms[0], "HS") {
		keys, err = jwtvalidate.Secret(secret)
	} else {
		s.cache, err = jwkcache.New(jwkcache.Config{
			Issuer: server.URL, InsecureHTTP: true, Now: s.hands.now, RefreshAfter: time.Minute, MinRefetch: time.Millisecond,
		})
		keys = s.cache
	}
	require.NoError(t, err)
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{{URL: server.URL, Algorithms: algorithms, Keys: keys, Audiences: []string{audience}}},
		Now:     s.hands.now,
		OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
			text := err.Error()
			s.refused.Store(&text)
			jwtvalidate.WriteError(w, nil, err)
		},
	})
	require.NoError(t, err)
	s.api = httptest.NewServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })))
	t.Cleanup(s.api.Close)
	return s
}

func (s *site) call(ctx context.Context, token string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api.URL, http.NoBody)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := s.api.Client().Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, nil
}

func TestRoundTrip(t *testing.T) {
	for alg, key := range allKeys() {
		t.Run(alg, func(t *testing.T) {
			private, err := jwtsign.ParseKey([]byte(privateJWK(t, key)))
			require.NoError(t, err)
			cfg := config()
			cfg.Keys = []jwtsign.Key{{Private: private, Algorithm: alg}}
			cfg.Fields = append(cfg.Fields, jwtsign.Field{
				Path:  []string{"refresh_token"},
				Token: jwtsign.Token{Lifetime: time.Hour, Audience: []string{audience}, Type: "refresh+jwt"}, // not even the audience tells them apart
			})
			s := newSite(t, cfg, alg)
			got := ask(t, ways["Handler"](t, s.signer, write("application/json", `{"access_token":{"sub":"ann"},"refresh_token":{"sub":"ann"}}`)), http.MethodPost)
			require.Equal(t, 200, got.status)
			var pair struct {
				Access  string `json:"access_token"`
				Refresh string `json:"refresh_token"`
			}
			require.NoError(t, json.Unmarshal([]byte(got.body), &pair))
			status, err := s.call(t.Context(), pair.Access)
			require.NoError(t, err)
			require.Equal(t, 200, status, "%v", s.refused.Load())
			status, err = s.call(t.Context(), pair.Refresh)
			require.NoError(t, err)
			require.Equal(t, 401, status, "a refresh token is none for the API")
			s.hands.set(3600 + 11)
			status, err = s.call(t.Context(), pair.Access)
			require.NoError(t, err)
			require.Equal(t, 401, status, "expired")
		})
	}
}

// TestRotationUnderLoad: three rotations by the clock, and one by Replace, while
// tokens old and new are used; not one is refused.
func TestRotationUnderLoad(t *testing.T) {
	cfg := config()
	cfg.Token.Lifetime = 10 * time.Minute
	cfg.Keys = nil
	for i, alg := range []string{"ES256", "EdDSA", "RS256", "ES384"} {
		k := jwtsign.Key{Private: jwtsign.SignerKey(signers()[alg]), Algorithm: alg, ID: fmt.Sprint("key", i)}
		if i > 0 {
			k.PublishFrom, k.SignFrom = after(i*1200-300), after(i*1200)
		}
		if i < 3 {
			k.RetireAt = after(i*1200 + 1200)
		}
		cfg.Keys = append(cfg.Keys, k)
	}
	all := cfg.Keys
	s := newSite(t, cfg, "ES256", "EdDSA", "RS256", "ES384", "PS256")
	var mu sync.Mutex
	type kept struct {
		token string
		until time.Time
	}
	var old []kept
	by := map[string]int{}
	use := func(ctx context.Context) error {
		token, err := s.signer.Sign(ctx, map[string]any{"sub": "ann"})
		if err != nil {
			return err
		}
		c, err := jose.ParseCompact(token)
		if err != nil {
			return err
		}
		mu.Lock()
		by[c.Header.KeyID]++
		now := s.hands.now()
		old = append(old, kept{token, now.Add(cfg.Token.Lifetime / 2)})
		for now.After(old[0].until) {
			old = old[1:]
		}
		first := old[0].token
		mu.Unlock()
		for _, token := range []string{token, first} {
			if status, err := s.call(ctx, token); err != nil || status != 200 {
				return fmt.Errorf("at %s: status %d, %w, %s", s.hands.now().Sub(clock()), status, err, *s.refused.Load())
			}
		}
		return nil
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	var used [4]atomic.Int64 // by each of those who go on asking
	errs := make(chan error, len(used))
	for i := range used {
		group.Go(func() {
			for !stop.Load() {
				if err := use(t.Context()); err != nil {
					errs <- err
					return
				}
				used[i].Add(1)
			}
		})
	}
	// goOn waits for so many more answers of each, so that none of them is left
	// behind by the clock with a token in its hands.
	goOn := func(n int64) {
		t.Helper()
		for i := range used {
			want := used[i].Load() + n
			require.Eventually(t, func() bool { return used[i].Load() >= want || len(errs) > 0 }, time.Minute, time.Millisecond)
		}
	}
	at := 0
	for ; at <= 4500 && len(errs) == 0; at += 25 { // the clock moves on under the load
		s.hands.set(float64(at))
		goOn(1)
	}
	select {
	case err := <-errs:
		stop.Store(true)
		group.Wait()
		require.NoError(t, err)
	default:
	}
	// A key that must go at once: the new one, known to nobody, signs now; the old
	// ones stay published.
	next := append([]jwtsign.Key{}, all...)
	next[3].RetireAt = after(at)
	next = append(next, jwtsign.Key{Private: jwtsign.SignerKey(rsaKey()), Algorithm: "PS256", ID: "key4", SignFrom: after(at - 25)})
	require.NoError(t, s.signer.Replace(next))
	goOn(25)
	stop.Store(true)
	group.Wait()
	close(errs)
	require.NoError(t, <-errs)
	require.Len(t, by, 5)
}

// TestDiscovery: what is there, and that the other package finds the keys by it.
func TestDiscovery(t *testing.T) {
	cfg := config()
	cfg.Keys = everyKey(t, "ES256")
	var doc map[string]any
	w := serveWith(signer(t, cfg).Discovery(), http.MethodGet, nil)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	require.Equal(t, issuerURL, doc["issuer"])
	require.Equal(t, issuerURL+"/.well-known/jwks.json", doc["jwks_uri"])
	require.Len(t, doc["id_token_signing_alg_values_supported"], 11)
	require.NotContains(t, w.Body.String(), "HS")
	require.NotContains(t, w.Body.String(), "endpoint")
	for _, row := range []struct{ issuer, jwks, want string }{
		{"https://a.example.com/", "", "https://a.example.com/.well-known/jwks.json"},
		{"https://a.example.com/tenant", "", "https://a.example.com/tenant/.well-known/jwks.json"},
		{"https://a.example.com/<&>", "https://b.example.com/k?a=1&b=2", "https://b.example.com/k?a=1&b=2"},
	} {
		cfg := config()
		cfg.Issuer, cfg.JWKSURL = row.issuer, row.jwks
		doc = nil
		require.NoError(t, json.Unmarshal(serveWith(signer(t, cfg).Discovery(), http.MethodGet, nil).Body.Bytes(), &doc))
		require.Equal(t, row.issuer, doc["issuer"])
		require.Equal(t, row.want, doc["jwks_uri"])
	}
}
