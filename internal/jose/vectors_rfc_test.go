package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// TestRFCVectors runs what the RFCs print. No kind is left out; of a DPoP proof
// only the signature is looked at, since htm, htu, ath and the key in its header
// are no business of this package.
func TestRFCVectors(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []rfcVector `json:"vectors"`
	}
	unmarshal(t, readFile(t, "testdata", "rfc_vectors.json"), &file)

	run := map[string]int{}
	for _, v := range file.Vectors {
		t.Run(v.ID, func(t *testing.T) {
			switch v.Kind {
			case "jws":
				v.checkJWS(t)
			case "jws_general":
				v.checkGeneral(t)
			case "jws_detached_b64false": // RFC 7797 section 7: not for JWTs
				require.ErrorIs(t, verifyWith(v.compact(t), v.Key), jose.ErrToken)
			case "thumbprint_sha256":
				key, err := jose.ParseJWK(string(v.Key))
				require.NoError(t, err)
				require.Equal(t, v.Thumbprint, thumbprint(t, key))
			case "dpop_proof":
				v.checkJWS(t)
				if v.JKT != "" {
					key, err := jose.ParseJWK(string(v.Key))
					require.NoError(t, err)
					require.Equal(t, v.JKT, thumbprint(t, key))
				}
			default:
				t.Fatalf("a kind without a test: %s", v.Kind)
			}
			run[v.Kind]++
		})
	}
	require.Equal(t, map[string]int{
		"jws": 7, "jws_general": 1, "jws_detached_b64false": 1, "thumbprint_sha256": 3, "dpop_proof": 2,
	}, run)
}

type rfcVector struct {
	ID         string            `json:"id"`
	Kind       string            `json:"kind"`
	Alg        string            `json:"alg"`
	Key        json.RawMessage   `json:"key"`
	Keys       []json.RawMessage `json:"keys"`
	JWS        json.RawMessage   `json:"jws"`
	Thumbprint string            `json:"thumbprint"`
	JKT        string            `json:"jkt"`
	Expect     string            `json:"expect"`
}

func (v rfcVector) compact(t *testing.T) string {
	t.Helper()
	var token string
	unmarshal(t, v.JWS, &token)
	return token
}

func (v rfcVector) checkJWS(t *testing.T) {
	t.Helper()
	token := v.compact(t)
	if v.Alg == "none" { // without a signature, and with one that means nothing
		require.Equal(t, "invalid", v.Expect)
		for _, token := range []string{token, token + "AAAA"} {
			_, _, err := parseToken(token)
			require.ErrorIs(t, refusal(err), errRefused)
		}
		return
	}
	require.Equal(t, "valid", v.Expect)
	c, err := jose.ParseCompact(token)
	require.NoError(t, err)
	require.Equal(t, v.Alg, c.Header.Alg)
	require.NoError(t, verifyWith(token, v.Key))
}

// checkGeneral: the JSON form is refused whole, though each of its signatures
// is good in compact form.
func (v rfcVector) checkGeneral(t *testing.T) {
	t.Helper()
	_, err := jose.ParseCompact(string(v.JWS))
	require.ErrorIs(t, err, jose.ErrToken)

	var general struct {
		Payload    string `json:"payload"`
		Signatures []struct {
			Protected string `json:"protected"`
			Signature string `json:"signature"`
		} `json:"signatures"`
	}
	unmarshal(t, v.JWS, &general)
	require.Len(t, general.Signatures, 2)
	for i, s := range general.Signatures {
		require.NoError(t, verifyWith(s.Protected+"."+general.Payload+"."+s.Signature, v.Keys[i]))
	}
}

func thumbprint(t *testing.T, key *jose.JWK) string {
	t.Helper()
	sum, err := jose.Thumbprint(key.Key)
	require.NoError(t, err)
	return sum
}

// cookbook is a file of the IETF's JOSE cookbook (RFC 7520 and its companions).
type cookbook struct {
	Reproducible bool `json:"reproducible"`
	Input        struct {
		Payload string          `json:"payload"`
		Key     json.RawMessage `json:"key"`
	} `json:"input"`
	Output map[string]json.RawMessage `json:"output"`
}

