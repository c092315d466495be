package jwtvalidate_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// whoami answers with the subject of the claims, or that there are none.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, ok := jwtvalidate.FromContext(r.Context())
	if !ok {
		fmt.Fprintf(w, "nobody %v", c == nil)
		return
	}
	fmt.Fprintf(w, "user %s of %s", c.Subject(), c.Issuer())
})

func TestOptional(t *testing.T) {
	good := es256(t, goodHeader, payload(`"sub":"ann"`))
	expired := es256(t, goodHeader, expiring("1"))
	up, down := sourceOf(allKeys()...), failing(errDown)
	for _, row := range []struct {
		name          string
		authorization []string
		keys          *source
		status        int
		say           string // the body, or the challenge
	}{
		{"no credential", nil, up, 200, "nobody true"},
		{"no credential, keys away", nil, down, 200, "nobody true"},
		{"another scheme", []string{"Basic eDp5"}, up, 200, "nobody true"},
		{"empty line", []string{""}, up, 200, "nobody true"},
		{"good", []string{"Bearer " + good}, up, 200, "user ann of https://idp.example.com/"},
		{"expired", []string{"Bearer " + expired}, up, 401, challengeToken},
		{"garbage", []string{"Bearer x"}, up, 401, challengeToken},
		{"scheme alone", []string{"Bearer"}, up, 400, challengeRequest},
		{"twice", []string{"Bearer " + good, "Bearer " + good}, up, 400, challengeRequest},
		{"Basic, then Bearer", []string{"Basic eDp5, Bearer " + good}, up, 400, challengeRequest},
		{"good, keys away", []string{"Bearer " + good}, down, 503, ""},
		{"bound to a sender", []string{"Bearer " + bound(t, `{"jkt":"x"}`)}, up, 401, challengeToken},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(row.keys)}, Optional: true})
			got := record(v.Handler(whoami), request(row.authorization...))
			if row.status == http.StatusOK {
				require.Equal(t, row.status, got.status)
				require.Equal(t, row.say, got.body)
				require.Empty(t, got.header.Values("WWW-Authenticate"))
			} else {
				requireRefused(t, got, row.status, row.say)
			}

			claims, err := v.Check(request(row.authorization...))
			require.Equal(t, err == nil, claims != nil, "one of the two, always")
			if row.say == "nobody true" {
				require.ErrorIs(t, err, jwtvalidate.ErrNoToken)
			}
		})
	}
}

func TestFromContext(t *testing.T) {
	c, ok := jwtvalidate.FromContext(context.Background())
	require.Nil(t, c)
	require.False(t, ok)

	type key struct{}
	v := trust(t, nil)
	r := request("Bearer " + good(t))
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, "kept"))
	contexts := make(chan context.Context, 1)
	v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		contexts <- in.Context()
	})).ServeHTTP(nil, r.WithContext(ctx))
	seen := <-contexts

	for name, ctx := range map[string]context.Context{
		"itself": seen, "without cancel": context.WithoutCancel(seen), "with a value": context.WithValue(seen, key{}, "other"),
	} {
		c, ok = jwtvalidate.FromContext(ctx)
		require.True(t, ok, name)
		require.Equal(t, "c4n4ry-sub", c.Subject())
	}
	require.Equal(t, "kept", seen.Value(key{}))
	require.NoError(t, seen.Err())
	cancel()
	require.ErrorIs(t, seen.Err(), context.Canceled)
	_, ok = jwtvalidate.FromContext(r.Context())
	require.False(t, ok, "the caller's request is untouched")
}

// The caller's headers and URL stay as they are.
func TestRequestIsNotChanged(t *testing.T) {
	v := trust(t, nil)
	r := request("Bearer " + good(t))
	r.Header.Set("X-Other", "y")
	before := r.Header.Clone()
	var inner *http.Request
	v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) { inner = in })).ServeHTTP(nil, r)
	require.Equal(t, before, r.Header)
	require.Equal(t, before, inner.Header)
	require.Equal(t, r.URL, inner.URL)
	require.Equal(t, r.Body, inner.Body)

	mux := http.NewServeMux() // what the router found is still there
	mux.Handle("GET /orders/{id}", v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.PathValue("id"), r.Pattern)
	})))
	r = request("Bearer " + good(t))
	r.URL.Path = "/orders/7"
	require.Equal(t, "7GET /orders/{id}", record(mux, r).body)
}

