package fetch

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// newTransport makes the transport of a Config without a Client.
//
// A key server is asked every few minutes: a kept connection would cost two
// goroutines and would skip the checks that are made when one is opened. For one
// request HTTP/2 has no use, so its code is not offered to the other side.
func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	proxy := http.ProxyFromEnvironment
	if cfg.PublicOnly {
		dialer.Control = guard
		proxy = nil
	}
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
	}
}
