package jwtsign_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// answer is what a client sees.
type answer struct {
	status int
	header http.Header
	body   string
}

// ways are the two ways on which an answer is rewritten, each through a real server:
// as middleware, and behind a reverse proxy in front of a backend.
var ways = map[string]func(t *testing.T, s *jwtsign.Signer, next http.Handler) *httptest.Server{
	"Handler": func(t *testing.T, s *jwtsign.Signer, next http.Handler) *httptest.Server {
		server := httptest.NewServer(s.Handler(next))
		t.Cleanup(server.Close)
		return server
	},
	"ModifyResponse": func(t *testing.T, s *jwtsign.Signer, next http.Handler) *httptest.Server {
		backend := httptest.NewServer(next)
		t.Cleanup(backend.Close)
		target, err := url.Parse(backend.URL)
		require.NoError(t, err)
		server := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
			ModifyResponse: s.ModifyResponse,
			ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		})
		t.Cleanup(server.Close)
		return server
	},
}

func ask(t *testing.T, server *httptest.Server, method string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/login", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Accept-Encoding", "gzip") // nothing is undone behind our back
	res, err := server.Client().Transport.RoundTrip(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(body)}
}

func write(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		_, _ = io.WriteString(w, body)
	}
}

const login = `{ "status" : "ok" , "access_token":{"sub":"ann","n":1.50},"id" : 9007199254740993, "note":"\u00e9<>&\/" }`

