package clientcreds

import (
	"context"
	"crypto/sha256"
)

// StaticSecret makes a Config.Secret that never changes. One that is rotated is a
// func that reads it anew: it runs for each token request, and again when the
// server says invalid_client.
func StaticSecret(secret string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return secret, nil }
}

// fingerprint tells one credential from another without keeping it.
type fingerprint [sha256.Size]byte

func fingerprintOf(credential string) fingerprint { return sha256.Sum256([]byte(credential)) }
