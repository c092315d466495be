package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

func TestShadow(t *testing.T) {
	idp := jwttest.New(t)
	var log bytes.Buffer
	start := func(enforce bool) string {
		h, err := newHandler(config{
			issuer: idp.Policy().URL, audience: idp.Policy().Audiences[0], keys: idp, enforce: enforce,
			logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		require.NoError(t, err)
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	shadow, enforced := start(false), start(true)
	for name, row := range map[string]struct {
		token  string
		status int    // once it is enforced
		who    string // the handler knows
		reason string // until then; empty: nothing is logged
	}{
		"good":        {idp.Token(map[string]any{"sub": "ann", "scope": "orders:read"}), 200, "ann", ""},
		"no token":    {"", 401, "somebody", "no_token"},
		"expired":     {idp.Bad("expired"), 401, "somebody", "expired"},
		"another's":   {idp.Bad("audience"), 401, "somebody", "audience"},
		"forged":      {idp.Bad("forged"), 401, "somebody", "signature"},
		"no scope":    {idp.Token(map[string]any{"sub": "ann"}), 403, "somebody", "insufficient_scope"},
		"not a token": {idp.Bad("malformed"), 401, "somebody", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			status, body := get(t, shadow+"/orders", row.token)
			require.Equal(t, 200, status)
			require.Equal(t, "orders of "+row.who+"\n", body)
			if row.reason == "" {
				require.Empty(t, log.String())
			} else {
				require.Contains(t, log.String(), "reason="+row.reason+` route="GET /orders"`)
				require.NotContains(t, log.String(), "ey", "nothing of a token")
			}
			status, _ = get(t, enforced+"/orders", row.token)
			require.Equal(t, row.status, status)
		})
	}

	log.Reset()
	token := idp.Token(map[string]any{"scope": "orders:read"})
	idp.Outage(true)
	status, _ := get(t, shadow+"/orders", token)
	require.Equal(t, 200, status)
	require.Contains(t, log.String(), "reason=unavailable")
	status, _ = get(t, enforced+"/orders", token)
	require.Equal(t, 503, status)
}

func get(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}