func TestNestedValidators(t *testing.T) {
	a := policy(sourceOf(&ecKey().PublicKey))
	b := policy(sourceOf(&evilEC().PublicKey))
	b.URL = "https://other.example.com/"
	outer := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{a, b}, Realm: "outer"})
	inner := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{a}, Realm: "inner"})
	optional := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{a}, Optional: true})
	strip := func(next http.Handler) http.Handler { // a gateway that keeps the token to itself
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
		})
	}
	tokenA := "Bearer " + es256(t, goodHeader, payload(`"sub":"ann"`))
	tokenB := "Bearer " + mint(t, jose.ES256, evilEC(), goodHeader, `{"iss":"https://other.example.com/","aud":"https://api.example.com","exp":1800003600,"sub":"bob"}`)

	for _, row := range []struct {
		name, authorization string
		handler             http.Handler
		status              int
		say                 string
	}{
		{"both accept", tokenA, outer.Handler(inner.Handler(whoami)), 200, "user ann of https://idp.example.com/"},
		{"the inner one refuses", tokenB, outer.Handler(inner.Handler(whoami)), 401, `Bearer realm="inner", error="invalid_token"`},
		{"the outer one refuses", tokenB, inner.Handler(outer.Handler(whoami)), 401, `Bearer realm="inner", error="invalid_token"`},
		{"the inner one sees no token", tokenA, outer.Handler(strip(inner.Handler(whoami))), 401, `Bearer realm="inner"`},
		{"the inner one is optional", tokenA, outer.Handler(optional.Handler(whoami)), 200, "user ann of https://idp.example.com/"},
		{"the inner one is optional and refuses", tokenB, outer.Handler(optional.Handler(whoami)), 401, challengeToken},
		{"the inner one is optional and sees no token: no claims of the outer one", tokenB, outer.Handler(strip(optional.Handler(whoami))), 200, "nobody true"},
		{"only the outer one", tokenB, outer.Handler(strip(whoami)), 200, "user bob of https://other.example.com/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := record(row.handler, request(row.authorization))
			require.Equal(t, row.status, got.status)
			if row.status == http.StatusOK {
				require.Equal(t, row.say, got.body)
			} else {
				requireRefused(t, got, row.status, row.say)
			}
		})
	}
}

// The writer that net/http made is the one that next gets.
func TestWriterIsUnchanged(t *testing.T) {
	v := trust(t, nil)
	w := httptest.NewRecorder()
	v.Handler(http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
		if got != http.ResponseWriter(w) {
			t.Error("another writer")
		}
	})).ServeHTTP(w, request("Bearer "+good(t)))
	require.Empty(t, w.Header(), "nothing is set for requests that pass")

	server := httptest.NewServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/flush":
			fmt.Fprint(w, "first")
			w.(http.Flusher).Flush()
			<-r.Context().Done() // only what was flushed arrives
		case "/readfrom":
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("copied"))
		case "/upgrade":
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			_, _ = io.WriteString(conn, "echo "+line)
		}
	})))
	defer server.Close()

	get := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+good(t))
		res, err := server.Client().Do(r)
		require.NoError(t, err)
		return res
	}
	res := get("/flush")
	first := make([]byte, 5)
	_, err := io.ReadFull(res.Body, first)
	require.NoError(t, err)
	require.Equal(t, "first", string(first))
	require.NoError(t, res.Body.Close())

	res = get("/readfrom")
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "copied", string(body))
	require.NoError(t, res.Body.Close())

	conn, err := net.DialTimeout("tcp", server.Listener.Addr().String(), 10*time.Second)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nAuthorization: Bearer "+good(t)+"\r\n\r\n")
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	res, err = http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "echo hello\n", line)
}

