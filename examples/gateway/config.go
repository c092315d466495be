package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// config is what the config file says, with what was made from it. Reading it opens
// no connection. config.example.json explains every field.
type config struct {
	listen   string
	health   string // address; empty: none
	cert     *tls.Certificate
	drain    time.Duration
	grace    time.Duration
	maxBody  int64
	patience time.Duration // with a body that stalls
	leeway   time.Duration
	realm    string
	logger   *slog.Logger
	issuers  []*issuer
	forward  []jwtvalidate.ForwardClaim
	upstream map[string]*upstream
	routes   []*route
	admin    *admin // nil: nothing is ever revoked
}

const (
	usualBody  = 10 << 20
	usualGrace = 15 * time.Second
	usualStall = 30 * time.Second
	longest    = time.Hour
)

// readConfig reads the whole file, and tells of all its faults at once.
func readConfig(text []byte, from host) (*config, error) {
	root, found := parse(text)
	r := &report{found: found}
	if root == nil {
		return nil, r.err()
	}
	c := &config{upstream: map[string]*upstream{}, logger: slog.New(slog.DiscardHandler)}
	if s := newSection(r, root, ""); s != nil {
		c.read(s, from)
		s.end()
	}
	return c, r.err()
}

func (c *config) read(s *section, from host) {
	s.required("listen", "issuers", "upstreams", "routes")
	c.readLog(s.section("log"), from)
	c.listen = s.address("listen")
	c.cert = readTLS(s.section("tls"), from)
	if in := s.section("health"); in != nil {
		in.required("listen")
		c.health = in.address("listen")
		in.end()
	}
	c.grace = s.duration("shutdown_timeout", usualGrace, longest)
	c.drain = s.duration("drain_delay", 0, longest)
	c.leeway = s.duration("leeway", 0, time.Minute)
	c.realm = s.text("realm")
	if c.maxBody = s.number("max_body_bytes", 1<<40); c.maxBody == 0 {
		c.maxBody = usualBody
	}
	c.patience = s.duration("body_timeout", usualStall, longest)
	for _, in := range s.sections("issuers") {
		i := c.readIssuer(in)
		in.end()
		if slices.ContainsFunc(c.issuers, func(other *issuer) bool { return other.URL == i.URL && i.URL != "" }) {
			in.bad("url", "is listed twice")
		}
		c.issuers = append(c.issuers, i)
	}
	for _, in := range s.sections("forward") {
		in.required("claim", "header")
		claim := jwtvalidate.ForwardClaim{Claim: in.texts("claim"), Header: in.text("header"), JSON: in.flag("json")}
		_, err := jwtvalidate.New(jwtvalidate.Config{Forward: []jwtvalidate.ForwardClaim{claim}})
		in.adopt(err, "Forward[0].", nil)
		in.end()
		c.forward = append(c.forward, claim)
	}
	for _, in := range s.sections("upstreams") {
		u := c.readUpstream(in, from)
		in.end()
		if c.upstream[u.name] != nil && u.name != "" {
			in.bad("name", "is listed twice")
		}
		c.upstream[u.name] = u
	}
	for _, in := range s.sections("routes") {
		c.routes = append(c.routes, c.readRoute(in))
		in.end()
	}
	if in := s.section("revocation"); in != nil {
		c.admin = c.readAdmin(in, from)
		in.end()
	}
	if s.fine() { // else it would say the same again
		_, err := jwtvalidate.New(c.validator())
		s.adopt(err, "", nil)
	}
}

// validator is what good means for a token.
func (c *config) validator() jwtvalidate.Config {
	cfg := jwtvalidate.Config{Forward: c.forward, Leeway: c.leeway, Realm: c.realm, Logger: c.logger, Observe: observe}
	for _, i := range c.issuers {
		cfg.Issuers = append(cfg.Issuers, i.Issuer)
	}
	if c.admin != nil {
		cfg.Revocation = c.admin.checker
	}
	return cfg
}

func (c *config) readLog(s *section, from host) {
	options := &slog.HandlerOptions{}
	format := "text"
	if s != nil {
		levels := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}
		options.Level = levels[s.oneOf("level", "info", "debug", "warn", "error")]
		format = s.oneOf("format", "text", "json")
		s.end()
	}
	if c.logger = slog.New(slog.NewTextHandler(from.log, options)); format == "json" {
		c.logger = slog.New(slog.NewJSONHandler(from.log, options))
	}
}

// readTLS reads the server's own certificate. It is not read again.
func readTLS(s *section, from host) *tls.Certificate {
	if s == nil {
		return nil
	}
	s.required("cert_file", "key_file")
	var pem [2][]byte
	for i, name := range []string{"cert_file", "key_file"} {
		path := s.text(name)
		if path == "" {
			continue
		}
		var err error
		if pem[i], err = from.read(path); err != nil {
			s.bad(name, "%v", err)
		}
	}
	s.end()
	if !s.fine() {
		return nil
	}
	cert, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		s.bad("", "%v", err)
	}
	return &cert
}

// address is a host and a port to listen on.
func (s *section) address(name string) string {
	text := s.text(name)
	if text == "" {
		return ""
	}
	if _, port, err := net.SplitHostPort(text); err != nil || port == "" {
		s.bad(name, "want host:port, such as 127.0.0.1:8080, or :8080 for all interfaces")
	}
	return text
}

// onLoopback reports whether nobody but this machine can reach an address.
func onLoopback(address string) bool {
	name, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
