package clientcreds_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// ledger gathers all that a process could print, and is read for what must never
// be there.
type ledger struct{ bytes.Buffer }

func (l *ledger) add(values ...any) {
	for _, v := range values {
		fmt.Fprintf(l, "%v\n%+v\n%#v\n%s\n%q\n%d\n%x\n", v, v, v, v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			fmt.Fprintf(l, "%s\n", text)
		}
		if err, ok := v.(error); ok {
			fmt.Fprintf(l, "%s\n", err.Error())
		}
		slog.New(slog.NewTextHandler(l, nil)).Error("x", "v", v)
		slog.New(slog.NewJSONHandler(l, nil)).Error("x", "v", v)
	}
}

func (l *ledger) lacks(t *testing.T, words ...string) {
	t.Helper()
	text := l.String()
	require.NotEmpty(t, text)
	for _, word := range words {
		for _, form := range []string{
			word, base64.StdEncoding.EncodeToString([]byte(word)), base64.RawURLEncoding.EncodeToString([]byte(word)),
			hex.EncodeToString([]byte(word)), strings.ToUpper(hex.EncodeToString([]byte(word))), url.QueryEscape(word),
			strings.Trim(fmt.Sprint([]byte(word)), "[]"),
		} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%q in ...%q", form, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
}

// TestNothingShowsASecret: the secret, the key, the token, the assertion, the
// query of the token URL and what a hostile server repeats, in whatever is printed
// of this package.
func TestNothingShowsASecret(t *testing.T) {
	const token = "the-access-token-of-the-test"
	const query = "the-query-of-the-test"
	seed := []byte("the-seed-of-the-key-of-the-test!")
	params := "the-parameter-of-the-test"

	type outcome func(n int, r *http.Request) (*http.Response, error)
	echo := func(status int, kind, format string) outcome {
		return func(_ int, r *http.Request) (*http.Response, error) {
			return answer(r, status, kind, strings.ReplaceAll(format, "SECRET", secret)), nil
		}
	}
	for name, raw := range map[string]outcome{
		"good":      echo(200, "application/json", `{"access_token":"`+token+`","expires_in":60,"scope":"read"}`),
		"once":      echo(200, "application/json", `{"access_token":"`+token+`","expires_in":0}`),
		"refused":   echo(401, "application/json", `{"error":"invalid_client","error_description":"bad secret SECRET"}`),
		"a code":    echo(400, "application/json", `{"error":"SECRET"}`),
		"HTML":      echo(403, "text/html", `<p>client_secret=SECRET`),
		"type":      echo(200, "application/json", `{"access_token":"`+token+`","token_type":"SECRET"}`),
		"bad token": echo(200, "application/json", `{"access_token":"`+token+` x"}`),
		"bad JSON":  echo(200, "application/json", `{"access_token":"`+token+`","SECRET`),
		"redirect": func(_ int, r *http.Request) (*http.Response, error) {
			res := answer(r, 307, "", "")
			res.Header.Set("Location", "https://x/"+secret)
			return res, nil
		},
		"URL in error": func(_ int, r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: errors.New(secret)}
		},
		"panic": func(int, *http.Request) (*http.Response, error) { panic(secret + token) },
	} {
		for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "client_assertion"} {
			t.Run(name+" "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var l ledger
					p := &idp{raw: raw}
					cfg := config(p)
					cfg.TokenURL += "?key=" + query
					cfg.Params = url.Values{"p": {params}}
					cfg.AuthMethod = method
					cfg.Logger = slog.New(slog.NewJSONHandler(&l, nil))
					cfg.Observe = func(_ context.Context, e clientcreds.Event) { l.add(e, &e) }
					cfg.Store, cfg.StoreKey = &memory{}, func() ([]byte, error) { return seed, nil }
					switch method {
					case "client_secret_jwt":
						cfg.Issuer = issuer
					case "private_key_jwt":
						cfg.Issuer, cfg.Secret, cfg.Key = issuer, nil, ed25519.NewKeyFromSeed(seed)
					case "client_assertion":
						cfg.Secret = nil
						cfg.Assertion = func(context.Context) (string, error) { return secret, nil }
					}
					s := newSource(t, cfg)
					rt := s.Transport(&rejectAll{})
					l.add(cfg, &cfg, s, reflect.ValueOf(s).Elem().Interface(), rt, s.Client(), s.TokenSource())
					for range 3 {
						_, err := s.Token(t.Context())
						l.add(err)
						for ; err != nil; err = errors.Unwrap(err) {
							var failed *clientcreds.TokenError
							if errors.As(err, &failed) {
								l.add(*failed)
							}
						}
						r, err := http.NewRequest("GET", apiURL, nil)
						require.NoError(t, err)
						res, err := rt.RoundTrip(r)
						l.add(err)
						if err == nil {
							require.NoError(t, res.Body.Close())
						}
						l.add(s, s.Status(), rt)
						time.Sleep(20 * time.Second)
					}
					bad := cfg
					bad.AuthMethod, bad.TokenURL, bad.ClientID = "x", "http://x/?"+query, ""
					_, err := clientcreds.New(bad)
					require.Error(t, err)
					l.add(err)
					assertions := []string{token, query, params, string(seed)}
					if method != "private_key_jwt" { // which knows no secret that the server could repeat
						assertions = append(assertions, secret)
					}
					for _, seen := range p.seen {
						if jwt := seen.form.Get("client_assertion"); jwt != "" {
							assertions = append(assertions, jwt)
						}
						if seen.authorization != "" {
							assertions = append(assertions, seen.authorization)
						}
					}
					l.lacks(t, assertions...)
				})
			})
		}
	}
}
