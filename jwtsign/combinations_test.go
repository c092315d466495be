package jwtsign_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

const claimsOfAnn = `{"access_token":{"sub":"c4n4ry"}}`

// What a reader could take for JSON with claims is signed or refused.
func TestNothingLeavesUnsigned(t *testing.T) {
	for _, row := range []struct {
		name   string
		types  []string
		coding string
		body   string
		status int
	}{
		{"text first, JSON second", []string{"text/plain", "application/json"}, "", claimsOfAnn, 200},
		{"empty first, JSON second", []string{"", "application/json"}, "", claimsOfAnn, 200},
		{"two types in one line", []string{"text/plain, application/json"}, "", claimsOfAnn, 200},
		{"JSON and more in one line", []string{"application/json, text/plain"}, "", claimsOfAnn, 200},
		{"a parameter without semicolon", []string{"application/json charset=utf-8"}, "", claimsOfAnn, 200},
		{"only space", []string{"  "}, "", claimsOfAnn, 200},
		{"only a parameter", []string{"; charset=utf-8"}, "", claimsOfAnn, 200},
		{"no type, gzip", nil, "gzip", zipped(claimsOfAnn), 200},
		{"no type, gzip of space first", nil, "gzip", zipped(" \n" + claimsOfAnn), 200},
		{"no type, a coding that is unknown", nil, "br", zipped(claimsOfAnn), 502},
		{"parts of claims", []string{"multipart/byteranges; boundary=x"}, "206", "--x\r\nContent-Type: application/json\r\nContent-Range: bytes 0-30/31\r\n\r\n" + claimsOfAnn + "\r\n--x--\r\n", 502},
	} {
		for way, start := range ways {
			t.Run(row.name+"/"+way, func(t *testing.T) {
				got := ask(t, start(t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header()["Content-Type"] = row.types
					if row.coding == "206" {
						w.WriteHeader(http.StatusPartialContent)
					} else if row.coding != "" {
						w.Header().Set("Content-Encoding", row.coding)
					}
					for i := range len(row.body) {
						_, _ = io.WriteString(w, row.body[i:i+1])
					}
				})), http.MethodPost)
				require.NotContains(t, got.body, canary)
				require.NotEqual(t, row.body, got.body)
				require.Equal(t, row.status, got.status)
				if row.status == http.StatusOK {
					require.Regexp(t, `^\s*{"access_token":"ey`, got.body)
				}
			})
		}
	}
}

// A client that asks for two ranges gets no claims by it: http.ServeContent looks at
// Range whatever the method is.
func TestRanges(t *testing.T) {
	server := ways["Handler"](t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "claims.json", time.Time{}, strings.NewReader(claimsOfAnn))
	}))
	for _, ranges := range []string{"bytes=0-0,1-", "bytes=0-", "bytes=1-"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Range", ranges)
		res, err := server.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.NotContains(t, string(body), canary, ranges)
		require.Equal(t, http.StatusBadGateway, res.StatusCode, ranges)
		require.Empty(t, res.Header.Get("Content-Range"), ranges)
	}
}

