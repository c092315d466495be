package fetch_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

const (
	oidc  = "/.well-known/openid-configuration"
	oauth = "/.well-known/oauth-authorization-server"
)

// provider answers at some paths; elsewhere it is a 404. ISSUER stands for its URL.
func provider(t *testing.T, answers map[string]http.HandlerFunc) *idp {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if h := answers[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		http.NotFound(w, r)
	})
}

func metadata(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, strings.ReplaceAll(body, "ISSUER", "https://"+r.Host))
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html>log in</html>")
}

func TestDiscover(t *testing.T) {
	s := provider(t, map[string]http.HandlerFunc{oidc: metadata(`{
		"issuer": "ISSUER", "jwks_uri": "https://keys.test/jwks?v=2",
		"token_endpoint": "ISSUER/token", "introspection_endpoint": "ISSUER/introspect", "revocation_endpoint": "ISSUER/revoke",
		"mtls_endpoint_aliases": {"token_endpoint": "https://mtls.test/token"},
		"token_endpoint_auth_methods_supported": ["client_secret_basic", 7, "private_key_jwt"],
		"authorization_endpoint": null, "claims_supported": ["sub"]}`)})
	m, err := client(t).Discover(t.Context(), s.URL)
	require.NoError(t, err)
	require.Equal(t, &fetch.Metadata{
		Issuer: s.URL, JWKSURI: "https://keys.test/jwks?v=2",
		TokenEndpoint: s.URL + "/token", IntrospectionEndpoint: s.URL + "/introspect", RevocationEndpoint: s.URL + "/revoke",
		TokenEndpointMTLS:        "https://mtls.test/token",
		TokenEndpointAuthMethods: []string{"client_secret_basic", "private_key_jwt"},
	}, m)
	require.Equal(t, []string{oidc}, s.paths())
	require.Equal(t, "application/json", s.seen()[0].Header.Get("Accept"))
}

func TestDiscoverPlaces(t *testing.T) {
	type answers = map[string]http.HandlerFunc
	for _, tt := range []struct {
		name    string
		path    string // of the issuer
		answers answers
		asked   []string
		ok      bool
	}{
		{"appended", "/t", answers{"/t" + oidc: metadata(`{"issuer":"ISSUER/t"}`)}, []string{"/t" + oidc}, true},
		{"OIDC inserted", "/t", answers{oidc + "/t": metadata(`{"issuer":"ISSUER/t"}`)}, []string{"/t" + oidc, oidc + "/t"}, true},
		{"RFC 8414", "/t", answers{oauth + "/t": metadata(`{"issuer":"ISSUER/t"}`)}, []string{"/t" + oidc, oidc + "/t", oauth + "/t"}, true},
		{"nowhere", "/t", nil, []string{"/t" + oidc, oidc + "/t", oauth + "/t"}, false},
		{"no path: none twice", "", answers{oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc, oauth}, true},
		{"root", "/", answers{oidc: metadata(`{"issuer":"ISSUER/"}`)}, []string{oidc}, true},
		{"terminating slash", "/a/b/", answers{oauth + "/a/b": metadata(`{"issuer":"ISSUER/a/b/"}`)}, []string{"/a/b" + oidc, oidc + "/a/b", oauth + "/a/b"}, true},
		{"after HTML", "/t", answers{"/t" + oidc: html, oidc + "/t": metadata(`{"issuer":"ISSUER/t"}`)}, []string{"/t" + oidc, oidc + "/t"}, true},
		{"after another issuer", "/t", answers{"/t" + oidc: metadata(`{"issuer":"ISSUER"}`), oidc + "/t": metadata(`{"issuer":"ISSUER/t"}`)}, []string{"/t" + oidc, oidc + "/t"}, true},
		{"after a 403", "", answers{oidc: status(403), oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc, oauth}, true},
		{"after a refused redirect", "", answers{oidc: http.RedirectHandler("https://login.test/", http.StatusFound).ServeHTTP, oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc, oauth}, true},
		{"after garbage", "", answers{oidc: metadata(`{"issuer":`), oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc, oauth}, true},
		{"500 ends it", "", answers{oidc: status(500), oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc}, false},
		{"503 ends it", "", answers{oidc: status(503), oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc}, false},
		{"429 ends it", "", answers{oidc: status(429), oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc}, false},
		{"408 ends it", "", answers{oidc: status(408), oauth: metadata(`{"issuer":"ISSUER"}`)}, []string{oidc}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := provider(t, tt.answers)
			m, err := client(t).Discover(t.Context(), s.URL+tt.path)
			require.Equal(t, tt.asked, s.paths())
			if tt.ok {
				require.NoError(t, err)
				require.Equal(t, &fetch.Metadata{Issuer: s.URL + tt.path}, m)
			} else {
				require.ErrorAs(t, err, new(*fetch.StatusError))
				require.Nil(t, m)
			}
		})
	}
}

func TestDiscoverTellsWhatEveryPlaceAnswered(t *testing.T) {
	s := provider(t, map[string]http.HandlerFunc{"/t" + oidc: metadata(`{"issuer":"ISSUER"}`), oidc + "/t": html})
	_, err := client(t).Discover(t.Context(), s.URL+"/t")
	require.ErrorIs(t, err, fetch.ErrIssuer)
	require.ErrorIs(t, err, fetch.ErrContentType)
	require.ErrorAs(t, err, new(*fetch.StatusError))
	require.EqualError(t, err, fmt.Sprintf("fetch: metadata of another issuer (GET %[1]s/t%[2]s); "+
		`fetch: content type not accepted: "text/html", want application/json (GET %[1]s%[2]s/t); fetch: status 404 (GET %[1]s%[3]s/t)`, s.URL, oidc, oauth))
}