func TestOnError(t *testing.T) {
	var seen []string
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(failing(errDown))}, Realm: "orders",
		OnError: func(w http.ResponseWriter, r *http.Request, err error) {
			seen = append(seen, fmt.Sprintf("%s %v%s", r.URL.Path, w.Header(), jwtvalidate.ReasonOf(err)))
			w.Header().Set("Content-Type", "application/problem+json")
			jwtvalidate.WriteError(w, r, err)
			fmt.Fprint(w, "{}")
		},
	})
	for _, row := range []struct {
		authorization, challenge, after string
		status                          int
		saw                             string
	}{
		{"", `Bearer realm="orders"`, "", 401, `/orders map[Cache-Control:[no-store] Www-Authenticate:[Bearer realm="orders"]]no_token`},
		{"Bearer", `Bearer realm="orders", error="invalid_request"`, "", 400, `/orders map[Cache-Control:[no-store] Www-Authenticate:[Bearer realm="orders", error="invalid_request"]]invalid_request`},
		{"Bearer x", `Bearer realm="orders", error="invalid_token"`, "", 401, `/orders map[Cache-Control:[no-store] Www-Authenticate:[Bearer realm="orders", error="invalid_token"]]malformed`},
		{"Bearer " + good(t), "", "5", 503, `/orders map[Cache-Control:[no-store] Retry-After:[5]]unavailable`},
	} {
		seen = nil
		got := record(v.Handler(whoami), request(row.authorization))
		require.Equal(t, row.status, got.status)
		require.Equal(t, "{}", got.body)
		require.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
		require.Equal(t, row.after, got.header.Get("Retry-After"))
		require.Equal(t, row.challenge, strings.Join(got.header.Values("WWW-Authenticate"), "|"), "once")
		require.Equal(t, []string{row.saw}, seen)
	}

	t.Run("it may answer as it likes", func(t *testing.T) {
		v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, OnError: func(w http.ResponseWriter, r *http.Request, _ error) {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}})
		require.Equal(t, http.StatusSeeOther, record(v.Handler(whoami), request()).status)
	})

	for name, row := range map[string]struct {
		answer func(w http.ResponseWriter)
		status int
		body   string
	}{
		"it writes nothing":            {func(http.ResponseWriter) {}, 401, ""},
		"it writes a body only":        {func(w http.ResponseWriter) { fmt.Fprint(w, "no") }, 401, "no"},
		"it flushes":                   {func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }, 401, ""},
		"it flushes as a Flusher":      {func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, 401, ""},
		"it says 200, and means it":    {func(w http.ResponseWriter) { w.WriteHeader(200); fmt.Fprint(w, "yes") }, 200, "yes"},
		"it informs, and says no more": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, OnError: func(w http.ResponseWriter, _ *http.Request, _ error) {
				row.answer(w)
			}})
			server := httptest.NewServer(v.Handler(whoami))
			defer server.Close()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			require.NoError(t, err)
			res, err := server.Client().Do(r)
			require.NoError(t, err)
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, row.status, res.StatusCode)
			require.Equal(t, row.body, string(body))
		})
	}
}