// What has no Content-Type and is no object leaves as without the middleware,
// however it is written.
func TestUnnamedUntouched(t *testing.T) {
	big := "%PDF-1.7 " + strings.Repeat("x", 2<<20)
	hello := func(w http.ResponseWriter) { _, _ = io.WriteString(w, "hello") }
	for _, row := range []struct {
		name string
		next http.HandlerFunc
	}{
		{"2 MiB at once", write("", big)},
		{"space, then 2 MiB at once", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, " ")
			n, err := io.WriteString(w, big)
			if n != len(big) || err != nil {
				panic("not written")
			}
		}},
		{"text behind a mark", write("", "\xef\xbb\xbfname;value\n")},
		{"gzip of text", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, zipped("hello {}"))
		}},
		{"no gzip, in spite of what is said", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			hello(w)
		}},
		{"Content-Type after the header", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("X-Late", "1")
			hello(w)
		}},
		{"a source that fails, then a status", func(w http.ResponseWriter, _ *http.Request) {
			if _, err := w.(io.ReaderFrom).ReadFrom(failing{}); err != nil {
				http.Error(w, "no file", http.StatusInternalServerError)
			}
		}},
		{"a source that is empty, then a status", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader("")})
			w.WriteHeader(http.StatusNotFound)
		}},
		{"a long source", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader(big)})
		}},
		{"a trailer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-End")
			w.WriteHeader(http.StatusOK)
			hello(w)
			w.Header().Set("X-End", "1")
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			plain := httptest.NewServer(row.next)
			defer plain.Close()
			want := ask(t, plain, http.MethodPost)
			got := ask(t, ways["Handler"](t, signer(t, config()), row.next), http.MethodPost)
			delete(want.header, "Date")
			delete(got.header, "Date")
			require.Equal(t, want.status, got.status)
			require.Equal(t, want.header, got.header)
			if want.body != got.body {
				t.Fatal("another body")
			}
		})
	}
}

// failing is a file that cannot be read.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("failing") }

// What a handler says of its answer after the header has no effect, as for net/http.
func TestHeaderAfterWriteHeader(t *testing.T) {
	got := ask(t, ways["Handler"](t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Early", "1")
		w.WriteHeader(http.StatusCreated)
		w.Header().Set("X-Late", "1")
		w.Header().Set("Set-Cookie", "late=1")
		w.Header().Set("Content-Type", "text/html")
		w.Header().Del("X-Early")
		w.WriteHeader(http.StatusEarlyHints) // superfluous
		_, _ = io.WriteString(w, claimsOfAnn)
	})), http.MethodPost)
	require.Equal(t, http.StatusCreated, got.status)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Equal(t, "1", got.header.Get("X-Early"))
	require.Empty(t, got.header.Values("X-Late"))
	require.Empty(t, got.header.Values("Set-Cookie"))
}

// White space without end costs what its length costs.
func TestSpaceIsCheap(t *testing.T) {
	space := strings.Repeat(" ", 1<<20-1)
	s := signer(t, config())
	start := time.Now()
	res := &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(space[:256<<10])),
		Request: httptest.NewRequest(http.MethodPost, "/", http.NoBody),
	}
	require.NoError(t, s.ModifyResponse(res))
	got, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Len(t, got, 256<<10)
	require.Less(t, time.Since(start), time.Second, "ModifyResponse")

	start = time.Now()
	w := httptest.NewRecorder()
	s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		for range 256 << 10 {
			_, _ = io.WriteString(w, " ")
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
	require.Len(t, w.Body.String(), 256<<10)
	require.Less(t, time.Since(start), time.Second, "Handler")
}

// Each answer that is refused is told of, also one that fails while it is looked at.
func TestPeekIsReported(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"cut off":   io.MultiReader(strings.NewReader(" "), failing{}),
		"all space": strings.NewReader(strings.Repeat(" ", 1<<20+1)),
	} {
		t.Run(name, func(t *testing.T) {
			var reasons []jwtsign.Reason
			cfg := config()
			cfg.Observe = func(_ context.Context, e jwtsign.Event) { reasons = append(reasons, e.Reason) }
			res := &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(body),
				Request: httptest.NewRequest(http.MethodPost, "/", http.NoBody),
			}
			require.ErrorIs(t, signer(t, cfg).ModifyResponse(res), jwtsign.ErrAnswer)
			require.Equal(t, []jwtsign.Reason{jwtsign.ReasonAnswer}, reasons)
		})
	}
}

// 101 is the last header of an answer, not one that goes before it.
func TestSwitchingProtocols(t *testing.T) {
	flushed := false
	w := httptest.NewRecorder()
	signer(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "x")
		w.WriteHeader(http.StatusSwitchingProtocols)
		flushed = http.NewResponseController(w).Flush() == nil
	})).ServeHTTP(&finalStatus{ResponseRecorder: w}, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
	require.Equal(t, http.StatusSwitchingProtocols, w.Code)
	require.True(t, flushed && w.Flushed)
}

