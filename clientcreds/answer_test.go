package clientcreds_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// unsigned is a JWT as far as its payload goes.
func unsigned(payload string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

// TestLifetimes: expires_in as servers write it.
func TestLifetimes(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix() // where a bubble's clock begins
	for _, tt := range []struct {
		name   string
		answer string // the members beside token_type
		want   time.Duration
	}{
		{"int", `"access_token":"a","expires_in":3600`, time.Hour},
		{"string", `"access_token":"a","expires_in":"3600"`, time.Hour},
		{"float", `"access_token":"a","expires_in":3600.0`, time.Hour},
		{"fraction", `"access_token":"a","expires_in":3600.5`, time.Hour + 500*time.Millisecond},
		{"exponent", `"access_token":"a","expires_in":3.6e3`, time.Hour},
		{"float in a string", `"access_token":"a","expires_in":" 3600.0 "`, time.Hour},
		{"nine seconds", `"access_token":"a","expires_in":9`, 9 * time.Second},
		{"huge", `"access_token":"a","expires_in":99999999999999999999`, 30 * 24 * time.Hour},
		{"beyond float", `"access_token":"a","expires_in":1e999`, 30 * 24 * time.Hour},
		{"zero", `"access_token":"a","expires_in":0`, 0},
		{"negative", `"access_token":"a","expires_in":-1`, 0},
		{"negative beyond float", `"access_token":"a","expires_in":-1e999`, 0},
		{"missing", `"access_token":"a"`, 5 * time.Minute},
		{"null", `"access_token":"a","expires_in":null`, 5 * time.Minute},
		{"no number", `"access_token":"a","expires_in":"soon"`, 5 * time.Minute},
		{"NaN", `"access_token":"a","expires_in":"NaN"`, 5 * time.Minute},
		{"object", `"access_token":"a","expires_in":{}`, 5 * time.Minute},
		{"long text", `"access_token":"a","expires_in":"` + strings.Repeat("1", 40) + `"`, 5 * time.Minute},
		{"missing, a JWT", fmt.Sprintf(`"access_token":%q`, unsigned(fmt.Sprintf(`{"exp":%d}`, now+600))), 10 * time.Minute},
		{"missing, a JWT for years", fmt.Sprintf(`"access_token":%q`, unsigned(`{"exp":4000000000}`)), 30 * 24 * time.Hour},
		{"missing, a JWT of the past", fmt.Sprintf(`"access_token":%q`, unsigned(`{"exp":1}`)), 0},
		{"missing, a JWT without exp", fmt.Sprintf(`"access_token":%q`, unsigned(`{}`)), 5 * time.Minute},
		{"missing, a JWT with a text for exp", fmt.Sprintf(`"access_token":%q`, unsigned(`{"exp":"x"}`)), 5 * time.Minute},
		{"missing, a JWT with an absurd exp", fmt.Sprintf(`"access_token":%q`, unsigned(`{"exp":1e300}`)), 5 * time.Minute},
		{"missing, no JSON", `"access_token":"a.b.c"`, 5 * time.Minute},
		{"missing, no base64", `"access_token":"a.!.c"`, 5 * time.Minute},
		{"the server's word before the JWT's", fmt.Sprintf(`"access_token":%q,"expires_in":60`, unsigned(fmt.Sprintf(`{"exp":%d}`, now+600))), time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{answers: func(int, *http.Request) (int, string) { return 200, `{"token_type":"Bearer",` + tt.answer + `}` }}
				s := newSource(t, config(p))
				start := time.Now()
				tok, err := s.Token(t.Context())
				require.NoError(t, err)
				if tt.want == 0 {
					require.False(t, tok.Valid())
					require.False(t, s.Status().Usable)
					tokenOf(t, s)
					require.Equal(t, 2, p.requests(), "for one use")
					return
				}
				require.Equal(t, start.Add(tt.want).UnixNano(), tok.Expiry.UnixNano())
				tokenOf(t, s)
				require.Equal(t, 1, p.requests())
				hard := s.Status().Expires.Sub(start)
				require.Equal(t, tt.want-min(10*time.Second, tt.want/10), hard)
				soft := s.Status().NextFetch.Sub(start)
				require.Less(t, soft, hard)
				require.GreaterOrEqual(t, soft, max(tt.want*74/100, hard-5*time.Minute))
				if tt.want < 20*time.Minute {
					require.LessOrEqual(t, soft, tt.want*86/100)
				}
			})
		})
	}
}

func TestRefreshIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			text string
			want time.Duration
		}{{"1800", 30 * time.Minute}, {`"1800"`, 30 * time.Minute}, {"99999", time.Hour - 10*time.Second}} {
			p := &idp{life: "3600,\"refresh_in\":" + tt.text}
			s := newSource(t, config(p))
			tokenOf(t, s)
			require.Equal(t, tt.want, time.Until(s.Status().NextFetch))
		}
	})
}

