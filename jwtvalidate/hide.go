package jwtvalidate

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

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
	if len(s.forms) > 0 { // HeaderFirst has not looked
		if _, err := bufferForm(r); err != nil {
			r.Body = struct {
				io.Reader
				io.Closer
			}{failed{err}, r.Body} // what cannot be searched is not shown
		}
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

func without(form url.Values, name string) url.Values {
	if !form.Has(name) {
		return form
	}
	form = maps.Clone(form)
	delete(form, name)
	return form
}
