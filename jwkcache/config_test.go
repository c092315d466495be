package jwkcache_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// settable is a clock that stands still until it is moved.
type settable struct{ at atomic.Int64 }

func newSettable() *settable {
	c := &settable{}
	c.at.Store(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC).UnixNano())
	return c
}

func (c *settable) Now() time.Time      { return time.Unix(0, c.at.Load()) }
func (c *settable) add(d time.Duration) { c.at.Add(int64(d)) }

func TestConfig(t *testing.T) {
	const oneOf = "want exactly one of URL, Issuer, File and Set"
	set := []byte(setOf(jwk(t, newKey(t, "a", jose.ES256), nil)))
	for _, tt := range []struct {
		name string
		cfg  jwkcache.Config
		want string // without the package; empty: good
	}{
		{"a URL", jwkcache.Config{URL: keysURL}, ""},
		{"an issuer", jwkcache.Config{Issuer: keysURL}, ""},
		{"a set", jwkcache.Config{Set: set}, ""},
		{"no source", jwkcache.Config{}, oneOf},
		{"URL and Issuer", jwkcache.Config{URL: keysURL, Issuer: keysURL}, oneOf},
		{"URL and File", jwkcache.Config{URL: keysURL, File: "keys.json"}, oneOf},
		{"URL and Set", jwkcache.Config{URL: keysURL, Set: set}, oneOf},
		{"Issuer and File", jwkcache.Config{Issuer: keysURL, File: "keys.json"}, oneOf},
		{"Issuer and Set", jwkcache.Config{Issuer: keysURL, Set: set}, oneOf},
		{"File and Set", jwkcache.Config{File: "keys.json", Set: set}, oneOf},
		{"URL and an empty set", jwkcache.Config{URL: keysURL, Set: []byte{}}, oneOf},

		{"Snapshot of a URL", jwkcache.Config{URL: keysURL, Snapshot: "s"}, ""},
		{"Snapshot of an issuer", jwkcache.Config{Issuer: keysURL, Snapshot: "s"}, ""},
		{"Snapshot of a file", jwkcache.Config{File: "keys.json", Snapshot: "s"}, "Snapshot: only with URL or Issuer"},
		{"Snapshot of a set", jwkcache.Config{Set: set, Snapshot: "s"}, "Snapshot: only with URL or Issuer"},
		{"Decrypt of a set", jwkcache.Config{Set: set, Decrypt: plain}, ""},
		{"Decrypt of a URL", jwkcache.Config{URL: keysURL, Decrypt: plain}, "Decrypt: only with File or Set"},
		{"Decrypt of an issuer", jwkcache.Config{Issuer: keysURL, Decrypt: plain}, "Decrypt: only with File or Set"},

		{"RefreshAfter", jwkcache.Config{URL: keysURL, RefreshAfter: -1}, "RefreshAfter: negative"},
		{"RefreshAfter, the longest", jwkcache.Config{URL: keysURL, RefreshAfter: 365 * 24 * time.Hour}, ""},
		{"RefreshAfter, too long", jwkcache.Config{URL: keysURL, RefreshAfter: 365*24*time.Hour + 1}, "RefreshAfter: above a year"},
		{"RefreshAfter, never", jwkcache.Config{URL: keysURL, RefreshAfter: math.MaxInt64}, "RefreshAfter: above a year"},
		{"MaxStale", jwkcache.Config{URL: keysURL, MaxStale: -1}, "MaxStale: negative"},
		{"MaxStale below the default age", jwkcache.Config{URL: keysURL, MaxStale: 15*time.Minute - 1}, "MaxStale: less than RefreshAfter"},
		{"MaxStale at the default age", jwkcache.Config{URL: keysURL, MaxStale: 15 * time.Minute}, ""},
		{"MaxStale below RefreshAfter", jwkcache.Config{URL: keysURL, MaxStale: time.Minute, RefreshAfter: time.Hour}, "MaxStale: less than RefreshAfter"},
		{"RefreshAfter above the default MaxStale", jwkcache.Config{URL: keysURL, RefreshAfter: 2 * time.Hour}, ""},
		{"MaxStale, always", jwkcache.Config{URL: keysURL, MaxStale: math.MaxInt64}, ""},
		{"MinRefetch", jwkcache.Config{URL: keysURL, MinRefetch: -1}, "MinRefetch: negative"},
		{"Timeout", jwkcache.Config{URL: keysURL, Timeout: -1}, "Timeout: negative"},
		{"Timeout, the longest", jwkcache.Config{URL: keysURL, Timeout: 10 * time.Minute}, ""},
		{"Timeout, too long", jwkcache.Config{URL: keysURL, Timeout: 10*time.Minute + 1}, "Timeout: above 10 min"},
		{"Timeout, none", jwkcache.Config{URL: keysURL, Timeout: math.MaxInt64}, "Timeout: above 10 min"},
		{"MaxBytes", jwkcache.Config{URL: keysURL, MaxBytes: -1}, "MaxBytes: negative"},
		{"MaxBytes, the most", jwkcache.Config{URL: keysURL, MaxBytes: 64 << 20}, ""},
		{"MaxBytes, none", jwkcache.Config{URL: keysURL, MaxBytes: math.MaxInt64}, "MaxBytes: above 64 MiB"},
		{"MaxKeys", jwkcache.Config{URL: keysURL, MaxKeys: -1}, "MaxKeys: negative"},
		{"MaxKeys, the most", jwkcache.Config{URL: keysURL, MaxKeys: 1 << 16}, ""},
		{"MaxKeys, too many", jwkcache.Config{URL: keysURL, MaxKeys: 1<<16 + 1}, "MaxKeys: above 65536"},
		{"MaxKeys, none", jwkcache.Config{URL: keysURL, MaxKeys: math.MaxInt}, "MaxKeys: above 65536"},

		{"Client", jwkcache.Config{URL: keysURL, Client: &http.Client{}}, ""},
		{
			"Client and RootCAs", jwkcache.Config{URL: keysURL, Client: &http.Client{}, RootCAs: x509.NewCertPool()},
			"RootCAs: not together with Client, whose Transport has its own",
		},
		{
			"Client and PinnedSPKI", jwkcache.Config{URL: keysURL, Client: &http.Client{}, PinnedSPKI: [][]byte{make([]byte, 32)}},
			"PinnedSPKI: not together with Client",
		},
		{"a pin", jwkcache.Config{URL: keysURL, PinnedSPKI: [][]byte{make([]byte, 32)}}, ""},
		{"no pin in the list", jwkcache.Config{URL: keysURL, PinnedSPKI: [][]byte{}}, "PinnedSPKI: empty"},
		{"a pin in hexadecimal", jwkcache.Config{URL: keysURL, PinnedSPKI: [][]byte{make([]byte, 64)}}, "PinnedSPKI: want 32 bytes each"},
		{
			"a pin and InsecureHTTP", jwkcache.Config{URL: keysURL, PinnedSPKI: [][]byte{make([]byte, 32)}, InsecureHTTP: true},
			"PinnedSPKI: not together with InsecureHTTP",
		},
		{
			"a pin and http", jwkcache.Config{URL: "http://idp.example.com/jwks", PinnedSPKI: [][]byte{make([]byte, 32)}},
			"URL: not https (InsecureHTTP allows http)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := jwkcache.New(tt.cfg)
			if tt.want == "" {
				require.NoError(t, err)
				require.NotNil(t, c)
				return
			}
			require.EqualError(t, err, "jwkcache: "+tt.want)
			require.Nil(t, c)
		})
	}
}

