package jwtvalidate

import (
	"errors"
	"net/http"
	"time"
)

// Reason says in one word why a request was refused. The set is small and never
// made of what a client sends: it is fit for a metric's label. Later versions may
// add to it.
type Reason string

// The reasons. Each but ReasonOther belongs to the error of the same name.
const (
	ReasonNoToken           Reason = "no_token"
	ReasonInvalidRequest    Reason = "invalid_request"
	ReasonInvalidToken      Reason = "invalid_token"
	ReasonMalformed         Reason = "malformed"
	ReasonAlgorithm         Reason = "algorithm"
	ReasonType              Reason = "type"
	ReasonUnknownIssuer     Reason = "unknown_issuer"
	ReasonUnknownKey        Reason = "unknown_key"
	ReasonSignature         Reason = "signature"
	ReasonExpired           Reason = "expired"
	ReasonNotYetValid       Reason = "not_yet_valid"
	ReasonLifetime          Reason = "lifetime"
	ReasonAudience          Reason = "audience"
	ReasonMissingClaim      Reason = "missing_claim"
	ReasonConfirmation      Reason = "confirmation"
	ReasonRevoked           Reason = "revoked"
	ReasonCrossOrigin       Reason = "cross_origin"
	ReasonForbidden         Reason = "forbidden"
	ReasonInsufficientScope Reason = "insufficient_scope"
	ReasonStepUp            Reason = "step_up"
	ReasonUnavailable       Reason = "unavailable"
	ReasonOther             Reason = "other" // an error that is not of this package
)

// reasons are all of them.
var reasons = []Reason{
	ReasonNoToken, ReasonInvalidRequest, ReasonInvalidToken, ReasonMalformed, ReasonAlgorithm, ReasonType, ReasonUnknownIssuer,
	ReasonUnknownKey, ReasonSignature, ReasonExpired, ReasonNotYetValid, ReasonLifetime, ReasonAudience, ReasonMissingClaim,
	ReasonConfirmation, ReasonRevoked, ReasonCrossOrigin, ReasonForbidden, ReasonInsufficientScope, ReasonStepUp, ReasonUnavailable, ReasonOther,
}

// failure is an error with its place in the table of answers.
type failure struct {
	text   string
	reason Reason
	status int
	code   string // RFC 6750 section 3.1; empty: a challenge without error code
	parent error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.parent }

