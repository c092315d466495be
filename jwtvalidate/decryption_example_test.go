package jwtvalidate_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// An issuer encrypts its tokens for this service, so that nobody between reads the
// claims (RFC 7516). The signature within counts as ever, and Encrypted refuses a
// token that came without the envelope.
func ExampleDecryptionKey() {
	private, _ := rsa.GenerateKey(rand.Reader, 2048) // ours; the issuer has its public half
	der, _ := x509.MarshalPKCS8PrivateKey(private)
	file := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})

	issuer := jwttest.New(new(testing.T)) // in the place of your provider
	policy := issuer.Policy()
	policy.Encrypted = true
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy},
		DecryptionKeys: []jwtvalidate.DecryptionKey{{
			Algorithm: "RSA-OAEP",
			Key:       func() ([]byte, error) { return file, nil }, // in your service: os.ReadFile("decryption.pem")
		}},
	})
	if err != nil {
		panic(err)
	}
	// seal encrypts a token for us, as the issuer does.
	token := issuer.Token(map[string]any{"sub": "ann"})
	sealed := seal(new(testing.T), &private.PublicKey, `{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}`, token)

	claims, err := v.CheckToken(context.Background(), sealed)
	fmt.Println(claims.Subject(), err)
	_, err = v.CheckToken(context.Background(), token)
	fmt.Println("not encrypted:", jwtvalidate.ReasonOf(err))
	// Output:
	// ann <nil>
	// not encrypted: type
}