// TestConfigErrorsAreErrors: what is wrong with a URL can be asked for.
func TestConfigErrorsAreErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  jwkcache.Config
		is   bool
	}{
		{"http URL", jwkcache.Config{URL: "http://idp.example.com"}, true},
		{"issuer with a query", jwkcache.Config{Issuer: keysURL + "?a"}, true},
		{"timeout", jwkcache.Config{URL: keysURL, Timeout: -1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jwkcache.New(tt.cfg)
			require.Error(t, err)
			require.Equal(t, tt.is, errors.Is(err, fetch.ErrURL))
		})
	}
}

func plain(b []byte) ([]byte, error) { return b, nil }

func TestConfigTellsEverythingAtOnce(t *testing.T) {
	_, err := jwkcache.New(jwkcache.Config{
		URL: "http://idp.example.com/jwks", Issuer: "https://idp.example.com?tenant=a", File: "keys.json", Decrypt: plain,
		Client: &http.Client{}, RootCAs: x509.NewCertPool(), PinnedSPKI: [][]byte{nil},
		RefreshAfter: -1, MaxStale: -1, MinRefetch: -1, Timeout: -1, MaxBytes: -1, MaxKeys: -1,
	})
	require.EqualError(t, err, strings.Join([]string{
		"jwkcache: RefreshAfter: negative",
		"jwkcache: MaxStale: negative",
		"jwkcache: MinRefetch: negative",
		"jwkcache: MaxKeys: negative",
		"jwkcache: RootCAs: not together with Client, whose Transport has its own",
		"jwkcache: PinnedSPKI: not together with Client",
		"jwkcache: PinnedSPKI: want 32 bytes each",
		"jwkcache: Timeout: negative",
		"jwkcache: MaxBytes: negative",
		"jwkcache: want exactly one of URL, Issuer, File and Set",
		"jwkcache: URL: not https (InsecureHTTP allows http)",
		"jwkcache: Issuer: with a query",
	}, "\n"))

	_, err = jwkcache.New(jwkcache.Config{Snapshot: "s", Decrypt: plain, InsecureHTTP: true, Timeout: -1})
	require.EqualError(t, err, strings.Join([]string{
		"jwkcache: Timeout: negative",
		"jwkcache: want exactly one of URL, Issuer, File and Set",
		"jwkcache: Snapshot: only with URL or Issuer",
		"jwkcache: Decrypt: only with File or Set",
	}, "\n"))

	_, err = jwkcache.New(jwkcache.Config{URL: "http://idp.example.com/jwks", InsecureHTTP: true, Timeout: -1})
	require.EqualError(t, err, "jwkcache: Timeout: negative", "the URL is judged by InsecureHTTP all the same")
}

