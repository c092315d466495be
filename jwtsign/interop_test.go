package jwtsign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// foreign is a job for another implementation: what its verifier must say of a token.
type foreign struct {
	Name     string          `json:"name"`
	Alg      string          `json:"alg"`
	Key      json.RawMessage `json:"key"` // a JWK set as we publish it, or one oct JWK
	Token    string          `json:"token"`
	Issuer   string          `json:"issuer"`
	Audience string          `json:"audience"`
	Now      int64           `json:"now"`
	Claims   map[string]any  `json:"claims"`
	Good     bool            `json:"good"`
}

// Each program reads jobs on stdin, and writes a line for each: its name, and "ok" or
// why not.
const (
	nodeProgram = `
import { readFileSync } from 'node:fs'
import { jwtVerify, createLocalJWKSet, importJWK, compactVerify } from 'jose'
for (const j of JSON.parse(readFileSync(0))) {
  try {
    const key = j.key.keys ? createLocalJWKSet(j.key) : await importJWK(j.key, j.alg)
    const { payload, protectedHeader } = await jwtVerify(j.token, key, {
      algorithms: [j.alg], issuer: j.issuer, audience: j.audience, typ: 'at+jwt',
      currentDate: new Date(j.now * 1000), requiredClaims: ['iat', 'nbf', 'exp', 'jti', 'sub', 'client_id'],
    })
    if (protectedHeader.alg !== j.alg) throw new Error('alg')
    for (const [n, v] of Object.entries(j.claims))
      if (JSON.stringify(payload[n]) !== JSON.stringify(v)) throw new Error('claim ' + n)
    console.log(j.name + ': ok')
  } catch (e) { console.log(j.name + ': ' + e.code + ' ' + e.message) }
}`
	// jwcrypto knows Ed25519 by its older name only: there its crypto library verifies.
	pythonProgram = `
import base64, json, sys
from jwcrypto import jwk, jws
def raw(text): return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
for j in json.load(sys.stdin):
    try:
        head, body, sig = j['token'].split('.')
        header = json.loads(raw(head))
        keys = j['key'].get('keys', [j['key']])
        key = next(k for k in keys if 'kid' not in header or k['kid'] == header['kid'])
        if header['alg'] != j['alg'] or header['typ'] != 'at+jwt': raise ValueError('header')
        if j['alg'] == 'Ed25519':
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
            Ed25519PublicKey.from_public_bytes(raw(key['x'])).verify(raw(sig), (head + '.' + body).encode())
            payload = raw(body)
        else:
            token = jws.JWS()
            token.allowed_algs = [j['alg']]
            token.deserialize(j['token'])
            token.verify(jwk.JWK(**key))
            payload = token.payload
        claims = json.loads(payload)
        for name, value in j['claims'].items():
            if claims[name] != value: raise ValueError('claim ' + name)
        if claims['iss'] != j['issuer'] or claims['aud'] != j['audience']: raise ValueError('iss, aud')
        print(j['name'] + ': ok')
    except Exception as e:
        print(j['name'] + ': ' + type(e).__name__)
`
)

// TestInterop: two independent implementations verify tokens of every algorithm, and
// refuse those that were tampered with.
func TestInterop(t *testing.T) {
	algs := slices.Sorted(maps.Keys(allKeys()))
	claims := map[string]any{
		"sub": "ann \u2028 </script> \"\\", "client_id": "c", "big": json.Number("12345678901"), "list": []any{"a", nil, true, map[string]any{"x": ""}},
		"name\u00e9\U0001f600": "\x01",
	}
	var jobs []foreign
	for _, alg := range algs {
		private, err := jwtsign.ParseKey([]byte(privateJWK(t, allKeys()[alg])))
		require.NoError(t, err)
		cfg := config()
		cfg.Token.Type = "at+jwt"
		cfg.Keys = []jwtsign.Key{{Private: private, Algorithm: alg}}
		s := signer(t, cfg)
		token, err := s.Sign(t.Context(), claims)
		require.NoError(t, err)
		key := serveJWKS(t, s, nil).Body.Bytes()
		if strings.HasPrefix(alg, "HS") {
			key = []byte(privateJWK(t, secret))
		}
		job := foreign{alg, alg, key, token, issuerURL, audience, epoch + 1, claims, true}
		bad := job
		i := strings.LastIndexByte(token, '.') + 10
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		bad.Name, bad.Token, bad.Good = alg+" spoilt", token[:i]+string(c)+token[i+1:], false
		jobs = append(jobs, job, bad)
	}
	require.Len(t, jobs, 28)
	input, err := json.Marshal(jobs)
	require.NoError(t, err)

	modules := filepath.Join("..", "examples", "gateway", "testdata", "oidc-provider")
	for _, row := range []struct {
		name, want string
		find       func() (*exec.Cmd, error)
	}{
		{"npm jose", "node, and npm ci in " + modules, func() (*exec.Cmd, error) {
			node, err := exec.LookPath("node")
			if err != nil {
				return nil, err
			}
			if _, err := os.Stat(filepath.Join(modules, "node_modules", "jose")); err != nil {
				return nil, err
			}
			cmd := exec.Command(node, "--input-type=module", "-e", nodeProgram)
			cmd.Dir = modules
			return cmd, nil
		}},
		{"jwcrypto", "python3-jwcrypto", func() (*exec.Cmd, error) {
			var last error
			for _, python := range []string{"/usr/bin/python3", "python3"} { // Debian's own has Debian's packages
				if last = exec.Command(python, "-c", "import jwcrypto").Run(); last == nil {
					return exec.Command(python, "-c", pythonProgram), nil
				}
			}
			return nil, last
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			found, err := row.find()
			if err != nil {
				if os.Getenv("GATEHOUSE_CI") != "" {
					t.Fatalf("it must run here: %v", err)
				}
				t.Skipf("not here (want %s): %v", row.want, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, found.Path, found.Args[1:]...)
			cmd.Dir = found.Dir
			cmd.Stdin = bytes.NewReader(input)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			require.NoError(t, err, "%s", stderr.String())
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			require.Len(t, lines, len(jobs), "%s", out)
			for i, j := range jobs {
				name, said, _ := strings.Cut(lines[i], ": ")
				require.Equal(t, j.Name, name)
				require.Equal(t, j.Good, said == "ok", "%s", lines[i])
				if !j.Good {
					require.Regexp(t, "SIGNATURE|Signature", said)
				}
			}
		})
	}
}
