package jwtsign

import "errors"

// The errors of a Signer, matched by errors.Is. No error holds a claim.
var (
	// ErrClaims: the claims cannot be signed, such as for a required one that is
	// missing, or for not being a JSON object that a token can hold.
	ErrClaims = errors.New("jwtsign: claims cannot be signed")
	// ErrAnswer: the answer cannot be rewritten: it is no JSON object, too large, in
	// an unknown encoding, or a field is missing. Handler answers 502.
	ErrAnswer = errors.New("jwtsign: answer cannot be signed")
	// ErrUnavailable: no key can sign now, or the key's Signer failed or did not
	// answer in time. Handler answers 503.
	ErrUnavailable = errors.New("jwtsign: cannot sign now")
)
