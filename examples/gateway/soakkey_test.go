package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

// newSoakKey is a key that the real server can be given, since the test makes it.
func newSoakKey(t *testing.T, id string, alg jose.Alg) testidp.Key {
	t.Helper()
	return testidp.Key{ID: id, Alg: alg, Signer: testidp.GenerateKey(t, alg)}
}

// privateJWKs is a list of JWKs with their private members (RFC 7518 section 6).
func privateJWKs(t *testing.T, keys ...testidp.Key) string {
	t.Helper()
	var list []map[string]string
	for _, k := range keys {
		jwk := map[string]string{"kid": k.ID, "use": "sig"}
		set := func(name string, value []byte) { jwk[name] = base64.RawURLEncoding.EncodeToString(value) }
		switch private := k.Signer.(type) {
		case *ecdsa.PrivateKey:
			jwk["kty"], jwk["crv"], jwk["alg"] = "EC", "P-256", "ES256"
			d, err := private.Bytes()
			require.NoError(t, err)
			point, err := private.PublicKey.Bytes()
			require.NoError(t, err)
			set("d", d)
			set("x", point[1:33])
			set("y", point[33:])
		case *rsa.PrivateKey:
			jwk["kty"], jwk["alg"] = "RSA", "RS256"
			set("n", private.N.Bytes())
			set("e", big.NewInt(int64(private.E)).Bytes())
			set("d", private.D.Bytes())
			set("p", private.Primes[0].Bytes())
			set("q", private.Primes[1].Bytes())
			set("dp", private.Precomputed.Dp.Bytes())
			set("dq", private.Precomputed.Dq.Bytes())
			set("qi", private.Precomputed.Qinv.Bytes())
		default:
			t.Fatalf("no JWK of a %T", k.Signer)
		}
		list = append(list, jwk)
	}
	return asJSON(t, list)
}

// publish replaces the real server's keys. Of several for one algorithm the first one signs.
func (p provider) publish(t *testing.T, keys ...testidp.Key) {
	t.Helper()
	answer, body := request(t, http.MethodPut, p.Issuer+"/keys", nil, bytes.NewReader([]byte(privateJWKs(t, keys...))))
	require.Equal(t, http.StatusOK, answer.StatusCode, string(body))
}

// soakTokens asks the real server for tokens that are good until their exp.
func (p provider) soakTokens(t *testing.T, n int, client string) (list []*soakToken) {
	t.Helper()
	for range n {
		k, exp := readSoakToken(t, p.token(t, client, p.Audience))
		end := time.Unix(exp, 0).Add(soakLeeway).UnixNano()
		k.good.Store(end)
		k.bad.Store(end)
		list = append(list, k)
	}
	return list
}

func readSoakToken(t *testing.T, text string) (k *soakToken, exp int64) {
	t.Helper()
	var claims struct {
		ID  string `json:"jti"`
		Exp int64  `json:"exp"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(payload, &claims))
	require.NotEmpty(t, claims.ID)
	return newSoakToken(text, claims.ID, 0, 0), claims.Exp
}