func TestJ8IssuerMismatch(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"another", `{"issuer":"https://evil.test","jwks_uri":"https://evil.test/jwks"}`, fetch.ErrIssuer},
		{"terminating slash", `{"issuer":"ISSUER/"}`, fetch.ErrIssuer},
		{"prefix", `{"issuer":"ISSUER.evil.test"}`, fetch.ErrIssuer},
		{"upper case", `{"issuer":"HTTPS://127.0.0.1"}`, fetch.ErrIssuer},
		{"empty", `{"issuer":""}`, fetch.ErrIssuer},
		{"none", `{"jwks_uri":"ISSUER/jwks"}`, fetch.ErrMetadata},
		{"other case of the name", `{"Issuer":"ISSUER"}`, fetch.ErrMetadata},
		{"not a string", `{"issuer":["ISSUER"]}`, fetch.ErrMetadata},
		{"twice", `{"issuer":"ISSUER","issuer":"https://evil.test"}`, jose.ErrJSON},
		{"twice, escaped", `{"issuer":"ISSUER","\u0069ssuer":"https://evil.test"}`, jose.ErrJSON},
		{"array", `["ISSUER"]`, jose.ErrJSON},
		{"null", `null`, jose.ErrJSON},
		{"nothing", ``, jose.ErrJSON},
		{"trailing data", `{"issuer":"ISSUER"}{}`, jose.ErrJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := provider(t, map[string]http.HandlerFunc{oidc: metadata(tt.body)})
			m, err := client(t).Discover(t.Context(), s.URL)
			require.Nil(t, m)
			require.ErrorIs(t, err, tt.want)
			require.NotContains(t, err.Error(), "evil")
			if tt.name == "terminating slash" {
				require.ErrorContains(t, err, "it differs by a terminating slash")
			}
		})
	}
}

func TestDiscoverEndpoints(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"null is absent", `null`, ""},
		{"empty is absent", `""`, ""},
		{"https", `"https://idp.test/x"`, ""},
		{"J11 http", `"http://idp.test/x"`, "not https"},
		{"relative", `"/x"`, "not https"},
		{"userinfo", `"https://id:secret@idp.test/x"`, "with userinfo"},
		{"fragment", `"https://idp.test/x#f"`, "with a fragment"},
		{"malformed", `"https://[secret"`, "malformed"},
		{"number", `7`, "not a string"},
		{"array", `["https://idp.test/x"]`, "not a string"},
	} {
		for _, name := range []string{"jwks_uri", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "mtls_endpoint_aliases.token_endpoint"} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				body := fmt.Sprintf(`{"issuer":"ISSUER",%q:%s}`, name, tt.value)
				if outer, inner, nested := strings.Cut(name, "."); nested {
					body = fmt.Sprintf(`{"issuer":"ISSUER",%q:{%q:%s}}`, outer, inner, tt.value)
				}
				s := provider(t, map[string]http.HandlerFunc{oidc: metadata(body)})
				m, err := client(t).Discover(t.Context(), s.URL)
				if tt.want == "" {
					require.NoError(t, err)
					require.Equal(t, s.URL, m.Issuer)
					return
				}
				require.Nil(t, m)
				require.ErrorIs(t, err, fetch.ErrMetadata)
				require.ErrorIs(t, err, fetch.ErrURL)
				require.ErrorContains(t, err, "fetch: unusable metadata: "+name+": "+tt.want)
				require.NotContains(t, err.Error(), "secret")
			})
		}
	}
}

func TestDiscoverIssuerNotAllowed(t *testing.T) {
	for _, tt := range []struct{ name, issuer, want string }{
		{"J11 http", "http://idp.test", "not https (InsecureHTTP allows http)"},
		{"empty", "", "not https"},
		{"query", "https://idp.test/?tenant=secret", "with a query"},
		{"empty query", "https://idp.test?", "with a query"},
		{"fragment", "https://idp.test/#secret", "with a fragment"},
		{"userinfo", "https://id:secret@idp.test", "with userinfo"},
		{"no host", "https://", "no host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client(t).Discover(t.Context(), tt.issuer)
			require.ErrorIs(t, err, fetch.ErrURL)
			require.EqualError(t, err, "fetch: URL not allowed: issuer: "+tt.want)
			err = client(t).CheckIssuer(tt.issuer)
			require.ErrorIs(t, err, fetch.ErrURL)
			require.EqualError(t, err, tt.want)
		})
	}
	require.NoError(t, client(t).CheckIssuer("https://idp.test/tenant/"))
}

// TestDiscoverWithinOneTimeout: three places do not make three deadlines.
func TestDiscoverWithinOneTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := newPipe(func(w io.Writer, _ int) {
			time.Sleep(4 * time.Second)
			_, _ = io.WriteString(w, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		})
		defer transport.servers.Wait()
		c, err := fetch.New(fetch.Config{InsecureHTTP: true, Client: &http.Client{Transport: transport}})
		require.NoError(t, err)
		start := time.Now()
		_, err = c.Discover(t.Context(), "http://idp.test/t")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(start))
		require.EqualValues(t, 3, transport.calls.Load())
	})
}

func TestDiscoverNetworkErrorEndsIt(t *testing.T) {
	s := provider(t, nil)
	s.Close()
	_, err := client(t).Discover(t.Context(), s.URL)
	require.ErrorContains(t, err, "connect: connection refused (GET "+s.URL+oidc+")")
	require.NotContains(t, err.Error(), oauth)
}
