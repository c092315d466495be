package fetch

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// ErrPin: no key of the pins is in the verified chain of the server.
var ErrPin = errors.New("fetch: server key is not pinned")

// ParsePin reads a pin, the SHA-256 of a SubjectPublicKeyInfo, in base64 of either
// alphabet, with padding or without.
func ParsePin(text string) ([]byte, error) {
	std := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	pin, err := base64.RawStdEncoding.Strict().DecodeString(std)
	if err != nil || len(pin) != sha256.Size || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("fetch: pin: want the base64 of 32 bytes")
	}
	return pin, nil
}

// pinned lets an answer through only from a server with a pinned key. It looks at
// the connection that the answer came by, whatever proxy or redirect led there,
// and at the chain that was verified, not at whatever certificates were sent. The
// request has gone out by then: it must hold no secret.
type pinned struct {
	base http.RoundTripper
	pins [][sha256.Size]byte
}

func newPinned(base http.RoundTripper, pins [][]byte) *pinned {
	p := &pinned{base: base}
	for _, pin := range pins {
		p.pins = append(p.pins, [sha256.Size]byte(pin))
	}
	return p
}

func (p *pinned) RoundTrip(r *http.Request) (*http.Response, error) {
	in, err := p.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.URL.Scheme == "https" && in.TLS != nil {
		for _, chain := range in.TLS.VerifiedChains {
			for _, cert := range chain {
				if slices.Contains(p.pins, sha256.Sum256(cert.RawSubjectPublicKeyInfo)) {
					return in, nil
				}
			}
		}
	}
	_ = in.Body.Close()
	return nil, ErrPin
}
