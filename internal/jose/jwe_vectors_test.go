package jose_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

type jweVectors struct {
	Tokens []struct {
		ID        string          `json:"id"`
		Ref       string          `json:"ref"`
		Alg       string          `json:"alg"`
		Enc       string          `json:"enc"`
		Key       json.RawMessage `json:"key"`
		Token     string          `json:"token"`
		Plaintext string          `json:"plaintext"`
		Nested    bool            `json:"nested"`
	} `json:"tokens"`
	Agreement struct {
		Enc     string          `json:"enc"`
		APU     string          `json:"apu"`
		APV     string          `json:"apv"`
		EPK     json.RawMessage `json:"epk"`
		Key     json.RawMessage `json:"key"`
		Derived string          `json:"derived"`
	} `json:"agreement"`
	Wraps []struct {
		Ref     string `json:"ref"`
		KEK     string `json:"kek"`
		Key     string `json:"key"`
		Wrapped string `json:"wrapped"`
	} `json:"wraps"`
}

func readJWEVectors(t *testing.T) jweVectors {
	t.Helper()
	var v jweVectors
	unmarshal(t, readFile(t, "testdata", "rfc_jwe_vectors.json"), &v)
	return v
}

// openVector decrypts what an RFC prints, with the key that it prints, and spoils each
// part once.
func openVector(t *testing.T, document, alg, enc, token, plaintext string, nested bool) {
	t.Helper()
	key, err := jose.ParseDecryptionJWK(document)
	require.NoError(t, err)
	if key.Alg == "" {
		key.Alg = alg
	}
	require.Equal(t, alg, key.Alg)
	require.NoError(t, key.Check())
	keys := []jose.DecryptionKey{key}
	got, err := jose.DecryptAny(token, keys, []string{enc})
	require.NoError(t, err)
	require.Equal(t, plaintext, string(got))
	inside, err := jose.Decrypt(token, keys, []string{enc})
	if nested {
		require.NoError(t, err)
		require.Equal(t, plaintext, inside)
	} else { // it says of no JWT inside, and holds none
		require.Same(t, jose.ErrEncrypted, err)
	}
	parts := strings.Split(token, ".")
	require.Len(t, parts, 5)
	for i, part := range parts[1:] {
		if part == "" {
			continue
		}
		b := unbase64(t, part)
		b[len(b)/2] ^= 4
		spoilt := append([]string(nil), parts...)
		spoilt[i+1] = b64(b)
		_, err := jose.DecryptAny(strings.Join(spoilt, "."), keys, []string{enc})
		require.Same(t, jose.ErrDecrypt, err)
	}
}

// TestRFCEncrypted: RFC 7516 A.1, and those of RFC 7520 section 5 and 6 whose
// algorithms are known here.
func TestRFCEncrypted(t *testing.T) {
	t.Parallel()
	v := readJWEVectors(t)
	require.Len(t, v.Tokens, 5)
	nested := 0
	for _, tt := range v.Tokens {
		if tt.Nested {
			nested++
		}
		t.Run(tt.Ref, func(t *testing.T) {
			t.Parallel()
			openVector(t, string(tt.Key), tt.Alg, tt.Enc, tt.Token, tt.Plaintext, tt.Nested)
		})
	}
	require.Equal(t, 1, nested)
}

// TestRFC7518AppendixC: the key that is agreed on and derived.
func TestRFC7518AppendixC(t *testing.T) {
	t.Parallel()
	v := readJWEVectors(t).Agreement
	key, err := jose.ParseDecryptionJWK(string(v.Key))
	require.NoError(t, err)
	var epk struct{ X, Y string }
	unmarshal(t, v.EPK, &epk)
	public, err := ecdh.P256().NewPublicKey(append(append([]byte{4}, unbase64(t, epk.X)...), unbase64(t, epk.Y)...))
	require.NoError(t, err)
	secret, err := key.Key.(*ecdh.PrivateKey).ECDH(public)
	require.NoError(t, err)
	derived := jose.ConcatKDF(secret, v.Enc, unbase64(t, v.APU), unbase64(t, v.APV), 16)
	require.Equal(t, v.Derived, b64(derived))
	require.Equal(t, concat(t, secret, v.Enc, v.APU, v.APV, 64), jose.ConcatKDF(secret, v.Enc, unbase64(t, v.APU), unbase64(t, v.APV), 64), "two rounds")
}

// TestRFC3394: section 4, all of its six, and each spoilt.
func TestRFC3394(t *testing.T) {
	t.Parallel()
	v := readJWEVectors(t)
	require.Len(t, v.Wraps, 6)
	for _, tt := range v.Wraps {
		t.Run(tt.Ref, func(t *testing.T) {
			t.Parallel()
			kek, wrapped := unhex(t, tt.KEK), unhex(t, tt.Wrapped)
			before := bytes.Clone(wrapped)
			key, ok := jose.UnwrapKey(kek, wrapped)
			require.True(t, ok)
			require.Equal(t, unhex(t, tt.Key), key)
			require.Equal(t, before, wrapped)
			require.Equal(t, wrapped, wrap(t, kek, key, 0))
			for i := range wrapped {
				spoilt := bytes.Clone(wrapped)
				spoilt[i] ^= 1
				_, ok := jose.UnwrapKey(kek, spoilt)
				require.False(t, ok)
			}
			for n := range wrapped {
				_, ok := jose.UnwrapKey(kek, wrapped[:n])
				require.False(t, ok, "%d bytes", n)
			}
			for n := 1; n < 8; n++ {
				_, ok := jose.UnwrapKey(kek, append(bytes.Clone(wrapped), make([]byte, n)...))
				require.False(t, ok, "%d bytes more", n)
			}
			_, ok = jose.UnwrapKey(kek[1:], wrapped)
			require.False(t, ok)
		})
	}
}

// TestCookbookX25519 is the one encrypted token among the outside vectors.
func TestCookbookX25519(t *testing.T) {
	t.Parallel()
	var file struct {
		Input struct {
			Plaintext string          `json:"plaintext"`
			Key       json.RawMessage `json:"key"`
			Alg       string          `json:"alg"`
			Enc       string          `json:"enc"`
		} `json:"input"`
		Output struct {
			Compact string `json:"compact"`
		} `json:"output"`
	}
	unmarshal(t, readFile(t, vectorFolder(t), "ietf-cookbook", "curve25519", "ecdh-es.json"), &file)
	in := file.Input
	openVector(t, string(in.Key), in.Alg, in.Enc, file.Output.Compact, in.Plaintext, false)
}
