package clientcreds

import (
	"net/http"
	"strings"
)

// deadToken reports that a 401 may mean that the token is not good any more: a
// Bearer challenge with error="invalid_token" (RFC 6750 section 3.1) or, unless
// only that one is to count, with no error, or no challenge at all. Another error,
// or another scheme, is no matter of this token.
func deadToken(h http.Header, onlyNamed bool) bool {
	lines := h.Values("Www-Authenticate")
	if len(lines) == 0 {
		return !onlyNamed
	}
	bearer, named := false, false
	for _, line := range lines {
		for c := (challenges{rest: line}); c.next(); {
			if !strings.EqualFold(c.scheme, "Bearer") {
				continue
			}
			switch c.err {
			case "":
				bearer = true
			case "invalid_token":
				named = true
			default:
				return false
			}
		}
	}
	return named || bearer && !onlyNamed
}

// challenges reads a WWW-Authenticate value, one challenge after the other (RFC
// 9110 section 11.6.1). What it cannot read ends the reading.
type challenges struct {
	rest   string
	scheme string
	err    string // its auth-param error
}

func (c *challenges) next() bool {
	c.skip(", \t")
	c.scheme, c.err = c.token(), ""
	if c.scheme == "" {
		return false
	}
	c.token68()
	for {
		c.skip(" \t")
		before := c.rest
		name := c.token()
		c.skip(" \t")
		if name == "" || !strings.HasPrefix(c.rest, "=") {
			c.rest = before
			if strings.HasPrefix(c.rest, ",") {
				if c.skip(", \t"); c.isParam() {
					continue
				}
			}
			return true // the next challenge begins here
		}
		c.rest = c.rest[1:]
		c.skip(" \t")
		value, ok := c.value()
		if !ok {
			c.rest = ""
			return true
		}
		if strings.EqualFold(name, "error") {
			c.err = value
		}
	}
}

// isParam looks whether a parameter follows, and not a scheme.
func (c *challenges) isParam() bool {
	ahead := *c
	name := ahead.token()
	ahead.skip(" \t")
	return name != "" && strings.HasPrefix(ahead.rest, "=")
}

func (c *challenges) skip(chars string) { c.rest = strings.TrimLeft(c.rest, chars) }

// token68 goes over one (RFC 9110 section 11.2), which stands in the place of
// parameters and is of no use to a Bearer challenge.
func (c *challenges) token68() {
	c.skip(" \t")
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	behind := strings.TrimLeft(strings.TrimLeft(c.rest, chars), "=")
	if behind = strings.TrimLeft(behind, " \t"); behind == "" || behind[0] == ',' {
		c.rest = behind
	}
}

// token reads a token of RFC 9110 section 5.6.2.
func (c *challenges) token() string {
	const others = "!#$%&'*+-.^_`|~"
	end := strings.IndexFunc(c.rest, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(others, r)
	})
	if end < 0 {
		end = len(c.rest)
	}
	t := c.rest[:end]
	c.rest = c.rest[end:]
	return t
}

// value reads a token or a quoted string.
func (c *challenges) value() (string, bool) {
	if !strings.HasPrefix(c.rest, `"`) {
		v := c.token()
		c.skip("=/+") // what should have been quoted
		return v, true
	}
	var b strings.Builder
	for i := 1; i < len(c.rest); i++ {
		switch c.rest[i] {
		case '\\':
			if i++; i < len(c.rest) {
				b.WriteByte(c.rest[i])
			}
		case '"':
			c.rest = c.rest[i+1:]
			return b.String(), true
		default:
			b.WriteByte(c.rest[i])
		}
	}
	return "", false
}
