package fetch_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

// The tests are named after the lines of the attack catalogue. J4 (dial guard),
// J9 (key count) and the key sets of J5 are other packages' business.

func TestJ1TooLarge(t *testing.T) {
	const limit = 4096
	for _, tt := range []struct {
		name   string
		length int  // of the body
		known  bool // Content-Length is sent
		ok     bool
	}{
		{"at the limit", limit, true, true},
		{"at the limit, chunked", limit, false, true},
		{"one above", limit + 1, true, false},
		{"one above, chunked", limit + 1, false, false},
		{"100 MB", 100 << 20, true, false},
		{"100 MB, chunked", 100 << 20, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			written := make(chan int, 1)
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if tt.known {
					w.Header().Set("Content-Length", strconv.Itoa(tt.length))
				}
				n, chunk := 0, make([]byte, 1<<16)
				for n < tt.length {
					m, err := w.Write(chunk[:min(len(chunk), tt.length-n)])
					if n += m; err != nil {
						break
					}
					_ = http.NewResponseController(w).Flush()
				}
				written <- n
			})
			res, err := client(t, func(c *fetch.Config) { c.MaxBytes = limit }).Get(t.Context(), s.URL, jwks)
			n := <-written
			if tt.ok {
				require.NoError(t, err)
				require.Len(t, res.Body, limit)
				return
			}
			require.ErrorIs(t, err, fetch.ErrTooLarge)
			require.EqualError(t, err, "fetch: body too large: more than 4096 bytes (GET "+s.URL+")")
			require.Less(t, n, 50<<20, "the body is not drained")
		})
	}
}

func TestJ1AnnouncedTooLargeIsNotRead(t *testing.T) {
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Request: r, ContentLength: 1<<20 + 1,
			Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(readFunc(func([]byte) (int, error) {
				t.Error("the body was read")
				return 0, io.EOF
			})),
		}, nil
	})
	c, err := fetch.New(fetch.Config{Client: &http.Client{Transport: transport}})
	require.NoError(t, err)
	_, err = c.Get(t.Context(), "https://idp.test/jwks", jwks)
	require.ErrorIs(t, err, fetch.ErrTooLarge)
}

func TestJ1GzipBomb(t *testing.T) {
	bomb := strings.Repeat(gzipped(strings.Repeat(" ", 1<<20)), 256) // members in a row are one stream (RFC 1952)
	require.Less(t, len(bomb), 1<<20, "it is within MaxBytes before decompression")

	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		writeJSON(w, bomb)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client(t).Get(t.Context(), s.URL, jwks)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, fetch.ErrTooLarge)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20), "an eighth of the bomb, server included")
}

func TestGzipIsRead(t *testing.T) {
	for _, tt := range []struct{ name, body, encoding, want string }{
		{"good", gzipped(`{"keys":[]}`), "gzip", ""},
		{"not gzip", `{"keys":[]}`, "gzip", "fetch: gzip: invalid header"},
		{"truncated", gzipped(`{"keys":[]}`)[:20], "gzip", "fetch: unexpected EOF"},
		{"corrupt", gzipped(`{"keys":[]}`)[:10] + "\xff\xff\xff", "gzip", "fetch: flate: corrupt input before offset"},
		{"wrong checksum", gzipped(`{"keys":[]}`)[:31] + "\x00\x00\x00\x00\x00\x00\x00\x00", "gzip", "fetch: gzip: invalid checksum"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", tt.encoding)
				writeJSON(w, tt.body)
			})
			res, err := client(t).Get(t.Context(), s.URL, jwks)
			if tt.want == "" {
				require.NoError(t, err)
				require.JSONEq(t, `{"keys":[]}`, string(res.Body))
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func gzipped(s string) string {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

// pipe is a transport to a server that is a function of this process: no socket,
// so that a synctest clock stands still while either side works.
type pipe struct {
	http.Transport
	calls   atomic.Int32
	servers sync.WaitGroup
}

func newPipe(server func(w io.Writer, call int)) *pipe {
	p := &pipe{}
	p.DisableKeepAlives = true
	p.DialContext = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		p.servers.Go(func() {
			defer there.Close()
			if _, err := http.ReadRequest(bufio.NewReader(there)); err == nil {
				server(there, int(p.calls.Add(1)))
			}
		})
		return here, nil
	}
	return p
}

const emptyObject = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

// TestJ2SlowLoris: each byte would renew a deadline for one read; the deadline is
// of the whole.
func TestJ2SlowLoris(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
	for _, tt := range []struct {
		name    string
		quick   string // written at once
		slow    string // then this, a byte a second, for ever
		timeout time.Duration
	}{
		{"body, default deadline", head, " ", 0},
		{"body, 3 s", head, " ", 3 * time.Second},
		{"header", "HTTP/1.1 200 OK\r\nX-Slow: ", "a", 0},
		{"silence", "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := newPipe(func(w io.Writer, _ int) {
					_, err := io.WriteString(w, tt.quick)
					for n := 0; err == nil && n < 3600; n++ {
						time.Sleep(time.Second)
						_, err = io.WriteString(w, tt.slow)
					}
				})
				defer transport.servers.Wait()
				c, err := fetch.New(fetch.Config{InsecureHTTP: true, Timeout: tt.timeout, Client: &http.Client{Transport: transport}})
				require.NoError(t, err)
				start := time.Now()
				_, err = c.Get(t.Context(), "http://idp.test/jwks", jwks)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.EqualError(t, err, "fetch: context deadline exceeded (GET http://idp.test/jwks)")
				want := tt.timeout
				if want == 0 {
					want = 10 * time.Second
				}
				require.Equal(t, want, time.Since(start))
			})
		})
	}
}

