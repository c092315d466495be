package ginauth_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/ginauth"
)

func init() { gin.SetMode(gin.TestMode) }

// passing goes on as it is; holding goes on with a writer of its own, which sends
// what was written in capitals when the handler is done.
func passing(next http.Handler) http.Handler { return next }

type held struct {
	http.ResponseWriter
	body   bytes.Buffer
	status int
}

func (h *held) WriteHeader(status int)              { h.status = status }
func (h *held) Write(p []byte) (int, error)         { return h.body.Write(p) }
func (h *held) Unwrap() http.ResponseWriter         { return h.ResponseWriter }
func holding(next http.Handler) http.Handler        { return holder{next} }
func refusing(http.Handler) http.Handler            { return http.HandlerFunc(refuse) }
func refuse(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }

type holder struct{ next http.Handler }

func (h holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	own := &held{ResponseWriter: w}
	h.next.ServeHTTP(own, r)
	w.WriteHeader(own.status)
	_, _ = io.WriteString(w, strings.ToUpper(own.body.String()))
}

func ask(r *gin.Engine, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	return w
}

func TestRefusalAborts(t *testing.T) {
	r := gin.New()
	var ran, after bool
	r.Use(func(c *gin.Context) {
		c.Next()
		after = c.IsAborted()
	}, ginauth.Wrap(refusing))
	r.GET("/", func(*gin.Context) { ran = true })
	require.Equal(t, http.StatusTeapot, ask(r, "/").Code)
	require.False(t, ran)
	require.True(t, after)
}

func TestRequestOfTheMiddleware(t *testing.T) {
	r := gin.New()
	r.GET("/users/:id/*rest", ginauth.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			r.Header.Set("X-User", r.PathValue("id")+r.PathValue("rest"))
			next.ServeHTTP(w, r)
		})
	}), func(c *gin.Context) { c.String(http.StatusOK, c.Request.Header.Get("X-User")) })
	require.Equal(t, "ann/x", ask(r, "/users/ann/x").Body.String())
}

func TestWriterOfTheMiddleware(t *testing.T) {
	for _, row := range []struct {
		name    string
		handler gin.HandlerFunc
		status  int
		body    string
	}{
		{"JSON", func(c *gin.Context) { c.JSON(http.StatusCreated, gin.H{"a": "b"}) }, 201, `{"A":"B"}`},
		{"text", func(c *gin.Context) { c.String(http.StatusAccepted, "x") }, 202, "X"},
		{"a status alone", func(c *gin.Context) { c.Status(http.StatusGone) }, 410, ""},
		{"nothing", func(*gin.Context) {}, 200, ""},
		{"an abort with a status", func(c *gin.Context) { c.AbortWithStatus(http.StatusConflict) }, 409, ""},
		{"an abort with JSON", func(c *gin.Context) { c.AbortWithStatusJSON(http.StatusConflict, "x") }, 409, `"X"`},
		{"WriteString", func(c *gin.Context) { _, _ = c.Writer.WriteString("x") }, 200, "X"},
		{"the first status counts once a byte is written", func(c *gin.Context) {
			c.Status(http.StatusCreated)
			c.Writer.WriteHeaderNow()
			c.Status(http.StatusGone)
		}, 201, ""},
		{"what gin asks of its writer", func(c *gin.Context) {
			before := c.Writer.Written()
			c.String(http.StatusCreated, "abc")
			if before || !c.Writer.Written() || c.Writer.Size() != 3 || c.Writer.Status() != http.StatusCreated {
				c.Writer.Header().Set("X-Wrong", "1")
			}
		}, 201, "ABC"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := gin.New()
			var size int
			r.Use(func(c *gin.Context) {
				c.Next()
				size = c.Writer.Size()
			})
			r.GET("/", ginauth.Wrap(holding), row.handler)
			w := ask(r, "/")
			require.Equal(t, row.status, w.Code)
			require.Equal(t, row.body, w.Body.String())
			require.Empty(t, w.Header().Get("X-Wrong"))
			require.Equal(t, len(row.body), max(size, 0), "gin's own writer has seen what left")
		})
	}
}

func TestPanicsPass(t *testing.T) {
	r := gin.New()
	r.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusInternalServerError) }))
	r.GET("/", ginauth.Wrap(holding), func(*gin.Context) { panic("x") })
	require.Equal(t, http.StatusInternalServerError, ask(r, "/").Code)
}

// A stream and an upgrade work through both kinds of middleware, on a real server.
func TestConnections(t *testing.T) {
	through := func(next http.Handler) http.Handler { // a writer that passes on
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct {
				http.ResponseWriter
				unwrapper
			}{w, unwrapper{w}}, r)
		})
	}
	r := gin.New()
	for path, middleware := range map[string]func(http.Handler) http.Handler{"/own": passing, "/other": through} {
		r.GET(path+"/stream", ginauth.Wrap(middleware), func(c *gin.Context) {
			c.Writer.Header().Set("Content-Type", "text/event-stream")
			n := 0
			c.Stream(func(w io.Writer) bool {
				_, _ = io.WriteString(w, "data\n")
				n++
				return n < 3
			})
		})
		r.GET(path+"/upgrade", ginauth.Wrap(middleware), func(c *gin.Context) {
			conn, _, err := c.Writer.Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "hello\n")
				_ = conn.Close()
			}
		})
	}
	server := httptest.NewServer(r)
	defer server.Close()
	for _, path := range []string{"/own", "/other"} {
		res, err := server.Client().Get(server.URL + path + "/stream")
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, "data\ndata\ndata\n", string(body))

		conn, err := net.DialTimeout("tcp", server.Listener.Addr().String(), 10*time.Second)
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET "+path+"/upgrade HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "hello\n", line)
		require.NoError(t, conn.Close())
	}
}

type unwrapper struct{ w http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.w }

// Requests at the same time do not meet, and a middleware that calls on twice is told.
func TestWrongMiddleware(t *testing.T) {
	r := gin.New()
	ran := 0
	r.GET("/", ginauth.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			next.ServeHTTP(w, r)
		})
	}), func(*gin.Context) { ran++ })
	require.Panics(t, func() { ask(r, "/") })
	require.Equal(t, 1, ran)
}
