package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// node is a value of the config file, and where it stands.
type node struct {
	line    int
	value   any // string, json.Number, bool, nil, []*node or object
	members []member
}

// object is the value of a node that has members.
type object struct{}

type member struct {
	name  string
	line  int
	value *node
}

// problem is one fault of the config file.
type problem struct {
	line int
	path string // such as routes[1].scopes; empty: the whole file
	text string
}

// problems are all faults of a config file, by line.
type problems []problem

func (p problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		if one.path != "" {
			one.path += ": "
		}
		lines[i] = fmt.Sprintf("line %d: %s%s", one.line, one.path, one.text)
	}
	return strings.Join(lines, "\n")
}

const maxConfig = 1 << 20

// parse reads one JSON value with the lines on which things stand. A duplicate
// member is a problem and not a choice. Faults of the syntax end it: what follows
// one cannot be read.
func parse(text []byte) (*node, problems) {
	fail := func(offset int64, why string) (*node, problems) {
		return nil, problems{{line: lineAt(text, offset), text: why}}
	}
	if len(text) > maxConfig {
		return fail(0, "longer than 1 MiB")
	}
	if !utf8.Valid(text) {
		return fail(int64(len(bytes.ToValidUTF8(text, nil))), "not UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fail(syntax.Offset, syntax.Error())
		}
		return fail(int64(len(text)), err.Error())
	}
	d := &decoder{Decoder: json.NewDecoder(bytes.NewReader(text)), text: text}
	d.UseNumber()
	root, err := d.node("")
	if err != nil {
		return fail(d.InputOffset(), err.Error())
	}
	return root, d.found
}

// lineAt is the line on which the byte before an offset stands, counted from one.
func lineAt(text []byte, offset int64) int {
	end := min(max(int(offset)-1, 0), len(text))
	return 1 + bytes.Count(text[:end], []byte("\n"))
}

type decoder struct {
	*json.Decoder
	text  []byte
	found problems
}

func (d *decoder) node(path string) (*node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: lineAt(d.text, d.InputOffset()), value: token}
	switch token {
	case json.Delim('{'):
		err = d.object(n, path)
	case json.Delim('['):
		err = d.array(n, path)
	}
	return n, err
}

func (d *decoder) object(n *node, path string) error {
	n.value = object{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		m := member{name: token.(string), line: lineAt(d.text, d.InputOffset())}
		inner := join(path, m.name)
		if m.value, err = d.node(inner); err != nil {
			return err
		}
		if slices.ContainsFunc(n.members, func(other member) bool { return other.name == m.name }) {
			d.found = append(d.found, problem{m.line, inner, "stands here twice"})
			continue
		}
		n.members = append(n.members, m)
	}
	_, err := d.Token()
	return err
}

func (d *decoder) array(n *node, path string) error {
	list := []*node{}
	for d.More() {
		element, err := d.node(fmt.Sprintf("%s[%d]", path, len(list)))
		if err != nil {
			return err
		}
		list = append(list, element)
	}
	n.value = list
	_, err := d.Token()
	return err
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// report gathers problems while a config is read.
type report struct{ found problems }

func (r *report) add(line int, path, format string, args ...any) {
	r.found = append(r.found, problem{line, path, fmt.Sprintf(format, args...)})
}

// err is all that was found, in the order of the file.
func (r *report) err() error {
	if len(r.found) == 0 {
		return nil
	}
	slices.SortStableFunc(r.found, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	return r.found
}
