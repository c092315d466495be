package jwtvalidate_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// These examples show, for one provider each, the policy that accepts its tokens
// and rules that fit its claims; PROVIDERS.md has the facts beside each other. The
// ids are invented. Of what stands at the end of this file, a service needs none:
// providerKeys is, in production, a *jwkcache.Cache made from the issuer's URL,
// jwkcache.Config{Issuer: URL}; providerNew is New, and says the reason of a
// refusal in its answer; visit sends a token to a route and prints the answer.

// An API in Auth0 with role-based access control, which adds permissions to its
// tokens. An ID token is for the application, and so has another aud. Where the API
// has the token profile RFC 9068, add Profile: jwtvalidate.RFC9068.
func Example_auth0() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://example.eu.auth0.com/", // ends in a slash
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"https://api.example.com"}, // the identifier of the API
	}}})
	read := v.Require(jwtvalidate.AllScopes("read:orders"))
	remove := v.Require(jwtvalidate.Claim("permissions").AllOf("delete:orders"))

	const header = `{"alg":"RS256","typ":"JWT","kid":"k3Vd0mQyT8sZb1Xw5nRjA"}`
	const token = `{"iss":"https://example.eu.auth0.com/","sub":"auth0|66b0c1d2e3f4a5b6c7d8e9f0",
		"aud":["https://api.example.com","https://example.eu.auth0.com/userinfo"],"iat":1790000000,"exp":253402300799,
		"scope":"openid profile read:orders","azp":"Hq7sV2nLx9Tb4Rk1Mz8Wc3Yd6Fg0Ja5P","permissions":["read:orders"]}`
	const idToken = `{"iss":"https://example.eu.auth0.com/","sub":"auth0|66b0c1d2e3f4a5b6c7d8e9f0",
		"aud":"Hq7sV2nLx9Tb4Rk1Mz8Wc3Yd6Fg0Ja5P","iat":1790000000,"exp":253402300799,"sid":"p1Jq9","nonce":"x8K2"}`
	visit("read", read, header, token)
	visit("remove", remove, header, token)
	visit("ID token", read, header, idToken)
	// Output:
	// read: 200
	// remove: 403 forbidden
	// ID token: 401 audience
}

// An audience mapper puts the API into aud. If it does so for ID tokens too, typ in
// the payload tells the kinds apart. For clients with the attribute
// access.token.header.type.rfc9068, a Profile of the one type at+jwt does that too.
func Example_keycloak() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://sso.example.com/realms/shop", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"orders-api"},
		Profile:    jwtvalidate.Profile{Types: []string{"JWT"}, Claims: map[string]string{"typ": "Bearer"}},
	}}})
	clerk := v.Require(jwtvalidate.Claim("realm_access", "roles").AnyOf("clerk"))
	admin := v.Require(jwtvalidate.Claim("resource_access", "orders-api", "roles").AnyOf("admin"))

	const header = `{"alg":"RS256","typ":"JWT","kid":"QnT5u0yVx2Lr8Zk4Wd7Sb1Mj9Hc3Fg6Pa-eXiUoRtYs"}`
	const token = `{"exp":253402300799,"iat":1790000000,"jti":"onrtac:7f3c2a10-5b8e-4d6f-9a21-0c4e8b7d1f35",
		"iss":"https://sso.example.com/realms/shop","aud":["orders-api","account"],
		"sub":"3b1f9c72-6e0d-4a58-8c37-d2e5f4a1b690","typ":"Bearer","azp":"shop-web","sid":"c9e2f1a4","acr":"1",
		"allowed-origins":["https://shop.example.com"],"realm_access":{"roles":["offline_access","clerk"]},
		"resource_access":{"orders-api":{"roles":["reader"]},"account":{"roles":["view-profile"]}},"scope":"openid email"}`
	visit("clerk", clerk, header, token)
	visit("admin", admin, header, token)
	visit("ID token", clerk, header, strings.Replace(token, `"typ":"Bearer"`, `"typ":"ID"`, 1))
	// Output:
	// clerk: 200
	// admin: 403 forbidden
	// ID token: 401 type
}

