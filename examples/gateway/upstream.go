package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// upstream is a service behind the gateway.
type upstream struct {
	name    string
	url     *url.URL
	own     *clientcreds.Source // the gateway's own token; nil: it sends none
	strip   bool                // the user's token stays here
	timeout time.Duration       // until the answer begins
}

func (c *config) readUpstream(s *section, from host) *upstream {
	s.required("name", "url")
	u := &upstream{
		name:    s.text("name"),
		strip:   s.oneOf("user_token", "forward", "strip") == "strip",
		timeout: s.duration("timeout", 30*time.Second, longest),
	}
	if text := s.text("url"); text != "" {
		var err error
		u.url, err = url.Parse(text)
		if err != nil || u.url.Scheme != "http" && u.url.Scheme != "https" || u.url.Host == "" ||
			u.url.User != nil || u.url.RawQuery != "" || u.url.Fragment != "" {
			s.bad("url", "want an http or https URL without user, query and fragment")
			u.url = nil
		}
	}
	if in := s.section("own_token"); in != nil {
		u.own = c.readOwnToken(in, from, u.url)
		in.end()
	}
	return u
}

// readOwnToken reads how the gateway gets the token that it shows to an upstream:
// who called it is for the claim headers to say.
func (c *config) readOwnToken(s *section, from host, to *url.URL) *clientcreds.Source {
	cfg := clientcreds.Config{
		Issuer:     s.text("issuer"),
		TokenURL:   s.text("token_url"),
		ClientID:   s.text("client_id"),
		AuthMethod: s.text("auth_method"),
		Secret:     withContext(s.secret("client_secret", from, 1)),
		KeyFile:    s.text("key_file"),
		KeyID:      s.text("key_id"),
		Scopes:     s.texts("scopes"),
		Audience:   s.text("audience"),
		Resources:  s.texts("resources"),
		Logger:     c.logger,
	}
	if to != nil {
		cfg.AllowedOrigins = []string{to.Scheme + "://" + to.Host}
	}
	source, err := clientcreds.New(cfg)
	s.adopt(err, "", map[string]string{"secret": "client_secret"})
	return source
}

var errOwnToken = errors.New("the upstream refused the gateway's own token")

// proxy sends requests on to the upstream.
func (u *upstream) proxy(logger *slog.Logger) *httputil.ReverseProxy {
	var transport http.RoundTripper = &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: u.timeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   100,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
	}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u.url)
			r.SetXForwarded()
			if u.strip {
				r.Out.Header.Del("Authorization")
			}
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			status := statusOf(w, r, err)
			level := slog.LevelWarn
			if r.Context().Err() != nil || status < http.StatusInternalServerError {
				level = slog.LevelDebug // it was the client, who may have left
			}
			logger.Log(r.Context(), level, "upstream failed", "upstream", u.name, "status", status, "error", err)
			w.WriteHeader(status)
		},
	}
	if u.own != nil {
		transport = u.own.Transport(transport)
		// That 401 is about us: the user's token is good.
		p.ModifyResponse = func(answer *http.Response) error {
			if answer.StatusCode == http.StatusUnauthorized {
				return errOwnToken
			}
			return nil
		}
	}
	p.Transport = transport
	return p
}

// statusOf is what the client is told of an error on the way to the upstream.
func statusOf(w http.ResponseWriter, r *http.Request, err error) int {
	if a, ok := r.Context().Value(accessKey{}).(*access); ok && a.faulty.Load() != 0 { // which ends the request to the upstream, and so err says
		return int(a.faulty.Load())
	}
	if failed, ok := errors.AsType[*clientcreds.TokenError](err); ok {
		after := max(failed.RetryAfter(), time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
		return http.StatusServiceUnavailable
	}
	slow, ok := errors.AsType[net.Error](err)
	if ok && slow.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}
