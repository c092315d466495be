package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// host is what the program reads and writes beside the config file.
type host struct {
	env  func(name string) (string, bool)
	read func(path string) ([]byte, error)
	log  io.Writer
}

// secret is {"env": NAME} or {"file": PATH}, of at least so many bytes: a secret itself
// never stands in the config. It is read once here, so that a missing one is
// found at the start; the function reads a file again, which may be replaced.
func (s *section) secret(name string, from host, least int) func() (string, error) {
	n := s.get(name)
	if n == nil {
		return nil
	}
	if _, ok := n.value.(object); !ok {
		s.bad(name, `want {"env": "NAME"} or {"file": "PATH"}; the secret itself stands nowhere in this file`)
		return nil
	}
	in := s.section(name)
	variable, file := in.text("env"), in.text("file")
	in.end()
	if !in.fine() {
		return nil
	}
	if (variable == "") == (file == "") {
		in.bad("", "want one of env and file")
		return nil
	}
	get := func() (string, error) { return fromFile(from, file) }
	if variable != "" {
		value, ok := from.env(variable)
		if !ok {
			in.bad("env", "%s is not set", variable)
			return nil
		}
		get = func() (string, error) { return value, nil }
	}
	value, err := get()
	switch {
	case err != nil:
		in.bad("file", "%v", err)
	case value == "" || len(value) < least:
		in.bad("", "the secret is shorter than %d bytes", max(least, 1))
	}
	return get
}

// fromFile is a secret without the newline that editors put behind it. An error
// names the file and nothing of what it holds.
func fromFile(from host, path string) (string, error) {
	text, err := from.read(path)
	if err != nil {
		return "", err
	}
	if value := strings.TrimRight(string(text), "\r\n"); value != "" {
		return value, nil
	}
	return "", fmt.Errorf("%s: %w", path, errEmpty)
}

var errEmpty = errors.New("is empty")

// withContext is a secret as clientcreds takes one.
func withContext(get func() (string, error)) func(context.Context) (string, error) {
	if get == nil {
		return nil
	}
	return func(context.Context) (string, error) { return get() }
}