func TestJ2HangsAfterTLS(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	_, err := client(t, func(c *fetch.Config) { c.Timeout = 100 * time.Millisecond }).Get(t.Context(), s.URL, jwks)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestJ2BodyEndsAfterTheDeadline: a server that sees the connection close may end
// a chunked body in due form, half way through.
func TestJ2BodyEndsAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Request: r, ContentLength: -1,
				Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(readFunc(func([]byte) (int, error) {
					<-r.Context().Done()
					return 0, io.EOF
				})),
			}, nil
		})
		c, err := fetch.New(fetch.Config{Client: &http.Client{Transport: transport}})
		require.NoError(t, err)
		_, err = c.Get(t.Context(), "https://idp.test/jwks", jwks)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestJ3Redirects(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, `{"keys":["attacker"]}`) })
	for _, tt := range []struct {
		name, to, want string
		requests       int
	}{
		{"same origin", "/jwks", "", 2},
		{"same origin, absolute", "https://HOST/jwks?secret", "", 2},
		{"three hops", "/hop/2", "", 4},
		{"four hops", "/hop/3", "more than 3", 4},
		{"loop", "/start", "more than 3", 4},
		{"http", "http://HOST/jwks?secret", "to another scheme, host or port", 1},
		{"http, default port", "http://127.0.0.1/jwks", "to another scheme, host or port", 1},
		{"other port", other.URL, "to another scheme, host or port", 1},
		{"other name of the host", "https://localhost:PORT/jwks", "to another scheme, host or port", 1},
		{"metadata address", "https://169.254.169.254/latest/meta-data", "to another scheme, host or port", 1},
		{"metadata address, no scheme", "//169.254.169.254/latest/meta-data", "to another scheme, host or port", 1},
		{"file", "file:///etc/passwd", "to another scheme, host or port", 1},
		{"userinfo", "https://id:secret@HOST/jwks", "with userinfo", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				hop, isHop := strings.CutPrefix(r.URL.Path, "/hop/")
				switch n, _ := strconv.Atoi(hop); {
				case r.URL.Path == "/start":
					_, port, _ := strings.Cut(r.Host, ":")
					w.Header().Set("Location", strings.NewReplacer("HOST", r.Host, "PORT", port).Replace(tt.to))
					w.WriteHeader(http.StatusFound)
				case isHop && n > 1:
					http.Redirect(w, r, fmt.Sprint("/hop/", n-1), http.StatusTemporaryRedirect)
				case isHop:
					http.Redirect(w, r, "/jwks", http.StatusPermanentRedirect)
				default:
					writeJSON(w, `{"keys":[]}`)
				}
			})
			res, err := client(t).Get(t.Context(), s.URL+"/start", jwks)
			require.Len(t, s.seen(), tt.requests)
			require.Empty(t, other.seen())
			if tt.want == "" {
				require.NoError(t, err)
				require.JSONEq(t, `{"keys":[]}`, string(res.Body))
				return
			}
			require.ErrorIs(t, err, fetch.ErrRedirect)
			require.EqualError(t, err, "fetch: redirect refused: "+tt.want+" (GET "+s.URL+"/start)")
		})
	}
}

