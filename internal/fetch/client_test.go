package fetch_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

func TestNew(t *testing.T) {
	_, err := fetch.New(fetch.Config{})
	require.NoError(t, err, "the zero value")

	_, err = fetch.New(fetch.Config{
		Client: &http.Client{}, RootCAs: x509.NewCertPool(), Timeout: -1, MaxBytes: -1, UserAgent: "a\r\nCookie: b",
	})
	require.EqualError(t, err, "fetch: RootCAs: not together with Client, whose Transport has its own\n"+
		"fetch: Timeout: negative\nfetch: MaxBytes: negative\nfetch: UserAgent: not printable ASCII")
	_, err = fetch.New(fetch.Config{MaxBytes: 64<<20 + 1})
	require.EqualError(t, err, "fetch: MaxBytes: above 64 MiB")
}

func TestGet(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("ETag", `"v1"`)
		h.Set("Cache-Control", "max-age=60")
		h.Set("Age", "1")
		h.Set("Expires", "Thu, 01 Jan 2026 00:00:00 GMT")
		h.Set("Last-Modified", "Wed, 31 Dec 2025 00:00:00 GMT")
		h.Set("X-Other", "not kept")
		writeJSON(w, `{"keys":[]}`)
	})
	res, err := client(t).Get(t.Context(), s.URL+"/jwks?tenant=a", jwks)
	require.NoError(t, err)
	require.JSONEq(t, `{"keys":[]}`, string(res.Body))
	require.Equal(t, `"v1"`, res.ETag)
	require.False(t, res.NotModified)
	require.NotEmpty(t, res.Header.Get("Date"))
	res.Header.Del("Date")
	require.Equal(t, http.Header{
		"Cache-Control": {"max-age=60"}, "Age": {"1"},
		"Expires": {"Thu, 01 Jan 2026 00:00:00 GMT"}, "Last-Modified": {"Wed, 31 Dec 2025 00:00:00 GMT"},
	}, res.Header)

	require.Len(t, s.seen(), 1)
	r := s.seen()[0]
	require.Equal(t, "GET", r.Method)
	require.Equal(t, "/jwks?tenant=a", r.RequestURI)
	require.Equal(t, "application/json, application/jwk-set+json", r.Header.Get("Accept"))
	require.Equal(t, "gatehouse", r.Header.Get("User-Agent"))
	require.Empty(t, r.Header.Values("If-None-Match"))

	_, err = client(t, func(c *fetch.Config) { c.UserAgent = "orders/1.2" }).Get(t.Context(), s.URL, jwks)
	require.NoError(t, err)
	require.Equal(t, "orders/1.2", s.seen()[1].Header.Get("User-Agent"))
}

func TestGetNeedsAnAllowList(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, `{}`) })
	_, err := client(t).Get(t.Context(), s.URL, fetch.Request{})
	require.ErrorIs(t, err, fetch.ErrContentType)
	require.Empty(t, s.seen())
}

func TestPrivateCA(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, `{}`) })
	for _, tt := range []struct {
		name  string
		roots *x509.CertPool
	}{
		{"the system's roots", nil},
		{"another CA", x509.NewCertPool()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client(t, func(c *fetch.Config) { c.RootCAs = tt.roots }).Get(t.Context(), s.URL+"/jwks", jwks)
			require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
			require.Contains(t, err.Error(), "fetch: tls: failed to verify certificate: x509: certificate signed by unknown authority")
			require.Contains(t, err.Error(), "(GET "+s.URL+"/jwks)")
		})
	}
	require.Empty(t, s.seen())
}

// TestClientLendsItsTransport: what the owner's client would do with redirects,
// cookies and time does not count.
func TestClientLendsItsTransport(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
			return
		}
		writeJSON(w, `{}`)
	})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	home, err := url.Parse(s.URL)
	require.NoError(t, err)
	jar.SetCookies(home, []*http.Cookie{{Name: "session", Value: "1"}})
	own := &http.Client{
		Transport:     s.Client().Transport,
		Jar:           jar,
		Timeout:       1,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	own.Transport.(*http.Transport).TLSClientConfig.RootCAs, _ = privateCA()
	c, err := fetch.New(fetch.Config{Client: own})
	require.NoError(t, err)
	_, err = c.Get(t.Context(), s.URL, jwks)
	require.NoError(t, err)
	require.Empty(t, s.seen()[0].Cookies())
	_, err = c.Get(t.Context(), s.URL+"/elsewhere", jwks)
	require.ErrorIs(t, err, fetch.ErrRedirect)
}

func TestNoConnectionIsLeft(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, `{}`) })
	before := runtime.NumGoroutine()
	c := client(t)
	for range 10 {
		_, err := c.Get(t.Context(), s.URL, jwks)
		require.NoError(t, err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "goroutines are left: %d, before %d", runtime.NumGoroutine(), before)
	}
}

func TestURLNotAllowed(t *testing.T) {
	for _, tt := range []struct{ name, url, want string }{
		{"J11 http without opt-in", "http://127.0.0.1:1/jwks", "not https (InsecureHTTP allows http)"},
		{"no scheme", "127.0.0.1/jwks", "not https"},
		{"relative", "/jwks", "not https"},
		{"empty", "", "not https"},
		{"file", "file:///etc/passwd", "not https"},
		{"opaque", "https:127.0.0.1/jwks", "no host"},
		{"no host", "https:///jwks", "no host"},
		{"port only", "https://:443/jwks", "no host"},
		{"userinfo", "https://id:secret@127.0.0.1/jwks", "with userinfo"},
		{"empty userinfo", "https://@127.0.0.1/jwks", "with userinfo"},
		{"fragment", "https://127.0.0.1/jwks#secret", "with a fragment"},
		{"empty fragment", "https://127.0.0.1/jwks#", "with a fragment"},
		{"password where the port is", "https://id:secret/@127.0.0.1", "malformed"},
		{"control character", "https://127.0.0.1/secret\n", "malformed"},
		{"bad escape", "https://127.0.0.1/%secret", "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client(t).Get(t.Context(), tt.url, jwks)
			require.ErrorIs(t, err, fetch.ErrURL)
			require.EqualError(t, err, "fetch: URL not allowed: "+tt.want)
			err = client(t).CheckURL(tt.url)
			require.ErrorIs(t, err, fetch.ErrURL)
			require.EqualError(t, err, tt.want, "for behind the name of a setting")
		})
	}
	require.NoError(t, client(t).CheckURL("https://127.0.0.1/jwks?tenant=a"))
}

func TestContextEnds(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := client(t).Get(ctx, s.URL+"/jwks?x=secret", jwks)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "fetch: context canceled (GET "+s.URL+"/jwks)")
}