// finalStatus fails on a second WriteHeader.
type finalStatus struct {
	*httptest.ResponseRecorder
	wrote bool
}

func (w *finalStatus) WriteHeader(status int) {
	if w.wrote {
		panic("superfluous " + strconv.Itoa(status))
	}
	w.wrote = status >= 200 || status == http.StatusSwitchingProtocols
	w.ResponseRecorder.WriteHeader(status)
}

// gin's Context.Stream takes the ResponseWriter for a CloseNotifier, and panics if it is none.
func TestCloseNotifyPush(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_ = w.(http.CloseNotifier).CloseNotify() //nolint:staticcheck // what gin does
		_, push := w.(http.Pusher)
		fmt.Fprint(w, push)
	})
	server := httptest.NewUnstartedServer(signer(t, config()).Handler(next))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	require.Equal(t, "true", ask(t, server, http.MethodPost).body)
	require.Equal(t, "true", ask(t, ways["Handler"](t, signer(t, config()), next), http.MethodPost).body)
}

// Caches that have a field of their own take that for Cache-Control (RFC 9213).
func TestNoStoreEverywhere(t *testing.T) {
	for way, start := range ways {
		got := ask(t, start(t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("CDN-Cache-Control", "max-age=600")
			h.Set("Cloudflare-CDN-Cache-Control", "max-age=600")
			h.Set("Surrogate-Control", "max-age=600")
			h.Set("X-Accel-Expires", "600")
			_, _ = io.WriteString(w, claimsOfAnn)
		})), http.MethodPost)
		require.Equal(t, http.StatusOK, got.status)
		for name := range got.header {
			require.NotContains(t, fmt.Sprint(got.header[name]), "600", "%s %s", way, name)
		}
	}
}

// Who may choose the audience of one field may choose that of the other.
func TestKeepAudMistaken(t *testing.T) {
	kind := func(typ, audience string, keep ...string) jwtsign.Token {
		return jwtsign.Token{Lifetime: time.Hour, Type: typ, Audience: []string{audience}, Keep: keep}
	}
	for _, row := range []struct {
		name   string
		a, b   jwtsign.Token
		refuse bool
	}{
		{"neither keeps", kind("", "a"), kind("", "b"), false},
		{"the first keeps", kind("", "a", "aud"), kind("", "b"), true},
		{"the second keeps", kind("JWT", "a"), kind("at+jwt", "b", "jti", "aud"), true},
		{"types differ", kind("JWT", "a", "aud"), kind("refresh+jwt", "b", "aud"), false},
	} {
		cfg := config()
		cfg.Fields = []jwtsign.Field{{Path: []string{"a"}, Token: row.a}, {Path: []string{"b"}, Token: row.b}}
		_, err := jwtsign.New(cfg)
		require.Equal(t, row.refuse, err != nil, "%s: %v", row.name, err)
	}
}

// A claim that is ours unless it is kept is required where it is both.
func TestRequiredAndKept(t *testing.T) {
	kind := access()
	kind.Required, kind.Keep = []string{"jti", "exp"}, []string{"jti"}
	s := signer(t, config())
	_, err := s.SignToken(t.Context(), kind, map[string]any{})
	require.ErrorIs(t, err, jwtsign.ErrClaims)
	_, err = s.SignToken(t.Context(), kind, map[string]any{"jti": "8"})
	require.NoError(t, err)
}

// recorded is what leaves of an answer to a POST, without a server behind.
func recorded(t *testing.T, cfg jwtsign.Config, method string, next http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	signer(t, cfg).Handler(next).ServeHTTP(w, httptest.NewRequest(method, "/", http.NoBody))
	return w
}