// The errors of Check, CheckToken, Allow and Recheck, matched by errors.Is. No error
// holds any of the token. The package comment has the table of answers.
var (
	// ErrNoToken: the request has no credential for this validator.
	ErrNoToken error = &failure{"jwtvalidate: no token", ReasonNoToken, http.StatusUnauthorized, "", nil}
	// ErrInvalidRequest: the credential is malformed or stands there twice.
	ErrInvalidRequest error = &failure{"jwtvalidate: malformed or repeated credentials", ReasonInvalidRequest, http.StatusBadRequest, "invalid_request", nil}
	// ErrInvalidToken is the family of all errors that say: this token is bad.
	ErrInvalidToken error = &failure{"jwtvalidate: invalid token", ReasonInvalidToken, http.StatusUnauthorized, "invalid_token", nil}

	// ErrMalformed: not a strict compact JWS with a strict JSON header and payload, or a registered claim of the wrong type.
	ErrMalformed = badToken("malformed token", ReasonMalformed)
	// ErrAlgorithm: alg is not one that the issuer's policy allows.
	ErrAlgorithm = badToken("algorithm not allowed", ReasonAlgorithm)
	// ErrType: typ, or another claim, says a kind that the issuer's profile does not allow.
	ErrType = badToken("token type not allowed", ReasonType)
	// ErrUnknownIssuer: iss is absent or not configured.
	ErrUnknownIssuer = badToken("unknown issuer", ReasonUnknownIssuer)
	// ErrUnknownKey: the issuer has no key of that id that fits the algorithm.
	ErrUnknownKey = badToken("unknown key", ReasonUnknownKey)
	// ErrSignature: the signature does not verify.
	ErrSignature = badToken("bad signature", ReasonSignature)
	// ErrExpired: exp has passed.
	ErrExpired = badToken("expired", ReasonExpired)
	// ErrNotYetValid: nbf or iat lies in the future.
	ErrNotYetValid = badToken("not valid yet", ReasonNotYetValid)
	// ErrLifetime: exp is further from iat than MaxLifetime.
	ErrLifetime = badToken("lifetime too long", ReasonLifetime)
	// ErrAudience: the token is meant for somebody else.
	ErrAudience = badToken("wrong audience", ReasonAudience)
	// ErrMissingClaim: a required claim is absent, null or empty.
	ErrMissingClaim = badToken("missing claim", ReasonMissingClaim)
	// ErrConfirmation: the token is bound to a key or certificate (cnf, RFC 7800) that the request does not prove.
	ErrConfirmation = badToken("sender not confirmed", ReasonConfirmation)
	// ErrRevoked: the token is good, and no longer wanted.
	ErrRevoked = badToken("revoked", ReasonRevoked)

	// ErrForbidden: the token is good, and a rule does not let it do this, or a claim
	// does not fit into its Forward header.
	ErrForbidden error = forbidden
	// ErrCrossOrigin: the token came in a cookie, from a foreign page. It is an ErrForbidden.
	ErrCrossOrigin error = errCrossOrigin
	// ErrInsufficientScope: a scope is missing. It is an ErrForbidden.
	ErrInsufficientScope error = errInsufficientScope
	// ErrStepUp: the user must authenticate again, or by better means (RFC 9470).
	ErrStepUp error = errStepUp

	// ErrUnavailable: it could not be told whether the token is good, for lack of
	// keys, or since IssuerFor, TenantAllowed, Revocation, Confirm, OnwardToken or a
	// rule could not tell. The client must not throw its token away: 503, no challenge.
	// The error that a KeySource gave is wrapped beside it, context errors included.
	ErrUnavailable error = unavailable
)

var (
	forbidden            = &failure{"jwtvalidate: forbidden", ReasonForbidden, http.StatusForbidden, "", nil}
	errInsufficientScope = &failure{"jwtvalidate: insufficient scope", ReasonInsufficientScope, http.StatusForbidden, "insufficient_scope", forbidden}
	errCrossOrigin       = &failure{"jwtvalidate: cookie from another origin", ReasonCrossOrigin, http.StatusForbidden, "", forbidden}
	errStepUp            = &failure{"jwtvalidate: step-up needed", ReasonStepUp, http.StatusUnauthorized, "insufficient_user_authentication", nil}

	unavailable = &failure{"jwtvalidate: cannot tell", ReasonUnavailable, http.StatusServiceUnavailable, "", nil}
	// errForeign stands for every error that is not of this package.
	errForeign = &failure{"jwtvalidate: refused", ReasonOther, http.StatusUnauthorized, "invalid_token", nil}
)

func badToken(text string, reason Reason) error {
	return &failure{"jwtvalidate: " + text, reason, http.StatusUnauthorized, "invalid_token", ErrInvalidToken}
}

// ReasonOf is the reason that an error of this package stands for; ReasonOther
// for any other error, and the empty Reason for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	return failureOf(err).reason
}

// failureOf finds the answer to an error. "Could not tell" wins over what it was
// joined with: a good token must not be thrown away.
func failureOf(err error) *failure {
	if f, ok := err.(*failure); ok { //nolint:errorlint // what most refusals are
		return f
	}
	if errors.Is(err, ErrUnavailable) {
		return unavailable
	}
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return errForeign
}

// Bounds of Retry-After, and its value where the error names none.
const (
	defaultRetryAfter = 5 * time.Second
	maxRetryAfter     = time.Hour
)

func retryAfter(err error) time.Duration {
	var hint interface{ RetryAfter() time.Duration }
	if !errors.As(err, &hint) {
		return defaultRetryAfter
	}
	return min(max(hint.RetryAfter(), time.Second), maxRetryAfter)
}
