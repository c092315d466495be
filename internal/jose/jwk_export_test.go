package jose

import "fmt"

// ParseSecretJWK reads one symmetric key, kty oct, as the vectors have them.
func ParseSecretJWK(text string) (*JWK, error) {
	o, err := ParseObject(text, keyLimits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyValue, err)
	}
	if kty, _ := o.Text("kty"); kty != "oct" {
		return nil, ErrKeyType
	}
	k, err := octets(o, "k")
	if err != nil {
		return nil, err
	}
	secret, err := NewSecret(k)
	if err != nil {
		return nil, err
	}
	return describe(o, secret, "verify")
}