// The issuer is a custom authorization server; its scopes are in the array scp,
// where AllScopes looks by itself. Access tokens of the org authorization server,
// whose issuer has no path, are for Okta alone.
func Example_okta() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://example.okta.com/oauth2/default", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"api://default"}, // as the server's settings name it
	}}})
	read := v.Require(jwtvalidate.AllScopes("orders.read"))
	admin := v.Require(jwtvalidate.Claim("groups").AnyOf("Order Admins")) // a claim that you have added

	const header = `{"kid":"Zb4Xk8Vw2Tq6Ls0Pj3Nm7Hd1Gf5Rc9Ya-uEoIiBtWx","alg":"RS256"}`
	const token = `{"ver":1,"jti":"AT.5kqY1vT0nXb8Lw3ZsRj7","iss":"https://example.okta.com/oauth2/default",
		"aud":"api://default","iat":1790000000,"exp":253402300799,"cid":"0oa7h2k9m4p1q8s5t6u3","uid":"00u1a2b3c4d5e6f7g8h9",
		"scp":["openid","orders.read"],"auth_time":1789999990,"sub":"ann@example.com","groups":["Everyone"]}`
	visit("read", read, header, token)
	visit("without the scope", read, header, strings.Replace(token, "orders.read", "profile", 1))
	visit("admin", admin, header, token)
	visit("ID token", read, header, strings.Replace(token, "api://default", "0oa7h2k9m4p1q8s5t6u3", 1)) // the client's id
	// Output:
	// read: 200
	// without the scope: 403 insufficient_scope
	// admin: 403 forbidden
	// ID token: 401 audience
}

// The app registration of the API asks for v2 tokens (requestedAccessTokenVersion
// is 2). Users bring delegated scopes in the string scp, daemons app roles. Where
// client and API share one registration, an ID token has the same aud, and perhaps
// roles, but no azp.
func Example_entra() {
	const tenant = "https://login.microsoftonline.com/5d2c8f10-9b3e-4a76-8c41-7e0f6a1b2d39/v2.0" // no slash at the end
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        tenant,
		Algorithms: []string{"RS256"}, // the JWK set names none
		Keys:       providerKeys(),
		Audiences:  []string{"b7e4d1a2-3c5f-4e68-9a07-d8c1f2b3e4a5"}, // the API's client id
		Required:   []string{"azp"},
	}}})
	read := v.Require(jwtvalidate.Any(
		jwtvalidate.AllScopes("Orders.Read"),
		jwtvalidate.Claim("roles").AnyOf("Orders.Read.All"),
	))

	const header = `{"typ":"JWT","alg":"RS256","kid":"mR7wXq2Lk9Vb4Zt1Ns6Hd3Yc8Pg"}`
	const common = `{"aud":"b7e4d1a2-3c5f-4e68-9a07-d8c1f2b3e4a5","iss":"` + tenant + `","iat":1790000000,"nbf":1790000000,
		"exp":253402300799,"oid":"90a1b2c3-d4e5-4f60-8172-93a4b5c6d7e8","sub":"AAx9k","tid":"5d2c8f10-9b3e-4a76-8c41-7e0f6a1b2d39",
		"uti":"nT3kY0aUq0","ver":"2.0",`
	const client = `"azp":"1f0e2d3c-4b5a-4697-8887-96a5b4c3d2e1","azpacr":"1",`
	visit("user", read, header, common+client+`"scp":"Orders.Read User.Read"}`)
	visit("daemon", read, header, common+client+`"roles":["Orders.Read.All"]}`)
	visit("user without the scope", read, header, common+client+`"scp":"User.Read"}`)
	visit("ID token", read, header, common+`"roles":["Orders.Read.All"],"nonce":"x8K2"}`)
	// Output:
	// user: 200
	// daemon: 200
	// user without the scope: 403 insufficient_scope
	// ID token: 401 missing_claim
}

