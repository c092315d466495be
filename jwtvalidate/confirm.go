package jwtvalidate

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkConfirmation refuses a token that is bound to a sender, unless the
// request proves to be that sender (RFC 7800).
func (v *Validator) checkConfirmation(r *http.Request, c credential, claims *Claims) error {
	if c.dpop { // RFC 9449 section 7.1: never for a token that is not bound so
		if cnf, _ := claims.Get("cnf"); !isBoundToKey(cnf) {
			return ErrConfirmation
		}
	}
	if !claims.bound {
		return nil
	}
	if r == nil {
		return ErrConfirmation
	}
	confirm := claims.signer.policy.confirm
	if confirm == nil {
		return v.confirmCertificate(r, claims)
	}
	err := confirm(r, claims)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnavailable): // and so not a bad token
		return fmt.Errorf("jwtvalidate: confirm: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrConfirmation, err)
}

func isBoundToKey(cnf any) bool {
	members, _ := cnf.(map[string]any)
	jkt, _ := members["jkt"].(string)
	return jkt != ""
}

// confirmCertificate holds cnf against the client certificate (RFC 8705 section
// 3.1). The TLS handshake has proved possession of its key; whether the
// certificate itself must be trusted is the server's tls.Config.
func (v *Validator) confirmCertificate(r *http.Request, c *Claims) error {
	value, _ := c.object.Get("cnf")
	cnf, _ := value.(map[string]any)
	want, _ := cnf["x5t#S256"].(string)
	certificate := v.clientCertificate(r)
	if len(cnf) != 1 || len(certificate) == 0 {
		return ErrConfirmation
	}
	sum := sha256.Sum256(certificate)
	got := base64.RawURLEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return ErrConfirmation
	}
	return nil
}

// The headers in which a proxy forwards the client's certificate (RFC 9440 section 2).
const (
	clientCert      = "Client-Cert"
	clientCertChain = "Client-Cert-Chain"
)

// clientCertificate is the DER of the client's certificate, empty without one. The
// connection of a trusted proxy shows the proxy's own, which is never the client's.
func (v *Validator) clientCertificate(r *http.Request) []byte {
	if !v.trusts(r) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			return nil
		}
		return r.TLS.PeerCertificates[0].Raw
	}
	lines := r.Header[clientCert]
	if len(lines) != 1 {
		return nil
	}
	text, opens := strings.CutPrefix(lines[0], ":") // RFC 8941 section 3.3.5
	text, closes := strings.CutSuffix(text, ":")
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if !opens || !closes || err != nil || strings.ContainsAny(text, "\r\n") {
		return nil
	}
	return der
}

// trusts reports whether a request comes over a connection from a trusted proxy.
func (v *Validator) trusts(r *http.Request) bool {
	if len(v.proxies) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address := peer.Addr().Unmap().WithZone("")
	for _, proxies := range v.proxies {
		if proxies.Contains(address) {
			return true
		}
	}
	return false
}

// newProxies checks that the addresses are those of proxies, not of everybody.
func newProxies(list []netip.Prefix) ([]netip.Prefix, []error) {
	var errs []error
	for i, prefix := range list {
		if !prefix.IsValid() || prefix.Bits() == 0 || prefix.Addr().Is4In6() || prefix != prefix.Masked() {
			errs = append(errs, fmt.Errorf("TrustedProxies[%d]: want the addresses of proxies, IPv4 in its own form, without bits behind the prefix", i))
		}
	}
	return slices.Clone(list), errs
}
