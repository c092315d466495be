package jwtvalidate

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// The values of Issuer.KeyID.
const (
	keyIDKid     = "kid"
	keyIDX5T     = "x5t"
	keyIDX5TS256 = "x5t#S256"
	keyIDKidX5T  = "kid+x5t"
)

// policy is an Issuer that was checked and made ready for requests.
type policy struct {
	url           string
	algs          [jose.AlgCount]bool
	keys          KeySource
	audiences     map[string]struct{}
	allAudiences  bool
	audienceClaim string
	types         []string // without application/
	kind          map[string]string
	required      []string
	maxLifetime   time.Duration
	encrypted     bool
	keyID         string
	confirm       func(*http.Request, *Claims) error

	owner    *Validator
	tenant   *tenant   // nil: it is fixed
	tenantID string    // what tid must say; empty: no template made it
	base     *policy   // of the template
	owned    ownedKeys // of a template; nil: keys serve every issuer alike
}

func newPolicy(issuer Issuer) (*policy, []error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	p := &policy{
		url:           issuer.URL,
		keys:          issuer.Keys,
		audiences:     make(map[string]struct{}, len(issuer.Audiences)),
		allAudiences:  issuer.AllAudiences,
		audienceClaim: issuer.AudienceClaim,
		maxLifetime:   issuer.MaxLifetime,
		encrypted:     issuer.Encrypted,
		keyID:         issuer.KeyID,
		confirm:       issuer.Confirm,
	}
	if issuer.URL == "" || len(issuer.URL) > maxIssuer {
		bad("URL: required, at most %d bytes", maxIssuer)
	}
	if err := tenantFields(issuer); err != nil && !isTemplate(issuer.URL) {
		errs = append(errs, err)
	}
	symmetric := false
	for _, name := range issuer.Algorithms {
		a, known := jose.ParseAlg(name)
		if !known {
			bad("Algorithms: %q is not supported", name)
			continue
		}
		p.algs[a] = true
		symmetric = symmetric || a.Symmetric()
	}
	if len(issuer.Algorithms) == 0 {
		bad("Algorithms: at least one is required")
	}
	errs = append(errs, checkKeys(p, symmetric)...)

	if len(issuer.Audiences) == 0 {
		bad("Audiences: at least one is required")
	}
	for _, audience := range issuer.Audiences {
		if audience == "" {
			bad("Audiences: an empty one would match nothing")
		}
		p.audiences[audience] = struct{}{}
	}
	if p.audienceClaim == "" {
		p.audienceClaim = "aud"
	}
	profile := issuer.Profile
	if len(profile.Types) == 0 {
		if len(profile.Required)+len(profile.Claims) > 0 {
			bad(`Profile.Types: required; "" stands for an absent typ`)
		}
		profile.Types = defaultTypes
	}
	for _, typ := range profile.Types {
		if typ != "" && jose.MediaType(typ) == "" {
			bad("Profile.Types: %q names no type", typ)
		}
		p.types = append(p.types, jose.MediaType(typ))
	}
	p.kind = maps.Clone(profile.Claims)
	for name, text := range p.kind {
		if name == "" || text == "" {
			bad("Profile.Claims: an empty name or text")
		}
	}
	for _, claim := range append(append([]string(nil), profile.Required...), issuer.Required...) {
		if claim == "" {
			bad("Required: a claim without a name")
		}
		p.required = append(p.required, claim)
	}
	if issuer.MaxLifetime < 0 {
		bad("MaxLifetime: negative")
	}
	switch p.keyID {
	case "":
		p.keyID = keyIDKid
	case keyIDKid, keyIDX5T, keyIDX5TS256, keyIDKidX5T:
	default:
		bad("KeyID: %q is none of kid, x5t, x5t#S256 and kid+x5t", issuer.KeyID)
	}
	return p, errs
}

// maxIssuer bounds an issuer's URL in bytes.
const maxIssuer = 512

