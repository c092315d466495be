package revoke

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reason says in one word why a token is refused, or why it could not be told. The
// set is closed: it is fit for a metric's label.
type Reason string

// The reasons. Each of the first eight is of records of the kind of that name.
const (
	ReasonToken       Reason = "token"
	ReasonSession     Reason = "session"
	ReasonSubject     Reason = "subject"
	ReasonClient      Reason = "client"
	ReasonClaims      Reason = "claims"
	ReasonKey         Reason = "key"
	ReasonIssuer      Reason = "issuer"
	ReasonEverything  Reason = "everything"
	ReasonLifetime    Reason = "lifetime"    // it has no exp or iat, or lives longer than MaxLifetime
	ReasonNoID        Reason = "no_id"       // RequireID, and it has none
	ReasonUnavailable Reason = "unavailable" // ErrUnavailable
	ReasonFull        Reason = "full"        // ErrFull
	ReasonRecord      Reason = "record"      // a stored record cannot be read: it is damaged, foreign, or of a later version
)

var (
	// ErrUnavailable says that it could not be told, or not be stored: 503. It has
	// RetryAfter() time.Duration for errors.As.
	ErrUnavailable = errors.New("revoke: unavailable")
	// ErrRecord says that a Record is not one: 400.
	ErrRecord = errors.New("revoke: invalid record")
	// ErrFull says that MaxEntries are held: nothing was stored. It is an
	// ErrUnavailable.
	ErrFull = fmt.Errorf("%w: MaxEntries are held", ErrUnavailable)
	// ErrUnknown says that there is no live record of an id: 404.
	ErrUnknown = errors.New("revoke: no such record")
)

// unavailable is an ErrUnavailable with its cause and when to ask again.
type unavailable struct {
	cause error
	after time.Duration
}

func (e *unavailable) Error() string {
	text := e.cause.Error()
	if strings.HasPrefix(text, ErrUnavailable.Error()) { // as ErrFull does
		return text
	}
	return ErrUnavailable.Error() + ": " + text
}

func (e *unavailable) Unwrap() []error           { return []error{ErrUnavailable, e.cause} }
func (e *unavailable) RetryAfter() time.Duration { return e.after }

var (
	errLoading  = &unavailable{errors.New("the records are not loaded yet"), time.Second}
	errStale    = &unavailable{errors.New("the records are older than MaxStaleness"), 5 * time.Second}
	errNoClaims = &unavailable{errors.New("there are no claims to look at"), 5 * time.Second}
	errNoKey    = &unavailable{errors.New("a key is not wanted, and the claims have no KeyThumbprint method"), time.Minute}
	errHoles    = &unavailable{errors.New("records are missing here: MaxEntries are held, or the clock was ahead"), time.Minute}
)
