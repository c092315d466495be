package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxMaxBytes  = 64 << 20
	maxRedirects = 3
	maxETag      = 256
)

// Config is plain data; the zero value is the strict side.
type Config struct {
	// Client lends its Transport, nothing else: deadline, redirects and cookies are
	// ours. A nil Transport is http.DefaultTransport, as it is for the owner. nil
	// Client: a transport of our own, which dials anew for each request, uses the
	// proxy of the environment and leaves no connection behind. Not together with
	// RootCAs, PinnedSPKI and PublicOnly.
	Client *http.Client

	Timeout  time.Duration  // whole request, redirects and body included; zero: 10 s
	MaxBytes int64          // of a body, after decompression; zero: 1 MiB, at most 64 MiB
	RootCAs  *x509.CertPool // nil: the system's

	// PinnedSPKI are SHA-256 hashes of SubjectPublicKeyInfo, one of which must be in
	// the verified chain of each server that answers. nil: no pins. Not together
	// with InsecureHTTP.
	PinnedSPKI [][]byte
	// PublicOnly connects to public addresses only, and uses no proxy of the
	// environment: a proxy would connect for us to wherever it likes.
	PublicOnly bool

	// InsecureHTTP allows http URLs beside https ones: whoever is on the path
	// replaces the keys.
	InsecureHTTP bool

	UserAgent string           // zero: gatehouse
	Now       func() time.Time // for dates in Retry-After; nil: time.Now
}

// Client makes requests. It is safe for concurrent use.
type Client struct {
	http         http.Client
	timeout      time.Duration
	maxBytes     int64
	insecureHTTP bool
	userAgent    string
	now          func() time.Time
}

// Faults are all bad settings, each with the name of its field in front. An owner
// whose fields have the same names shows them as its own.
func (cfg Config) Faults() []string {
	var faults []string
	bad := func(is bool, what string) {
		if is {
			faults = append(faults, what)
		}
	}
	bad(cfg.Client != nil && cfg.RootCAs != nil, "RootCAs: not together with Client, whose Transport has its own")
	bad(cfg.Client != nil && cfg.PinnedSPKI != nil, "PinnedSPKI: not together with Client")
	bad(cfg.Client != nil && cfg.PublicOnly, "PublicOnly: not together with Client, whose Transport dials")
	bad(cfg.PinnedSPKI != nil && len(cfg.PinnedSPKI) == 0, "PinnedSPKI: empty")
	bad(cfg.PinnedSPKI != nil && cfg.InsecureHTTP, "PinnedSPKI: not together with InsecureHTTP")
	bad(slices.ContainsFunc(cfg.PinnedSPKI, func(pin []byte) bool { return len(pin) != sha256.Size }), "PinnedSPKI: want 32 bytes each")
	bad(cfg.Timeout < 0, "Timeout: negative")
	bad(cfg.MaxBytes < 0, "MaxBytes: negative")
	bad(cfg.MaxBytes > maxMaxBytes, "MaxBytes: above 64 MiB")
	bad(strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }), "UserAgent: not printable ASCII")
	return faults
}

