package jwtsign_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// TestSecretIsSecret: what everybody may know signs nothing, as jwtvalidate.Secret
// verifies nothing by it.
func TestSecretIsSecret(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	for _, row := range []struct {
		name string
		text []byte
		ok   bool
	}{
		{"random", []byte("\x01\x02 0123456789abcdef0123456789abcdef"), true},
		{"PEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), false},
		{"DER", der, false},
		{"base64 of DER", []byte(base64.StdEncoding.EncodeToString(der)), false},
		{"base64url of DER", []byte(base64.URLEncoding.EncodeToString(der)), false},
		{"base64url of DER, without padding", []byte(base64.RawURLEncoding.EncodeToString(der)), false},
		{"ssh", []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE"), false},
		{"JWK", []byte(`{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`), false},
		{"empty", nil, false},
	} {
		_, err := jwtsign.Secret(row.text)
		if row.ok {
			require.NoError(t, err, row.name)
			continue
		}
		require.ErrorContains(t, err, "jwtsign: Secret: ", row.name)
	}
}