func TestWriteError(t *testing.T) {
	for _, row := range []struct {
		name   string
		header http.Header // set before
		err    error
		status int
		want   http.Header
	}{
		{"no token", nil, jwtvalidate.ErrNoToken, 401, http.Header{"Cache-Control": {"no-store"}, "Www-Authenticate": {challengeNone}}},
		{"unavailable", nil, jwtvalidate.ErrUnavailable, 503, http.Header{"Cache-Control": {"no-store"}, "Retry-After": {"5"}}},
		{"unavailable, with a hint", nil, errors.Join(jwtvalidate.ErrUnavailable, slow(9*time.Second)), 503, http.Header{"Cache-Control": {"no-store"}, "Retry-After": {"9"}}},
		{"a challenge is there", http.Header{"Www-Authenticate": {`bearer realm="x"`}}, jwtvalidate.ErrExpired, 401, http.Header{"Www-Authenticate": {`bearer realm="x"`}}},
		{"a bare challenge is there", http.Header{"Www-Authenticate": {`Bearer`}}, jwtvalidate.ErrExpired, 401, http.Header{"Www-Authenticate": {`Bearer`}}},
		{"another scheme's challenge is there", http.Header{"Www-Authenticate": {`Basic realm="Bearer x"`}}, jwtvalidate.ErrExpired, 401, http.Header{"Cache-Control": {"no-store"}, "Www-Authenticate": {`Basic realm="Bearer x"`, challengeToken}}},
		{"a scheme that starts alike", http.Header{"Www-Authenticate": {`BearerX realm="x"`}}, jwtvalidate.ErrExpired, 401, http.Header{"Cache-Control": {"no-store"}, "Www-Authenticate": {`BearerX realm="x"`, challengeToken}}},
		{"Retry-After is there", http.Header{"Retry-After": {"7"}}, jwtvalidate.ErrUnavailable, 503, http.Header{"Retry-After": {"7"}}},
		{"Retry-After of a rate limiter", http.Header{"Retry-After": {"7"}}, jwtvalidate.ErrExpired, 401, http.Header{"Cache-Control": {"no-store"}, "Retry-After": {"7"}, "Www-Authenticate": {challengeToken}}},
		{"unavailable behind a challenge", http.Header{"Www-Authenticate": {`Bearer realm="x"`}}, jwtvalidate.ErrUnavailable, 503, http.Header{"Cache-Control": {"no-store"}, "Retry-After": {"5"}, "Www-Authenticate": {`Bearer realm="x"`}}},
		{"another's error", nil, errDown, 401, http.Header{"Cache-Control": {"no-store"}, "Www-Authenticate": {challengeToken}}},
		{"nil", nil, nil, 200, http.Header{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			for name, values := range row.header {
				w.Header()[name] = values
			}
			jwtvalidate.WriteError(w, request(), row.err)
			require.Equal(t, row.status, w.Code)
			require.Equal(t, row.want, w.Header())
			require.Empty(t, w.Body.String())
		})
	}
}

func TestObserve(t *testing.T) {
	type key struct{}
	errStore := fmt.Errorf("store: %w", jwtvalidate.ErrUnavailable)
	up := policy(sourceOf(allKeys()...))
	up.Confirm = func(*http.Request, *jwtvalidate.Claims) error { return errStore }
	down := policy(failing(errDown))
	down.URL = "https://down.example.com/"
	for _, row := range []struct {
		name          string
		authorization []string
		optional      bool
		kind          string
		reason        jwtvalidate.Reason
		issuer        string
		verified      bool
	}{
		{"accepted", []string{"Bearer " + good(t)}, false, "accepted", "", issuerURL, true},
		{"no token", nil, false, "refused", "no_token", "", false},
		{"no token, which is allowed", nil, true, "anonymous", "no_token", "", false},
		{"malformed request", []string{"Bearer"}, true, "refused", "invalid_request", "", false},
		{"malformed", []string{"Bearer x"}, true, "refused", "malformed", "", false},
		{"algorithm", []string{"Bearer " + raw(`{"alg":"HS256"}`, goodPayload, []byte("x"))}, false, "refused", "algorithm", "", false},
		{"unknown issuer: its name is not told", []string{"Bearer " + es256(t, goodHeader, `{"iss":"c4n4ry"}`)}, false, "refused", "unknown_issuer", "", false},
		{"type", []string{"Bearer " + es256(t, `{"alg":"ES256","typ":"c4n4ry"}`, goodPayload)}, false, "refused", "type", issuerURL, false},
		{"signature", []string{"Bearer " + raw(goodHeader, goodPayload, []byte("x"))}, false, "refused", "signature", issuerURL, false},
		{"expired", []string{"Bearer " + es256(t, goodHeader, expiring("1"))}, false, "refused", "expired", issuerURL, false},
		{"audience", []string{"Bearer " + es256(t, goodHeader, meantFor(`"c4n4ry"`))}, false, "refused", "audience", issuerURL, true},
		{"keys away", []string{"Bearer " + es256(t, goodHeader, `{"iss":"https://down.example.com/"}`)}, true, "unavailable", "unavailable", "https://down.example.com/", false},
		{"confirmation away", []string{"Bearer " + bound(t, `{}`)}, true, "unavailable", "unavailable", issuerURL, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			var events []jwtvalidate.Event
			v := validator(t, jwtvalidate.Config{
				Issuers: []jwtvalidate.Issuer{up, down}, Optional: row.optional,
				Observe: func(ctx context.Context, e jwtvalidate.Event) {
					if ctx.Value(key{}) == "kept" {
						events = append(events, e)
					}
				},
			})
			r := request(row.authorization...)
			claims, err := v.Check(r.WithContext(context.WithValue(r.Context(), key{}, "kept")))
			require.Equal(t, row.kind == "accepted", claims != nil)
			require.Len(t, events, 1)
			e := events[0]
			require.GreaterOrEqual(t, e.Duration, time.Duration(0))
			require.Less(t, e.Duration, time.Minute)
			require.Equal(t, row.verified, e.Claims != nil, "claims are told of once the signature is good")
			e.Duration, e.Claims = 0, nil
			require.Equal(t, jwtvalidate.Event{Kind: row.kind, Reason: row.reason, Issuer: row.issuer, Err: err}, e)
			require.NotContains(t, fmt.Sprintf("%+v", e), canary)
		})
	}
}

