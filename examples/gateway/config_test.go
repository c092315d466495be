package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noHost has no environment and no files.
func noHost() host {
	return host{
		env: func(string) (string, bool) { return "", false },
		read: func(path string) ([]byte, error) {
			return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
		},
		log: io.Discard,
	}
}

const minimal = `{
  "listen": "127.0.0.1:0",
  "issuers": [{"url": "https://idp.test", "audiences": ["a"], "algorithms": ["ES256"]}],
  "upstreams": [{"name": "up", "url": "http://127.0.0.1:9"}],
  "routes": [{"pattern": "/", "upstream": "up"}]
}`

func TestMinimalConfig(t *testing.T) {
	c, err := readConfig([]byte(minimal), noHost())
	require.NoError(t, err)
	_, err = newGateway(c)
	require.NoError(t, err)
}

// One file with many faults has all of them told at once, by line and field.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := readConfig([]byte(`{
  "lisen": "127.0.0.1:0",
  "health": {"listen": "8081"},
  "drain_delay": "5",
  "max_body_bytes": 1.5,
  "leeway": "2m",
  "log": {"level": "loud", "format": "json", "format": "text"},
  "tls": {"cert_file": "nowhere.pem"},
  "issuers": [
    {"url": "http://idp.test", "algorithms": ["RS257"], "audiences": []},
    {"url": "https://idp.test", "audiences": ["a", 1], "algorithms": ["ES256"],
     "profile": "strict", "all_audiences": "yes", "jwks_url": "nonsense"}
  ],
  "forward": [
    {"claim": ["sub"], "header": "Host"}
  ],
  "upstreams": [
    {"name": "up", "url": "ftp://nowhere"},
    {"name": "up", "url": "http://user:password@127.0.0.1",
     "own_token": {"client_id": "c", "auth_method": "magic",
       "client_secret": "never-in-here"}}
  ],
  "routes": [
    {"pattern": "GET /a/", "upstream": "down"},
    {"pattern": "GET /a/", "upstream": "up", "scopes": ["two words"]},
    {"pattern": "GET a", "upstream": "up", "public": true, "scopes": ["x"]},
    {"pattern": "/b/", "upstream": "up", "claims": [{"path": ["roles"]}]},
    []
  ],
  "revocation": {
    "listen": "0.0.0.0:8082",
    "max_lifetime": "-1h",
    "journal": "revoked",
    "callers": [
      {"name": "a:b", "secret": {"env": "NOT_SET"}, "client_id": "c"},
      {"name": "web", "secret": {"env": "A", "file": "B"}}
    ]
  }
}`), noHost())
	var found problems
	require.ErrorAs(t, err, &found)
	var told []string
	for _, p := range found {
		told = append(told, fmt.Sprintf("%d %s", p.line, p.path))
		require.NotEmpty(t, p.text)
	}
	require.Equal(t, []string{
		"1 listen",
		"2 lisen",
		"3 health.listen",
		"4 drain_delay",
		"5 max_body_bytes",
		"6 leeway",
		"7 log.format",
		"7 log.level",
		"8 tls.key_file",
		"8 tls.cert_file",
		"10 issuers[0].audiences",
		"10 issuers[0].url",
		"10 issuers[0].algorithms",
		"11 issuers[1].audiences[1]",
		"12 issuers[1].all_audiences",
		"12 issuers[1].profile",
		"12 issuers[1].jwks_url",
		"15 forward[0].header",
		"18 upstreams[0].url",
		"19 upstreams[1].url",
		"19 upstreams[1].name",
		"20 upstreams[1].own_token.token_url",
		"20 upstreams[1].own_token.auth_method",
		"21 upstreams[1].own_token.client_secret",
		"24 routes[0].upstream",
		"25 routes[1].pattern",
		"25 routes[1].scopes",
		"26 routes[2].pattern",
		"26 routes[2].public",
		"27 routes[3].claims[0]",
		"28 routes[4]",
		"30 revocation.secret",
		"31 revocation.listen",
		"32 revocation.max_lifetime",
		"35 revocation.callers[0].name",
		"35 revocation.callers[0].secret.env",
		"36 revocation.callers[1].secret",
		"36 revocation.callers[1]",
	}, told, err)
	require.Contains(t, err.Error(), "line 3: health.listen: want host:port")
	require.NotContains(t, err.Error(), "never-in-here")
}

func TestConfigSyntax(t *testing.T) {
	for name, row := range map[string]struct{ text, want string }{
		"empty":                  {"", "line 1: unexpected end of JSON input"},
		"a comma too many":       {"{\n\"listen\": \":1\",\n}", "line 3: invalid character '}'"},
		"cut off":                {"{\n\"listen\"", "line 2: unexpected end"},
		"no object":              {"[]", "line 1: want an object"},
		"two values":             {minimal + "\n{}", "line 7: invalid character '{' after top-level value"},
		"not UTF-8":              {"{\n\"\xff\": 1}", "line 2: not UTF-8"},
		"too long":               {strings.Repeat(" ", maxConfig+1), "longer than 1 MiB"},
		"a comment that is none": {`{"_comment": {}}`, "line 1: _comment: want a list of texts"},
		"another case":           {strings.Replace(minimal, `"listen"`, `"Listen"`, 1), "line 2: Listen: unknown"},
		"twice, unlike":          {strings.Replace(minimal, `"listen"`, "\"listen\": \":1\",\n\"listen\"", 1), "line 3: listen: stands here twice"},
		"null":                   {strings.Replace(minimal, `"127.0.0.1:0"`, `null`, 1), "line 2: listen: want a text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readConfig([]byte(row.text), noHost())
			require.ErrorContains(t, err, row.want)
		})
	}
}

// Single faults, each in a file that is good otherwise.
func TestConfigFaults(t *testing.T) {
	secrets := noHost()
	secrets.env = func(name string) (string, bool) {
		values := map[string]string{"SHORT": "abc", "EMPTY": "", "ODD": "0123456789abcdef+/", "GOOD": "0123456789abcdef0123456789abcdef"}
		value, ok := values[name]
		return value, ok
	}
	callers := func(list string) string {
		return `"revocation": {"listen": "127.0.0.1:0", "max_lifetime": "1h", "callers": [` + list + `]}, "routes"`
	}
	const ops = `{"name": "a", "secret": {"env": "GOOD"}, "privileged": true}`
	other := func(name, secret string) string { return strings.NewReplacer(`"a"`, name, "GOOD", secret).Replace(ops) }
	own := func(members string) string {
		return `9", "own_token": {"client_id": "c"` + members + `}`
	}
	const tokenURL = `, "token_url": "https://idp.test/token"`
	for name, row := range map[string]struct{ old, new, want string }{
		"unknown algorithm": {`"ES256"`, `"none"`, `line 3: issuers[0].algorithms: "none" is not supported`},
		"an issuer twice": {
			`["ES256"]}`, `["ES256"]}, {"url": "https://idp.test", "audiences": ["b"], "algorithms": ["ES256"]}`, "issuers[1].url: is listed twice",
		},
		"a header of HTTP": {`"routes"`, `"forward": [{"claim": ["sub"], "header": "Host"}], "routes"`, "line 5: forward[0].header: means something"},
		"a header twice": {
			`"routes"`, `"forward": [{"claim": ["sub"], "header": "X-A"}, {"claim": ["b"], "header": "x_a"}], "routes"`,
			"line 5: forward: Forward[1].Header: is listed twice",
		},
		"a pattern twice":      {`"upstream": "up"}`, `"upstream": "up"}, {"pattern": "/", "upstream": "up"}`, `routes[1].pattern: pattern "/" conflicts with pattern "/"`},
		"an odd pattern":       {`"pattern": "/"`, `"pattern": "GET  a"`, "routes[0].pattern: parsing"},
		"no such upstream":     {`"upstream": "up"`, `"upstream": "down"`, "routes[0].upstream: no upstream has this name"},
		"an odd scope":         {`"upstream": "up"`, `"upstream": "up", "scopes": ["a b"]`, `routes[0].scopes: rule AllScopes(a b): "a b" is no scope`},
		"public with scopes":   {`"upstream": "up"`, `"upstream": "up", "public": true, "any_scope": ["a"]`, "routes[0].public: a public route cannot ask"},
		"a claim without text": {`"upstream": "up"`, `"upstream": "up", "claims": [{"path": ["roles"]}]`, "routes[0].claims[0]: want any_of or all_of"},
		"no claim":             {`"upstream": "up"`, `"upstream": "up", "claims": []`, "routes[0].claims: want a list of objects"},
		"a text for an object": {`"upstream": "up"`, `"upstream": "up", "claims": ["admin"]`, "routes[0].claims[0]: want an object"},
		"no auth method":       {`9"`, own(tokenURL), "upstreams[0].own_token.client_secret: required"},
		"no token URL":         {`9"`, own(`, "client_secret": {"env": "GOOD"}`), "upstreams[0].own_token.token_url"},
		"secret in the file":   {`9"`, own(tokenURL + `, "client_secret": "x"`), "own_token.client_secret: want {\"env\": \"NAME\"}"},
		"secret is not set":    {`9"`, own(tokenURL + `, "client_secret": {"env": "NONE"}`), "client_secret.env: NONE is not set"},
		"secret is empty":      {`9"`, own(tokenURL + `, "client_secret": {"env": "EMPTY"}`), "client_secret: the secret is shorter than 1 bytes"},
		"secret has no file":   {`9"`, own(tokenURL + `, "client_secret": {"file": "f"}`), "client_secret.file: open f"},
		"admin on all":         {`"routes"`, strings.Replace(callers(ops), "127.0.0.1", "", 1), "revocation.listen: its callers send secrets"},
		"admin, short secret":  {`"routes"`, callers(other(`"a"`, "SHORT")), "callers[0].secret: the secret is shorter than 16 bytes"},
		"admin, odd secret":    {`"routes"`, callers(other(`"a"`, "ODD")), "callers[0].secret: want letters"},
		"admin, odd name":      {`"routes"`, callers(other(`"a:b"`, "GOOD")), "callers[0].name: want letters"},
		"admin, no use":        {`"routes"`, callers(strings.Replace(ops, "true", "false", 1)), "callers[0]: want privileged, or the client_id"},
		"admin, twice":         {`"routes"`, callers(ops + "," + ops), "callers[1].name: is listed twice"},
		"journal, no secret":   {`"routes"`, strings.Replace(callers(ops), `"callers"`, `"journal": "j", "callers"`, 1), "revocation.secret: is required with journal"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(minimal, row.old, row.new, 1)
			require.NotEqual(t, minimal, text)
			_, err := readConfig([]byte(text), secrets)
			require.ErrorContains(t, err, row.want)
			var found problems
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1, "one fault, told once: %v", err)
			require.NotContains(t, err.Error(), "0123456789abcdef")
		})
	}
}