// Each way out of the writer is shut while claims are held.
func TestHeld(t *testing.T) {
	begin := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }
	t.Run("ReadFrom", func(t *testing.T) {
		got := ask(t, ways["Handler"](t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			begin(w)
			_, _ = io.WriteString(w, " ")
			n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(claimsOfAnn))
			if n != int64(len(claimsOfAnn)) || err != nil {
				panic("not read")
			}
		})), http.MethodPost)
		require.Regexp(t, `^ {"access_token":"ey`, got.body)
	})
	t.Run("ReadFrom a file of another type", func(t *testing.T) {
		w := &readFrom{ResponseRecorder: httptest.NewRecorder()}
		signer(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("x", 1000)))
			if n != 1000 || err != nil {
				panic("not read")
			}
		})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
		require.Len(t, w.Body.String(), 1000)
		require.True(t, w.used, "the server's own way")
	})
	t.Run("Flush, superfluous WriteHeader, Hijack", func(t *testing.T) {
		w := recorded(t, config(), http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
			begin(w)
			_, _ = io.WriteString(w, claimsOfAnn)
			if http.NewResponseController(w).Flush() != nil {
				panic("Flush")
			}
			w.WriteHeader(http.StatusInternalServerError)
			_, _, err := w.(http.Hijacker).Hijack()
			if err == nil || errors.Is(err, http.ErrNotSupported) {
				panic("Hijack")
			}
		})
		require.Equal(t, http.StatusOK, w.Code)
		require.False(t, w.Flushed)
		require.Contains(t, w.Body.String(), `"ey`)
	})
	t.Run("a writer that was kept", func(t *testing.T) {
		var kept http.ResponseWriter
		w := recorded(t, config(), http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
			kept = w
			begin(w)
			_, _ = io.WriteString(w, claimsOfAnn)
		})
		before := w.Body.String()
		n, err := io.WriteString(kept, claimsOfAnn)
		require.Zero(t, n)
		require.Error(t, err)
		require.NotErrorIs(t, err, jwtsign.ErrAnswer)
		require.NoError(t, http.NewResponseController(kept).Flush())
		require.Equal(t, before, w.Body.String())
	})
	t.Run("what is too large stays too large", func(t *testing.T) {
		w := recorded(t, config(), http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
			begin(w)
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20+1))
			if _, err := io.WriteString(w, claimsOfAnn); !errors.Is(err, jwtsign.ErrAnswer) {
				panic("written")
			}
		})
		require.Equal(t, http.StatusBadGateway, w.Code)
		require.Empty(t, w.Body.String())
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	})
}

// readFrom is a server that has its own way to send files.
type readFrom struct {
	*httptest.ResponseRecorder
	used bool
}

func (w *readFrom) ReadFrom(r io.Reader) (int64, error) {
	w.used = true
	return io.Copy(w.ResponseRecorder, r)
}

// HEAD says of an answer that is signed nothing that was said of the one that is not.
func TestHead(t *testing.T) {
	cfg := config()
	cfg.Methods = []string{http.MethodGet, http.MethodHead}
	for way, start := range ways {
		got := ask(t, start(t, signer(t, cfg), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Content-Length", "31")
			h["ETag"] = []string{`"x"`}
			h.Set("Repr-Digest", "sha-256=:x:")
			h.Set("X-Request-Id", "7")
			w.WriteHeader(http.StatusOK)
		})), http.MethodHead)
		require.Equal(t, http.StatusOK, got.status, way)
		require.Equal(t, "7", got.header.Get("X-Request-Id"), way)
		for _, name := range []string{"Content-Length", "ETag", "Repr-Digest"} {
			require.Empty(t, got.header.Values(name), "%s %s", way, name)
		}
	}
	w := recorded(t, cfg, http.MethodHead, write("application/json", claimsOfAnn))
	require.NotContains(t, w.Body.String(), canary, "a HEAD with a body")
}