// An access token of a user pool has no aud: the app client in client_id stands in
// its place. ID tokens have it in aud instead.
func Example_cognito() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:           "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Xy3Ab9Kq7", // no slash at the end
		Algorithms:    []string{"RS256"},
		Keys:          providerKeys(),
		Audiences:     []string{"4q8s1t7u2v5w9x3y6z0a1b2c3d"}, // the app clients that may call
		AudienceClaim: "client_id",
		Profile:       jwtvalidate.Profile{Types: []string{""}, Claims: map[string]string{"token_use": "access"}}, // no typ
	}}})
	read := v.Require(jwtvalidate.AllScopes("orders/read"))
	admin := v.Require(jwtvalidate.Claim("cognito:groups").AnyOf("admins"))

	const header = `{"kid":"c0VtY2xqT0hZbUJ3d1pLcUx2TmE5RWRSaVhzPQ=","alg":"RS256"}`
	const token = `{"sub":"a3f4c8d2-1b6e-4790-9c25-8e7d6f5a4b31","cognito:groups":["clerks"],
		"iss":"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Xy3Ab9Kq7","version":2,
		"client_id":"4q8s1t7u2v5w9x3y6z0a1b2c3d","origin_jti":"e1d2c3b4","token_use":"access","scope":"openid orders/read",
		"auth_time":1790000000,"exp":253402300799,"iat":1790000000,"jti":"0f9e8d7c","username":"ann"}`
	visit("read", read, header, token)
	visit("admin", admin, header, token)
	visit("ID token", read, header, strings.NewReplacer(`"client_id"`, `"aud"`, `:"access"`, `:"id"`).Replace(token))
	// Output:
	// read: 200
	// admin: 403 forbidden
	// ID token: 401 type
}

// Google's access tokens are opaque; what an API can check is the ID token, here
// of the staff of one Workspace domain. iss has two spellings, and so two policies.
// Behind Identity-Aware Proxy, Config.Sources names the header that has its JWT,
// {Header: "X-Goog-Iap-Jwt-Assertion"}; PROVIDERS.md has the policy.
func Example_google() {
	google := jwtvalidate.Issuer{
		URL:        "https://accounts.google.com", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"318274650912-k8s2v5x1.apps.googleusercontent.com"}, // the OAuth client
	}
	short := google
	short.URL = "accounts.google.com"
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{google, short}})
	staff := v.Require(jwtvalidate.Claim("hd").Equals("example.com"), jwtvalidate.Claim("email_verified").Equals(true))

	const header = `{"alg":"RS256","kid":"7f3a1c9e5b2d8064e1f7a3c9b5d2086e4f1a7c3b","typ":"JWT"}`
	const token = `{"iss":"https://accounts.google.com","azp":"318274650912-k8s2v5x1.apps.googleusercontent.com",
		"aud":"318274650912-k8s2v5x1.apps.googleusercontent.com","sub":"108204268033311374519","hd":"example.com",
		"email":"ann@example.com","email_verified":true,"iat":1790000000,"exp":253402300799}`
	visit("staff", staff, header, token)
	visit("the short iss", staff, header, strings.Replace(token, "https://", "", 1))
	visit("another account", staff, header, strings.Replace(token, `"hd":"example.com",`, "", 1))
	visit("another client", staff, header, strings.ReplaceAll(token, "k8s2v5x1", "q4w7e0r3"))
	// Output:
	// staff: 200
	// the short iss: 200
	// another account: 403 forbidden
	// another client: 401 audience
}

// The token of Firebase Authentication is an ID token. Custom claims stand at its
// top level; an anonymous user is a user like any other, unless a rule says not.
func Example_firebase() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://securetoken.google.com/shop-4f2a1", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"shop-4f2a1"}, // the project
		Required:   []string{"sub", "auth_time"},
	}}})
	known := v.Require(jwtvalidate.Not(jwtvalidate.Claim("firebase", "sign_in_provider").Equals("anonymous")))
	admin := v.Require(jwtvalidate.Claim("admin").Equals(true)) // a custom claim

	const header = `{"alg":"RS256","kid":"2d9a6c4e8f1b3a7d5c0e9f2b4a6d8c1e3f5b7a90","typ":"JWT"}`
	const token = `{"iss":"https://securetoken.google.com/shop-4f2a1","aud":"shop-4f2a1","auth_time":1790000000,
		"user_id":"Wq8Zr2Lk5Vt0Xn7Ys3Hd1Mb6Pc4","sub":"Wq8Zr2Lk5Vt0Xn7Ys3Hd1Mb6Pc4","iat":1790000000,"exp":253402300799,
		"email":"ann@example.com","email_verified":false,
		"firebase":{"identities":{"email":["ann@example.com"]},"sign_in_provider":"password"}}`
	visit("known", known, header, token)
	visit("anonymous", known, header, strings.Replace(token, `"password"`, `"anonymous"`, 1))
	visit("admin", admin, header, token)
	visit("session cookie", known, header, strings.Replace(token, "securetoken.", "session.firebase.", 1))
	// Output:
	// known: 200
	// anonymous: 403 forbidden
	// admin: 403 forbidden
	// session cookie: 401 unknown_issuer
}

