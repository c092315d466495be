package jose

import "strings"

// registeredClaims are the names of claims that this library reads or sets. A
// claim whose name differs from one of them by case only is refused.
var registeredClaims = Reserve(
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "scope", "scp", "client_id", "azp", "act", "may_act",
	"auth_time", "acr", "amr", "nonce", "events", "sid", "authorization_details",
)

// ClaimLimits bound the claims of a token, where they are read and where they are signed.
var ClaimLimits = Limits{Bytes: MaxToken, Depth: 32, Values: 4096, Reserved: registeredClaims}

// IsEmpty reports whether the text of a JSON value is null, "", [] or {}.
func IsEmpty(raw string) bool {
	switch raw[0] {
	case '"':
		return raw == `""`
	case '[', '{':
		return strings.Trim(raw[1:len(raw)-1], " \t\r\n") == ""
	}
	return raw == "null"
}

// MediaType is the form in which values of typ are compared, without case: a value
// without a slash is read as if application/ stood before it (RFC 7515 section
// 4.1.9).
func MediaType(typ string) string {
	const prefix = "application/"
	if len(typ) >= len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		return typ[len(prefix):]
	}
	return typ
}
