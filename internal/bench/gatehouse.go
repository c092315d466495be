package main

import (
	"context"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// ours in three states. The memory is as it is in a service that has run for a
// while: full of other tokens.
var ours = []candidate{
	{name: "Gatehouse, nothing remembered", build: func(_ context.Context, s *setup) (http.Handler, error) {
		return gatehouse(s.key, jwtvalidate.Config{CacheEntries: -1})
	}},
	{name: "Gatehouse, first sight and remembering", build: func(ctx context.Context, s *setup) (http.Handler, error) {
		return crowded(ctx, s.key, s.fill, jwtvalidate.Config{})
	}},
	{name: "Gatehouse, seen before", repeat: true, build: func(_ context.Context, s *setup) (http.Handler, error) {
		return gatehouse(s.key, jwtvalidate.Config{})
	}},
}

// policy is that of the n-th issuer.
func policy(k *key, n int) (jwtvalidate.Issuer, error) {
	source, err := k.source()
	return jwtvalidate.Issuer{URL: issuerURL(n), Algorithms: []string{k.alg}, Keys: source, Audiences: []string{audience}}, err
}

// gatehouse adds the key's issuer to the config, unless it has one.
func gatehouse(k *key, cfg jwtvalidate.Config) (http.Handler, error) {
	if len(cfg.Issuers) == 0 {
		p, err := policy(k, 0)
		if err != nil {
			return nil, err
		}
		cfg.Issuers = []jwtvalidate.Issuer{p}
	}
	v, err := jwtvalidate.New(cfg)
	if err != nil {
		return nil, err
	}
	return v.Handler(next), nil
}

// crowded is a handler whose memory is full of other tokens: of a second issuer,
// whose signatures are quick to make.
func crowded(ctx context.Context, k *key, fill int, cfg jwtvalidate.Config) (http.Handler, error) {
	quick, err := newKey(hs256)
	if err != nil {
		return nil, err
	}
	for n, k := range []*key{k, quick} {
		p, err := policy(k, n)
		if err != nil {
			return nil, err
		}
		cfg.Issuers = append(cfg.Issuers, p)
	}
	h, err := gatehouse(k, cfg)
	if err != nil {
		return nil, err
	}
	others, err := newPool(quick, fill, func(i int) token {
		t := oneKiB(i)
		t.issuer, t.size = issuerURL(1), 512
		return t
	})
	if err != nil {
		return nil, err
	}
	return h, newTraffic(ctx, h, http.StatusNoContent, others.inTurn()).times(others.len)
}