// A PingOne environment, with a custom resource for the API. The header has no typ,
// or at+jwt, which from March 2027 on it always has: both pass. Roles are an
// attribute of the resource, which you have mapped.
func Example_ping() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://auth.pingone.com/8c7b6a59-4d3e-4f21-9081-7a6b5c4d3e2f/as", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"https://api.example.com"}, // the audience of the resource
	}}})
	read := v.Require(jwtvalidate.AllScopes("orders:read"))
	admin := v.Require(jwtvalidate.Claim("roles").AnyOf("admin"))

	const header = `{"alg":"RS256","kid":"b1c2d3e4-f5a6-11ee-8c99-0242ac120002"}`
	const typed = `{"alg":"RS256","kid":"b1c2d3e4-f5a6-11ee-8c99-0242ac120002","typ":"at+jwt"}`
	const token = `{"client_id":"5e4d3c2b-1a09-4f8e-b7d6-c5a4938271f0","sub":"d7e8f9a0-b1c2-4d3e-8f4a-5b6c7d8e9f01",
		"iss":"https://auth.pingone.com/8c7b6a59-4d3e-4f21-9081-7a6b5c4d3e2f/as","iat":1790000000,"exp":253402300799,
		"aud":["https://api.example.com"],"scope":"orders:read","sid":"0a1b2c3d","acr":"Single_Factor","roles":["clerk"]}`
	visit("read", read, header, token)
	visit("read, with typ", read, typed, token)
	visit("admin", admin, header, token)
	visit("ID token", read, header, strings.Replace(token, "https://api.example.com", "5e4d3c2b-1a09-4f8e-b7d6-c5a4938271f0", 1))
	// Output:
	// read: 200
	// read, with typ: 200
	// admin: 403 forbidden
	// ID token: 401 audience
}

// An API authorization server in OneLogin. Roles are a claim that you have mapped,
// as a semicolon_separated_list: the rule reads it as an array and as one string.
func Example_oneLogin() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://example.onelogin.com/oidc/2", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"https://api.example.com/orders"}, // one of the server's audiences
	}}})
	read := v.Require(jwtvalidate.AllScopes("orders:read"))
	admin := v.Require(jwtvalidate.Any(jwtvalidate.Claim("roles").AnyOf("Order Admin"),
		jwtvalidate.Claim("roles").Matches(func(roles any) bool {
			list, _ := roles.(string)
			return strings.Contains(";"+list+";", ";Order Admin;")
		})))

	const header = `{"alg":"RS256","typ":"JWT","kid":"JRcO4nxs5jgc8YdN7I2hLO4V_ql1bdoiMXmcYgHm4Hs"}`
	const token = `{"jti":"k4V9sR1xQz7Lw2","sub":"48213977","iss":"https://example.onelogin.com/oidc/2","iat":1790000000,
		"exp":253402300799,"scope":"openid orders:read","aud":["https://api.example.com/orders"],
		"azp":"6c1e8f20-a4b7-013d-52e9-0a1b2c3d","roles":"Clerk;Order Admin"}`
	visit("read", read, header, token)
	visit("admin", admin, header, token)
	visit("no admin", admin, header, strings.Replace(token, "Order Admin", "Order Administrator", 1))
	visit("ID token", read, header, strings.Replace(token, "https://api.example.com/orders", "6c1e8f20-a4b7-013d-52e9-0a1b2c3d", 1))
	// Output:
	// read: 200
	// admin: 200
	// no admin: 403 forbidden
	// ID token: 401 audience
}

