package main

import (
	"context"
	"crypto"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// issuer is one whose tokens pass, with the cache of its keys.
type issuer struct {
	jwtvalidate.Issuer
	keys *jwkcache.Cache
}

func (c *config) readIssuer(s *section) *issuer {
	s.required("url", "audiences", "algorithms")
	i := &issuer{Issuer: jwtvalidate.Issuer{
		URL:          s.text("url"),
		Audiences:    s.texts("audiences"),
		AllAudiences: s.flag("all_audiences"),
		Algorithms:   s.texts("algorithms"),
		Required:     s.texts("required"),
		MaxLifetime:  s.duration("max_lifetime", 0, 10*365*24*time.Hour),
	}}
	if s.oneOf("profile", "any", "rfc9068") == "rfc9068" {
		i.Profile = jwtvalidate.RFC9068
	}
	cache := jwkcache.Config{
		URL:          s.text("jwks_url"),
		Snapshot:     s.text("snapshot"),
		MinRefetch:   s.duration("min_refetch", 0, longest),
		InsecureHTTP: s.flag("insecure_http"),
		Logger:       c.logger,
	}
	if cache.URL == "" {
		cache.Issuer = i.URL
	}
	keys, err := jwkcache.New(cache)
	s.adopt(err, "", map[string]string{"issuer": "url", "url": "jwks_url"})
	i.keys, i.Keys = keys, keys
	if err != nil {
		i.Keys = noKeys{} // it is checked all the same
	}
	_, err = jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{i.Issuer}})
	s.adopt(err, "Issuers[0].", nil)
	return i
}

type noKeys struct{}

func (noKeys) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return nil, nil }