func TestConfigURLs(t *testing.T) {
	for _, tt := range []struct {
		name, url           string
		asURL, asIssuer     string // what is wrong; empty: nothing
		alsoWithInsecureURL bool   // it stays wrong
	}{
		{"https", "https://idp.example.com/a", "", "", false},
		{"terminating slash", "https://idp.example.com/", "", "", false},
		{"port", "https://idp.example.com:8443/a", "", "", false},
		{"scheme in capitals", "HTTPS://idp.example.com/a", "", "", false},
		{"http", "http://idp.example.com/a", "not https (InsecureHTTP allows http)", "not https (InsecureHTTP allows http)", false},
		{"query", "https://idp.example.com/a?tenant=b", "", "with a query", true},
		{"empty query", "https://idp.example.com/a?", "", "with a query", true},
		{"fragment", "https://idp.example.com/a#secret", "with a fragment", "with a fragment", true},
		{"empty fragment", "https://idp.example.com/a#", "with a fragment", "with a fragment", true},
		{"userinfo", "https://id:secret@idp.example.com/a", "with userinfo", "with userinfo", true},
		{"user only", "https://secret@idp.example.com/a", "with userinfo", "with userinfo", true},
		{"empty userinfo", "https://@idp.example.com/a", "with userinfo", "with userinfo", true},
		{"relative", "secret/a", "not https", "not https", true},
		{"absolute path", "/secret/a", "not https", "not https", true},
		{"no scheme", "//idp.example.com/a", "not https", "not https", true},
		{"no host", "https:///secret", "no host", "no host", true},
		{"opaque", "https:idp.example.com/a", "no host", "no host", true},
		{"port only", "https://:443/a", "no host", "no host", true},
		{"another scheme", "file:///secret", "not https", "not https", true},
		{"space in front", " https://idp.example.com/a", "malformed", "malformed", true},
		{"newline behind", "https://idp.example.com/a\n", "malformed", "malformed", true},
		{"bad escape", "https://idp.example.com/%secret", "malformed", "malformed", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := func(cfg jwkcache.Config, prefix, want string) {
				t.Helper()
				_, err := jwkcache.New(cfg)
				if want == "" {
					require.NoError(t, err)
					return
				}
				require.EqualError(t, err, "jwkcache: "+prefix+": "+want)
			}
			check(jwkcache.Config{URL: tt.url}, "URL", tt.asURL)
			check(jwkcache.Config{Issuer: tt.url}, "Issuer", tt.asIssuer)
			if !tt.alsoWithInsecureURL {
				tt.asURL, tt.asIssuer = "", ""
			}
			check(jwkcache.Config{URL: tt.url, InsecureHTTP: true}, "URL", tt.asURL)
			check(jwkcache.Config{Issuer: tt.url, InsecureHTTP: true}, "Issuer", tt.asIssuer)
		})
	}
}

func TestConfigOpensNoConnection(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	for _, cfg := range []jwkcache.Config{{URL: idp.JWKSURL()}, {Issuer: idp.Issuer()}} {
		cfg.InsecureHTTP = true
		cfg.Snapshot = filepath.Join(t.TempDir(), "missing", "keys.json")
		c, err := jwkcache.New(cfg)
		require.NoError(t, err)
		require.Equal(t, jwkcache.Status{}, c.Status())
	}
	require.Zero(t, idp.Requests(testidp.JWKSPath)+idp.Requests(testidp.MetadataPath))
}

