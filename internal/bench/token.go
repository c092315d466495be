package main

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

const audience = "https://api.example.com"

// issuerURL is that of the n-th issuer; all are equally long.
func issuerURL(n int) string { return fmt.Sprintf("https://idp-%04d.example.com/", n) }

// token says what is to be signed.
type token struct {
	issuer   string
	audience string
	serial   int       // makes it another token than its siblings
	expires  time.Time // an hour after the moment of issue, or longer ago than that
	size     int       // of the whole token, in bytes; below 512 not all claims fit
}

// oneKiB is a good token as most sections use it.
func oneKiB(serial int) token {
	return token{issuer: issuerURL(0), audience: audience, serial: serial, expires: soon(), size: 1 << 10}
}

// soon is after the end of this program.
func soon() time.Time { return time.Now().Add(time.Hour) }

// sign makes the compact form (RFC 7515 section 7.1).
func (k *key) token(t token) (string, error) {
	segment := base64.RawURLEncoding
	header := segment.EncodeToString([]byte(`{"alg":"` + k.alg + `","kid":"` + keyID + `","typ":"JWT"}`))
	rest := t.size - len(header) - segment.EncodedLen(k.signatureSize()) - len("..")
	input := header + "." + segment.EncodeToString([]byte(t.payload(rest*3/4)))
	signature, err := k.sign([]byte(input))
	return input + "." + segment.EncodeToString(signature), err
}

// payload is an access token's: the usual claims, then as many of the others as fit
// into size, then groups up to exactly that size.
func (t token) payload(size int) string {
	issued := t.expires.Add(-2 * time.Hour).Unix()
	var s strings.Builder
	_, _ = fmt.Fprintf(&s, `{"iss":%q,"aud":[%q],"sub":"user|5f7c8ec7c33c6c004bba","iat":%d,"exp":%d,"jti":"0f1e2d3c-4b5a-6978-%012d"`,
		t.issuer, t.audience, issued, t.expires.Unix(), t.serial)
	for _, claim := range []string{
		`,"scope":"orders:read orders:write"`, fmt.Sprintf(`,"nbf":%d`, issued), `,"azp":"storefront-4711"`, `,"roles":["user","operator"]`,
		`,"realm_access":{"roles":["offline_access","user"]}`, `,"email":"someone@example.com","email_verified":true`,
	} {
		if s.Len()+len(claim) < size {
			s.WriteString(claim)
		}
	}
	const open, end, name, next = `,"groups":["`, `"]}`, `staff-of-the-warehouse-in-the-north`, `","`
	left := size - s.Len() - len(open) - len(end)
	if left < 0 {
		return s.String() + "}"
	}
	s.WriteString(open)
	for left > len(name)+len(next) {
		s.WriteString(name + next)
		left -= len(name) + len(next)
	}
	s.WriteString(strings.Repeat("x", left) + end)
	return s.String()
}
