package jose_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// sealJob is a job for another implementation: a token to encrypt for a public key.
type sealJob struct {
	Key     map[string]any `json:"key"`
	Header  map[string]any `json:"header"`
	Payload string         `json:"payload"`
}

// The program reads jobs on stdin, and writes a token for each on a line.
const sealProgram = `
import json, sys
from jwcrypto import jwk, jwe
for j in json.load(sys.stdin):
    token = jwe.JWE(j['payload'].encode(), protected=json.dumps(j['header']), recipient=jwk.JWK(**j['key']))
    print(token.serialize(compact=True))
`

// TestEncryptedInterop: tokens of an independent implementation, for every algorithm,
// curve and encryption, are opened.
func TestEncryptedInterop(t *testing.T) {
	t.Parallel()
	keys := decryptionKeys(t)
	var jobs []sealJob
	for _, key := range keys {
		var public map[string]any
		switch k := key.Key.(type) {
		case *rsa.PrivateKey:
			public = map[string]any{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
		case *ecdh.PrivateKey:
			public = publicOf(k.PublicKey())
		}
		for i, enc := range allEncs {
			header := map[string]any{"alg": key.Alg, "enc": enc, "cty": "JWT", "typ": "JWT", "kid": key.ID}
			if _, agreed := key.Key.(*ecdh.PrivateKey); agreed && i%2 == 0 {
				header["apu"], header["apv"] = "QWxpY2U", "Qm9i"
			}
			jobs = append(jobs, sealJob{public, header, inner + strings.Repeat("A", len(jobs))})
		}
	}
	require.Len(t, jobs, 56)
	input, err := json.Marshal(jobs)
	require.NoError(t, err)

	var python string
	var last error
	for _, name := range []string{"/usr/bin/python3", "python3"} { // Debian's own has Debian's packages
		if last = exec.Command(name, "-c", "import jwcrypto").Run(); last == nil {
			python = name
			break
		}
	}
	if python == "" {
		if os.Getenv("GATEHOUSE_CI") != "" {
			t.Fatalf("it must run here: %v", last)
		}
		t.Skipf("not here (want python3-jwcrypto): %v", last)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", sealProgram)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, len(jobs))
	for i, job := range jobs {
		got, err := jose.Decrypt(lines[i], keys, allEncs)
		require.NoError(t, err, "%v", job.Header)
		require.Equal(t, job.Payload, got)
		at := strings.LastIndexByte(lines[i], '.') + 5
		c := "A"
		if lines[i][at] == 'A' {
			c = "B"
		}
		_, err = jose.Decrypt(lines[i][:at]+c+lines[i][at+1:], keys, allEncs)
		require.Same(t, jose.ErrDecrypt, err)
	}
}
