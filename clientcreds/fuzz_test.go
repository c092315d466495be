package clientcreds_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// FuzzAnswer: what is taken for a token fits into a header and ends some day; what
// is not is a *TokenError that is short, and repeats nothing of the answer.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []struct {
		status int
		kind   string
		body   string
	}{
		{200, "application/json", `{"access_token":"a","token_type":"Bearer","expires_in":3600}`},
		{200, "application/json", `{"access_token":"a","expires_in":"3600.0","refresh_in":1e3,"scope":"a b"}`},
		{200, "application/json", `{"access_token":"a.eyJleHAiOjF9.b"}`},
		{200, "application/x-www-form-urlencoded", `access_token=a&token_type=bearer&expires_in=60`},
		{200, "text/plain", `error=invalid_client&error_description=no`},
		{400, "application/json", `{"error":"invalid_scope","error_description":"no such scope"}`},
		{200, "application/json", `{"access_token":"a","expires_in":-1e999}`},
		{200, "application/json", "{\"access_token\":\"a\\r\\nb\"}"},
		{503, "text/html", `<html>down</html>`},
		{200, "", ``},
	} {
		f.Add(seed.status, seed.kind, seed.body)
	}
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		if status < 200 || status > 599 || strings.ContainsAny(kind, "\r\n") {
			return
		}
		serve := roundTrip(func(r *http.Request) (*http.Response, error) {
			res := answer(r, status, kind, body)
			res.ContentLength = -1
			res.Header.Set("Retry-After", "1") // or a 503 would be asked twice, with a pause
			return res, nil
		})
		tok, err := newSource(t, config(serve)).Token(t.Context())
		if err != nil {
			var failed *clientcreds.TokenError
			require.ErrorAs(t, err, &failed)
			require.NotEmpty(t, failed.Reason)
			require.Less(t, len(err.Error()), 200)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.GreaterOrEqual(t, status, 200)
		require.Less(t, status, 300)
		require.NotEmpty(t, tok.AccessToken)
		require.False(t, strings.ContainsFunc(tok.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }))
		require.False(t, tok.Expiry.IsZero(), "no token is for ever")
		require.Equal(t, "Bearer", tok.Type())
		h := http.Header{}
		tok.SetAuthHeader(&http.Request{Header: h})
		require.Equal(t, "Bearer "+tok.AccessToken, h.Get("Authorization"))

		if strings.HasPrefix(strings.TrimSpace(body), "{") || kind != "application/x-www-form-urlencoded" {
			return
		}
		form, err := url.ParseQuery(strings.TrimSpace(body))
		require.NoError(t, err)
		require.Equal(t, form.Get("access_token"), tok.AccessToken)
	})
}