// New reports every bad setting at once. It opens no connection.
func New(cfg Config) (*Client, error) {
	var errs []error
	for _, fault := range cfg.Faults() {
		errs = append(errs, errors.New("fetch: "+fault))
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	c := &Client{
		timeout:      cmp.Or(cfg.Timeout, 10*time.Second),
		maxBytes:     cmp.Or(cfg.MaxBytes, 1<<20),
		insecureHTTP: cfg.InsecureHTTP,
		userAgent:    cmp.Or(cfg.UserAgent, "gatehouse"),
		now:          cfg.Now,
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.http.CheckRedirect = checkRedirect
	if cfg.Client != nil {
		c.http.Transport = cfg.Client.Transport
	} else {
		c.http.Transport = newTransport(cfg)
	}
	if cfg.PinnedSPKI != nil {
		c.http.Transport = newPinned(c.http.Transport, cfg.PinnedSPKI)
	}
	return c, nil
}

// Request says what to accept.
type Request struct {
	Accept []string // media types, at least one; parameters and case are not compared
	ETag   string   // of the copy at hand; empty, or no entity tag: unconditional
}

// Response is a 200, or the 304 to a request with an ETag.
type Response struct {
	NotModified bool
	Body        []byte      // of a 200
	ETag        string      // empty: none, not an entity tag (RFC 9110 section 8.8.3), or above 256 bytes
	Header      http.Header // Age, Cache-Control, Date, Expires and Last-Modified only
}

// Get fetches an absolute URL. Its errors wrap ErrURL, ErrRedirect,
// *StatusError, ErrContentType, ErrTooLarge, or what the transport said; after
// ctx or the deadline has ended, the context's error.
func (c *Client) Get(ctx context.Context, rawURL string, req Request) (*Response, error) {
	u, err := c.parseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout) // until the body has been read
	defer cancel()
	res, err := c.get(ctx, u, req)
	if over := ctx.Err(); over != nil && !errors.Is(err, over) {
		err = transportError(over) // a server that sees us leave may end half an answer in due form
	}
	if err != nil {
		return nil, fmt.Errorf("%w (GET %s)", err, place(u))
	}
	return res, nil
}

func (c *Client) get(ctx context.Context, u *url.URL, req Request) (*Response, error) {
	if len(req.Accept) == 0 {
		return nil, fmt.Errorf("%w: none is accepted", ErrContentType)
	}
	out := (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{
		"Accept":     {strings.Join(req.Accept, ", ")},
		"User-Agent": {c.userAgent},
	}}).WithContext(ctx)
	etag := entityTag(req.ETag)
	if etag != "" {
		out.Header.Set("If-None-Match", etag)
	}

	in, err := c.http.Do(out)
	if err != nil {
		return nil, transportError(err)
	}
	defer in.Body.Close() // unread: net/http drops the connection then, and does not drain it

	res := &Response{ETag: entityTag(in.Header.Get("ETag")), Header: kept(in.Header)}
	switch {
	case in.StatusCode == http.StatusNotModified && etag != "":
		res.NotModified = true
		return res, nil
	case in.StatusCode != http.StatusOK:
		after, _ := RetryAfter(in.Header, c.now())
		return nil, &StatusError{Code: in.StatusCode, After: after}
	}
	if err := checkType(in.Header, req.Accept); err != nil {
		return nil, err
	}
	if res.Body, err = c.read(in); err != nil {
		return nil, err
	}
	return res, nil
}

func (c *Client) read(in *http.Response) ([]byte, error) {
	tooLarge := fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.maxBytes)
	if in.ContentLength > c.maxBytes {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(in.Body, c.maxBytes+1))
	switch {
	case int64(len(body)) > c.maxBytes:
		return nil, tooLarge
	case err != nil:
		return nil, transportError(err)
	}
	return body, nil
}

// checkType compares media types only: charset and other parameters have no
// meaning for JSON (RFC 8259 section 11).
func checkType(h http.Header, accept []string) error {
	types, want := h.Values("Content-Type"), strings.Join(accept, " or ")
	if len(types) != 1 {
		return fmt.Errorf("%w: %d Content-Type headers, want %s", ErrContentType, len(types), want)
	}
	got, _, _ := strings.Cut(types[0], ";")
	got = strings.TrimSpace(got)
	if slices.ContainsFunc(accept, func(a string) bool { return strings.EqualFold(a, got) }) {
		return nil
	}
	if len(got) > 64 {
		got = "(a long one)"
	}
	return fmt.Errorf("%w: %q, want %s", ErrContentType, got, want)
}

func kept(h http.Header) http.Header {
	out := make(http.Header)
	for _, name := range []string{"Age", "Cache-Control", "Date", "Expires", "Last-Modified"} {
		if v := h.Values(name); v != nil {
			out[name] = slices.Clone(v)
		}
	}
	return out
}

// entityTag returns v if it is an entity tag of a sane length, else nothing: it
// is sent back to the server, and may come from a file in between.
func entityTag(v string) string {
	opaque, begun := strings.CutPrefix(strings.TrimPrefix(v, "W/"), `"`)
	opaque, ended := strings.CutSuffix(opaque, `"`)
	if !begun || !ended || len(v) > maxETag {
		return ""
	}
	if strings.ContainsFunc(opaque, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return ""
	}
	return v
}
