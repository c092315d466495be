package clientcreds

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// origin is where a token may go: scheme, host and port (RFC 6454 section 4).
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "https":
			port = "443"
		case "http":
			port = "80"
		}
	}
	return origin{u.Scheme, u.Hostname(), port}
}

func (o origin) same(other origin) bool {
	return o.scheme == other.scheme && o.port == other.port && strings.EqualFold(o.host, other.host)
}

// parseOrigin reads an entry of AllowedOrigins.
func parseOrigin(text string, insecure bool) (origin, error) {
	if err := checkURL(text, insecure); err != nil {
		return origin{}, err
	}
	u, err := url.Parse(text)
	if err != nil || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(text, "?*") {
		return origin{}, errors.New("want scheme://host[:port]")
	}
	return originOf(u), nil
}

// verdict says what becomes of a request.
type verdict int

const (
	refuse  verdict = iota // it is not sent
	pass                   // it is sent without the token
	present                // it is sent with the token
)

// judge goes by the URL, which is what the transport connects to, and for a
// redirect by the whole way to it: another server on the way chose the URL.
func (s *Source) judge(r *http.Request) verdict {
	if r.URL == nil {
		return refuse
	}
	here := originOf(r.URL)
	allowed := s.allows(here) && !rerouted(r, here)
	if r.Response == nil {
		if allowed {
			return present
		}
		return refuse
	}
	if allowed && cameStraight(r, here) {
		return present
	}
	return pass
}

// rerouted reports a request that a proxy for plain http would take elsewhere: it
// is told the Host and an opaque URL, and connects there.
func rerouted(r *http.Request, here origin) bool {
	return here.scheme == "http" && !loopback(here.host) &&
		(r.URL.Opaque != "" || r.Host != "" && !strings.EqualFold(r.Host, r.URL.Host))
}

func (s *Source) allows(o origin) bool {
	if o.scheme != "https" && (o.scheme != "http" || !s.insecureHTTP && !loopback(o.host)) {
		return false
	}
	if s.anyOrigin {
		return o.host != ""
	}
	for _, known := range s.origins {
		if known.same(o) {
			return true
		}
	}
	return false
}

// cameStraight reports that every hop was at this origin. net/http says from which
// answer a request came, and which request that answered.
func cameStraight(r *http.Request, here origin) bool {
	for range 32 { // more hops than any client follows
		if r.Response == nil {
			return true
		}
		if r = r.Response.Request; r == nil || r.URL == nil || !originOf(r.URL).same(here) {
			return false
		}
	}
	return false
}
