package revoke_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// The provider tells that a session has ended: its tokens are refused from now on. The
// logout tokens have a Validator of their own, so that none of them passes for an access
// token, and no access token for one of them.
func ExampleChecker_Logout() {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // the provider's
	keys, _ := jwtvalidate.StaticKeys(&private.PublicKey)         // as a rule, a jwkcache.Cache
	logoutTokens, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: issuer, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{"web"}, Profile: jwtvalidate.LogoutToken,
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	checker, _ := revoke.New(revoke.Config{MaxLifetime: time.Hour})
	handler, err := checker.Logout(revoke.LogoutConfig{
		Audiences: []string{"web"},
		Verify: func(ctx context.Context, token string) (revoke.Claims, error) {
			claims, err := logoutTokens.CheckToken(ctx, token)
			if err != nil && !errors.Is(err, jwtvalidate.ErrUnavailable) {
				return nil, nil // it is bad; only an outage is worth another try
			}
			return claims, err
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	provider, _ := jwtsign.New(jwtsign.Config{
		Issuer: issuer, Keys: []jwtsign.Key{{Private: jwtsign.SignerKey(private), Algorithm: "ES256"}},
		Token: jwtsign.Token{Type: "logout+jwt", Lifetime: time.Minute, Audience: []string{"web"}},
	})
	event := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	logoutToken, _ := provider.Sign(context.Background(), map[string]any{"sid": "phone", "events": event})
	for range 2 { // the second time it was used already
		r := httptest.NewRequest(http.MethodPost, "/backchannel-logout", strings.NewReader(url.Values{"logout_token": {logoutToken}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	for _, session := range []string{"phone", "laptop"} {
		claims := token{"iss": issuer, "sub": "ann", "sid": session, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
		revoked, err := checker.Revoked(context.Background(), claims)
		fmt.Println(session, revoked, err)
	}
	// Output:
	// 200
	// 400
	// phone true <nil>
	// laptop false <nil>
}
