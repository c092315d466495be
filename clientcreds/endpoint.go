package clientcreds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// endpoint finds the token endpoint of an issuer, and keeps it.
type endpoint struct {
	fixed    string // TokenURL; empty: found by discovery
	issuer   string
	mtls     bool // mtls_endpoint_aliases come first (RFC 8705 section 5)
	insecure bool
	client   *fetch.Client
	now      func() time.Time

	found atomic.Pointer[place]
	call  flight.Call[string]
}

type place struct {
	url string
	at  time.Time
}

// metadataLife is how long an endpoint is believed to stay where it is.
const metadataLife = time.Hour

// url is where to send a token request. While metadata cannot be had, what they
// said last holds.
func (e *endpoint) url(ctx context.Context) (string, error) {
	if e.fixed != "" {
		return e.fixed, nil
	}
	last := e.found.Load()
	if last != nil && e.now().Sub(last.at) < metadataLife {
		return last.url, nil
	}
	if last != nil {
		short, cancel := context.WithTimeout(ctx, e.call.Timeout/4) // the rest is for the token
		defer cancel()
		if u, err := e.call.Do(short, e.discover); err == nil {
			return u, nil
		}
		return last.url, nil // an endpoint seldom moves
	}
	u, err := e.call.Do(ctx, e.discover)
	if err != nil {
		return "", &TokenError{Reason: ReasonDiscovery, Temporary: true, detail: discoveryDetail(err), cause: err}
	}
	return u, nil
}

func (e *endpoint) discover(ctx context.Context) (string, error) {
	m, err := e.client.Discover(ctx, e.issuer)
	if err != nil {
		return "", err
	}
	u := m.TokenEndpoint
	if e.mtls && m.TokenEndpointMTLS != "" {
		u = m.TokenEndpointMTLS
	}
	if u == "" {
		return "", errors.New("the metadata name no token_endpoint")
	}
	if err := checkURL(u, e.insecure); err != nil {
		return "", fmt.Errorf("token_endpoint: %w", err)
	}
	e.found.Store(&place{u, e.now()})
	return u, nil
}

// backoff is short: who waits for a token waits for this first.
func (*endpoint) backoff(error) flight.Backoff { return flight.Backoff{Max: 5 * time.Second} }

// discoveryDetail is the text of an error of fetch, which holds nothing from the
// server, or of ours.
func discoveryDetail(err error) string { return printable(err.Error(), 300) }

// known is the endpoint without asking anybody; empty if it was not found yet.
func (e *endpoint) known() string {
	if last := e.found.Load(); last != nil {
		return last.url
	}
	return e.fixed
}

// checkURL says whether secrets or tokens may go to a URL.
func checkURL(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("not an absolute URL")
	case u.Scheme == "http" && !insecure && !loopback(u.Hostname()):
		return errors.New("not https (InsecureHTTP allows http)")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("not https")
	case u.User != nil:
		return errors.New("with userinfo")
	case strings.Contains(raw, "#"):
		return errors.New("with a fragment") // RFC 6749 section 3.2
	}
	return nil
}

// loopback reports a name of this machine, which plain http does not leave.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hostOf is the part of a URL that errors may show.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// defaultTransport is what http.Client takes for a nil Transport: the one of the
// moment, which a program may replace.
type defaultTransport struct{}

func (defaultTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // the owner's choice; deadline and size are bounded by who calls it
}

// newTransport is for the token endpoint, which is asked once in a token's life: a
// kept connection would cost two goroutines until then.
func newTransport(cfg Config) *http.Transport {
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion:           tls.VersionTLS12,
			RootCAs:              cfg.RootCAs,
			GetClientCertificate: cfg.ClientCertificate,
		},
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: maxAnswer,
		DisableKeepAlives:      true,
	}
}