// exampleConfig is config.example.json with files that are there.
func exampleConfig(t *testing.T) (text []byte, from host) {
	t.Helper()
	dir := t.TempDir()
	cert := newCert(t, "gateway", nil)
	key := pemOf("PRIVATE KEY", pkcs8(t, cert.PrivateKey))
	for name, content := range map[string]string{
		"tls.crt": pemOf("CERTIFICATE", cert.Certificate[0]), "tls.key": key, "gateway-key.pem": key,
		"gateway-revocation": strings.Repeat("s", 32) + "\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	text, err := os.ReadFile("config.example.json")
	require.NoError(t, err)
	text = regexp.MustCompile(`/etc/gateway|/run/secrets|/var/lib/gateway`).ReplaceAll(text, []byte(filepath.ToSlash(dir)))
	return text, host{
		env:  func(name string) (string, bool) { return "0123456789abcdef", strings.HasPrefix(name, "GATEWAY_") },
		read: os.ReadFile, log: io.Discard,
	}
}

// The example loads, has every field that there is, and explains each.
func TestExampleConfig(t *testing.T) {
	text, from := exampleConfig(t)
	c, err := readConfig(text, from)
	require.NoError(t, err)
	_, err = newGateway(c)
	require.NoError(t, err)

	// What the reader asks for is every field there is: unknown members name them.
	var example any
	require.NoError(t, json.Unmarshal(text, &example))
	explained, used := map[string]string{}, map[string][]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, element := range v {
				walk(path, element)
			}
		case map[string]any:
			comment, _ := json.Marshal(v["_comment"])
			explained[path] += string(comment)
			for name, member := range v {
				used[path] = append(used[path], name)
				walk(join(path, name), member)
			}
			v["surprise"] = true
		}
	}
	walk("", example)
	text, err = json.Marshal(example)
	require.NoError(t, err)
	_, err = readConfig(text, from)
	var found problems
	require.ErrorAs(t, err, &found)
	indexes := regexp.MustCompile(`\[\d+\]`)
	seen := 0
	for _, p := range found {
		path := strings.TrimSuffix(strings.TrimSuffix(indexes.ReplaceAllString(p.path, ""), "surprise"), ".")
		_, list, ok := strings.Cut(p.text, "unknown; there are ")
		require.True(t, ok, p)
		for field := range strings.SplitSeq(list, ", ") {
			seen++
			if !slices.Contains([]string{"_comment", "env", "file"}, field) {
				assert.Contains(t, used[path], field, "%q is not in the example", path)
				assert.Regexp(t, `[", ]`+field+`[:,]`, explained[path], "%q is not explained", path)
			}
		}
	}
	require.Greater(t, seen, 60)
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return der
}