// An observer that panics decides nothing.
func TestObserverPanics(t *testing.T) {
	with := func(observe func(context.Context, jwtvalidate.Event), optional bool) *jwtvalidate.Validator {
		return validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Observe: observe, Optional: optional})
	}
	for _, authorization := range []string{"", "Bearer", "Bearer x", "Bearer " + good(t)} {
		for _, optional := range []bool{false, true} {
			want := record(with(nil, optional).Handler(whoami), request(authorization))
			got := record(with(func(context.Context, jwtvalidate.Event) { panic("counter") }, optional).Handler(whoami), request(authorization))
			require.Equal(t, want, got)
			_, wantErr := with(nil, optional).Check(request(authorization))
			_, gotErr := with(func(context.Context, jwtvalidate.Event) { panic(http.ErrAbortHandler) }, optional).Check(request(authorization))
			require.Equal(t, wantErr, gotErr)
		}
	}
}

func TestLog(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	down := policy(failing(errDown))
	down.URL = "https://down.example.com/"
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...)), down}, Logger: logger})
	for _, row := range []struct{ authorization, want string }{
		{"Bearer " + good(t), ""},
		{"", `level=DEBUG msg="request refused" reason=no_token issuer=""`},
		{"Bearer x", `level=DEBUG msg="request refused" reason=malformed issuer=""`},
		{"Bearer " + es256(t, goodHeader, `{"iss":"c4n4ry"}`), `level=DEBUG msg="request refused" reason=unknown_issuer issuer=""`},
		{"Bearer " + raw(goodHeader, goodPayload, []byte("x")), `level=DEBUG msg="request refused" reason=signature issuer=https://idp.example.com/`},
		{"Bearer " + es256(t, goodHeader, `{"iss":"https://down.example.com/","sub":"c4n4ry"}`), `level=WARN msg="tokens cannot be checked" reason=unavailable issuer=https://down.example.com/ error="jwtvalidate: cannot tell: key server is down"`},
	} {
		log.Reset()
		_, _ = v.Check(request(row.authorization))
		require.Equal(t, row.want, strings.TrimSpace(log.String()))
	}
}

// An outage under load is told once a second, not once a request.
func TestWarningsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(failing(errDown))}, Logger: log.logger()})
		token := good(t)
		burst := func() int {
			before := strings.Count(log.String(), "level=WARN")
			var wait sync.WaitGroup
			for range 50 {
				wait.Go(func() { _, _ = v.CheckToken(t.Context(), token) })
			}
			wait.Wait()
			return strings.Count(log.String(), "level=WARN") - before
		}
		require.Equal(t, 1, burst())
		require.Equal(t, 0, burst())
		time.Sleep(time.Second - 1)
		require.Equal(t, 0, burst())
		time.Sleep(1)
		require.Equal(t, 1, burst())
		time.Sleep(time.Hour)
		require.Equal(t, 1, burst(), "silence is not saved up")
	})
}

