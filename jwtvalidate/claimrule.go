package jwtvalidate

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ClaimPath addresses a claim for rules: a top-level one by its name, a nested one
// by the names on the way to it. A name is exact and may hold dots, slashes or
// anything else. Its methods make rules; a claim that is missing, null or of
// another type than they expect is one about which they cannot say.
type ClaimPath struct {
	path  []string
	words bool
}

// Claim addresses a claim: Claim("realm_access", "roles").
func Claim(path ...string) ClaimPath { return ClaimPath{path: slices.Clone(path)} }

// Words makes a string count as the words in it, separated by spaces, as in scope,
// for AnyOf and AllOf. The texts of those must be words then, without a space.
func (p ClaimPath) Words() ClaimPath {
	p.words = true
	return p
}

func (p ClaimPath) String() string { return "Claim(" + strings.Join(p.path, ", ") + ")" }

// rule makes a rule about the claim's value; want are texts that must not be empty.
func (p ClaimPath) rule(name string, want []string, needsWant bool, test func(v any) verdict) Rule {
	list := name == "AnyOf" || name == "AllOf"
	if name = p.String() + "." + name; needsWant {
		name += "(" + strings.Join(want, ", ") + ")"
	}
	switch {
	case p.words && !list:
		return invalid(name, "Words goes with AnyOf and AllOf")
	case len(p.path) == 0 || slices.Contains(p.path, ""):
		return invalid(name, "a claim without a name")
	case needsWant && len(want) == 0:
		return invalid(name, "an empty list")
	case slices.Contains(want, ""):
		return invalid(name, "an empty text equals nothing")
	case p.words && slices.ContainsFunc(want, func(s string) bool { return strings.Contains(s, " ") }):
		return invalid(name, "a word holds no space")
	}
	return Rule{name: name, test: func(c *Claims, _ *http.Request, _ clock) verdict {
		v, ok := p.value(c)
		if !ok || v == nil {
			return verdict{answer: cannotSay}
		}
		return test(v)
	}}
}

// value walks objects only: an index into an array is no path.
func (p ClaimPath) value(c *Claims) (any, bool) {
	v, ok := c.object.Get(p.path[0])
	for _, name := range p.path[1:] {
		object, isObject := v.(map[string]any)
		if !isObject {
			return nil, false
		}
		if v, ok = object[name]; !ok {
			return nil, false
		}
	}
	return v, ok
}

// AnyOf passes if the claim is one of the texts, or an array with at least one of
// them. Only whole texts are compared, with case.
func (p ClaimPath) AnyOf(texts ...string) Rule {
	words := newWords(texts)
	return p.rule("AnyOf", texts, true, func(v any) verdict {
		for i := range words {
			if a := p.has(v, &words[i]); a != no {
				return verdict{answer: a}
			}
		}
		return verdict{}
	})
}

// AllOf passes if the claim is an array with all of the texts, or the one text.
func (p ClaimPath) AllOf(texts ...string) Rule {
	words := newWords(texts)
	return p.rule("AllOf", texts, true, func(v any) verdict {
		for i := range words {
			if a := p.has(v, &words[i]); a != yes {
				return verdict{answer: a}
			}
		}
		return verdict{answer: yes}
	})
}

// has reports whether a value is, or holds, a text. An array with anything but
// strings in it is oddly typed: what its writer meant cannot be said.
func (p *ClaimPath) has(v any, w *word) answer {
	switch v := v.(type) {
	case string:
		if p.words && w.in(v) || !p.words && v == w.text {
			return yes
		}
		return no
	case []any:
		found := no
		for _, e := range v {
			s, isText := e.(string)
			if !isText {
				return cannotSay
			}
			if s == w.text {
				found = yes
			}
		}
		return found
	}
	return cannotSay
}

// word is a text that is looked for among words, and its byte that is least likely
// to stand in others: scopes begin alike.
type word struct {
	text string
	rare int
}

// common are bytes of scopes and roles, the most frequent ones first.
const common = "etaoinsrhldcum:._-/fgpywbvkxjqz"

func newWords(texts []string) []word {
	words := make([]word, len(texts))
	for i, text := range texts {
		words[i].text = text
		for at := range len(text) {
			if rank(text[at]) > rank(text[words[i].rare]) {
				words[i].rare = at
			}
		}
	}
	return words
}

