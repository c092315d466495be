package celrule

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// Bounds of what a request brings; claims have their own, which are no larger.
const (
	maxValue   = 16 << 10 // bytes of a text
	maxList    = 4096     // values of one header
	maxMatched = 4 << 10  // bytes of a text for matches
)

// evaluation answers for the variables of one evaluation, when they are asked for.
type evaluation struct {
	token     *jwtvalidate.Claims
	request   *http.Request // nil: no variable of it is asked for
	clock     func() time.Time
	time      types.Timestamp // zero: not asked for yet
	query     url.Values      // nil: not asked for yet
	malformed bool            // the query was asked for and is: a macro may ask for each element
	claims    lookup
	kept      []kept
	work      int // steps so far
	look      int // steps at which the request's context is looked at again
}

// kept is a claim that is costly to copy: a list or a map.
type kept struct {
	name  string
	value ref.Val
}

// Parent makes it a cel.Activation: there is none.
func (e *evaluation) Parent() cel.Activation { return nil }

// ResolveName makes it a cel.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		e.claims = lookup{of: e, find: (*evaluation).claim}
		return &e.claims, true
	case "now":
		if e.time.IsZero() {
			e.time.Time = e.clock().UTC()
		}
		return e.time, true
	case "request.method":
		return text(e.request.Method), true
	case "request.host":
		return text(e.request.Host), true
	case "request.path":
		return text(e.request.URL.Path), true
	case "request.client_address":
		return e.address(), true
	case "request.path_values":
		return &lookup{of: e, find: (*evaluation).pathValue}, true
	case "request.query":
		return &lookup{of: e, find: (*evaluation).parameter}, true
	case "request.headers":
		return &lookup{of: e, find: (*evaluation).header}, true
	case counter:
		return e, true
	}
	return nil, false
}

func (e *evaluation) claim(name string) ref.Val {
	for i := range e.kept {
		if e.kept[i].name == name {
			return e.kept[i].value
		}
	}
	v, ok := e.token.Get(name)
	if !ok {
		return nil
	}
	value := claim(v)
	switch v.(type) {
	case []any, map[string]any:
		e.kept = append(e.kept, kept{name, value})
	}
	return value
}

// pathValue takes an empty wildcard for a missing one, as PathValue does.
func (e *evaluation) pathValue(name string) ref.Val {
	if v := e.request.PathValue(name); v != "" {
		return text(v)
	}
	return nil
}

func (e *evaluation) parameter(name string) ref.Val {
	if e.malformed {
		return fault(badQuery)
	}
	if e.query == nil {
		if len(e.request.URL.RawQuery) > maxValue {
			return fault(tooLarge)
		}
		values, err := url.ParseQuery(e.request.URL.RawQuery)
		if err != nil { // the handler may read it otherwise
			e.malformed = true
			return fault(badQuery)
		}
		e.query = values
	}
	return texts(e.query[name])
}

func (e *evaluation) header(name string) ref.Val {
	return texts(e.request.Header[textproto.CanonicalMIMEHeaderKey(name)])
}

// address is that of the connection, one for one client whichever way it is written.
func (e *evaluation) address() ref.Val {
	at, err := netip.ParseAddrPort(e.request.RemoteAddr)
	if err != nil {
		return fault(noAddress)
	}
	return types.String(at.Addr().Unmap().String())
}

func text(s string) ref.Val {
	if len(s) > maxValue {
		return fault(tooLarge)
	}
	return types.String(s)
}

func texts(list []string) ref.Val {
	if list == nil {
		return nil
	}
	if len(list) > maxList {
		return fault(tooLarge)
	}
	length := 0
	for _, s := range list {
		length += len(s)
	}
	if length > maxValue {
		return fault(tooLarge)
	}
	return types.NewStringList(types.DefaultTypeAdapter, list)
}
