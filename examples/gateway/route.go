package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// route is a pattern of http.ServeMux, what a token must allow there, and where
// the request goes.
type route struct {
	pattern  string
	upstream *upstream
	public   bool // no token is needed; a bad one is refused all the same
	rules    []jwtvalidate.Rule
}

func (c *config) readRoute(s *section) *route {
	s.required("pattern", "upstream")
	r := &route{pattern: s.text("pattern"), public: s.flag("public")}
	if name := s.text("upstream"); name != "" {
		if r.upstream = c.upstream[name]; r.upstream == nil {
			s.bad("upstream", "no upstream has this name")
		}
	}
	if r.pattern != "" {
		if err := c.patternError(r.pattern); err != nil {
			s.bad("pattern", "%v", err)
			r.pattern = ""
		}
	}
	add := func(in *section, name string, rule func(...string) jwtvalidate.Rule) {
		if texts := in.texts(name); texts != nil && !in.isBad(join(in.path, name)) {
			made := rule(texts...)
			if err := ruleError(made); err != "" {
				in.bad(name, "%s", err)
			}
			r.rules = append(r.rules, made)
		}
	}
	add(s, "scopes", jwtvalidate.AllScopes)
	add(s, "any_scope", jwtvalidate.AnyScope)
	for _, in := range s.sections("claims") {
		in.required("path")
		path := in.texts("path")
		add(in, "any_of", jwtvalidate.Claim(path...).AnyOf)
		add(in, "all_of", jwtvalidate.Claim(path...).AllOf)
		if in.get("any_of") == nil && in.get("all_of") == nil {
			in.bad("", "want any_of or all_of")
		}
		in.end()
	}
	if r.public && (s.get("scopes") != nil || s.get("any_scope") != nil || s.get("claims") != nil) {
		s.bad("public", "a public route cannot ask for scopes or claims")
	}
	return r
}

// registered is where in this program a pattern was tried, which is no news.
var registered = regexp.MustCompile(`\s*\(registered at [^)]*\)`)

// patternError tries a pattern beside those before, where the mux panics.
func (c *config) patternError(pattern string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errors.New(strings.Join(strings.Fields(registered.ReplaceAllString(fmt.Sprint(v), "")), " "))
		}
	}()
	mux := http.NewServeMux()
	for _, other := range c.routes {
		if other.pattern != "" {
			mux.Handle(other.pattern, http.NotFoundHandler())
		}
	}
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// ruleError is what is wrong with a rule, empty if nothing is.
func ruleError(rule jwtvalidate.Rule) string {
	_, err := jwtvalidate.New(jwtvalidate.Config{Rules: []jwtvalidate.Rule{rule}})
	_, why, _ := strings.Cut(err.Error(), "Rules[0]: ") // there always is one: no issuer is named
	return strings.TrimPrefix(why, "jwtvalidate: ")
}

// plainPaths refuses paths that an upstream might read as others than the routes
// do: with an encoded slash or backslash, or dots for a segment, a request for one
// route could mean another there.
func plainPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isPlain(r.URL) {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isPlain(u *url.URL) bool {
	raw := strings.ToLower(u.EscapedPath())
	if strings.Contains(raw, "%2f") || strings.Contains(raw, "%5c") ||
		strings.ContainsAny(u.Path, "\\\x00;") || strings.Contains(u.Path, "//") {
		return false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}