func rank(c byte) int {
	if i := strings.IndexByte(common, c); i >= 0 {
		return i
	}
	return len(common)
}

// in reports whether it is one of the words of s, which are separated by spaces
// (RFC 6749 section 3.3). It allocates nothing.
func (w *word) in(s string) bool {
	if w.text == "" {
		return false
	}
	for from := 0; ; {
		i := strings.IndexByte(s[from:], w.text[w.rare])
		if i < 0 {
			return false
		}
		from += i + 1
		start := from - 1 - w.rare
		end := start + len(w.text)
		if start >= 0 && end <= len(s) && (end == len(s) || s[end] == ' ') && (start == 0 || s[start-1] == ' ') && s[start:end] == w.text {
			return true
		}
	}
}

// Equals passes if the claim is this string, bool or integer (int, int64 or
// json.Number, compared as exact integers).
func (p ClaimPath) Equals(want any) Rule {
	const name = "Equals"
	switch want := want.(type) {
	case string:
		return p.rule(name, []string{want}, true, func(v any) verdict {
			s, ok := v.(string)
			return sure(ok, s == want)
		})
	case bool:
		return p.rule(name, nil, false, func(v any) verdict {
			b, ok := v.(bool)
			return sure(ok, b == want)
		})
	case int:
		return p.integer(name, int64(want))
	case int64:
		return p.integer(name, want)
	case json.Number:
		if n, err := strconv.ParseInt(want.String(), 10, 64); err == nil {
			return p.integer(name, n)
		}
	}
	return invalid(p.String()+"."+name, "a %T cannot be compared", want)
}

func (p ClaimPath) integer(name string, want int64) Rule {
	return p.rule(name, nil, false, func(v any) verdict {
		number, ok := v.(json.Number)
		n, err := strconv.ParseInt(number.String(), 10, 64)
		return sure(ok && err == nil, n == want)
	})
}

// sure is a plain answer, unless the claim had another type.
func sure(typed, answers bool) verdict {
	if !typed {
		return verdict{answer: cannotSay}
	}
	return is(answers)
}

// Prefix passes if the claim is a string that begins so.
func (p ClaimPath) Prefix(text string) Rule {
	return p.rule("Prefix", []string{text}, true, func(v any) verdict {
		s, ok := v.(string)
		return sure(ok, strings.HasPrefix(s, text))
	})
}

// Exists passes if the claim is there and not null.
func (p ClaimPath) Exists() Rule {
	return p.rule("Exists", nil, false, func(any) verdict { return verdict{answer: yes} })
}

// Absent passes if the claim is not there. Null is there.
func (p ClaimPath) Absent() Rule {
	rule := p.rule("Absent", nil, false, func(any) verdict { return verdict{} })
	if rule.err == nil {
		rule.test = func(c *Claims, _ *http.Request, _ clock) verdict {
			v, ok := c.object.Get(p.path[0])
			for i := 1; ok && i < len(p.path); i++ {
				object, isObject := v.(map[string]any)
				if !isObject {
					return verdict{answer: cannotSay} // the path leads through something else
				}
				v, ok = object[p.path[i]]
			}
			return is(!ok)
		}
	}
	return rule
}

// Matches passes if your function says so of the claim's value, which is as Get
// gives it, and never nil.
func (p ClaimPath) Matches(match func(value any) bool) Rule {
	if match == nil {
		return invalid(p.String()+".Matches", "no function")
	}
	return p.rule("Matches", nil, false, func(v any) verdict { return is(match(clone(v))) })
}

// PathValue passes if the claim equals the wildcard of that name in the pattern
// that the router matched: Claim("sub").PathValue("id") for /users/{id}. It works
// where the pattern has matched: around a handler, not around the router. chi sets
// the value; for others, call the request's SetPathValue before.
func (p ClaimPath) PathValue(name string) Rule {
	rule := p.rule("PathValue", []string{name}, true, func(any) verdict { return verdict{} })
	if rule.err == nil {
		rule.test = func(c *Claims, r *http.Request, _ clock) verdict {
			v, _ := p.value(c)
			s, ok := v.(string)
			if !ok || s == "" || r == nil || r.PathValue(name) == "" {
				return verdict{answer: cannotSay}
			}
			return is(r.PathValue(name) == s)
		}
	}
	return rule
}
