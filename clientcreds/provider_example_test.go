package clientcreds_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// show is a token endpoint that prints what it is asked, so that the Examples need
// no network. A real Config has no Client.
var show = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/.well-known/") {
		issuer, _, _ := strings.Cut(r.URL.String(), "/.well-known/")
		return answer(r, 200, "application/json", fmt.Sprintf(`{"issuer":%q,"token_endpoint":%q}`, issuer, issuer+"/v1/token")), nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, err
	}
	fmt.Println(r.Method, r.URL)
	if user, pass, ok := r.BasicAuth(); ok {
		fmt.Println("Basic", user, pass)
	}
	var names []string
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := strings.Join(form[name], " + ")
		if jws, err := jose.ParseCompact(value); err == nil {
			value = "typ=" + jws.Header.Type + " alg=" + jws.Header.Alg + " aud=" + audience(jws)
		}
		fmt.Println(" ", name, "=", value)
	}
	return answer(r, 200, "application/json", `{"access_token":"the-token","token_type":"Bearer","expires_in":3600}`), nil
})}

func audience(jws *jose.Compact) string {
	claims, err := jws.ParsePayload(jose.DefaultLimits)
	if err != nil {
		return err.Error()
	}
	aud, _ := claims.Text("aud")
	return aud
}

// ask makes a Source and has it fetch.
func ask(cfg clientcreds.Config) {
	cfg.Client = show
	source, err := clientcreds.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := source.Warm(context.Background()); err != nil {
		fmt.Println(err)
	}
}

// Auth0 wants the audience of an API, and takes id and secret in the body. Its
// tokens are counted: with many processes, think of Store.
func ExampleConfig_auth0() {
	ask(clientcreds.Config{
		TokenURL:       "https://tenant.eu.auth0.com/oauth/token",
		ClientID:       "orders",
		AuthMethod:     "client_secret_post",
		Secret:         clientcreds.StaticSecret("hush"),
		Audience:       "https://api.example.com",
		AllowedOrigins: []string{"https://api.example.com"},
	})
	// Output:
	// POST https://tenant.eu.auth0.com/oauth/token
	//   audience = https://api.example.com
	//   client_id = orders
	//   client_secret = hush
	//   grant_type = client_credentials
}

// Okta, with a custom authorization server: a scope is required. New service apps
// there ask for DPoP, which must be switched off: this package makes no proofs.
func ExampleConfig_okta() {
	ask(clientcreds.Config{
		Issuer:         "https://dev-1.okta.com/oauth2/default",
		ClientID:       "orders",
		Secret:         clientcreds.StaticSecret("hush"),
		Scopes:         []string{"orders.read"},
		AllowedOrigins: []string{"https://api.example.com"},
	})
	// Output:
	// POST https://dev-1.okta.com/oauth2/default/v1/token
	// Basic orders hush
	//   grant_type = client_credentials
	//   scope = orders.read
}

// Okta's own APIs are reached through its organisation's server, by a key.
func ExampleConfig_oktaOrg() {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ask(clientcreds.Config{
		TokenURL:         "https://dev-1.okta.com/oauth2/v1/token",
		ClientID:         "orders",
		AuthMethod:       "private_key_jwt",
		Key:              key,
		KeyID:            "k1",
		AudienceTokenURL: true,
		Scopes:           []string{"okta.users.read"},
		AllowedOrigins:   []string{"https://dev-1.okta.com"},
	})
	// Output:
	// POST https://dev-1.okta.com/oauth2/v1/token
	//   client_assertion = typ=JWT alg=ES256 aud=https://dev-1.okta.com/oauth2/v1/token
	//   client_assertion_type = urn:ietf:params:oauth:client-assertion-type:jwt-bearer
	//   client_id = orders
	//   grant_type = client_credentials
	//   scope = okta.users.read
}

// Entra ID takes exactly one scope, a resource and /.default. With a key, it wants
// the token URL as audience, and the thumbprint of the certificate: AuthMethod
// private_key_jwt, AudienceTokenURL and X5TS256. With a workload's identity:
// client_assertion and AssertionFile.
func ExampleConfig_entraID() {
	ask(clientcreds.Config{
		TokenURL:       "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
		ClientID:       "orders",
		AuthMethod:     "client_secret_post",
		Secret:         clientcreds.StaticSecret("hush"),
		Scopes:         []string{"api://orders/.default"},
		AllowedOrigins: []string{"https://api.example.com"},
	})
	// Output:
	// POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token
	//   client_id = orders
	//   client_secret = hush
	//   grant_type = client_credentials
	//   scope = api://orders/.default
}

// Keycloak, with a key: since version 26 it takes the issuer alone as audience. The
// aud of its tokens comes from a mapper of the realm, not from a parameter.
func ExampleConfig_keycloak() {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ask(clientcreds.Config{
		Issuer:         "https://sso.example.com/realms/shop",
		TokenURL:       "https://sso.example.com/realms/shop/protocol/openid-connect/token",
		ClientID:       "orders",
		AuthMethod:     "private_key_jwt",
		Key:            key,
		KeyID:          "k1",
		AllowedOrigins: []string{"https://api.example.com"},
	})
	// Output:
	// POST https://sso.example.com/realms/shop/protocol/openid-connect/token
	//   client_assertion = typ=client-authentication+jwt alg=ES256 aud=https://sso.example.com/realms/shop
	//   client_assertion_type = urn:ietf:params:oauth:client-assertion-type:jwt-bearer
	//   client_id = orders
	//   grant_type = client_credentials
}

// Cognito names a scope by its resource server, and knows no audience: validate its
// access tokens by client_id.
func ExampleConfig_cognito() {
	ask(clientcreds.Config{
		TokenURL:       "https://shop.auth.eu-west-1.amazoncognito.com/oauth2/token",
		ClientID:       "orders",
		Secret:         clientcreds.StaticSecret("hush"),
		Scopes:         []string{"orders/read", "orders/write"},
		AllowedOrigins: []string{"https://api.example.com"},
	})
	// Output:
	// POST https://shop.auth.eu-west-1.amazoncognito.com/oauth2/token
	// Basic orders hush
	//   grant_type = client_credentials
	//   scope = orders/read orders/write
}

// A server with resource indicators (RFC 8707).
func ExampleConfig_resources() {
	ask(clientcreds.Config{
		Issuer:         "https://idp.example.com",
		ClientID:       "orders",
		Secret:         clientcreds.StaticSecret("a secret=/"),
		Resources:      []string{"https://a.example.com", "https://b.example.com"},
		AllowedOrigins: []string{"https://a.example.com", "https://b.example.com"},
	})
	// Output:
	// POST https://idp.example.com/v1/token
	// Basic orders a+secret%3D%2F
	//   grant_type = client_credentials
	//   resource = https://a.example.com + https://b.example.com
}