func TestRewrite(t *testing.T) {
	refresh := jwtsign.Token{Lifetime: 2 * time.Hour, Audience: []string{issuerURL}, Type: "refresh+jwt"}
	nested := []jwtsign.Field{
		{Path: []string{"data", "tokens", "refresh"}, Token: refresh},
		{Path: []string{"data", "tokens", "access"}},
	}
	field := []jwtsign.Field{{Path: []string{"access_token"}}}
	optional := []jwtsign.Field{{Path: []string{"access_token"}, Optional: true}}
	whole := strings.Repeat("x", 1<<20-len(`{"access_token":{},"x":""}`))
	for _, row := range []struct {
		name, body string
		fields     []jwtsign.Field
		want       string // TOKEN stands for each token; empty: 502
	}{
		{"the rest stays to the byte", login, field, `{ "status" : "ok" , "access_token":"TOKEN","id" : 9007199254740993, "note":"\u00e9<>&\/" }`},
		{"nested, two, out of order", `{"data":{"x":1,"tokens":{"access":{},"refresh":{}, "y":[ ]}}}`, nested, `{"data":{"x":1,"tokens":{"access":"TOKEN","refresh":"TOKEN", "y":[ ]}}}`},
		{"flattened", `{"access_token":{}}`, []jwtsign.Field{{Path: []string{"access_token"}, Flattened: true}}, `{"access_token":{"payload":"P","protected":"H","signature":"S"}}`},
		{"a field of that name elsewhere", `{"x":{"access_token":{}},"access_token":{}}`, field, `{"x":{"access_token":{}},"access_token":"TOKEN"}`},
		{"an escaped name", `{"access\u005ftoken":{}}`, field, `{"access\u005ftoken":"TOKEN"}`},
		{"missing", `{"x":1}`, field, ""},
		{"a string", `{"access_token":"c4n4ry"}`, field, ""},
		{"null", `{"access_token":null}`, field, ""},
		{"an array of one", `{"access_token":[{}]}`, field, ""},
		{"twice", `{"access_token":{},"access_token":{"sub":"c4n4ry"}}`, field, ""},
		{"twice, one escaped", `{"access_token":{},"access\u005ftoken":{"sub":"c4n4ry"}}`, field, ""},
		{"in another case", `{"Access_Token":{"sub":"c4n4ry"},"access_token":{}}`, field, ""},
		{"only in another case", `{"Access_Token":{"sub":"c4n4ry"}}`, optional, ""},
		{"nested in another case", `{"data":{"Tokens":{},"tokens":{"access":{},"refresh":{}}}}`, nested, ""},
		{"half of the nested", `{"data":{"tokens":{"access":{"sub":"c4n4ry"}}}}`, nested, ""},
		{"the way is no object", `{"data":[]}`, nested, ""},
		{"optional: missing", `{"x":1}`, optional, `{"x":1}`},
		{"optional: a string", `{"access_token":"x"}`, optional, `{"access_token":"x"}`},
		{"optional: there", `{"access_token":{}}`, optional, `{"access_token":"TOKEN"}`},
		{"an array around it", `[{"access_token":{"sub":"c4n4ry"}}]`, field, ""},
		{"empty", ``, field, ""},
		{"cut off", `{"access_token":{"sub":"c4n4ry"}`, field, ""},
		{"data behind", `{"access_token":{}}{"sub":"c4n4ry"}`, field, ""},
		{"a byte order mark", "\xef\xbb\xbf" + `{"access_token":{"sub":"c4n4ry"}}`, field, ""},
		{"invalid UTF-8", `{"access_token":{},"x":"` + "\xff" + `c4n4ry"}`, field, ""},
		{"claims that cannot be signed", `{"access_token":{"sub":7,"x":"c4n4ry"}}`, field, ""},
		{"exactly 1 MiB", `{"access_token":{},"x":"` + whole + `"}`, field, `{"access_token":"TOKEN","x":"` + whole + `"}`},
		{"a byte more", `{"access_token":{},"x":"x` + whole + `"}`, field, ""},
	} {
		for way, start := range ways {
			t.Run(row.name+"/"+way, func(t *testing.T) {
				var log buffer
				cfg := config()
				cfg.Fields, cfg.Logger = row.fields, log.logger()
				got := ask(t, start(t, signer(t, cfg), write("application/json; charset=utf-8", row.body)), http.MethodPost)
				require.NotContains(t, log.String(), canary)
				if row.want == "" {
					require.Equal(t, http.StatusBadGateway, got.status)
					require.Empty(t, got.body)
					require.NotContains(t, fmt.Sprint(got.header), "json")
					require.Contains(t, log.String(), "level=WARN")
					return
				}
				require.Equal(t, http.StatusOK, got.status)
				want := row.want
				var document map[string]any
				require.NoError(t, json.Unmarshal([]byte(got.body), &document))
				for _, token := range tokens(document) {
					open(t, token, "ES256", ecKey())
					want = strings.Replace(want, `"TOKEN"`, strconv.Quote(token), 1)
					parts := strings.Split(token, ".")
					want = strings.Replace(want, `{"payload":"P","protected":"H","signature":"S"}`, `{"payload":"`+parts[1]+`","protected":"`+parts[0]+`","signature":"`+parts[2]+`"}`, 1)
				}
				require.Equal(t, want, got.body)
				require.Equal(t, strconv.Itoa(len(got.body)), got.header.Get("Content-Length"))
				require.Equal(t, []string{"no-store"}, got.header.Values("Cache-Control"))
			})
		}
	}
}

// tokens are the tokens in a document, in the order of want above.
func tokens(v any) []string {
	switch v := v.(type) {
	case string:
		if strings.Count(v, ".") == 2 {
			return []string{v}
		}
	case map[string]any:
		if payload, ok := v["payload"].(string); ok {
			return []string{v["protected"].(string) + "." + payload + "." + v["signature"].(string)}
		}
		var found []string
		for _, name := range []string{"data", "tokens", "access", "access_token", "refresh"} {
			found = append(found, tokens(v[name])...)
		}
		return found
	}
	return nil
}

