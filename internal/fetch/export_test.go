package fetch

import (
	"net/http"
	"net/url"
)

var Guard = guard

func NewPinned(base http.RoundTripper, pins [][]byte) http.RoundTripper { return newPinned(base, pins) }

// SetProxy stands in for the environment, which net/http reads once and does not
// follow for loopback hosts.
func SetProxy(c *Client, proxy *url.URL) {
	t := c.http.Transport
	if p, ok := t.(*pinned); ok {
		t = p.base
	}
	t.(*http.Transport).Proxy = http.ProxyURL(proxy)
}