// TestJ3SameOriginSpellings: a default port and the case of a host do not make
// another origin.
func TestJ3SameOriginSpellings(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		ok             bool
	}{
		{"port spelled out", "http://idp.test/a", "http://idp.test:80/b", true},
		{"port left out", "http://idp.test:80/a", "http://idp.test/b", true},
		{"case", "http://idp.test/a", "http://IDP.test/b", true},
		{"port of the other scheme", "http://idp.test/a", "http://idp.test:443/b", false},
		{"upgrade", "http://idp.test/a", "https://idp.test/b", false},
		{"trailing dot", "http://idp.test/a", "http://idp.test./b", false},
		{"sub-domain", "http://idp.test/a", "http://x.idp.test/b", false},
		{"prefix", "http://idp.test/a", "http://idp.test.evil.test/b", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			transport := newPipe(func(w io.Writer, call int) {
				if call == 1 {
					_, _ = io.WriteString(w, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "+tt.to+"\r\n\r\n")
				} else {
					_, _ = io.WriteString(w, emptyObject)
				}
			})
			c, err := fetch.New(fetch.Config{InsecureHTTP: true, Client: &http.Client{Transport: transport}})
			require.NoError(t, err)
			_, err = c.Get(t.Context(), tt.from, jwks)
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, fetch.ErrRedirect)
			}
		})
	}
}

func TestJ5ContentType(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types []string
		want  string
	}{
		{"json", []string{"application/json"}, ""},
		{"jwk set", []string{"application/jwk-set+json"}, ""},
		{"charset", []string{"application/json; charset=utf-8"}, ""},
		{"case and white space", []string{"Application/JSON ;charset"}, ""},
		{"HTML", []string{"text/html; charset=utf-8"}, `"text/html"`},
		{"plain text", []string{"text/plain"}, `"text/plain"`},
		{"another json", []string{"application/problem+json"}, `"application/problem+json"`},
		{"prefix", []string{"application/json5"}, `"application/json5"`},
		{"empty", []string{""}, `""`},
		{"none", nil, "0 Content-Type headers"},
		{"two", []string{"application/json", "text/html"}, "2 Content-Type headers"},
		{"list", []string{"application/json, text/html"}, `"application/json, text/html"`},
		{"long", []string{strings.Repeat("a", 1000)}, `"(a long one)"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = tt.types
				_, _ = io.WriteString(w, "<html>secret</html>")
			})
			_, err := client(t).Get(t.Context(), s.URL, jwks)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, fetch.ErrContentType)
			require.EqualError(t, err, "fetch: content type not accepted: "+tt.want+", want application/json or application/jwk-set+json (GET "+s.URL+")")
		})
	}
}

func TestJ5Status(t *testing.T) {
	for _, code := range []int{201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 429, 500, 503, 599} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(code) // 301 and 302 without a Location
				_, _ = io.WriteString(w, `{"keys":["secret"]}`)
			})
			_, err := client(t).Get(t.Context(), s.URL+"/jwks", jwks)
			var status *fetch.StatusError
			require.ErrorAs(t, err, &status)
			require.Equal(t, fetch.StatusError{Code: code}, *status)
			require.EqualError(t, err, fmt.Sprintf("fetch: status %d (GET %s/jwks)", code, s.URL))
		})
	}
}

func TestJ6NotModified(t *testing.T) {
	for _, tt := range []struct {
		name, etag, sent string
		ok               bool
	}{
		{"with an ETag", `"v1"`, `"v1"`, true},
		{"weak", `W/"v1"`, `W/"v1"`, true},
		{"empty tag", `""`, `""`, true},
		{"304 without prior", "", "", false},
		{"no entity tag", "v1", "", false},
		{"list", `"v1", "v2"`, "", false},
		{"wildcard", "*", "", false},
		{"header injection", "\"v1\r\nX: y\"", "", false},
		{"one quote", `"`, "", false},
		{"not ended", `"v1`, "", false},
		{"not begun", `v1"`, "", false},
		{"long", `"` + strings.Repeat("a", 300) + `"`, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.WriteHeader(http.StatusNotModified)
			})
			res, err := client(t).Get(t.Context(), s.URL, fetch.Request{Accept: jwks.Accept, ETag: tt.etag})
			require.Equal(t, tt.sent, s.seen()[0].Header.Get("If-None-Match"))
			if !tt.ok {
				var status *fetch.StatusError
				require.ErrorAs(t, err, &status)
				require.Equal(t, http.StatusNotModified, status.Code)
				return
			}
			require.NoError(t, err)
			require.True(t, res.NotModified)
			require.Nil(t, res.Body)
			require.Equal(t, "max-age=60", res.Header.Get("Cache-Control"))
		})
	}
}