// What is not for us leaves as it is: the client sees what it would have seen.
func TestUntouched(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<20/16*50)
	for _, row := range []struct {
		name, method string
		next         http.HandlerFunc
	}{
		{"401", http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"access_token":{}}`)
		}},
		{"500", http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"access_token":{}}`, http.StatusInternalServerError)
		}},
		{"204", http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNoContent)
		}},
		{"302", http.MethodPost, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) }},
		{"HTML", http.MethodPost, write("text/html", `{"access_token":{}}`)},
		{"HTML that is sniffed", http.MethodPost, write("", "  <!doctype html><p>{}")},
		{"text that is sniffed", http.MethodPost, write("", "hello {}")},
		{"text that begins like a mark", http.MethodPost, write("", "\xef\xbc\x81 hello")},
		{"nothing", http.MethodPost, func(http.ResponseWriter, *http.Request) {}},
		{"only a status", http.MethodPost, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }},
		{"only space", http.MethodPost, write("", " \n")},
		{"a stream of JSON lines", http.MethodPost, write("application/x-ndjson", "{}\n{}\n")},
		{"50 MB", http.MethodPost, write("application/octet-stream", big)},
		{"GET", http.MethodGet, write("application/json", `{"access_token":{}}`)},
		{"HEAD", http.MethodHead, write("application/json", `{"access_token":{}}`)},
		{"PUT", http.MethodPut, write("application/json", `{"access_token":{}}`)},
	} {
		for way, start := range ways {
			t.Run(row.name+"/"+way, func(t *testing.T) {
				plain := httptest.NewServer(row.next)
				defer plain.Close()
				want := ask(t, plain, row.method)
				got := ask(t, start(t, signer(t, config()), row.next), row.method)
				delete(want.header, "Date")
				delete(got.header, "Date")
				require.Equal(t, want.status, got.status)
				require.Equal(t, want.header, got.header)
				if want.body != got.body { // not printed: it may be 50 MB
					t.Fatal("another body")
				}
			})
		}
	}
}

func zipped(body string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, body)
	_ = w.Close()
	return b.String()
}

// Headers that tell of the body are put right; the others stay, every value.
func TestRewrittenHeaders(t *testing.T) {
	bomb := zipped(`{"access_token":{},"x":"` + strings.Repeat("x", 8<<20) + `"}`)
	for _, row := range []struct {
		name, coding, body string
		status             int
	}{
		{"plain", "", login, 201},
		{"identity", "identity", login, 201},
		{"gzip", "gzip", zipped(login), 201},
		{"x-gzip", "X-GZIP", zipped(login), 201},
		{"gzip that is none", "gzip", login, 502},
		{"gzip, cut off", "gzip", zipped(login)[:60], 502},
		{"a bomb", "gzip", bomb, 502},
		{"twice", "gzip, gzip", zipped(zipped(login)), 502},
		{"brotli", "br", login, 502},
		{"zstd", "zstd", login, 502},
	} {
		for way, start := range ways {
			t.Run(row.name+"/"+way, func(t *testing.T) {
				got := ask(t, start(t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					h := w.Header()
					h.Set("Content-Type", "application/vnd.login+json")
					h["Set-Cookie"] = []string{"a=1", "b=2"}
					h.Set("X-Request-Id", "7")
					h.Set("ETag", `"x"`)
					h.Set("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")
					h.Set("Content-Digest", "sha-256=:x:")
					h.Set("Cache-Control", "public, max-age=600")
					h.Set("Content-Length", strconv.Itoa(len(row.body)))
					if row.coding != "" {
						h.Set("Content-Encoding", row.coding)
					}
					w.WriteHeader(http.StatusCreated)
					_, _ = io.WriteString(w, row.body)
				})), http.MethodPost)
				require.Equal(t, row.status, got.status)
				if row.status == http.StatusBadGateway {
					require.Empty(t, got.body)
					require.Empty(t, got.header.Values("Set-Cookie"))
					return
				}
				for _, name := range []string{"ETag", "Last-Modified", "Content-Digest", "Content-Encoding"} {
					require.Empty(t, got.header.Values(name), name)
				}
				require.Equal(t, []string{"a=1", "b=2"}, got.header.Values("Set-Cookie"))
				require.Equal(t, "7", got.header.Get("X-Request-Id"))
				require.Equal(t, "application/vnd.login+json", got.header.Get("Content-Type"))
				require.Equal(t, []string{"no-store"}, got.header.Values("Cache-Control"))
				require.Equal(t, strconv.Itoa(len(got.body)), got.header.Get("Content-Length"))
				require.Contains(t, got.body, `"id" : 9007199254740993`)
			})
		}
	}
}