// Gluu Server and Gluu Flex, for a client with access tokens as JWT. aud is the
// client, and what the client's additional audiences name, in ID tokens too: those
// have no client_id. scope is an array, so the rule has to say where it is.
func Example_gluu() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://gluu.example.com", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"https://api.example.com"}, // an additional audience of the client
		Required:   []string{"client_id", "token_type"},
	}}})
	read := v.Require(jwtvalidate.Claim("scope").AllScopes("orders:read"))

	const header = `{"kid":"d41f7c28-93ab-4e05-b6d2-1f8a0c7e5b94_sig_rs256","typ":"JWT","alg":"RS256"}`
	const token = `{"iss":"https://gluu.example.com","sub":"HlDhKWsiJPmkAwlxXoueuAgs0ekUXVadQF1tM0",
		"aud":["2001.6f0e8d3a-7b1c-4259-a8e4-c3d5f7b91062","https://api.example.com"],"iat":1790000000,"nbf":1790000000,
		"exp":253402300799,"jti":"a7Qm2","acr":"basic","auth_time":1790000000,"scope":["openid","orders:read"],
		"client_id":"2001.6f0e8d3a-7b1c-4259-a8e4-c3d5f7b91062","username":"Ann","token_type":"bearer"}`
	const idToken = `{"iss":"https://gluu.example.com","sub":"HlDhKWsiJPmkAwlxXoueuAgs0ekUXVadQF1tM0",
		"aud":["2001.6f0e8d3a-7b1c-4259-a8e4-c3d5f7b91062","https://api.example.com"],"iat":1790000000,"exp":253402300799,
		"at_hash":"rJ3x","nonce":"x8K2","grant":"authorization_code"}`
	visit("read", read, header, token)
	visit("without the scope", read, header, strings.Replace(token, "orders:read", "profile", 1))
	visit("ID token", read, header, idToken)
	// Output:
	// read: 200
	// without the scope: 403 insufficient_scope
	// ID token: 401 missing_claim
}

// A client with "Issue JWT as access token" gets tokens by RFC 9068. A user's token
// is for the project's endpoint, a machine's for the resource that it asked for:
// hold users to roles, and machines to scopes.
func Example_authgear() {
	v := providerNew(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://example.authgear.cloud", // no slash at the end
		Algorithms: []string{"RS256"},
		Keys:       providerKeys(),
		Audiences:  []string{"https://example.authgear.cloud", "https://api.example.com"},
		Profile:    jwtvalidate.RFC9068, // keeps ID tokens out
	}}})
	read := v.Require(jwtvalidate.Any(
		jwtvalidate.Claim("https://authgear.com/claims/user/roles").AnyOf("clerk"),
		jwtvalidate.All(jwtvalidate.Claim("aud").AnyOf("https://api.example.com"), jwtvalidate.AllScopes("read:orders")),
	))

	const header = `{"alg":"RS256","kid":"f8c1d2e3-a4b5-4c67-9d80-1e2f3a4b5c6d","typ":"at+jwt"}`
	const user = `{"aud":["https://example.authgear.cloud"],"client_id":"9c2e71f4a05b38d6","exp":253402300799,"iat":1790000000,
		"https://authgear.com/claims/user/can_reauthenticate":true,"https://authgear.com/claims/user/is_anonymous":false,
		"https://authgear.com/claims/user/is_verified":true,"https://authgear.com/claims/user/roles":["clerk"],
		"iss":"https://example.authgear.cloud","jti":"51c0e7","scope":"openid","sub":"7d6c5b4a-3928-4170-8f6e-5d4c3b2a1908"}`
	const machine = `{"aud":["https://api.example.com"],"client_id":"3b8f0a6d2e19c457","exp":253402300799,"iat":1790000000,
		"iss":"https://example.authgear.cloud","jti":"82d4f1","scope":"read:orders","sub":"client_id_3b8f0a6d2e19c457"}`
	visit("clerk", read, header, user)
	visit("machine", read, header, machine)
	visit("another user", read, header, strings.Replace(user, "clerk", "guest", 1))
	visit("ID token", read, strings.Replace(header, "at+jwt", "JWT", 1), user)
	// Output:
	// clerk: 200
	// machine: 200
	// another user: 403 forbidden
	// ID token: 401 type
}

// providerKey is the provider's.
var providerKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func providerKeys() jwtvalidate.KeySource {
	keys, err := jwtvalidate.StaticKeys(&providerKey().PublicKey)
	if err != nil {
		panic(err)
	}
	return keys
}

func providerNew(cfg jwtvalidate.Config) *jwtvalidate.Validator {
	cfg.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
		jwtvalidate.WriteError(w, r, err)
		fmt.Fprint(w, " ", jwtvalidate.ReasonOf(err)) // for these examples only: clients are not told
	}
	v, err := jwtvalidate.New(cfg)
	if err != nil {
		panic(err)
	}
	return v
}

func visit(who string, route func(http.Handler) http.Handler, header, claims string) {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(claims))
	hash := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, providerKey(), crypto.SHA256, hash[:])
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/orders", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+input+"."+encode(signature))
	w := httptest.NewRecorder()
	route(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	fmt.Printf("%s: %d%s\n", who, w.Code, w.Body)
}
