package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// start has a service, its address, and what writes its file and loads it.
func start(t *testing.T, idp *jwttest.Issuer) (address string, load func(text string) error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "issuers.json")
	s := &service{keys: func(url string) (jwtvalidate.KeySource, error) {
		if !strings.HasSuffix(url, ".test") {
			return nil, errors.New("no such issuer")
		}
		return idp, nil
	}}
	load = func(text string) error {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return s.load(file)
	}
	require.NoError(t, load(list("a")))
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL, load
}

func list(audiences ...string) string {
	return `[{"url": "https://issuer.test", "algorithms": ["ES256"], "audiences": ["` + strings.Join(audiences, `", "`) + `"]}]`
}

func TestSwap(t *testing.T) {
	idp := jwttest.New(t)
	service, load := start(t, idp)
	token := func(audience string) string {
		return idp.Token(map[string]any{"aud": audience, "scope": "orders:read"})
	}
	a, b := token("a"), token("b")
	both := func() []int { return []int{send(t, service+"/orders", a), send(t, service+"/orders", b)} }
	require.Equal(t, []int{200, 401}, both())
	require.NoError(t, load(list("b")))
	require.Equal(t, []int{401, 200}, both(), "what was good, and remembered, is asked about anew")
	require.NoError(t, load(list("a", "b")))
	require.Equal(t, []int{200, 200}, both())

	for name, text := range map[string]string{
		"not JSON":        "issuers:",
		"an unknown name": `[{"url": "https://issuer.test", "algorithms": ["ES256"], "audiences": ["b"], "allaudience": true}]`,
		"no audience":     `[{"url": "https://issuer.test", "algorithms": ["ES256"]}]`,
		"alg none":        `[{"url": "https://issuer.test", "algorithms": ["none"], "audiences": ["b"]}]`,
		"no keys for it":  `[{"url": "https://elsewhere", "algorithms": ["ES256"], "audiences": ["b"]}]`,
		"nobody":          `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, load(text))
			require.Equal(t, []int{200, 200}, both(), "the old one stays")
		})
	}
}

// While validators come and go, each answer is that of one of them.
func TestSwapWhileServing(t *testing.T) {
	idp := jwttest.New(t)
	service, load := start(t, idp)
	always := idp.Token(map[string]any{"aud": []string{"a", "b"}, "scope": "orders:read"})
	never := idp.Token(map[string]any{"aud": []string{"a", "b"}})
	sometimes := idp.Token(map[string]any{"aud": "a", "scope": "orders:read"})

	var wg sync.WaitGroup
	var stop atomic.Bool
	var seen [600]atomic.Int32
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				if status := send(t, service+"/orders", always); status != 200 {
					t.Errorf("always: %d", status)
				}
				if status := send(t, service+"/orders", never); status != 403 {
					t.Errorf("never: %d", status)
				}
				seen[send(t, service+"/orders", sometimes)].Add(1)
			}
		})
	}
	for n := 0; n < 1000 && (n < 20 || seen[200].Load() < 20 || seen[401].Load() < 20); n++ {
		if err := load(list([]string{"a", "b"}[n%2])); err != nil {
			t.Error(err)
			break
		}
		for range 4 { // each has its time
			send(t, service+"/orders", always)
		}
	}
	stop.Store(true)
	wg.Wait()
	require.NotZero(t, seen[200].Load())
	require.NotZero(t, seen[401].Load())
	for status := range seen {
		if n := seen[status].Load(); n > 0 {
			require.Contains(t, []int{200, 401}, status, n)
		}
	}
	require.NoError(t, load(list("a")))
	require.Equal(t, 200, send(t, service+"/orders", sometimes))
}

// send has the status of the answer, or 0.
func send(t *testing.T, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}