// A handler that names no Content-Type still has its claims signed.
func TestUnnamed(t *testing.T) {
	for way, start := range ways {
		for _, body := range []string{`{"access_token":{}}`, " \n\t" + `{"access_token":{}}`} {
			got := ask(t, start(t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil // net/http would name one
				for i := range len(body) {       // byte by byte
					_, _ = io.WriteString(w, body[i:i+1])
				}
			})), http.MethodPost)
			require.Equal(t, http.StatusOK, got.status, way)
			require.Regexp(t, `^\s*{"access_token":"ey`, got.body, way)
		}
		got := ask(t, start(t, signer(t, config()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "\xef\xbb\xbf"+`{"access_token":{"sub":"c4n4ry"}}`)
		})), http.MethodPost)
		require.NotContains(t, got.body, canary)
	}
}

// Streams, upgrades, deadlines and panics behave as without the middleware.
func TestWriter(t *testing.T) {
	s := signer(t, config())
	t.Run("a stream goes out as it is written", func(t *testing.T) {
		step := make(chan struct{})
		server := ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for range 3 {
				_, _ = io.WriteString(w, "data: x\n\n")
				w.(http.Flusher).Flush()
				<-step
			}
		}))
		res, err := server.Client().Post(server.URL, "", http.NoBody)
		require.NoError(t, err)
		defer res.Body.Close()
		r := bufio.NewReader(res.Body)
		for range 3 {
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "data: x\n", line)
			_, _ = r.ReadString('\n')
			step <- struct{}{}
		}
	})
	t.Run("claims are not flushed", func(t *testing.T) {
		got := ask(t, ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, `{"access_token":`)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, `{}}`)
		})), http.MethodPost)
		require.Contains(t, got.body, `{"access_token":"ey`)
	})
	t.Run("an upgrade", func(t *testing.T) {
		server := ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err == nil {
				defer conn.Close()
				_, _ = rw.WriteString("hello")
				_ = rw.Flush()
			}
		}))
		conn, err := net.DialTimeout("tcp", server.Listener.Addr().String(), 10*time.Second)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
	})
	t.Run("ReadFrom, deadlines", func(t *testing.T) {
		got := ask(t, ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
			n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("hello"))
			assert.NoError(t, err)
			assert.EqualValues(t, 5, n)
		})), http.MethodPost)
		require.Equal(t, "hello", got.body)
	})
	t.Run("ReadFrom of claims", func(t *testing.T) {
		got := ask(t, ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, err := io.Copy(w, strings.NewReader(`{"access_token":{}}`))
			assert.NoError(t, err)
		})), http.MethodPost)
		require.Contains(t, got.body, `{"access_token":"ey`)
	})
	t.Run("a panic lets nothing out", func(t *testing.T) {
		w := httptest.NewRecorder()
		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"access_token":{}}`)
				panic(http.ErrAbortHandler)
			})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
		})
		require.Empty(t, w.Body.String())
	})
	t.Run("early hints", func(t *testing.T) {
		got := ask(t, ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":{}}`)
		})), http.MethodPost)
		require.Equal(t, http.StatusOK, got.status)
		require.Contains(t, got.body, `"ey`)
	})
	t.Run("a part of an answer", func(t *testing.T) {
		got := ask(t, ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, `{"access_token":{}}`)
		})), http.MethodPost)
		require.Equal(t, http.StatusBadGateway, got.status)
	})
	t.Run("a handler that goes on writing too much is told", func(t *testing.T) {
		got := ask(t, ways["Handler"](t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			var err error
			for range 100 {
				_, err = io.WriteString(w, strings.Repeat("x", 64<<10))
			}
			assert.ErrorIs(t, err, jwtsign.ErrAnswer)
		})), http.MethodPost)
		require.Equal(t, http.StatusBadGateway, got.status)
		require.Empty(t, got.body)
	})
}
