package fetch

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// urlError is what is wrong with a URL, and an ErrURL. Its text is for behind the name
// of a setting, or of a member of metadata.
type urlError string

func (e urlError) Error() string { return string(e) }

func (e urlError) Is(target error) bool { return target == ErrURL }

// parseURL reads an absolute URL that a request may go to. Its errors name no
// part of it: what is misplaced in a malformed URL may be a password.
func (c *Client) parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, urlError("malformed")
	case u.Scheme == "http" && !c.insecureHTTP:
		return nil, urlError("not https (InsecureHTTP allows http)")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, urlError("not https")
	case u.Hostname() == "":
		return nil, urlError("no host")
	case strings.Contains(raw, "#"):
		return nil, urlError("with a fragment")
	case u.User != nil:
		return nil, urlError("with userinfo")
	}
	return u, nil
}

// CheckURL reports whether Get would take the URL. Its text is for behind the name of
// a setting.
func (c *Client) CheckURL(raw string) error {
	_, err := c.parseURL(raw)
	return err
}

// CheckIssuer reports whether Discover would take the issuer, as CheckURL does.
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
		err = urlError("with a query")
	}
	if err != nil {
		return nil, err
	}
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	host, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	if path == "" {
		return []string{host + oidc, host + oauth}, nil
	}
	return []string{host + path + oidc, host + oidc + path, host + oauth + path}, nil
}
