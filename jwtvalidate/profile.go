package jwtvalidate

// Profile is a kind of token: the values of typ that are accepted, and the
// claims that must be present.
type Profile struct {
	// Types are media types, compared without case and with or without
	// "application/"; "" stands for an absent typ. Required in a Profile of your own.
	Types []string
	// Required claims must be present, neither null nor empty.
	Required []string
	// Claims must be these texts, for issuers that tell kinds of token apart by a
	// claim: {"token_use": "access"} for Amazon Cognito. Else: ErrType.
	Claims map[string]string
}

// RFC9068 is the profile for JWT access tokens: typ at+jwt, and the claims of
// RFC 9068 section 2.2.
var RFC9068 = Profile{
	Types:    []string{"at+jwt"},
	Required: []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"},
}

// LogoutToken is the profile of OpenID Connect Back-Channel Logout 1.0 section
// 2.4. That events is the logout event, that nonce is absent and that there is a
// sub or sid is left to the receiver of the logout.
var LogoutToken = Profile{
	Types:    []string{"logout+jwt"},
	Required: []string{"iss", "aud", "iat", "exp", "jti", "events"},
}

var defaultTypes = []string{"", "JWT", "JOSE", "at+jwt"}
