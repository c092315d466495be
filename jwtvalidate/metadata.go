package jwtvalidate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// wellKnown goes between the host and the path of a resource (RFC 9728 section 3).
const wellKnown = "/.well-known/oauth-protected-resource"

// resource is what others may know of the service that a Validator guards.
type resource struct {
	url      string // empty: it has no name
	metadata string // its URL; empty: none is sent
	scopes   []string
	document []byte // nil: none
}

// document is metadata of a protected resource (RFC 9728 section 2).
type document struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported,omitempty"`
}

func (v *Validator) setResource(cfg Config) []error {
	var errs []error
	r := &resource{url: cfg.Resource, metadata: cfg.ResourceMetadata, scopes: slices.Clone(cfg.Scopes)}
	for _, scope := range cfg.Scopes {
		if !isScope(scope) {
			errs = append(errs, fmt.Errorf("jwtvalidate: Scopes: %q is no scope (RFC 6749 section 3.3): one text for each", scope))
		}
	}
	if r.scopes == nil {
		r.scopes = slices.Clone(v.rule.scopes)
	}
	if err := absolute("ResourceMetadata", r.metadata); err != nil {
		errs = append(errs, err)
	}
	if err := absolute("Resource", r.url); err != nil {
		errs = append(errs, err)
	} else if r.url != "" {
		u, _ := url.Parse(r.url) // it is one
		if strings.Contains(r.url, "#") {
			errs = append(errs, errors.New("jwtvalidate: Resource: want no fragment (RFC 9728 section 1.2)"))
		}
		r.document = v.describe(cfg, r)
		if r.metadata == "" {
			escaped := u.EscapedPath()
			if escaped == "/" { // it ends the host (RFC 9728 section 3.1); that of a path stays
				escaped = ""
			}
			r.metadata = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + wellKnown + escaped
			if u.RawQuery != "" {
				r.metadata += "?" + u.RawQuery
			}
		}
	}
	v.resource = r
	return errs
}

// absolute reports what is wrong with a URL for others; an empty one is right.
func absolute(field, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.Contains(text, " ") {
		return errors.New("jwtvalidate: " + field + ": want an absolute URL")
	}
	return quotable(field, text)
}

// describe lists the issuers that are known, in their order, as far as they are URLs.
func (v *Validator) describe(cfg Config, r *resource) []byte {
	d := document{Resource: r.url, ScopesSupported: r.scopes}
	for _, issuer := range cfg.Issuers {
		list := []string{issuer.URL}
		if isTemplate(issuer.URL) {
			list = nil
			for _, tenant := range issuer.Tenants {
				list = append(list, strings.Replace(issuer.URL, placeholder, tenant, 1))
			}
		}
		for _, iss := range list {
			if strings.HasPrefix(iss, "https://") || strings.HasPrefix(iss, "http://") {
				d.AuthorizationServers = append(d.AuthorizationServers, iss)
			}
		}
	}
	for _, method := range []struct {
		name string
		used bool
	}{
		{"header", slices.ContainsFunc(v.sources.headers, headerSource.isBearer)},
		{"body", len(v.sources.forms) > 0},
		{"query", len(v.sources.queries) > 0},
	} {
		if method.used {
			d.BearerMethods = append(d.BearerMethods, method.name)
		}
	}
	text, _ := json.Marshal(d) // it is made of texts
	return text
}

// ProtectedResource is a handler of the metadata by which a client that knows nothing
// but the service finds where to get a token (RFC 9728): the Resource of the Config,
// the Issuers that are known at start, the Scopes and Sources. It belongs at the path
// of the well-known URL, outside of Handler: /.well-known/oauth-protected-resource,
// with the path of the Resource behind it. Pages of all origins may read it. It
// panics if the Config has no Resource.
func (v *Validator) ProtectedResource() http.Handler {
	if v.resource.document == nil {
		panic("jwtvalidate: ProtectedResource: the Config has no Resource")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if isPreflight(r) { // of a page that sends a header of its own, as with MCP-Protocol-Version
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Access-Control-Allow-Methods", "GET")
			h.Set("Access-Control-Allow-Headers", "*")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(v.resource.document) // the client may have left
	})
}
