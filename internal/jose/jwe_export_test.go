package jose

// What the tests see beside the interface: vectors hold other content than tokens.
var (
	UnwrapKey = unwrapKey
	ConcatKDF = concatKDF
)

// DecryptAny is Decrypt without what it wants of cty and of the plaintext.
func DecryptAny(token string, keys []DecryptionKey, encs []string) ([]byte, error) {
	e, err := parseEncrypted(token, keys, encs)
	if err != nil {
		return nil, err
	}
	plaintext, ok := e.open(keys)
	if !ok {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

// KnownEncryption reports whether Decrypt can open that enc, by its exact name.
func KnownEncryption(enc string) bool { return findContentEnc(enc) != nil }
