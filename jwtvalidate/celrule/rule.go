package celrule

import (
	"errors"
	"net/http"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// New makes a rule from an expression. Its errors tell up to five mistakes, each in
// a line that begins with celrule: and, where it has one, its place as line:column.
// With an error comes the zero Rule, which nothing accepts. Events name the rule by
// the beginning of the text; Named gives it another name.
func New(expr string) (jwtvalidate.Rule, error) { return NewWithClock(expr, time.Now) }

// NewWithClock is New with another clock for the variable now, such as that of the
// Validator's Config.Now, which rules of one's own are not told.
func NewWithClock(expr string, now func() time.Time) (jwtvalidate.Rule, error) {
	if now == nil {
		return jwtvalidate.Rule{}, errors.New("celrule: no clock")
	}
	p, err := compile(expr)
	if err != nil {
		return jwtvalidate.Rule{}, err
	}
	p.now = now
	rule := jwtvalidate.ClaimsRule(func(c *jwtvalidate.Claims) error { return p.ask(nil, c) })
	if p.request {
		rule = jwtvalidate.RequestRule(p.ask)
	}
	return rule.Named("CEL(" + shown(expr, maxName) + ")"), nil
}

// program is an expression that has passed all checks. It is safe for concurrent use.
type program struct {
	cel.Program
	source  *ast.SourceInfo
	now     func() time.Time
	request bool // it speaks of the request
}

// ask gives an error as jwtvalidate reads it: nil is yes, ErrForbidden a plain no.
func (p *program) ask(r *http.Request, c *jwtvalidate.Claims) error {
	e := &evaluation{request: r, token: c, clock: p.now}
	result, _, err := p.Eval(e)
	switch {
	case err != nil:
		return p.failed(r, err)
	case result == types.True:
		return nil
	case result == types.False:
		return jwtvalidate.ErrForbidden
	}
	return errors.New("celrule: 1:1: the result is no bool")
}
