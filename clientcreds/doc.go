// Package clientcreds gets the access token that a service uses in its own name
// (the client credentials grant, RFC 6749 section 4.4), keeps it fresh, and puts
// it on outbound requests.
//
//	source, err := clientcreds.New(clientcreds.Config{
//		Issuer:         "https://idp.example.com/",
//		ClientID:       "orders",
//		Secret:         clientcreds.StaticSecret(os.Getenv("CLIENT_SECRET")),
//		AllowedOrigins: []string{"https://api.example.com"},
//	})
//	client := source.Client() // or an http.Client with source.Transport(base)
//
// New opens no connection: the first call fetches. While its token is fresh, a
// call takes no lock. A token that has aged is served while one refresh runs
// behind it; errors of that refresh reach nobody. Whoever needs a token waits for
// one shared fetch, on its own context; who leaves ends nobody else's, and the
// result counts even if all have left. A failure is remembered for a moment and
// shared. Nothing runs while nobody asks.
//
// # Where the token goes
//
// To the [Config.AllowedOrigins], judged by scheme, host and port of the URL, never by a
// Host header. A request elsewhere is refused; a redirect that leaves the origin
// of the first request, or comes back from elsewhere, goes on without the token.
// https only, loopback aside. A request's own Authorization is replaced, or on
// such a redirect left out, so that no user's token is sent on by accident, unless
// [Config.KeepAuthorization] is set.
//
// A 401 that may mean a dead token (RFC 6750 section 3.1) has the token replaced
// and the request sent once more, if its body can be had again. That is rationed:
// who provokes 401s cannot use up a provider's quota, and a token is not replaced in
// its first second.
//
// # Where the secret goes
//
// To the token endpoint alone: no redirect is followed, and metadata are believed
// only if they name exactly the Issuer (RFC 8414 section 3.3). Basic is encoded as
// RFC 6749 section 2.3.1 has it. A client assertion (RFC 7523) is new for each
// request, lives for a minute, and is meant for the issuer alone (the draft
// rfc7523bis).
// No error, log line or printed value of this package holds a secret, a token, an
// assertion, the query of a URL, or text of the server's beyond an error code.
//
// # Errors
//
//	*TokenError   there is no token: ErrTokenUnavailable, a Reason, and RetryAfter
//	ErrTarget     the Target of the request is not allowed, or too many are new
//	ErrOrigin     the token may not go to that URL
//	ctx.Err()     as it is, when the caller's own context has ended
//
// [*TokenError] is for a 503 with Retry-After, where a request waits for an answer: it
// says nothing of who asked.
//
// # What is not done
//
// The token is not looked into, but for the exp of a JWT where the server names no
// lifetime: that it fits the API is for the API to say. Tokens that are bound to a
// key by DPoP are refused, as no proofs are made; for those bound to a certificate
// (RFC 8705 section 3), the base transport must present it. Refresh tokens are
// ignored (RFC 6749 section 4.4.3). JWT grants such as Google's, and token
// exchange, are other grants with other input. Nothing is cached on disk; see
// [Store].
package clientcreds
