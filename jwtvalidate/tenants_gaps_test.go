package jwtvalidate_test

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// TestForgottenQuestion: an answer that was under way when its issuer was forgotten
// serves who has waited for it, and nobody after.
func TestForgottenQuestion(t *testing.T) {
	asked, pass := make(chan struct{}), make(chan struct{})
	var times atomic.Int64
	v := validator(t, jwtvalidate.Config{IssuerFor: func(_ context.Context, iss string) (*jwtvalidate.Issuer, error) {
		if times.Add(1) > 1 {
			return nil, nil // it was removed
		}
		close(asked)
		<-pass
		i := policy(sourceOf(&ecKey().PublicKey))
		i.URL = iss
		return &i, nil
	}})
	token := good(t)
	done := make(chan error)
	var claims *jwtvalidate.Claims
	go func() {
		c, err := v.CheckToken(t.Context(), token)
		claims = c
		done <- err
	}()
	<-asked
	v.Forget(issuerURL)
	_, err := v.CheckToken(t.Context(), token) // does not wait for the old answer
	require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)
	close(pass)
	require.NoError(t, <-done)
	_, err = v.CheckToken(t.Context(), token) // though the token is remembered
	require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)
	require.ErrorIs(t, v.Recheck(t.Context(), claims), jwtvalidate.ErrUnknownIssuer)
	require.Equal(t, int64(2), times.Load())
}

// TestUnknownIssuers: for how long they are remembered, how many of them, and that
// Forget ends it.
func TestUnknownIssuers(t *testing.T) {
	g := newRegistry()
	now := clock()
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find, IssuerTTL: 5 * time.Second, Now: func() time.Time { return now }})
	check := func(iss string, want error) {
		t.Helper()
		key := g.keys[iss]
		if key == nil {
			key = ecKey()
		}
		_, err := v.CheckToken(t.Context(), tenantToken(t, key, iss, ""))
		require.ErrorIs(t, err, want)
	}
	a, b := tenantURL(1), tenantURL(2)
	check(a, jwtvalidate.ErrUnknownIssuer)
	check(b, jwtvalidate.ErrUnknownIssuer)
	g.add(t, a)
	g.add(t, b)
	v.Forget(a)
	check(a, nil)
	check(b, jwtvalidate.ErrUnknownIssuer)
	now = now.Add(5 * time.Second) // no longer than an answer that there is one
	check(b, nil)

	const strangers = 5_000
	for range 2 {
		for i := range strangers {
			_, err := v.CheckToken(t.Context(), raw(`{"alg":"ES256"}`, fmt.Sprintf(`{"iss":"https://s%d.example.com","exp":1800003600}`, i), make([]byte, 64)))
			require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	again := 0
	for _, times := range g.asked {
		again += times - 1
	}
	require.Greater(t, again, strangers-4096-10, "there is room for so many")
}

// TestIssuerForFitsConfig: what New refuses of an Issuer is refused of an answer.
func TestIssuerForFitsConfig(t *testing.T) {
	const template = "https://login.example.com/{tenantid}/v2.0"
	for _, row := range []struct {
		name string
		iss  string
		edit func(*jwtvalidate.Config, *jwtvalidate.Issuer)
		want error
	}{
		{"good", issuerURL, func(*jwtvalidate.Config, *jwtvalidate.Issuer) {}, nil},
		{"encrypted, without keys", issuerURL, func(_ *jwtvalidate.Config, i *jwtvalidate.Issuer) { i.Encrypted = true }, jwtvalidate.ErrUnavailable},
		{"DPoP, without Confirm", issuerURL, func(c *jwtvalidate.Config, _ *jwtvalidate.Issuer) {
			c.Sources = []jwtvalidate.TokenSource{{Header: "Authorization", Scheme: "DPoP"}}
		}, jwtvalidate.ErrUnavailable},
		{"DPoP, with Confirm", issuerURL, func(c *jwtvalidate.Config, i *jwtvalidate.Issuer) {
			c.Sources = []jwtvalidate.TokenSource{{Header: "Authorization", Scheme: "DPoP"}}
			i.Confirm = func(*http.Request, *jwtvalidate.Claims) error { return nil }
		}, nil},
		{"a template", template, func(*jwtvalidate.Config, *jwtvalidate.Issuer) {}, jwtvalidate.ErrUnavailable},
		{"tenants", issuerURL, func(_ *jwtvalidate.Config, i *jwtvalidate.Issuer) { i.Tenants = []string{"a"} }, jwtvalidate.ErrUnavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			i := policy(sourceOf(&ecKey().PublicKey))
			i.URL = row.iss
			cfg := jwtvalidate.Config{}
			row.edit(&cfg, &i)
			cfg.IssuerFor = func(context.Context, string) (*jwtvalidate.Issuer, error) { return &i, nil }
			_, err := validator(t, cfg).CheckToken(t.Context(), tenantToken(t, ecKey(), row.iss, ""))
			require.ErrorIs(t, err, row.want)
		})
	}
}