// Who floods a service does not flood its log: each reason has ten lines a second,
// and the next one says how many were left out.
func TestRefusalsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, Logger: log.logger()})
		for range 50 {
			_, _ = v.CheckToken(t.Context(), "x")
			_, _ = v.CheckToken(t.Context(), "")
		}
		require.Equal(t, 10, strings.Count(log.String(), "reason=malformed"))
		require.Equal(t, 10, strings.Count(log.String(), "reason=no_token"))
		require.NotContains(t, log.String(), "repeated")
		time.Sleep(time.Second)
		for range 2 {
			_, _ = v.CheckToken(t.Context(), "x")
		}
		require.Equal(t, 12, strings.Count(log.String(), "reason=malformed"))
		require.Equal(t, 1, strings.Count(log.String(), "repeated=40"))
		require.Equal(t, 1, strings.Count(log.String(), "repeated="))
	})
}

// One validator, many tokens at once: each request gets the claims of its own token.
func TestConcurrentTokens(t *testing.T) {
	a, b := policy(sourceOf(allKeys()...)), policy(mustSecret(t, secret))
	b.URL, b.Algorithms = "https://other.example.com/", []string{"HS256"}
	var accepted, refused atomic.Int64
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{a, b}, Observe: func(_ context.Context, e jwtvalidate.Event) {
		if e.Kind == "accepted" {
			accepted.Add(1)
		} else {
			refused.Add(1)
		}
	}})
	h := v.Handler(whoami)
	const each = 25
	var wait sync.WaitGroup
	errs := make(chan string, 1000)
	for worker := range 8 {
		tokens, want := make([]string, each), make([]string, each)
		for i := range each {
			name := strings.Repeat("x", i*40) + fmt.Sprint(worker, "-", i)
			claims := fmt.Sprintf(`{"iss":%%q,"aud":"https://api.example.com","exp":1800003600,"sub":%q}`, name)
			switch i % 3 {
			case 0:
				tokens[i] = es256(t, goodHeader, fmt.Sprintf(claims, issuerURL))
				want[i] = "user " + name + " of " + issuerURL
			case 1:
				tokens[i] = mint(t, jose.HS256, secret, `{"alg":"HS256"}`, fmt.Sprintf(claims, b.URL))
				want[i] = "user " + name + " of " + b.URL
			case 2:
				tokens[i] = raw(goodHeader, fmt.Sprintf(claims, issuerURL), []byte(name))
			}
		}
		wait.Go(func() {
			for i := range each {
				if got := record(h, request("Bearer "+tokens[i])); got.body != want[i] || (got.status == http.StatusOK) != (want[i] != "") {
					errs <- fmt.Sprint(got, want[i])
				}
			}
		})
	}
	wait.Wait()
	close(errs)
	for e := range errs {
		t.Error(e)
	}
	require.EqualValues(t, 8*17, accepted.Load())
	require.EqualValues(t, 8*8, refused.Load())
}

// A source that panics takes its request down, and no other.
func TestPanickingSource(t *testing.T) {
	var broken atomic.Bool
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(&source{find: func(string, string) ([]crypto.PublicKey, error) {
		if broken.Load() {
			panic("source")
		}
		return allKeys(), nil
	}})}})
	broken.Store(true)
	require.PanicsWithValue(t, "source", func() { _, _ = v.CheckToken(t.Context(), good(t)) })
	broken.Store(false)
	_, err := v.CheckToken(t.Context(), good(t))
	require.NoError(t, err)
}

func TestCheckToken(t *testing.T) {
	v := trust(t, nil)
	for token, want := range map[string]error{
		good(t):                  nil,
		"":                       jwtvalidate.ErrNoToken,
		"Bearer " + good(t):      jwtvalidate.ErrMalformed,
		" " + good(t):            jwtvalidate.ErrMalformed,
		good(t) + "\n":           jwtvalidate.ErrMalformed,
		strings.Repeat("a", 1e6): jwtvalidate.ErrMalformed,
	} {
		claims, err := v.CheckToken(t.Context(), token)
		require.ErrorIs(t, err, want)
		require.Equal(t, err == nil, claims != nil)
	}
}
