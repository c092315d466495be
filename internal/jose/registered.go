package jose

// registeredClaims are the names of claims that this library reads or sets. A
// claim whose name differs from one of them by case only is refused.
var registeredClaims = Reserve(
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "scope", "scp", "client_id", "azp", "act", "may_act",
	"auth_time", "acr", "amr", "nonce", "events", "sid", "authorization_details",
)

// ClaimLimits bound the claims of a token, where they are read and where they are signed.
var ClaimLimits = Limits{Bytes: MaxToken, Depth: 32, Values: 4096, Reserved: registeredClaims}