func TestJ6BadETagIsNotKept(t *testing.T) {
	for _, tt := range []struct{ name, sent, want string }{
		{"strong", `"33a64df5"`, `"33a64df5"`},
		{"weak", `W/"1"`, `W/"1"`},
		{"bytes above ASCII", "\"\u00e9\"", "\"\u00e9\""},
		{"unquoted", `33a64df5`, ""},
		{"space inside", `"a b"`, ""},
		{"quote inside", `"a"b"`, ""},
		{"60 KB", `"` + strings.Repeat("a", 60_000) + `"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("ETag", tt.sent)
				writeJSON(w, `{}`)
			})
			res, err := client(t).Get(t.Context(), s.URL, jwks)
			require.NoError(t, err)
			require.Equal(t, tt.want, res.ETag)
		})
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("a", 1<<20))
		writeJSON(w, `{}`)
	})
	_, err := client(t).Get(t.Context(), s.URL, jwks)
	require.ErrorContains(t, err, "fetch: request failed (")
}

func TestJ11InsecureHTTP(t *testing.T) {
	transport := newPipe(func(w io.Writer, _ int) { _, _ = io.WriteString(w, emptyObject) })
	for _, insecure := range []bool{false, true} {
		c, err := fetch.New(fetch.Config{InsecureHTTP: insecure, Client: &http.Client{Transport: transport}})
		require.NoError(t, err)
		_, err = c.Get(t.Context(), "http://idp.test/jwks", jwks)
		_, ftp := c.Get(t.Context(), "ftp://idp.test/jwks", jwks)
		require.ErrorIs(t, ftp, fetch.ErrURL)
		if insecure {
			require.NoError(t, err)
			require.EqualValues(t, 1, transport.calls.Load())
		} else {
			require.ErrorIs(t, err, fetch.ErrURL)
			require.Zero(t, transport.calls.Load())
		}
	}
}

func TestJ12Cookies(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/"})
		if r.URL.Path == "/start" {
			http.Redirect(w, r, "/jwks", http.StatusFound)
			return
		}
		writeJSON(w, `{}`)
	})
	c := client(t)
	for range 2 {
		_, err := c.Get(t.Context(), s.URL+"/start", jwks)
		require.NoError(t, err)
	}
	require.Len(t, s.seen(), 4)
	for _, r := range s.seen() {
		require.Empty(t, r.Cookies())
	}
}

func TestTruncatedBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		raw(w, "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 20\n\n{\"keys\":[]}")
	})
	_, err := client(t).Get(t.Context(), s.URL, jwks)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// TestErrorsHoldNoSecret: net/http quotes what it could not read, and the URL.
func TestErrorsHoldNoSecret(t *testing.T) {
	failing := func(err error) func(*fetch.Config) {
		return func(c *fetch.Config) {
			c.RootCAs, c.Client = nil, &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })}
		}
	}
	for _, tt := range []struct {
		name, answer string
		change       func(*fetch.Config)
		want         string
	}{
		{"status line", "secret secret secret\n\n", nil, "fetch: request failed (*errors.errorString)"},
		{"status code", "HTTP/1.1 secret OK\n\n", nil, "fetch: request failed (*errors.errorString)"},
		{"header line", "HTTP/1.1 200 OK\nsecret\n\n", nil, "fetch: request failed (textproto.ProtocolError)"},
		{"Location", "HTTP/1.1 302 Found\nLocation: https://id:secret@h/%zz?secret\n\n", nil, "fetch: request failed (*errors.errorString)"},
		{"chunk", "HTTP/1.1 200 OK\nContent-Type: application/json\nTransfer-Encoding: chunked\n\nsecret\n", nil, "fetch: request failed (*errors.errorString)"},
		{"nothing", "", nil, "fetch: EOF"},
		{"body with a status", "HTTP/1.1 500 secret\n\nsecret", nil, "fetch: status 500"},
		{"the transport's own", "", failing(errors.New("secret")), "fetch: request failed (*errors.errorString)"},
		{"the transport's own, a value", "", failing(textproto.ProtocolError("secret")), "fetch: request failed (textproto.ProtocolError)"},
		{"control characters", "", failing(&net.OpError{Op: "dial\r\n\x00x", Err: errors.New("refused")}), "fetch: dial   x: refused"},
		{"long", "", failing(&net.OpError{Op: strings.Repeat("x", 10_000), Err: errors.New("refused")}), "fetch: " + strings.Repeat("x", 256)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) { raw(w, tt.answer) })
			c := client(t)
			if tt.change != nil {
				c = client(t, tt.change)
			}
			_, err := c.Get(t.Context(), s.URL+"/jwks?key=secret", jwks)
			require.EqualError(t, err, tt.want+" (GET "+s.URL+"/jwks)")
			for e := err; e != nil; e = errors.Unwrap(e) {
				text, _ := json.Marshal(e)
				require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", e, e, e, text), "secret")
				if strings.HasPrefix(fmt.Sprintf("%T", e), "*fetch.") {
					break // below is the cause, which only errors.Is and errors.As look at
				}
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
