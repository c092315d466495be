package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// config is what the gateway is told by its flags.
type config struct {
	issuer       string
	audience     string
	upstream     string
	algorithms   []string
	insecureHTTP bool // an issuer on loopback
	logger       *slog.Logger
	observe      func(context.Context, jwtvalidate.Event)
}

// newGateway lets requests with a good token through to the upstream.
func newGateway(cfg config) (http.Handler, error) {
	upstream, err := url.Parse(cfg.upstream)
	if err != nil || upstream.Scheme != "http" && upstream.Scheme != "https" || upstream.Host == "" {
		return nil, errors.New("-upstream: want an http or https URL")
	}
	keys, err := jwkcache.New(jwkcache.Config{
		Issuer:       cfg.issuer,
		InsecureHTTP: cfg.insecureHTTP,
		Logger:       cfg.logger,
	})
	if err != nil {
		return nil, fmt.Errorf("-issuer: %w", err)
	}
	validator, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{{
			URL:        cfg.issuer,
			Algorithms: cfg.algorithms,
			Keys:       keys,
			Audiences:  []string{cfg.audience},
		}},
		Logger:  cfg.logger,
		Observe: cfg.observe,
	})
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			cfg.logger.WarnContext(r.Context(), "upstream failed", "error", err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return validator.Handler(proxy), nil
}
