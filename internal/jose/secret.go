package jose

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// CheckSecretText refuses what is no secret though it may be long enough for one: a
// public key or certificate, PEM, or JSON, such as a JWK whose k was not decoded.
func CheckSecretText(b []byte) error {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))
	if bytes.Contains(b, []byte("---- BEGIN")) || bytes.Contains(b, []byte("-----BEGIN")) {
		return errors.New("this is PEM, not a secret")
	}
	if isSSH(trimmed) || isPublicDER(b) || isPublicDER(trimmed) || isPublicBase64(trimmed) {
		return errors.New("this is a public key or certificate, not a secret")
	}
	if len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed) {
		return errors.New("this is JSON, not a secret; of a JWK, decode the k member")
	}
	return nil
}

func isSSH(b []byte) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"} {
		if bytes.HasPrefix(b, []byte(prefix)) {
			return true
		}
	}
	return false
}

// isPublicBase64 finds what is between the lines of a PEM, as some issuers show it.
func isPublicBase64(b []byte) bool {
	text := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(string(b)) // either alphabet, padded or not
	der, err := base64.RawStdEncoding.DecodeString(text)
	return err == nil && isPublicDER(der)
}

// isPublicDER reports whether b is what everybody may know: the RS256 public key
// used as an HS256 secret is the oldest attack on JWTs.
func isPublicDER(b []byte) bool {
	if _, err := x509.ParsePKIXPublicKey(b); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PublicKey(b); err == nil {
		return true
	}
	_, err := x509.ParseCertificate(b)
	return err == nil
}