// TestShortLife: a token of five seconds under steady load. No call fails, and
// there are as many requests as lifetimes, and a few.
func TestShortLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{life: "5", takes: 50 * time.Millisecond}
		s := newSource(t, config(p))
		for range 3000 { // 30 s
			tokenOf(t, s)
			time.Sleep(10 * time.Millisecond)
		}
		require.LessOrEqual(t, p.requests(), 30/4+2)
	})
}

// TestSlowerThanItsToken: what has expired when it comes is not sent.
func TestSlowerThanItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, config(&idp{life: "2", takes: 3 * time.Second}))
		require.Equal(t, clientcreds.ReasonLifetime, failureOf(t, s).Reason)
	})
}

// TestAnswers: what a token endpoint, or something in its place, may say.
func TestAnswers(t *testing.T) {
	const ok clientcreds.Reason = ""
	for _, tt := range []struct {
		name         string
		status       int
		kind, answer string
		reason       clientcreds.Reason
		code         string
		temporary    bool
	}{
		{"JSON", 200, "application/json", `{"access_token":"a","token_type":"Bearer"}`, ok, "", false},
		{"JSON with a charset", 200, "application/json;charset=UTF-8", `{"access_token":"a","token_type":"bearer"}`, ok, "", false},
		{"JSON as text", 200, "text/plain", ` {"access_token":"a","token_type":"BEARER"}`, ok, "", false},
		{"JSON without a type", 200, "", `{"access_token":"a"}`, ok, "", false},
		{"201", 201, "application/json", `{"access_token":"a"}`, ok, "", false},
		{"form", 200, "application/x-www-form-urlencoded", "access_token=a&token_type=bearer&expires_in=60", ok, "", false},
		{"form as text", 200, "text/plain; charset=utf-8", "access_token=a", ok, "", false},
		{"a token with ! as Salesforce has", 200, "application/json", `{"access_token":"00D!AQ4.x_y"}`, ok, "", false},
		{"unknown members", 200, "application/json", `{"access_token":"a","x":[{"y":[1]}]}`, ok, "", false},

		{"200 with an error", 200, "application/json", `{"error":"invalid_scope"}`, clientcreds.ReasonRequest, "invalid_scope", false},
		{"200 with an error and a token", 200, "application/json", `{"error":"x","access_token":"a"}`, clientcreds.ReasonRequest, "x", false},
		{"200 with an error, form", 200, "application/x-www-form-urlencoded", "error=invalid_client", clientcreds.ReasonClient, "invalid_client", false},
		{"200 with an error, null", 200, "application/json", `{"error":null}`, clientcreds.ReasonMalformed, "", true},
		{"an error of null beside a token", 200, "application/json", `{"error":null,"access_token":"a"}`, ok, "", false},
		{"empty 200", 200, "application/json", "", clientcreds.ReasonMalformed, "", true},
		{"HTML 200", 200, "text/html", "<html>log in</html>", clientcreds.ReasonMalformed, "", true},
		{"HTML as text", 200, "text/plain", "<html>log in</html>", clientcreds.ReasonMalformed, "", true},
		{"204", 204, "", "", clientcreds.ReasonMalformed, "", true},
		{"no access_token", 200, "application/json", `{"token_type":"Bearer"}`, clientcreds.ReasonMalformed, "", true},
		{"empty access_token", 200, "application/json", `{"access_token":""}`, clientcreds.ReasonMalformed, "", true},
		{"access_token in another case", 200, "application/json", `{"Access_Token":"a"}`, clientcreds.ReasonMalformed, "", true},
		{"access_token is no text", 200, "application/json", `{"access_token":{"a":1}}`, clientcreds.ReasonMalformed, "", true},
		{"CR LF in the token", 200, "application/json", `{"access_token":"a\r\nX-Admin: 1"}`, clientcreds.ReasonMalformed, "", true},
		{"a space in the token", 200, "application/json", `{"access_token":"a b"}`, clientcreds.ReasonMalformed, "", true},
		{"a letter beyond ASCII", 200, "application/json", `{"access_token":"\u00e4"}`, clientcreds.ReasonMalformed, "", true},
		{"two tokens", 200, "application/json", `{"access_token":"a","access_token":"b"}`, clientcreds.ReasonMalformed, "", true},
		{"two tokens, form", 200, "text/plain", `access_token=a&access_token=b`, clientcreds.ReasonMalformed, "", true},
		{"more behind it", 200, "application/json", `{"access_token":"a"}{}`, clientcreds.ReasonMalformed, "", true},
		{"an array", 200, "application/json", `[{"access_token":"a"}]`, clientcreds.ReasonMalformed, "", true},
		{"mac", 200, "application/json", `{"access_token":"a","token_type":"mac"}`, clientcreds.ReasonTokenType, "", false},
		{"DPoP", 200, "application/json", `{"access_token":"a","token_type":"DPoP"}`, clientcreds.ReasonTokenType, "", false},
		{"a type that is no text", 200, "application/json", `{"access_token":"a","token_type":[]}`, clientcreds.ReasonTokenType, "", false},
		{"1 MiB", 200, "application/json", `{"access_token":"` + strings.Repeat("a", 1<<20) + `"}`, clientcreds.ReasonTooLarge, "", true},
		{"deep", 200, "application/json", `{"access_token":"a","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, clientcreds.ReasonMalformed, "", true},

		{"invalid_client", 401, "application/json", `{"error":"invalid_client"}`, clientcreds.ReasonClient, "invalid_client", false},
		{"not allowed", 403, "application/json", `{"error":"unauthorized_client"}`, clientcreds.ReasonClient, "unauthorized_client", false}, //nolint:misspell // as RFC 6749 spells it
		{"invalid_target", 400, "application/json", `{"error":"invalid_target"}`, clientcreds.ReasonRequest, "invalid_target", false},
		{"a firewall's page", 403, "text/html", "<html>blocked</html>", clientcreds.ReasonStatus, "", true},
		{"a code that is no word", 400, "application/json", `{"error":"no <b>way</b>"}`, clientcreds.ReasonStatus, "", true},
		{"busy", 400, "application/json", `{"error":"temporarily_unavailable"}`, clientcreds.ReasonStatus, "temporarily_unavailable", true},
		{"429", 429, "application/json", `{"error":"too_many_requests"}`, clientcreds.ReasonStatus, "too_many_requests", true},
		{"408", 408, "", "", clientcreds.ReasonStatus, "", true},
		{"500", 500, "text/html", "<html>", clientcreds.ReasonStatus, "", true},
		{"307", 307, "", "", clientcreds.ReasonRedirect, "", false},
		{"304", 304, "", "", clientcreds.ReasonRedirect, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{raw: func(_ int, r *http.Request) (*http.Response, error) {
					return answer(r, tt.status, tt.kind, tt.answer), nil
				}}
				s := newSource(t, config(p))
				tok, err := s.Token(t.Context())
				if tt.reason == ok {
					require.NoError(t, err)
					require.NotEmpty(t, tok.AccessToken)
					return
				}
				var failed *clientcreds.TokenError
				require.ErrorAs(t, err, &failed)
				require.Equal(t, tt.reason, failed.Reason)
				require.Equal(t, tt.code, failed.Code)
				require.Equal(t, tt.status, failed.Status)
				require.Equal(t, tt.temporary, failed.Temporary)
				require.Equal(t, "https://idp.example.com", failed.TokenHost)
				for _, from := range []string{"html", "X-Admin", "blocked", "way"} {
					require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", err, err, err, err), from)
				}
				if !failed.Temporary {
					require.GreaterOrEqual(t, failed.RetryAfter(), 15*time.Second)
				}
			})
		})
	}
}

// TestTokenEndpointRedirect: the secret goes to no other place, not even on 307,
// which repeats a POST.
func TestTokenEndpointRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			reached := false
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
			defer elsewhere.Close()
			server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
			defer server.Close()
			cfg := config(nil)
			cfg.Client, cfg.TokenURL = nil, server.URL
			require.Equal(t, clientcreds.ReasonRedirect, failureOf(t, newSource(t, cfg)).Reason)
			require.False(t, reached)
		})
	}
}

// TestSlowLoris: a body that comes byte by byte ends with the Timeout.
func TestSlowLoris(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}))
	defer server.Close()
	cfg := config(nil)
	cfg.Client, cfg.TokenURL, cfg.Timeout = nil, server.URL, 500*time.Millisecond
	start := time.Now()
	failed := failureOf(t, newSource(t, cfg))
	require.Less(t, time.Since(start), 5*cfg.Timeout)
	require.Equal(t, clientcreds.ReasonTimeout, failed.Reason)
	require.Equal(t, 200, failed.Status)
}

func TestNetworkErrors(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	selfSigned := httptest.NewUnstartedServer(nil)
	selfSigned.Config.ErrorLog = log.New(io.Discard, "", 0)
	selfSigned.StartTLS()
	defer selfSigned.Close()
	for _, tt := range []struct{ name, url, text string }{
		{"nobody listens", closed.URL, "connection refused"},
		{"an unknown authority", selfSigned.URL, "certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(nil)
			cfg.Client, cfg.TokenURL = nil, tt.url+"/token?key="+secret
			failed := failureOf(t, newSource(t, cfg))
			require.Equal(t, clientcreds.ReasonNetwork, failed.Reason)
			require.Contains(t, failed.Error(), tt.text)
			require.NotContains(t, failed.Error(), secret)
			var cause *url.Error
			require.NotErrorAs(t, failed, &cause)
		})
	}
}

func TestDescription(t *testing.T) {
	p := &idp{answers: func(int, *http.Request) (int, string) {
		return 400, `{"error":"invalid_scope","error_description":"no scope \u001b[31mx\n` + strings.Repeat("y", 300) + `"}`
	}}
	failed := failureOf(t, newSource(t, config(p)))
	require.True(t, strings.HasPrefix(failed.Description(), "no scope [31mxyyy"))
	require.LessOrEqual(t, len(failed.Description()), 200)
	require.NotContains(t, fmt.Sprintf("%+v", failed), "no scope")
	require.Equal(t, "clientcreds: token unavailable: request: status 400: invalid_scope (POST https://idp.example.com)", failed.Error())
}
