package jwtvalidate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// The values of Config.Onward.
const (
	onwardForward = "forward"
	onwardStrip   = "strip"
)

// onward says what of the token the handlers behind see.
type onward struct {
	mode    string
	replace func(ctx context.Context, c *Claims) (string, error)
}

// leaves reports whether a token in a header stays as it came.
func (o *onward) leaves() bool { return o.mode == "" && o.replace == nil }

// sets reports whether a token goes on in Authorization.
func (o *onward) sets() bool { return o.mode == onwardForward || o.replace != nil }

// token is what goes on as Authorization: Bearer; empty: nothing is set.
func (o *onward) token(ctx context.Context, presented string, c *Claims) (string, error) {
	if o.replace == nil {
		if o.mode == onwardForward {
			return presented, nil
		}
		return "", nil
	}
	token, err := o.replace(ctx, c)
	if err == nil && !isToken68(token) {
		err = errors.New("it gave no token")
	}
	if err != nil {
		return "", fmt.Errorf("%w: OnwardToken: %w", ErrUnavailable, err)
	}
	return token, nil
}

// strip removes the tokens in headers.
func (s *sources) strip(header http.Header) {
	for i := range s.headers {
		if _, err := s.headers[i].find(header); !isNoToken(err) {
			delete(header, s.headers[i].name)
		}
	}
}

// hide removes the tokens in cookies, queries and forms from a request of one's own.
func (s *sources) hide(r *http.Request) {
	for _, name := range s.cookies {
		lines := r.Header["Cookie"]
		if values, rest := cutCookies(lines, name); len(values) > 0 {
			r.Header = maps.Clone(r.Header)
			if r.Header["Cookie"] = rest; len(rest) == 0 {
				delete(r.Header, "Cookie")
			}
		}
	}
	for _, name := range s.queries {
		if rest, values := cutParameter(r.URL.RawQuery, name); len(values) > 0 {
			hideQuery(r, rest)
		}
		r.Form = without(r.Form, name)
	}
	if len(s.forms) > 0 {
		_, _ = bufferForm(r) // HeaderFirst has not looked; too large a form stays as it is
	}
	for _, name := range s.forms {
		if form, ok := r.Body.(*formBody); ok {
			if rest, values := cutParameter(form.text, name); len(values) > 0 {
				hideForm(r, newFormBody(rest, form.Closer))
			}
		}
		r.Form, r.PostForm = without(r.Form, name), without(r.PostForm, name)
	}
}

func hideQuery(r *http.Request, rest string) {
	u := *r.URL
	u.RawQuery = rest
	r.URL = &u
	if path, _, has := strings.Cut(r.RequestURI, "?"); has {
		if r.RequestURI = path; rest != "" {
			r.RequestURI += "?" + rest
		}
	}
}

func hideForm(r *http.Request, body *formBody) {
	r.Body, r.ContentLength, r.TransferEncoding = body, body.Size(), nil
	if r.Header["Content-Length"] != nil {
		r.Header = maps.Clone(r.Header)
		r.Header["Content-Length"] = []string{strconv.FormatInt(body.Size(), 10)}
	}
}

func without(form url.Values, name string) url.Values {
	if !form.Has(name) {
		return form
	}
	form = maps.Clone(form)
	delete(form, name)
	return form
}
