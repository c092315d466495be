package jwtvalidate_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// WithClaims: "Handler and Require take them from a request without a token".
func TestRequireGoesByTheTokenToo(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	batch, err := jwtvalidate.NewClaims(map[string]any{"iss": "https://keys.example.com/", "sub": "batch"})
	require.NoError(t, err)
	for name, protect := range map[string]func(http.Handler) http.Handler{"Handler": v.Handler, "Require": v.Require(anybody)} {
		for _, row := range []struct {
			name  string
			lines []string
			want  int
			sub   string
		}{
			{"no token", nil, 200, "batch"},
			{"another scheme", []string{"Basic eDp5"}, 200, "batch"},
			{"a good token", []string{"Bearer " + good(t)}, 200, "c4n4ry-sub"},
			{"a forged token", []string{"Bearer " + mint(t, jose.ES256, evilEC(), goodHeader, goodPayload)}, 401, ""},
			{"an expired token", []string{"Bearer " + expired(t)}, 401, ""},
			{"two tokens", []string{"Bearer " + good(t), "Bearer " + good(t)}, 400, ""},
		} {
			t.Run(name+", "+row.name, func(t *testing.T) {
				r, sub, onward := request(row.lines...), "", ""
				a := record(protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					c, _ := jwtvalidate.FromContext(r.Context())
					sub, onward = c.Subject(), r.Header.Get("Authorization")
				})), r.WithContext(v.WithClaims(r.Context(), batch)))
				require.Equal(t, row.want, a.status, "the handler behind sees %q as claims of %s", onward, sub)
				require.Equal(t, row.sub, sub)
			})
		}
	}
}

// Onward "forward": "nothing that a client without a token sends stands there".
func TestForwardShowsNoTokenThatNobodyChecked(t *testing.T) {
	batch, err := jwtvalidate.NewClaims(map[string]any{"iss": "https://keys.example.com/", "sub": "batch"})
	require.NoError(t, err)
	for name, list := range map[string][]jwtvalidate.TokenSource{"cookie": places(inCookie), "another header": places(inScheme)} {
		v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: list, Onward: "forward", Optional: true})
		for way, protect := range map[string]func(http.Handler) http.Handler{"Handler": v.Handler, "Require": v.Require(anybody)} {
			for _, vouched := range []bool{true, false} {
				for _, line := range []string{"Bearer forged.forged.forged", "Basic eDp5", "JWT forged.forged.forged", "forged.forged.forged"} {
					r := request(line)
					if vouched {
						r = r.WithContext(v.WithClaims(r.Context(), batch))
					}
					record(protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						if seen := r.Header["Authorization"]; len(seen) > 0 {
							t.Errorf("%s, %s, vouched %v: behind stands %q", name, way, vouched, seen)
						}
					})), r)
				}
			}
		}
	}
}

// Check decides as Handler does: a stranger's Client-Cert is nobody's certificate.
func TestCheckSeesNoStrangersCertificate(t *testing.T) {
	p := policy(sourceOf(allKeys()...))
	p.Confirm = func(r *http.Request, _ *jwtvalidate.Claims) error {
		if r.Header.Get("Client-Cert") != ":YW5u:" {
			return errors.New("not ann's certificate")
		}
		return nil
	}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for address, want := range map[string]error{"10.1.2.3:4": nil, "203.0.113.9:4": jwtvalidate.ErrConfirmation} {
		r := request("Bearer " + es256(t, goodHeader, payload(`"cnf":{"x5t#S256":"x"}`)))
		r.Header.Set("Client-Cert", ":YW5u:")
		r.RemoteAddr = address
		require.Equal(t, want == nil, record(v.Handler(okay), r).status == http.StatusOK, "Handler, %s", address)
		_, err := v.Check(r)
		require.ErrorIs(t, err, want, "Check, %s", address)
		require.Equal(t, ":YW5u:", r.Header.Get("Client-Cert"), "the caller's request stays")
	}
}

// HeaderFirst: "The tokens there are kept from the handlers behind all the same."
func TestNoTokenInALargeForm(t *testing.T) {
	batch, err := jwtvalidate.NewClaims(map[string]any{"iss": "https://keys.example.com/", "sub": "batch"})
	require.NoError(t, err)
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inBearer, inForm), HeaderFirst: true})
	for _, size := range []int{1, 1 << 20} {
		for name, protect := range map[string]func(http.Handler) http.Handler{"Handler": v.Handler, "Require": v.Require(anybody)} {
			for _, vouched := range []bool{false, true} {
				r := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader("access_token=forged&a="+strings.Repeat("b", size)))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if vouched {
					r = r.WithContext(v.WithClaims(r.Context(), batch))
				} else {
					r.Header.Set("Authorization", "Bearer "+good(t))
				}
				record(protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if got := r.FormValue("access_token"); got != "" {
						t.Errorf("%s, vouched %v, %d bytes: the handler sees access_token=%s", name, vouched, size, got)
					}
				})), r)
			}
		}
	}
}

