package jose_test

import (
	"crypto/ecdh"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// FuzzDecrypt: only what was encrypted for a key comes out of it, to the character; and
// a header is accepted only where encoding/json reads in it what was allowed.
func FuzzDecrypt(f *testing.F) {
	keys := decryptionKeys(f)
	genuine := map[string]struct{}{}
	for i, key := range keys {
		token := sealing{key: key, enc: allEncs[i%4], header: map[string]any{"kid": key.ID}}.token(f)
		genuine[token] = struct{}{}
		f.Add(token, `{"alg":"ECDH-ES+A128KW","enc":"A128GCM","cty":"JWT"}`)
	}
	wrapping := keyOf(f, "ECDH-ES+A128KW X25519")
	epk := toText(f, publicOf(wrapping.Key.(*ecdh.PrivateKey).PublicKey()))
	const start = `{"alg":"ECDH-ES+A128KW","enc":"A128GCM","cty":"JWT"`
	for _, header := range []string{
		start + `,"epk":` + epk + `}`, `{"alg":"RSA-OAEP-256","enc":"A128GCM","cty":"application/JWT"}`, `{"alg":"RSA-OAEP-256","enc":"A128GCM","cty":"JWT","zip":"DEF"}`,
		`{"alg":"RSA-OAEP-256","enc":"A128GCM","cty":"JWT","kid":"RSA-OAEP-256"}`, `{"alg":"PBES2-HS256+A128KW","p2c":2147483648,"p2s":"AA","enc":"A128GCM"}`,
		`{"alg":"RSA-OAEP-256","enc":"A128GCM","cty":"JWT","crit":["x"]}`, `{"\u0061lg":"RSA-OAEP-256","enc":"A128GCM","cty":"jwt"}`,
		`{"alg":"dir","alg":"RSA-OAEP-256","enc":"A128GCM","cty":"JWT"}`, `{"Alg":"dir","alg":"RSA-OAEP-256","enc":"A128GCM","cty":"JWT"}`, `{}`, ``,
	} {
		f.Add("....", header)
	}
	f.Fuzz(func(t *testing.T, token, header string) {
		got, err := jose.Decrypt(token, keys, allEncs)
		if _, mine := genuine[token]; mine {
			require.NoError(t, err)
			require.Equal(t, inner, got)
		} else {
			require.True(t, err == jose.ErrEncrypted || err == jose.ErrDecrypt, "%v", err)
			require.Empty(t, got)
		}

		// The header once more in clear, over a key and a content that are right for it.
		s := sealing{key: keyOf(t, "RSA-OAEP-256"), raw: header}
		if header == "" {
			return
		}
		if _, err := jose.Decrypt(s.token(t), keys, []string{"A128GCM"}); err != nil {
			require.True(t, err == jose.ErrEncrypted || err == jose.ErrDecrypt, "%v", err)
			return
		}
		var folding struct {
			Alg, Enc, Kid, Cty            string
			Zip, Crit, B64, P2s, P2c, Epk any
			IV, Tag, APU, APV             any
		}
		require.NoError(t, json.Unmarshal([]byte(header), &folding))
		require.Equal(t, "RSA-OAEP-256", folding.Alg)
		require.Equal(t, "A128GCM", folding.Enc)
		require.Contains(t, []string{"", "RSA-OAEP-256"}, folding.Kid)
		require.Contains(t, []string{"jwt", "application/jwt"}, strings.ToLower(folding.Cty))
		for _, v := range []any{folding.Zip, folding.Crit, folding.B64, folding.P2s, folding.P2c, folding.Epk, folding.IV, folding.Tag, folding.APU, folding.APV} {
			require.Nil(t, v)
		}
		var exact map[string]any
		require.NoError(t, json.Unmarshal([]byte(header), &exact))
		for _, name := range []string{"zip", "crit", "b64", "p2s", "p2c", "epk", "iv", "tag", "apu", "apv"} {
			require.NotContains(t, exact, name)
		}
	})
}

// FuzzEphemeralKey: no epk makes it panic, or open what was not encrypted with it.
func FuzzEphemeralKey(f *testing.F) {
	keys := decryptionKeys(f)
	for _, key := range keys {
		if k, ok := key.Key.(*ecdh.PrivateKey); ok {
			f.Add(toText(f, publicOf(k.PublicKey())), "AA", "")
		}
	}
	for _, epk := range []string{`null`, `{}`, `"a"`, `{"kty":"EC","crv":"P-256","x":"","y":""}`, `{"kty":"OKP","crv":"X25519","x":"AA"}`} {
		f.Add(epk, "", "AA==")
	}
	f.Fuzz(func(t *testing.T, epk, apu, apv string) {
		info := toText(t, map[string]any{"apu": apu, "apv": apv})
		for _, alg := range ecdhAlgs {
			header := `{"alg":"` + alg + `","enc":"A128GCM","cty":"JWT","epk":` + epk + `,` + info[1:]
			wrapped := make([]byte, 24)
			if alg == "ECDH-ES" {
				wrapped = nil
			}
			token := strings.Join([]string{encode(header), b64(wrapped), b64(make([]byte, 12)), b64([]byte(inner)), b64(make([]byte, 16))}, ".")
			got, err := jose.Decrypt(token, keys, allEncs)
			require.True(t, err == jose.ErrEncrypted || err == jose.ErrDecrypt, "%v", err)
			require.Empty(t, got)
		}
	})
}
