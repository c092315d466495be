package clientcreds

import (
	"context"
	"crypto/sha256"
	"reflect"
)

// StaticSecret makes a Config.Secret that never changes. One that is rotated is a
// func that reads it anew: it runs for each token request, and again when the
// server says invalid_client. New refuses an empty one, as of an environment variable
// that is not set.
func StaticSecret(secret string) func(context.Context) (string, error) {
	if secret == "" {
		return emptySecret
	}
	return func(context.Context) (string, error) { return secret, nil }
}

func emptySecret(context.Context) (string, error) { return "", nil }

// isEmptySecret knows StaticSecret("") without a call, which might ask a vault.
func isEmptySecret(secret func(context.Context) (string, error)) bool {
	return secret != nil && reflect.ValueOf(secret).Pointer() == reflect.ValueOf(emptySecret).Pointer()
}

// fingerprint tells one credential from another without keeping it.
type fingerprint [sha256.Size]byte

func fingerprintOf(credential string) fingerprint { return sha256.Sum256([]byte(credential)) }
