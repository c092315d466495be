//go:build krakend

package main

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	krakendjose "github.com/krakendio/krakend-jose/v2"
	krakendgin "github.com/krakendio/krakend-jose/v2/gin"
	"github.com/luraproject/lura/v2/config"
	"github.com/luraproject/lura/v2/logging"
	"github.com/luraproject/lura/v2/proxy"
)

func init() { peers = append(peers, krakend) }

// krakend is the validator of an endpoint in KrakenD, in the router that it comes
// with, with the keys cached.
var krakend = candidate{
	name: "krakend-jose", module: "github.com/krakendio/krakend-jose/v2",
	build: func(_ context.Context, s *setup) (http.Handler, error) {
		gin.SetMode(gin.ReleaseMode)
		endpoint := &config.EndpointConfig{Endpoint: "/", Timeout: time.Second, ExtraConfig: config.ExtraConfig{
			krakendjose.ValidatorNamespace: map[string]any{
				"alg": s.key.alg, "issuer": issuerURL(0), "audience": []string{audience},
				"jwk_url": s.keysURL, "disable_jwk_security": true, "cache": true, // the key server is on loopback
			},
		}}
		validate := krakendgin.TokenSignatureValidator(func(*config.EndpointConfig, proxy.Proxy) gin.HandlerFunc {
			return func(c *gin.Context) { next.ServeHTTP(c.Writer, c.Request) }
		}, logging.NoOp, nil)
		router := gin.New()
		router.GET("/", validate(endpoint, proxy.NoopProxy))
		return router, nil
	},
}
