package fetch

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// parseURL reads an absolute URL that a request may go to. Its errors name no
// part of it: what is misplaced in a malformed URL may be a password.
func (c *Client) parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: malformed", ErrURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !c.insecureHTTP):
		return nil, fmt.Errorf("%w: not https", ErrURL)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%w: no host", ErrURL)
	case strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%w: fragment", ErrURL)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%w: userinfo", ErrURL)
	}
	return u, nil
}

// CheckURL reports whether Get would take the URL.
func (c *Client) CheckURL(raw string) error {
	_, err := c.parseURL(raw)
	return err
}

// CheckIssuer reports whether Discover would take the issuer.
func (c *Client) CheckIssuer(issuer string) error {
	_, err := c.issuerPlaces(issuer)
	return err
}

// checkRedirect follows a few redirects within one origin: a changed path is a
// server's business, another host or scheme is whoever can write a Location.
func checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case origin(next.URL) != origin(via[0].URL):
		return fmt.Errorf("%w: to another scheme, host or port", ErrRedirect)
	case next.URL.User != nil:
		return fmt.Errorf("%w: with userinfo", ErrRedirect)
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", ErrRedirect, maxRedirects)
	}
	return nil
}

// origin is scheme, host and port (RFC 6454 section 4).
func origin(u *url.URL) [3]string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return [3]string{u.Scheme, strings.ToLower(u.Hostname()), port}
}

// place is the part of a URL that errors may show.
func place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// issuerPlaces checks an issuer identifier and lists where its metadata may be
// (OpenID Connect Discovery section 4.1, RFC 8414 sections 3.1 and 5).
func (c *Client) issuerPlaces(issuer string) ([]string, error) {
	u, err := c.parseURL(issuer)
	if err == nil && strings.Contains(issuer, "?") {
		err = fmt.Errorf("%w: query", ErrURL)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch: issuer: %w", err)
	}
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	host, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	if path == "" {
		return []string{host + oidc, host + oauth}, nil
	}
	return []string{host + path + oidc, host + oidc + path, host + oauth + path}, nil
}
