package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// section reads one object of the config file. A member that nobody has asked for
// by the time of end is unknown. _comment may stand in every object, as a text or a
// list of texts: JSON has no comments of its own.
type section struct {
	*report
	*node
	path  string
	asked []string
	faced int // problems that were there before
}

func newSection(r *report, n *node, path string) *section {
	s := &section{report: r, node: n, path: path, faced: len(r.found)}
	if _, ok := n.value.(object); !ok {
		r.add(n.line, path, "want an object")
		return nil
	}
	if comment := s.get("_comment"); comment != nil {
		if _, ok := comment.value.(string); !ok {
			s.texts("_comment")
		}
	}
	return s
}

// get is a member, nil if there is none.
func (s *section) get(name string) *node {
	s.asked = append(s.asked, name)
	for _, m := range s.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// bad tells of a member, or where it should be. Empty: of the section.
func (s *section) bad(name, format string, args ...any) {
	line, path := s.line, s.path
	for _, m := range s.members {
		if m.name == name {
			line = m.line
		}
	}
	if name != "" {
		path = join(path, name)
	}
	s.add(line, path, format, args...)
}

// fine reports whether nothing was wrong with the section so far.
func (s *section) fine() bool { return len(s.found) == s.faced }

// required tells if there is no such member.
func (s *section) required(names ...string) {
	for _, name := range names {
		if s.get(name) == nil {
			s.bad(name, "is required")
		}
	}
}

func (s *section) text(name string) string {
	n := s.get(name)
	if n == nil {
		return ""
	}
	text, ok := n.value.(string)
	if !ok || text == "" {
		s.bad(name, "want a text that is not empty")
	}
	return text
}

// oneOf is a text out of a few. The first is what holds without one.
func (s *section) oneOf(name string, choices ...string) string {
	n := s.get(name)
	if n == nil {
		return choices[0]
	}
	text, _ := n.value.(string)
	if !slices.Contains(choices, text) {
		s.bad(name, "want one of: %s", strings.Join(choices, ", "))
	}
	return text
}

func (s *section) texts(name string) []string {
	n := s.get(name)
	if n == nil {
		return nil
	}
	list, ok := n.value.([]*node)
	if !ok || len(list) == 0 {
		s.bad(name, "want a list of texts that is not empty")
		return nil
	}
	texts := make([]string, len(list))
	for i, element := range list {
		if texts[i], _ = element.value.(string); texts[i] == "" {
			s.add(element.line, fmt.Sprintf("%s[%d]", join(s.path, name), i), "want a text that is not empty")
		}
	}
	return texts
}

func (s *section) flag(name string) bool {
	n := s.get(name)
	if n == nil {
		return false
	}
	is, ok := n.value.(bool)
	if !ok {
		s.bad(name, "want true or false")
	}
	return is
}

// number is a whole number from 1 to most, or zero if it is not there.
func (s *section) number(name string, most int64) int64 {
	n := s.get(name)
	if n == nil {
		return 0
	}
	digits, _ := n.value.(json.Number)
	i, err := strconv.ParseInt(digits.String(), 10, 64)
	if err != nil || i < 1 || i > most {
		s.bad(name, "want a whole number from 1 to %d", most)
	}
	return i
}

// duration is such as "90s" or "1h30m", or otherwise what holds without one.
func (s *section) duration(name string, otherwise, most time.Duration) time.Duration {
	n := s.get(name)
	if n == nil {
		return otherwise
	}
	text, _ := n.value.(string)
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > most {
		s.bad(name, `want a time such as "90s", above zero and up to %v`, most)
	}
	return d
}

// section is a member that is an object, nil if there is none.
func (s *section) section(name string) *section {
	n := s.get(name)
	if n == nil {
		return nil
	}
	return newSection(s.report, n, join(s.path, name))
}

// sections is a member that is a list of objects.
func (s *section) sections(name string) []*section {
	n := s.get(name)
	if n == nil {
		return nil
	}
	list, ok := n.value.([]*node)
	if !ok || len(list) == 0 {
		s.bad(name, "want a list of objects that is not empty")
	}
	var all []*section
	for i, element := range list {
		if inner := newSection(s.report, element, fmt.Sprintf("%s[%d]", join(s.path, name), i)); inner != nil {
			all = append(all, inner)
		}
	}
	return all
}

// end tells of the members that nobody has asked for.
func (s *section) end() {
	for _, m := range s.members {
		if !slices.Contains(s.asked, m.name) {
			known := slices.Compact(slices.Sorted(slices.Values(s.asked)))
			s.bad(m.name, "unknown; there are %s", strings.Join(known, ", "))
		}
	}
}

// adopt tells what a package of the library has against its Config: by the member
// that is named like the field, or as names say, else by the section. Only what
// begins with the prefix is told, and nothing about a member that is bad already.
func (s *section) adopt(err error, prefix string, names map[string]string) {
	if err == nil {
		return
	}
	for text := range strings.SplitSeq(err.Error(), "\n") {
		_, rest, _ := strings.Cut(text, ": ")
		rest, ours := strings.CutPrefix(rest, prefix)
		if !ours {
			continue
		}
		field, why, ok := strings.Cut(rest, ": ")
		if strings.ContainsAny(field, "[,") { // one of a list, or several
			why = rest
		}
		field = snake(field)
		if name, renamed := names[field]; renamed {
			field = name
		}
		switch {
		case !ok || !slices.Contains(s.asked, field):
			s.bad("", "%s", text)
		case !s.isBad(join(s.path, field)):
			s.bad(field, "%s", why)
		}
	}
}

// isBad reports whether something was said of a member, or within it.
func (s *section) isBad(path string) bool {
	return slices.ContainsFunc(s.found, func(p problem) bool {
		rest, within := strings.CutPrefix(p.path, path)
		return within && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// snake turns AllAudiences, ClientID and Scopes[2] into all_audiences, client_id
// and scopes. Of a list of names it takes the first.
func snake(field string) string {
	if end := strings.IndexAny(field, "[,"); end >= 0 {
		field = field[:end]
	}
	var out strings.Builder
	small := false
	for _, c := range field {
		if unicode.IsUpper(c) && small {
			out.WriteByte('_')
		}
		small = unicode.IsLower(c)
		out.WriteRune(unicode.ToLower(c))
	}
	return out.String()
}
