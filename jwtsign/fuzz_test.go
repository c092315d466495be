package jwtsign_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

func loose(tb testing.TB, text string) map[string]any {
	tb.Helper()
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	require.NoError(tb, d.Decode(&v))
	return v
}

// FuzzRewrite: whatever a handler answers, either nothing of it leaves, or the
// answer differs from what was written by the token alone, and the token says what
// the claims said, besides ours.
func FuzzRewrite(f *testing.F) {
	key, err := jwtsign.Secret(secret)
	require.NoError(f, err)
	verifier, err := jose.NewSecret(secret)
	require.NoError(f, err)
	cfg := config()
	cfg.Keys = []jwtsign.Key{{Private: key, Algorithm: "HS256"}}
	s := signer(f, cfg)
	for _, seed := range []string{
		login, `{"access_token":{}}`, `{"access_token":{"a":{"b":[1,2.50,"\u2028</script>"]}},"x":1}`, ` {"x":[{}],"access\u005ftoken":{"\"":1}} `,
		`{"access_token":{"iss":1,"ISS":2}}`, `{"access_token":{},"access_token":{}}`, `{"access_token":{"sub":"a","sub":"b"}}`, "\xef\xbb\xbf{}", "[]", "",
		`{"access_token":{"exp":1e400,"x":"\ud800"}}`, `{"access_token":{"x":"\ufffd"},"y":"` + "\ufffd" + `"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
		if body == "" || w.Code != http.StatusOK {
			require.Equal(t, http.StatusBadGateway, w.Code)
			require.Empty(t, w.Body.String())
			return
		}
		before, after := loose(t, body), loose(t, w.Body.String())
		token, ok := after["access_token"].(string)
		require.True(t, ok)
		claims, ok := before["access_token"].(map[string]any)
		require.True(t, ok)

		// The token's text stands there once in place of the claims; all around it is as it was.
		at := strings.Index(w.Body.String(), `"`+token+`"`)
		require.GreaterOrEqual(t, at, 0)
		head, tail := body[:at], w.Body.String()[at+len(token)+2:]
		require.True(t, strings.HasPrefix(w.Body.String(), head))
		require.True(t, strings.HasSuffix(body, tail))
		require.Equal(t, claims, loose(t, body[at:len(body)-len(tail)]))

		signed := open(t, token, "HS256", verifier).claims
		ours := []string{"iss", "aud", "iat", "nbf", "exp", "jti"}
		maps.DeleteFunc(claims, func(name string, _ any) bool {
			return strings.Contains(strings.Join(ours, " "), name) && len(name) == 3
		})
		for _, name := range ours {
			require.Contains(t, signed, name)
			delete(signed, name)
		}
		require.Equal(t, claims, signed)
		require.False(t, bytes.Contains(w.Body.Bytes(), []byte("\x00")))
	})
}
