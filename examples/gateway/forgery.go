package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// forgeries are tokens that must not pass, by what is wrong with them.
type forgeries struct {
	expired, foreign, forged, changed, none, signedNone, confused, unknown string
}

// forge makes them from a good token. Some are signed by the login's own key.
func (l *login) forge(ctx context.Context, good string) (f forgeries, err error) {
	claims := map[string]any{"sub": "alice", "client_id": "web", "scope": "orders:read", "roles": []string{"admin"}}
	sign := func(key jwtsign.Key, kind jwtsign.Token, now func() time.Time) string {
		signer, failed := jwtsign.New(jwtsign.Config{Issuer: l.url, Keys: []jwtsign.Key{key}, Token: kind, Now: now})
		if err != nil || failed != nil {
			err = cmp.Or(err, failed)
			return ""
		}
		token, failed := signer.Sign(ctx, claims)
		err = cmp.Or(err, failed)
		return token
	}
	f.expired = sign(l.key, accessToken, func() time.Time { return time.Now().Add(-time.Hour) })
	payroll := accessToken
	payroll.Audience = []string{"https://payroll.example.com"}
	f.foreign = sign(l.key, payroll, nil)

	stranger, _, failed := newKey(l.key.ID) // it names the login's key
	err = cmp.Or(err, failed)
	f.forged = sign(stranger, accessToken, nil)
	stranger.ID = "nobody-knows"
	f.unknown = sign(stranger, accessToken, nil)

	der, failed := x509.MarshalPKIXPublicKey(l.public)
	err = cmp.Or(err, failed)
	if err != nil {
		return f, fmt.Errorf("forging: %w", err)
	}

	segments, other := strings.Split(good, "."), strings.Split(f.forged, ".")
	f.changed = segments[0] + "." + other[1] + "." + segments[2]
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`))
	f.none = header + "." + segments[1] + "."
	f.signedNone = f.none + segments[2]

	// The oldest trick: what everybody may know, the public key, as an HMAC secret.
	// jwtsign.Secret refuses it, so this is done by hand.
	header = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"` + l.key.ID + `"}`))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(header + "." + segments[1]))
	f.confused = header + "." + segments[1] + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	return f, nil
}
