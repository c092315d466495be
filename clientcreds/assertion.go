package clientcreds

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// assertionLife is short: an assertion is made for one request.
const assertionLife = time.Minute

func (cl *client) signWithKey(tokenURL string) (string, fingerprint, error) {
	k, identity, err := cl.signingKey()
	if err != nil {
		return "", identity, err
	}
	jwt, err := cl.signAssertion(k.alg, k.signer, k.id, tokenURL)
	return jwt, identity, err
}

func (cl *client) signWithSecret(secret, tokenURL string) (string, error) {
	alg, _ := jose.ParseAlg(cl.algorithm)
	key, err := jose.NewSecret([]byte(secret))
	if err != nil {
		return "", err
	}
	return cl.signAssertion(alg, key, "", tokenURL)
}

// signAssertion makes a client assertion (RFC 7523 section 3). For the issuer, as
// its only audience and with a type of its own (draft-ietf-oauth-rfc7523bis section 4); for the
// token URL, as it was before, untyped.
func (cl *client) signAssertion(alg jose.Alg, key any, kid, tokenURL string) (string, error) {
	audience, typ := cl.issuer, "client-authentication+jwt"
	if cl.audienceTokenURL {
		audience, typ = tokenURL, "JWT"
	}
	header, err := json.Marshal(struct {
		Alg     string `json:"alg"`
		Typ     string `json:"typ"`
		Kid     string `json:"kid,omitempty"`
		X5TS256 string `json:"x5t#S256,omitempty"`
	}{alg.String(), typ, kid, cl.x5tS256})
	if err != nil {
		return "", err
	}
	var jti [16]byte
	_, _ = rand.Read(jti[:]) // it never fails
	now := cl.now()
	payload, err := json.Marshal(struct {
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Aud string `json:"aud"`
		Exp int64  `json:"exp"`
		Iat int64  `json:"iat"`
		JTI string `json:"jti"`
	}{cl.id, cl.id, audience, now.Add(assertionLife).Unix(), now.Unix(), hex.EncodeToString(jti[:])})
	if err != nil {
		return "", err
	}
	return jose.Sign(alg, key, header, payload)
}