// What one request makes us allocate is in proportion to it (CVE-2025-58186 was net/http's).
func TestCookiesAreCheap(t *testing.T) {
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inCookie),
		Forward: []jwtvalidate.ForwardClaim{{Claim: []string{"sub"}, Header: "X-User"}},
	})
	for _, row := range [][3]string{{"Cookie", ";", "session"}, {"Cookie", "a;", "session"}, {"Cookie", "session;", ""}, {"Connection", "a,", "X-User"}} {
		r := request()
		r.Header[row[0]] = []string{strings.Repeat(row[1], 1<<20/len(row[1])) + row[2]}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		record(v.Handler(okay), r)
		runtime.ReadMemStats(&after)
		require.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(16), "MiB for 1 MiB of %q in %s", row[1], row[0])
	}
}

// Decode: "ROLE never fills role", also where an embedded field of the same name is hidden.
func TestDecodeHiddenField(t *testing.T) {
	type Base struct {
		Access map[string]any `json:"realm_access"`
	}
	type Access struct {
		Roles []string `json:"roles"`
	}
	type before struct {
		Base
		Access Access `json:"realm_access"`
	}
	type behind struct {
		Access Access `json:"realm_access"`
		Base
	}
	c, err := jwtvalidate.NewClaims(map[string]any{"realm_access": map[string]any{"ROLES": []string{"admin"}}})
	require.NoError(t, err)
	a, err := jwtvalidate.Decode[before](c)
	require.NoError(t, err)
	require.Empty(t, a.Access.Roles)
	b, err := jwtvalidate.Decode[behind](c)
	require.NoError(t, err)
	require.Empty(t, b.Access.Roles)
}

// A copy of the body from before the token was taken out is no body any more.
func TestFormHasNoSecondBody(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inForm)})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", strings.NewReader("a=1&access_token="+good(t)))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.NotNil(t, r.GetBody)
	var seen *http.Request
	record(v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })), r)
	require.NotNil(t, seen)
	require.Nil(t, seen.GetBody)
}

// "Not turns a plain no into yes and leaves cannot say as it is", also of a rule that asks Allow.
func TestNotOverAllow(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	asks := func(rule jwtvalidate.Rule) jwtvalidate.Rule {
		return jwtvalidate.RequestRule(func(r *http.Request, c *jwtvalidate.Claims) error { return v.Allow(r.Context(), c, rule) })
	}
	for _, rule := range []jwtvalidate.Rule{jwtvalidate.Claim("banned").Equals(true), jwtvalidate.AllScopes("trial")} {
		for claims, want := range map[string]int{
			`"banned":false,"scope":"a"`:    200, // a plain no
			`"banned":true,"scope":"trial"`: 403,
			`"banned":"true","scope":7`:     403, // cannot say
			`"x":1`:                         403, // cannot say
		} {
			r := "Bearer " + es256(t, goodHeader, payload(claims))
			require.Equal(t, want, record(v.Require(jwtvalidate.Not(rule))(okay), request(r)).status, "Not, %s", claims)
			require.Equal(t, want, record(v.Require(jwtvalidate.Not(asks(rule)))(okay), request(r)).status, "Not over Allow, %s", claims)
		}
	}
}

// For two mutants of clean that live.
func TestClientCertSpellings(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, row := range map[string]struct {
		proxies []netip.Prefix
		want    []string // what of the two stays
	}{
		"no proxies: never looked at, and stays":         {nil, []string{"Client-Cert", "Client_cert"}},
		"from a proxy, under no other name than its own": {proxies, []string{"Client-Cert"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := forwarding(forwardUser)
			cfg.TrustedProxies = row.proxies
			r := request("Bearer " + good(t))
			r.RemoteAddr = "10.1.2.3:4"
			r.Header["Client-Cert"], r.Header["Client_cert"] = []string{":YQ==:"}, []string{":Yg==:"}
			var stays []string
			record(validator(t, cfg).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				for _, spelling := range []string{"Client-Cert", "Client_cert"} {
					if len(r.Header[spelling]) > 0 {
						stays = append(stays, spelling)
					}
				}
			})), r)
			require.Equal(t, row.want, stays)
		})
	}
}

// And for one of admit: who vouched is admitted once.
func TestVouchedIsAdmittedOnce(t *testing.T) {
	asked := 0
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Forward: []jwtvalidate.ForwardClaim{forwardUser},
		OnwardToken: func(context.Context, *jwtvalidate.Claims) (string, error) { asked++; return "onward", nil },
	})
	sub := jwtvalidate.Claim("sub").Exists()
	h := forwardVouch(t, v, v.Handler(v.Require(sub)(v.Require(sub)(okay))))
	require.Equal(t, http.StatusOK, record(h, request()).status)
	require.Equal(t, 1, asked)
}
