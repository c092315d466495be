package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Metadata is what an issuer says of itself (RFC 8414 section 2). Endpoints that
// it does not name are empty; those it names are absolute URLs that Get would take.
type Metadata struct {
	Issuer                   string // byte for byte the one asked for
	JWKSURI                  string
	TokenEndpoint            string
	TokenEndpointMTLS        string // mtls_endpoint_aliases, RFC 8705 section 5
	TokenEndpointAuthMethods []string
	IntrospectionEndpoint    string
	RevocationEndpoint       string
}

// Discover gets the metadata of an issuer, all within one Timeout. It tries, in
// this order, and names no place twice:
//
//	https://host/path/.well-known/openid-configuration
//	https://host/.well-known/openid-configuration/path
//	https://host/.well-known/oauth-authorization-server/path
//
// What is no metadata of this issuer (a 4xx, HTML, a redirect elsewhere, another
// issuer) sends it on to the next place; at the last, its error wraps what every
// place answered. Where a server or the network fails (5xx, 408, 429, no answer)
// the search ends with that: the other places would be a guess.
func (c *Client) Discover(ctx context.Context, issuer string) (*Metadata, error) {
	places, err := c.issuerPlaces(issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: issuer: %w", ErrURL, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for _, place := range places {
		m, here := c.metadata(ctx, place, issuer)
		if here == nil {
			return m, nil
		}
		if !elsewhere(here) {
			return nil, here
		}
		if err == nil {
			err = here
		} else {
			err = fmt.Errorf("%w; %w", err, here)
		}
	}
	return nil, err
}

// elsewhere reports that the metadata may be at another place.
func elsewhere(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Code < 500 && status.Code != http.StatusRequestTimeout && status.Code != http.StatusTooManyRequests
	}
	for _, not := range []error{ErrRedirect, ErrContentType, ErrMetadata, ErrIssuer} {
		if errors.Is(err, not) {
			return true
		}
	}
	return false
}

func (c *Client) metadata(ctx context.Context, place, issuer string) (*Metadata, error) {
	res, err := c.Get(ctx, place, Request{Accept: []string{"application/json"}})
	if err != nil {
		return nil, err
	}
	m, err := c.parseMetadata(string(res.Body), issuer)
	if err != nil {
		return nil, fmt.Errorf("%w (GET %s)", err, place)
	}
	return m, nil
}

func (c *Client) parseMetadata(text, issuer string) (*Metadata, error) {
	obj, err := jose.ParseObject(text, jose.DefaultLimits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	got, ok := obj.Text("issuer")
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: no issuer", ErrMetadata)
	case got != issuer && strings.TrimSuffix(got, "/") == strings.TrimSuffix(issuer, "/"):
		return nil, fmt.Errorf("%w: it differs by a terminating slash", ErrIssuer)
	case got != issuer:
		return nil, ErrIssuer
	}

	m := &Metadata{Issuer: issuer}
	member := func(name string) any {
		v, _ := obj.Get(name)
		return v
	}
	aliases, _ := member("mtls_endpoint_aliases").(map[string]any)
	for _, e := range []struct {
		into *string
		name string
		v    any
	}{
		{&m.JWKSURI, "jwks_uri", member("jwks_uri")},
		{&m.TokenEndpoint, "token_endpoint", member("token_endpoint")},
		{&m.TokenEndpointMTLS, "mtls_endpoint_aliases.token_endpoint", aliases["token_endpoint"]},
		{&m.IntrospectionEndpoint, "introspection_endpoint", member("introspection_endpoint")},
		{&m.RevocationEndpoint, "revocation_endpoint", member("revocation_endpoint")},
	} {
		if *e.into, err = c.endpoint(e.v); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrMetadata, e.name, err)
		}
	}
	methods, _ := member("token_endpoint_auth_methods_supported").([]any)
	for _, v := range methods {
		if s, ok := v.(string); ok {
			m.TokenEndpointAuthMethods = append(m.TokenEndpointAuthMethods, s)
		}
	}
	return m, nil
}

// endpoint takes null and "" for a member that is absent: such members MUST be
// omitted (section 3.2), but are not always.
func (c *Client) endpoint(v any) (string, error) {
	s, ok := v.(string)
	switch {
	case v == nil, ok && s == "":
		return "", nil
	case !ok:
		return "", urlError("not a string")
	}
	if _, err := c.parseURL(s); err != nil {
		return "", err
	}
	return strings.Clone(s), nil // s is a part of the whole document
}
