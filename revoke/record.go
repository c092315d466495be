package revoke

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Kind is what a Record refuses.
type Kind string

// The kinds, and what names them in a Record.
const (
	KindToken      Kind = "token"      // one token: Issuer, and its id as Value
	KindSession    Kind = "session"    // the tokens of a login: Issuer, and sid as Value
	KindSubject    Kind = "subject"    // those of a user: Issuer, and sub as Value
	KindClient     Kind = "client"     // those of an application: Issuer, and client_id or azp as Value
	KindClaims     Kind = "claims"     // those that have all of Claims: Issuer, Claims
	KindKey        Kind = "key"        // those signed with a key: its RFC 7638 thumbprint as Value, no Issuer
	KindIssuer     Kind = "issuer"     // all of an issuer: Issuer
	KindEverything Kind = "everything" // all
)

// Record is what is no longer wanted.
//
// A token or a session is refused from now on, until the last of its tokens has
// expired. The other kinds refuse what was issued before a time, so that logging in
// again helps; or, as a ban, whatever comes. A key is banned unless it has an
// IssuedBefore.
type Record struct {
	Kind   Kind
	Issuer string
	Value  string
	// Claims must all be in the token: strings, bools or numbers. If the token has a
	// list, one of its elements will do. At most 8.
	Claims map[string]any

	// IssuedBefore is the cutoff, in milliseconds, rounded up. Zero: now. Not in the
	// future, but for a minute by which clocks may differ, and not before 1970.
	IssuedBefore time.Time
	// Ban refuses whenever the token was issued.
	Ban bool
	// Until ends a ban. Zero: Restore does.
	Until time.Time
	// Expires is exp of a token, exactly: a Filter looks for it there. Zero: not known,
	// it is kept for MaxLifetime, and tokens that live longer are refused from then on.
	// Only for KindToken.
	Expires time.Time

	Reason string // for people: at most 200 bytes, without the names of any
	Actor  string // who wants it: at most 200 bytes

	exact bool // never in a Filter
}

// Format prints no claim, whatever the verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "revoke.Record") }

// MarshalJSON shows no claim.
func (r Record) MarshalJSON() ([]byte, error) { return []byte(`"revoke.Record"`), nil }

// Bounds of a Record.
const (
	maxIssuer = 512
	maxValue  = 4 << 10
	maxNote   = 200
	maxNames  = 8
	maxName   = 256
)

// present reports whether the kind is of what is refused by its presence alone.
func (k Kind) present() bool { return k == KindToken || k == KindSession }

// global reports whether the kind is about no one issuer.
func (k Kind) global() bool { return k == KindKey || k == KindEverything }

// identified reports whether a Value names it.
func (k Kind) identified() bool {
	return k.present() || k == KindSubject || k == KindClient || k == KindKey
}

// kinds are all of them, in the order of their numbers in a stored record.
var kinds = []Kind{"", KindToken, KindSession, KindSubject, KindClient, KindClaims, KindKey, KindIssuer, KindEverything}

// check finds what does not fit together.
func (r *Record) check(now time.Time) error {
	var errs []error
	bad := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New(text))
		}
	}
	k := r.Kind
	if !slices.Contains(kinds[1:], k) {
		return fmt.Errorf("%w: Kind: unknown", ErrRecord)
	}
	bad(r.Issuer == "" && !k.global(), "Issuer: required")
	bad(r.Issuer != "" && k.global(), "Issuer: not for this kind")
	bad(len(r.Issuer) > maxIssuer, "Issuer: above 512 bytes")
	bad(!readable(r.Issuer), "Issuer: want no control characters")
	bad(r.Value == "" && k.identified(), "Value: required")
	bad(r.Value != "" && !k.identified(), "Value: not for this kind")
	bad(len(r.Value) > maxValue, "Value: above 4096 bytes")
	bad((len(r.Claims) > 0) != (k == KindClaims), "Claims: for KindClaims, and required by it")
	bad(len(r.Claims) > maxNames, "Claims: more than 8")
	_, iss := r.Claims["iss"]
	bad(iss, "Claims: iss is for Issuer, and KindIssuer")
	for name, v := range r.Claims {
		_, ok := appendValue(nil, v, false)
		text, _ := v.(string)
		bad(!ok || len(text) > maxValue || name == "" || len(name) > maxName, "Claims: want names, and strings, bools or numbers of at most 4096 bytes")
	}
	bad(k == KindKey && r.Value != "" && !isThumbprint(r.Value), "Value: want an RFC 7638 thumbprint, SHA-256 in base64url")
	if k.present() {
		bad(r.Ban || !r.Until.IsZero() || !r.IssuedBefore.IsZero(), "IssuedBefore, Ban, Until: not for this kind")
	}
	bad(!r.Expires.IsZero() && k != KindToken, "Expires: for KindToken")
	ban := r.Ban || k == KindKey && r.IssuedBefore.IsZero()
	bad(ban && !r.IssuedBefore.IsZero(), "Ban, IssuedBefore: not together")
	bad(!r.Until.IsZero() && (!ban || !r.Until.After(now)), "Until: for a ban, in the future")
	bad(r.IssuedBefore.After(now.Add(maxSkew)), "IssuedBefore: in the future")
	bad(!r.IssuedBefore.IsZero() && r.IssuedBefore.Unix() < 0, "IssuedBefore: before 1970")
	bad(!printable(r.Reason), "Reason: want at most 200 bytes without control characters")
	bad(!printable(r.Actor), "Actor: want at most 200 bytes without control characters")
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrRecord, errors.Join(errs...))
	}
	return nil
}

// isThumbprint reports whether a text is what a key can have: another would be stored
// and refuse nothing.
func isThumbprint(text string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(sum) == sha256.Size
}

func printable(note string) bool { return len(note) <= maxNote && readable(note) }

func readable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

// maxSkew is how far the clocks of those who write records may be apart.
const maxSkew = time.Minute
