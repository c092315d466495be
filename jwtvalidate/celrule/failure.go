package celrule

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"unicode"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Reasons why an evaluation cannot say.
const (
	noKey     = "no such key"
	tooLarge  = "too large"
	badQuery  = "the query is malformed"
	noAddress = "the client has no address"
	tooMuch   = "too much work"
	stopped   = "stopped"
)

// reasons are all that is told of an error of cel-go, by how its text begins: the
// rest may hold a claim.
var reasons = []struct{ begins, reason string }{
	{tooLarge, tooLarge},
	{badQuery, badQuery},
	{noAddress, noAddress},
	{noKey, noKey},
	{"no such attribute", noKey},
	{"no such overload", "a value has another type than is asked for"},
	{"type conversion error", "a value cannot be converted"},
	{"index out of bounds", "no such index"},
	{"division by zero", "division by zero"},
	{"modulus by zero", "division by zero"},
	{"integer overflow", "a number is out of range"},
	{"unsigned integer overflow", "a number is out of range"},
	{"duration overflow", "a duration is out of range"},
	{"timestamp overflow", "a time is out of range"},
	{tooMuch, tooMuch},
	{stopped, stopped},
}

func fault(reason string) ref.Val { return types.NewErrFromString(reason) }

// failed gives an error of an evaluation its reason and place, and no value. It
// wraps the error of the request's context if that is what stopped it.
func (p *program) failed(r *http.Request, err error) error {
	reason := "cannot be evaluated"
	said := err.Error()
	for _, known := range reasons {
		if strings.HasPrefix(said, known.begins) {
			reason = known.reason
			break
		}
	}
	var at *types.Err
	var id int64
	if errors.As(err, &at) {
		id = at.NodeID()
	}
	place := place(p.source, id)
	if r != nil && reason == stopped {
		return fmt.Errorf("celrule: %s%s: %w", place, reason, r.Context().Err())
	}
	return errors.New("celrule: " + place + reason)
}

// place is where an expression begins, with one for the first line and column; empty if unknown.
func place(source *ast.SourceInfo, id int64) string {
	if _, known := source.GetOffsetRange(id); !known {
		return ""
	}
	at := source.GetStartLocation(id)
	return fmt.Sprintf("%d:%d: ", at.Line(), at.Column()+1)
}

// shown is the beginning of a text, in one line that a log can hold.
func shown(text string, runes int) string {
	var b strings.Builder
	for _, c := range text {
		if runes--; runes < 0 {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(c) {
			c = ' '
		}
		b.WriteRune(c)
	}
	return b.String()
}

// shared are errors of which cel-go has one for all programs, and writes into it
// which expression had it first.
var shared = []ref.Val{types.NoSuchOverloadErr(), types.Int(math.MaxInt64).ConvertToType(types.TimestampType)}

// settle has that written before there are programs, so that none of them races.
func settle() {
	for _, err := range shared {
		types.LabelErrNode(-1, err)
	}
}
