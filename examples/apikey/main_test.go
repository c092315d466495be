package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

func entry(name, key, scope string) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf(`{"name": %q, "sha256": %q, "scope": %q}`, name, hex.EncodeToString(sum[:]), scope)
}

func TestAPIKey(t *testing.T) {
	idp := jwttest.New(t)
	h, err := newHandler(config{
		issuer: idp.Policy().URL, audience: idp.Policy().Audiences[0], keys: idp,
		credentials: []byte("[" + entry("batch", "key of batch", "orders:read") + "," + entry("ops", "key of ops", "orders:read orders:write") + "]"),
	})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	defer server.Close()

	basic := func(name, key string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+key))
	}
	ann := "Bearer " + idp.Token(map[string]any{"sub": "ann", "scope": "orders:read"})
	for name, row := range map[string]struct {
		key, authorization string
		read, remove       int
		who                string
	}{
		"an API key":                    {key: "key of batch", read: 200, remove: 403, who: "key:batch"},
		"an API key that may more":      {key: "key of ops", read: 200, remove: 200, who: "key:ops"},
		"Basic":                         {authorization: basic("batch", "key of batch"), read: 200, remove: 403, who: "key:batch"},
		"a token":                       {authorization: ann, read: 200, remove: 403, who: "ann"},
		"a guess":                       {key: "key of nobody", read: 401, remove: 401},
		"the hash is not the key":       {key: entry("", "key of batch", "")[23:87], read: 401, remove: 401},
		"Basic, a guess":                {authorization: basic("batch", "a guess"), read: 401, remove: 401},
		"Basic, another's key":          {authorization: basic("batch", "key of ops"), read: 401, remove: 401},
		"Basic, nobody's name":          {authorization: basic("", "key of batch"), read: 401, remove: 401},
		"a bad token beside a good key": {key: "key of ops", authorization: "Bearer " + idp.Bad("expired"), read: 401, remove: 401},
		"a token beside a better key":   {key: "key of ops", authorization: ann, read: 200, remove: 403, who: "ann"},
		"nothing":                       {read: 401, remove: 401},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := send(t, http.MethodGet, server.URL+"/orders", row.key, row.authorization)
			require.Equal(t, row.read, status)
			if row.who != "" {
				require.Equal(t, row.who+"\n", body)
			}
			status, _ = send(t, http.MethodDelete, server.URL+"/orders/7", row.key, row.authorization)
			require.Equal(t, row.remove, status)
		})
	}
}

func TestCredentialsFile(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":     "batch:hash",
		"a plain key":  `[{"name": "batch", "sha256": "key of batch"}]`,
		"a short hash": `[{"name": "batch", "sha256": "abcd"}]`,
		"without name": "[" + entry("", "key", "") + "]",
		"without hash": `[{"name": "batch"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseCredentials([]byte(text))
			require.Error(t, err)
			require.NotContains(t, err.Error(), "key of batch")
		})
	}
}

func TestSettings(t *testing.T) {
	idp := jwttest.New(t)
	for name, row := range map[string]struct{ issuer, credentials, want string }{
		"an issuer that is a template": {"https://idp.test/{tenantid}", "[]", "ISSUER, AUDIENCE: "},
		"no credentials":               {idp.Policy().URL, "", "CREDENTIALS_FILE: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newHandler(config{issuer: row.issuer, audience: "api", keys: idp, credentials: []byte(row.credentials)})
			require.ErrorContains(t, err, row.want)
		})
	}
}

func send(t *testing.T, method, url, key, authorization string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	require.NoError(t, err)
	for name, value := range map[string]string{"X-Api-Key": key, "Authorization": authorization} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}