// checkKeys binds the source of keys to the algorithms: an HS* key is only ever
// one that the application made with Secret, and it serves nothing else.
func checkKeys(p *policy, symmetric bool) []error {
	if isNil(p.keys) {
		return []error{errors.New("Keys: required")}
	}
	var errs []error
	secret, isSecret := p.keys.(*secretSource)
	static, isStatic := p.keys.(*staticSource)
	usable := false
	for a := jose.Alg(1); a < jose.AlgCount; a++ {
		if !p.algs[a] {
			continue
		}
		switch {
		case a.Symmetric() && !isSecret:
			errs = append(errs, fmt.Errorf("Keys: %s needs a Secret", a))
		case !a.Symmetric() && isSecret:
			errs = append(errs, fmt.Errorf("Algorithms: %s cannot be verified with a Secret", a))
		case a.Symmetric():
			if err := jose.CheckKey(a, secret.keys[0]); err != nil {
				errs = append(errs, fmt.Errorf("Keys: %w", err))
			}
		case symmetric:
			errs = append(errs, fmt.Errorf("Algorithms: %s beside HS*", a))
		}
		usable = usable || isStatic && len(static[a]) > 0
	}
	if isStatic && !usable && len(errs) == 0 {
		errs = append(errs, errors.New("Keys: none of the static keys fits one of Algorithms"))
	}
	return errs
}

func (p *policy) allowsType(h *jose.Header) bool {
	typ := jose.MediaType(h.Type)
	if h.HasType && typ == "" {
		return false // "" in Types stands for an absent typ, not for an empty one
	}
	return slices.ContainsFunc(p.types, func(t string) bool { return len(t) == len(typ) && strings.EqualFold(t, typ) })
}

func (p *policy) keyIDOf(h *jose.Header) string {
	switch {
	case p.keyID == keyIDX5T && h.X5T != "":
		return h.X5T
	case p.keyID == keyIDX5TS256 && h.X5TS256 != "":
		return h.X5TS256
	case p.keyID == keyIDKidX5T:
		return h.KeyID + h.X5T
	}
	return h.KeyID
}

// takesOver holds claims that another policy of the same issuer has accepted against
// this one. The header is gone: what depends on it must be no stricter than before.
func (p *policy) takesOver(c *Claims) error {
	before := c.signer.policy
	switch {
	case !p.algs[c.signer.alg]:
		return ErrAlgorithm
	case p.encrypted && !before.encrypted || slices.ContainsFunc(before.types, func(t string) bool { return !slices.Contains(p.types, t) }):
		return ErrType
	case p.keyID != before.keyID:
		return ErrUnknownKey
	}
	return p.checkClaims(c)
}

func (p *policy) checkClaims(c *Claims) error {
	if p.tenantID != "" {
		if tid, _ := c.object.Text("tid"); tid != p.tenantID {
			return ErrUnknownIssuer
		}
	}
	for name, want := range p.kind {
		if text, _ := c.object.Text(name); text != want {
			return ErrType
		}
	}
	if !p.checkAudience(c) {
		return ErrAudience
	}
	for _, name := range p.required {
		raw, has := c.object.Raw(name)
		if !has || jose.IsEmpty(raw) || name == "client_id" && raw[0] != '"' { // RFC 8693 section 4.3
			return ErrMissingClaim
		}
	}
	return nil
}

// checkAudience compares whole strings only (RFC 7519 section 4.1.3).
func (p *policy) checkAudience(c *Claims) bool {
	list := c.audience
	if p.audienceClaim != "aud" {
		list, _ = c.object.Strings(p.audienceClaim) // anything else names nobody
	}
	found := 0
	for i, audience := range list {
		if _, ours := p.audiences[audience]; ours && !slices.Contains(list[:i], audience) {
			found++
		}
	}
	if p.allAudiences {
		return found == len(p.audiences)
	}
	return found > 0
}