// Headers that were not spelled as net/http would are put right as well.
func TestHeaderSpelling(t *testing.T) {
	got := recorded(t, config(), http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/json ; x=1")
		for _, name := range []string{"content-length", "ETag", "Content-MD5", "repr-digest", "cache-control"} {
			h[name] = []string{"31"}
		}
		_, _ = io.WriteString(w, claimsOfAnn)
	}).Result()
	defer got.Body.Close()
	require.Equal(t, http.StatusOK, got.StatusCode)
	for name, values := range got.Header {
		require.NotContains(t, values, "31", name)
	}
}

func TestAnswerLimits(t *testing.T) {
	answer := func(values int) string { // besides the field and x
		return `{"access_token":{},"x":[` + strings.TrimSuffix(strings.Repeat("1,", values), ",") + `]}`
	}
	require.Equal(t, http.StatusOK, recorded(t, config(), http.MethodPost, write("application/json", answer(1<<16-2))).Code)
	require.Equal(t, http.StatusBadGateway, recorded(t, config(), http.MethodPost, write("application/json", answer(1<<16-1))).Code)
	deep := func(depth int) string {
		return `{"access_token":{},"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
	}
	require.Equal(t, http.StatusOK, recorded(t, config(), http.MethodPost, write("application/json", deep(63))).Code)
	require.Equal(t, http.StatusBadGateway, recorded(t, config(), http.MethodPost, write("application/json", deep(64))).Code)
}

// closing tells that a body was closed.
type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error {
	*c.closed = true
	return nil
}

func TestModifyResponseAlone(t *testing.T) {
	closed := false
	res := &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		TransferEncoding: []string{"chunked"}, ContentLength: -1, Uncompressed: true,
		Body: closing{strings.NewReader(claimsOfAnn), &closed}, // no Request: it is rewritten
	}
	require.NoError(t, signer(t, config()).ModifyResponse(res))
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), `{"access_token":"ey`)
	require.True(t, closed)
	require.Empty(t, res.TransferEncoding)
	require.False(t, res.Uncompressed)
	require.EqualValues(t, len(body), res.ContentLength)

	require.NoError(t, signer(t, config()).ModifyResponse(&http.Response{StatusCode: http.StatusOK, Header: res.Header}), "no body")
	cfg := config()
	cfg.Fields = nil
	require.ErrorIs(t, signer(t, cfg).ModifyResponse(&http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}), jwtsign.ErrAnswer)
}

func TestInvalidTextBehindBackslashes(t *testing.T) {
	for _, text := range []string{"\xff", "\\\xff", "\\\\\xff", `\ufffd` + "\xff"} {
		_, err := signer(t, config()).Sign(t.Context(), map[string]any{"x": text})
		require.ErrorIs(t, err, jwtsign.ErrClaims, "%q", text)
	}
	kind := access()
	kind.Keep = []string{"aud"}
	_, err := signer(t, config()).SignToken(t.Context(), kind, map[string]any{"aud": []string{"a", ""}})
	require.ErrorIs(t, err, jwtsign.ErrClaims)
	kind.Required = []string{"exp"} // ours: it is there
	_, err = signer(t, config()).SignToken(t.Context(), kind, map[string]any{})
	require.NoError(t, err)
}

func TestObservePanics(t *testing.T) {
	cfg := config()
	cfg.Observe = func(context.Context, jwtsign.Event) { panic(canary) }
	require.Equal(t, http.StatusOK, recorded(t, cfg, http.MethodPost, write("application/json", claimsOfAnn)).Code)
}

// A key that has retired since lets nothing out, and says when to come again.
func TestRetryAfter(t *testing.T) {
	now := clock()
	cfg := config()
	cfg.Keys[0].RetireAt = now.Add(time.Minute)
	cfg.Now = func() time.Time { return now }
	h := signer(t, cfg).Handler(write("application/json", claimsOfAnn))
	now = now.Add(time.Hour)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	require.Empty(t, w.Body.String())
}