// TestIssuerForBesideTemplates: an exact Issuer comes first, then a template that may
// take the tenant, then IssuerFor.
func TestIssuerForBesideTemplates(t *testing.T) {
	const url = "https://login.example.com/{tenantid}/v2.0"
	iss := func(tenant string) string { return "https://login.example.com/" + tenant + "/v2.0" }
	keys := &entra{map[string]crypto.PublicKey{"": &ecKey().PublicKey}}
	exact, listed, asked := policy(sourceOf(&ecKey().PublicKey)), policy(keys), policy(keys)
	exact.URL, exact.Audiences = iss("exact"), []string{"exact"}
	listed.URL, listed.Tenants, listed.Audiences = url, []string{"listed"}, []string{"listed"}
	asked.URL, asked.Audiences = "https://other.example.com/{tenantid}", []string{"asked"}
	asked.TenantAllowed = func(_ context.Context, tenant string) (bool, error) { return tenant == "asked", nil }
	var mu sync.Mutex
	var questions []string
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{exact, listed, asked},
		IssuerFor: func(_ context.Context, iss string) (*jwtvalidate.Issuer, error) {
			mu.Lock()
			defer mu.Unlock()
			questions = append(questions, iss)
			i := policy(sourceOf(&ecKey().PublicKey))
			i.URL, i.Audiences = iss, []string{"found"}
			return &i, nil
		},
	})
	for _, row := range []struct {
		iss, tid, audience string
		want               error
	}{
		{iss("exact"), "any", "exact", nil},
		{iss("listed"), "listed", "listed", nil},
		{iss("listed"), "any", "listed", jwtvalidate.ErrUnknownIssuer},
		{iss("other"), "other", "found", nil},
		{iss("other"), "other", "listed", jwtvalidate.ErrAudience},
		{"https://other.example.com/asked", "asked", "asked", nil},
		{"https://other.example.com/else", "else", "found", jwtvalidate.ErrUnknownIssuer},
	} {
		_, err := v.CheckToken(t.Context(), es256(t, `{"alg":"ES256"}`, fmt.Sprintf(`{"iss":%q,"tid":%q,"aud":%q,"exp":1800003600}`, row.iss, row.tid, row.audience)))
		require.ErrorIs(t, err, row.want, row.iss)
	}
	require.Equal(t, []string{iss("other")}, questions)
}

// TestPoliciesThatDiffer: whatever of an answer differs makes remembered tokens count
// no more, of which each would be refused now.
func TestPoliciesThatDiffer(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*jwtvalidate.Issuer)
		want error
	}{
		"Algorithms":    {func(i *jwtvalidate.Issuer) { i.Algorithms = []string{"RS256"} }, jwtvalidate.ErrAlgorithm},
		"Audiences":     {func(i *jwtvalidate.Issuer) { i.Audiences = []string{"other"} }, jwtvalidate.ErrAudience},
		"AllAudiences":  {func(i *jwtvalidate.Issuer) { i.AllAudiences = true }, nil},
		"AudienceClaim": {func(i *jwtvalidate.Issuer) { i.AudienceClaim = "client_id" }, jwtvalidate.ErrAudience},
		"Types":         {func(i *jwtvalidate.Issuer) { i.Profile.Types = []string{"at+jwt"} }, jwtvalidate.ErrType},
		"Claims": {func(i *jwtvalidate.Issuer) {
			i.Profile = jwtvalidate.Profile{Types: []string{"", "JWT", "JOSE", "at+jwt"}, Claims: map[string]string{"token_use": "access"}}
		}, jwtvalidate.ErrType},
		"Required":    {func(i *jwtvalidate.Issuer) { i.Required = []string{"sid"} }, jwtvalidate.ErrMissingClaim},
		"MaxLifetime": {func(i *jwtvalidate.Issuer) { i.MaxLifetime = time.Minute }, jwtvalidate.ErrMissingClaim},
		"Encrypted":   {func(i *jwtvalidate.Issuer) { i.Encrypted = true }, jwtvalidate.ErrType},
		"Confirm":     {func(i *jwtvalidate.Issuer) { i.Confirm = func(*http.Request, *jwtvalidate.Claims) error { return nil } }, nil},
		"KeyID":       {func(i *jwtvalidate.Issuer) { i.KeyID = "x5t" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			now := clock()
			var last jwtvalidate.Event
			answer := policy(sourceOf(&ecKey().PublicKey))
			v := validator(t, jwtvalidate.Config{
				Now:            func() time.Time { return now },
				DecryptionKeys: []jwtvalidate.DecryptionKey{{Algorithm: "RSA-OAEP", Key: decryptionPEM(t, rsaKey())}},
				IssuerFor:      func(context.Context, string) (*jwtvalidate.Issuer, error) { i := answer; return &i, nil },
				Observe:        func(_ context.Context, e jwtvalidate.Event) { last = e },
			})
			token := good(t)
			for range 2 {
				_, err := v.CheckToken(t.Context(), token)
				require.NoError(t, err)
			}
			require.True(t, last.Cached)
			row.edit(&answer)
			now = now.Add(time.Minute)
			_, err := v.CheckToken(t.Context(), token)
			require.ErrorIs(t, err, row.want)
			require.False(t, last.Cached)
		})
	}
}

// TestTenantName: how long it may be.
func TestTenantName(t *testing.T) {
	i := policy(&entra{map[string]crypto.PublicKey{"": &ecKey().PublicKey}})
	i.URL, i.InsecureAnyTenant = "https://login.example.com/{tenantid}", true
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{i}})
	for n, want := range map[int]error{64: nil, 65: jwtvalidate.ErrUnknownIssuer} {
		tenant := fmt.Sprintf("%0*d", n, 1)
		_, err := v.CheckToken(t.Context(), tenantToken(t, ecKey(), "https://login.example.com/"+tenant, `,"tid":"`+tenant+`"`))
		require.ErrorIs(t, err, want)
	}
}