func TestParsePin(t *testing.T) {
	sum := sha256.Sum256(nil)
	pin, err := jwkcache.ParsePin(base64.URLEncoding.EncodeToString(sum[:]))
	require.NoError(t, err)
	require.Equal(t, sum[:], pin)
	pin, err = jwkcache.ParsePin("sha256//secret")
	require.EqualError(t, err, "jwkcache: ParsePin: want the base64 of 32 bytes")
	require.Nil(t, pin)
}

// TestPins: real handshakes. The server's certificate is its own CA.
func TestPins(t *testing.T) {
	idp := testidp.NewTLS(t, jose.ES256)
	cert := idp.Server().Certificate()
	ca := x509.NewCertPool()
	ca.AddCert(cert)
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	wrong := sha256.Sum256(cert.Raw)
	for _, tt := range []struct {
		name string
		cfg  jwkcache.Config
		ok   bool
	}{
		{"CA", jwkcache.Config{RootCAs: ca}, true},
		{"CA and right pin", jwkcache.Config{RootCAs: ca, PinnedSPKI: [][]byte{wrong[:], sum[:]}}, true},
		{"CA and wrong pin", jwkcache.Config{RootCAs: ca, PinnedSPKI: [][]byte{wrong[:]}}, false},
		{"right pin, no CA", jwkcache.Config{PinnedSPKI: [][]byte{sum[:]}}, false},
		{"another CA", jwkcache.Config{RootCAs: x509.NewCertPool(), PinnedSPKI: [][]byte{sum[:]}}, false},
		{"lent transport", jwkcache.Config{Client: idp.Server().Client()}, true},
		{"lent client, nothing in it", jwkcache.Config{Client: &http.Client{}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, source := range []jwkcache.Config{{URL: idp.JWKSURL()}, {Issuer: idp.Issuer()}} {
				cfg := tt.cfg
				cfg.URL, cfg.Issuer = source.URL, source.Issuer
				c, err := jwkcache.New(cfg)
				require.NoError(t, err)
				keys, err := c.Keys(t.Context(), idp.Key().ID, "ES256")
				if tt.ok {
					require.NoError(t, err)
					require.Len(t, keys, 1)
					continue
				}
				require.ErrorIs(t, err, jwkcache.ErrUnavailable)
				require.Empty(t, keys)
			}
		})
	}
}

// TestClientWithoutATransport is like an http.Client without one.
func TestClientWithoutATransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	k := newKey(t, "k", jose.ES256)
	p := newProvider(publish(t, k))
	for _, tt := range []struct {
		name   string
		client *http.Client
		ok     bool
	}{
		{"no client", nil, false},
		{"a client without a transport", &http.Client{}, true},
		{"a client with one", &http.Client{Transport: &http.Transport{}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := jwkcache.New(jwkcache.Config{URL: "https://127.0.0.1:1/jwks", Client: tt.client})
			require.NoError(t, err)
			http.DefaultTransport = p.client().Transport // which a program may replace late
			if err = c.Warm(t.Context()); tt.ok {
				require.NoError(t, err)
				has(t, c, k)
				return
			}
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
		})
	}
}

// TestConfigNow: a date in Retry-After is read by the clock that was given.
func TestConfigNow(t *testing.T) {
	clock := newSettable()
	at := clock.Now().Add(4 * time.Second).UTC().Truncate(time.Second)
	c := newCache(t, newProvider(says(http.StatusServiceUnavailable, "", "Retry-After: "+at.Format(http.TimeFormat))),
		func(c *jwkcache.Config) { c.Now = clock.Now })
	err := c.Warm(t.Context())
	require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	var later interface{ RetryAfter() time.Duration }
	require.ErrorAs(t, err, &later)
	require.Equal(t, at.Sub(clock.Now()), later.RetryAfter())
}

func TestConfigBounds(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	idp.Rotate(jose.ES256, true)
	size := int64(len(idp.JWKS()))
	for _, tt := range []struct {
		name string
		cfg  jwkcache.Config
		ok   bool
	}{
		{"as many bytes", jwkcache.Config{MaxBytes: size}, true},
		{"a byte less", jwkcache.Config{MaxBytes: size - 1}, false},
		{"as many keys", jwkcache.Config{MaxKeys: 2}, true},
		{"a key less", jwkcache.Config{MaxKeys: 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.cfg
			cfg.URL, cfg.InsecureHTTP = idp.JWKSURL(), true
			c, err := jwkcache.New(cfg)
			require.NoError(t, err)
			err = c.Warm(t.Context())
			if tt.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
		})
	}
	t.Run("Timeout", func(t *testing.T) {
		_, release := idp.Stall(testidp.JWKSPath)
		defer release()
		c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), InsecureHTTP: true, Timeout: 20 * time.Millisecond})
		require.NoError(t, err)
		err = c.Warm(t.Context())
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
