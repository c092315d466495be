package jwtsign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Config makes a Signer. It is plain data: New copies what it needs.
type Config struct {
	// Issuer is the iss of every token: a URL without query and fragment, at most 512
	// bytes, byte for byte as the validators have it. Required.
	Issuer string

	// Keys sign. One of Keys and File is required.
	Keys []Key

	// File holds the keys instead: a JWK set, or one JWK, with private or symmetric
	// keys, each with alg, and with the times publish_from, sign_from and retire_at
	// where they are wanted (RFC 3339). It is looked at again every 5 s while there
	// are requests; see Reload.
	File string

	// Decrypt turns what File holds into plain text. Nil: it is plain.
	Decrypt func([]byte) ([]byte, error)

	// Token is what Sign makes, and what Fields make that have no Token of their own.
	// Required, unless each of Fields has one.
	Token Token

	// Fields are the members of an answer that become tokens. Nil: Handler and
	// ModifyResponse cannot be used.
	Fields []Field

	// Methods are those whose answers are rewritten; the answers to others pass
	// unsigned, so let nothing override the method. Nil: POST.
	Methods []string

	// Statuses are those of answers that are rewritten; others pass unsigned. Nil: 200
	// to 299.
	Statuses []int

	// JWKSURL is where JWKS is served, for Discovery. Zero: the Issuer, and behind
	// it /.well-known/jwks.json.
	JWKSURL string

	// Timeout bounds a call of a crypto.Signer that is not a key in memory. Zero: 10 s.
	Timeout time.Duration

	// MaxCalls bounds the calls of such a Signer that are under way, also those whose
	// caller has left. Zero: 32.
	MaxCalls int

	// Logger gets failures at level Warn, at most one a second, and that keys were
	// loaded at Info. No claim is ever logged. Nil: silent.
	Logger *slog.Logger

	// Observe is called for each token and each reload, synchronously: it must not
	// block. Its panic changes nothing. Nil: none.
	Observe func(ctx context.Context, e Event)

	// Now is the clock for the claims and for the times of the keys. Nil: time.Now.
	Now func() time.Time
}

// Token says what a token is like, apart from its claims.
type Token struct {
	// Lifetime is exp - iat, in whole seconds. Required.
	Lifetime time.Duration

	// Audience is aud: a string if it is one, else an array. Required.
	Audience []string

	// Type is typ. With at+jwt, sub and client_id are required (RFC 9068); refresh
	// tokens are of another type, such as refresh+jwt, so that no API takes them for
	// access tokens. Of JWT, JOSE and at+jwt, one Field alone may have an audience.
	// Zero: JWT.
	Type string

	// Required claims must be given, neither null nor empty.
	Required []string

	// Keep names those of iss, aud, iat, nbf, exp and jti which claims that are given
	// with them keep. exp is kept only up to Lifetime. Nil: all six are ours.
	Keep []string
}

// Field is a member of an answer: an object of claims, in whose place the token stands.
type Field struct {
	// Path is the member's name, or the names on the way to it. Required.
	Path []string

	// Token is what the claims become. Zero: Config.Token.
	Token Token

	// Flattened writes a JWS in flattened JSON serialisation, an object (RFC 7515
	// section 7.2.2), in place of a compact one, a string. Another Signer in front
	// would take that object for claims.
	Flattened bool

	// Optional lets an answer pass that has no such member, or one that is no object:
	// it leaves as it is, unsigned.
	Optional bool
}

const (
	maxIssuer      = 512
	defaultTimeout = 10 * time.Second
	defaultCalls   = 32
)

// Signer makes tokens. It is made by New and safe for concurrent use.
type Signer struct {
	issuer   string
	jwksURL  string
	token    *shape // nil: none
	fields   *field // the root; nil: none
	methods  []string
	statuses []int
	lifetime time.Duration // the longest
	ring     atomic.Pointer[ring]
	jwks     atomic.Pointer[document]
	file     file
	turns    atomic.Uint64 // of reloads, as they begin
	mu       sync.Mutex    // of turn and ring, together
	turn     uint64        // whose keys are in place
	timeout  time.Duration
	maxCalls int
	logger   *slog.Logger
	observe  func(context.Context, Event)
	now      func() time.Time
	warned   [2]atomic.Int64 // of tokens, of reloads
}