// TestCookbookJWS takes every serialisation that the cookbook prints: the JSON
// forms are refused, and so is each compact one that is not whole in itself.
// ecdh-es.json is left out: it is a JWE.
func TestCookbookJWS(t *testing.T) {
	t.Parallel()
	folder := vectorFolder(t)
	errNoForm := errors.New("the file prints no compact form")
	tests := []struct {
		folder, file string
		compact      error // the verdict on the compact form
	}{
		{folder: "jws", file: "4_1.rsa_v15_signature.json"},
		{folder: "jws", file: "4_2.rsa-pss_signature.json"},
		{folder: "jws", file: "4_3.ecdsa_signature.json"},
		{folder: "jws", file: "4_4.hmac-sha2_integrity_protection.json"},
		// Detached: an empty payload is a payload (RFC 7515 section 7.1), but not the one that was signed.
		{folder: "jws", file: "4_5.signature_with_detached_content.json", compact: jose.ErrSignature},
		{folder: "jws", file: "4_6.protecting_specific_header_fields.json", compact: errNoForm},
		{folder: "jws", file: "4_7.protecting_content_only.json", compact: errNoForm},
		{folder: "jws", file: "4_8.multiple_signatures.json", compact: errNoForm},
		{folder: "curve25519", file: "jws.json"},
		{folder: "rfc7797", file: "hmac-sha2_b64_false.json", compact: jose.ErrToken},
		{folder: "rfc7797", file: "4.2.hmac-sha2_b64_false.json", compact: errNoForm},
	}
	run := map[string]int{}
	for _, tt := range tests {
		t.Run(tt.folder+"/"+tt.file, func(t *testing.T) {
			var book cookbook
			unmarshal(t, readFile(t, folder, "ietf-cookbook", tt.folder, tt.file), &book)
			for form, text := range book.Output {
				if form == "compact" {
					var token string
					unmarshal(t, text, &token)
					err := verifyWith(token, publicHalf(t, book.Input.Key))
					require.ErrorIs(t, err, tt.compact)
					if tt.compact == nil {
						book.checkSigning(t, token)
						run["verified and signed again"]++
					} else {
						run["compact refused"]++
					}
					continue
				}
				_, err := jose.ParseCompact(string(text))
				require.ErrorIs(t, err, jose.ErrToken)
				run["JSON refused"]++
			}
			if errors.Is(tt.compact, errNoForm) {
				require.NotContains(t, book.Output, "compact")
			}
		})
	}
	require.Equal(t, map[string]int{
		"verified and signed again": 5, "compact refused": 2, "JSON refused": 21,
	}, run)
}

// checkSigning makes the token again: equal where the algorithm is
// deterministic, verified by the public half in any case.
func (b cookbook) checkSigning(t *testing.T, token string) {
	t.Helper()
	c, a, err := parseToken(token)
	require.NoError(t, err)
	require.Equal(t, b.Input.Payload, c.Payload)
	protected, err := jose.Protected(a, c.Header.Type, c.Header.KeyID)
	require.NoError(t, err)

	again, err := jose.Sign(a, privateKey(t, b.Input.Key), protected, []byte(b.Input.Payload))
	require.NoError(t, err)
	if b.Reproducible {
		require.Equal(t, token, again)
	}
	require.NoError(t, verifyWith(again, publicHalf(t, b.Input.Key)))
}

// publicHalf drops the private members, which ParseJWK would rightly refuse.
func publicHalf(t *testing.T, key json.RawMessage) json.RawMessage {
	t.Helper()
	var members map[string]any
	unmarshal(t, key, &members)
	maps.DeleteFunc(members, func(name string, _ any) bool {
		switch name {
		case "d", "p", "q", "dp", "dq", "qi":
			return true
		}
		return false
	})
	text, err := json.Marshal(members)
	require.NoError(t, err)
	return text
}

// privateKey reads the cookbook's private keys by the standard library alone.
func privateKey(t *testing.T, key json.RawMessage) any {
	t.Helper()
	var members map[string]string
	unmarshal(t, key, &members)
	octets := func(name string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(members[name])
		require.NoError(t, err)
		return b
	}
	number := func(name string) *big.Int { return new(big.Int).SetBytes(octets(name)) }
	switch members["kty"] {
	case "RSA":
		k := &rsa.PrivateKey{
			PublicKey: rsa.PublicKey{N: number("n"), E: int(number("e").Int64())},
			D:         number("d"),
			Primes:    []*big.Int{number("p"), number("q")},
		}
		require.NoError(t, k.Validate())
		k.Precompute()
		return k
	case "EC":
		require.Equal(t, "P-521", members["crv"])
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P521(), octets("d"))
		require.NoError(t, err)
		return k
	case "OKP":
		return ed25519.NewKeyFromSeed(octets("d"))
	}
	secret, err := jose.NewSecret(octets("k"))
	require.NoError(t, err)
	return secret
}

// TestCookbookJWK reads the keys of RFC 7520 section 3: a public document may
// hold public keys only, and a key for encryption verifies nothing.
func TestCookbookJWK(t *testing.T) {
	t.Parallel()
	folder := vectorFolder(t)
	run := 0
	for _, tt := range []struct {
		file        string
		public, own error // verdicts of ParseJWK and of ParseSecretJWK
		fits        jose.Alg
	}{
		{"3_1.ec_public_key.json", nil, jose.ErrKeyType, jose.ES512},
		{"3_2.ec_private_key.json", jose.ErrKeyPrivate, jose.ErrKeyType, 0},
		{"3_3.rsa_public_key.json", nil, jose.ErrKeyType, jose.PS384},
		{"3_4.rsa_private_key.json", jose.ErrKeyPrivate, jose.ErrKeyType, 0},
		{"3_5.symmetric_key_mac_computation.json", jose.ErrKeyPrivate, nil, jose.HS256},
		{"3_6.symmetric_key_encryption.json", jose.ErrKeyPrivate, jose.ErrKeyUse, 0},
	} {
		t.Run(tt.file, func(t *testing.T) {
			text := string(readFile(t, folder, "ietf-cookbook", "jwk", tt.file))
			public, err := jose.ParseJWK(text)
			require.ErrorIs(t, err, tt.public)
			own, err := jose.ParseSecretJWK(text)
			require.ErrorIs(t, err, tt.own)
			for _, key := range []*jose.JWK{public, own} {
				if key != nil {
					require.True(t, key.Fits(tt.fits))
					require.NotEmpty(t, key.KeyID)
				}
			}
			run++
		})
	}
	require.Equal(t, 6, run)
}