// New makes a Signer. It reads File and opens no connection. Everything that is
// missing or contradictory is reported at once, by field name. At least one key
// must be able to sign now.
func New(cfg Config) (*Signer, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("jwtsign: "+format, args...)) }
	s := &Signer{
		issuer: cfg.Issuer, methods: slices.Clone(cfg.Methods), statuses: slices.Clone(cfg.Statuses),
		timeout: cfg.Timeout, logger: cfg.Logger, observe: cfg.Observe, now: cfg.Now,
	}
	if cfg.Issuer == "" || len(cfg.Issuer) > maxIssuer || !absolute(cfg.Issuer) || strings.ContainsAny(cfg.Issuer, "?#") || !utf8.ValidString(cfg.Issuer) {
		bad("Issuer: required, an absolute URL without query and fragment, at most %d bytes", maxIssuer)
	}
	if cfg.JWKSURL == "" {
		cfg.JWKSURL = strings.TrimSuffix(cfg.Issuer, "/") + "/.well-known/jwks.json"
	} else if !absolute(cfg.JWKSURL) {
		bad("JWKSURL: want an absolute URL")
	}
	s.jwksURL = cfg.JWKSURL
	if cfg.Timeout < 0 || cfg.MaxCalls < 0 {
		bad("Timeout, MaxCalls: negative")
	}
	if s.timeout == 0 {
		s.timeout = defaultTimeout
	}
	if cfg.MaxCalls == 0 {
		cfg.MaxCalls = defaultCalls
	}
	s.maxCalls = max(cfg.MaxCalls, 0)
	if s.methods == nil {
		s.methods = []string{http.MethodPost}
	}
	if s.methods != nil && len(s.methods) == 0 || slices.ContainsFunc(s.methods, func(m string) bool { return m == "" || m != strings.ToUpper(m) }) {
		bad("Methods: want names in capitals")
	}
	if s.statuses != nil && len(s.statuses) == 0 {
		bad("Statuses: empty, so that nothing would be signed")
	}
	for _, status := range s.statuses {
		if status < 200 || status > 599 || !hasBody(status) || status == http.StatusPartialContent {
			bad("Statuses: %d has no body to sign in, or a part of one", status)
		}
	}
	if s.now == nil {
		s.now = time.Now
	}
	errs = append(errs, s.setTokens(cfg)...)
	errs = append(errs, s.setKeys(cfg)...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// setTokens takes over what tokens are like, and that no two fields make tokens
// that could stand for each other.
func (s *Signer) setTokens(cfg Config) []error {
	var errs []error
	take := func(name string, t Token) *shape {
		shape, shapeErrs := newShape(cfg.Issuer, t)
		for _, err := range shapeErrs {
			errs = append(errs, fmt.Errorf("jwtsign: %s.%w", name, err))
		}
		s.lifetime = max(s.lifetime, t.Lifetime)
		return shape
	}
	uses := len(cfg.Fields) == 0
	for _, f := range cfg.Fields {
		uses = uses || f.Token.isZero()
	}
	if uses || !cfg.Token.isZero() {
		s.token = take("Token", cfg.Token)
	}
	for i, f := range cfg.Fields {
		name := fmt.Sprintf("Fields[%d]", i)
		shape := s.token
		if !f.Token.isZero() {
			shape = take(name+".Token", f.Token)
		}
		if s.fields == nil {
			s.fields = new(field)
		}
		if err := s.fields.add(f, shape); err != nil {
			errs = append(errs, fmt.Errorf("jwtsign: %s.Path: %w", name, err))
		}
		for j, other := range cfg.Fields[:i] {
			if a, b := f.tokenOf(cfg), other.tokenOf(cfg); a.mistakenFor(b) {
				errs = append(errs, fmt.Errorf("jwtsign: %s: its tokens would pass for those of Fields[%d]: they share typ and audience", name, j))
			}
		}
	}
	return errs
}

func (f *Field) tokenOf(cfg Config) Token {
	if f.Token.isZero() {
		return cfg.Token
	}
	return f.Token
}

func (t *Token) isZero() bool {
	return t.Lifetime == 0 && t.Audience == nil && t.Type == "" && t.Required == nil && t.Keep == nil
}

func (t *Token) typ() string {
	if t.Type == "" {
		return defaultType
	}
	return t.Type
}

// mistakenFor reports whether a validator could take one token for the other: many
// take plain and access tokens alike.
func (t *Token) mistakenFor(other Token) bool {
	plain := []string{"jwt", "jose", accessToken}
	a, b := strings.ToLower(jose.MediaType(t.typ())), strings.ToLower(jose.MediaType(other.typ()))
	return (a == b || slices.Contains(plain, a) && slices.Contains(plain, b)) &&
		(slices.Contains(t.Keep, "aud") || slices.Contains(other.Keep, "aud") || slices.ContainsFunc(t.Audience, func(a string) bool { return slices.Contains(other.Audience, a) }))
}
