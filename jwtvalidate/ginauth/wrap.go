package ginauth

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Wrap makes a gin handler of middleware for net/http. The middleware is set up
// once, here: it panics here if it was wired wrongly. A middleware that calls on
// more than once, or after it has returned, is not supported.
func Wrap(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	h := middleware(http.HandlerFunc(goOn))
	return func(c *gin.Context) {
		pass := &passage{gin: c}
		r := c.Request.WithContext(context.WithValue(c.Request.Context(), passageKey{}, pass))
		for _, p := range c.Params {
			r.SetPathValue(p.Key, p.Value)
		}
		h.ServeHTTP(c.Writer, r)
		if !pass.ran {
			c.Abort()
		}
	}
}

// passage is a request on its way through a middleware.
type passage struct {
	gin *gin.Context
	ran bool
}

type passageKey struct{}

// goOn is what stands behind the middleware: the rest of gin's chain.
func goOn(w http.ResponseWriter, r *http.Request) {
	pass, ok := r.Context().Value(passageKey{}).(*passage)
	if !ok || pass.ran {
		panic("ginauth: the middleware called on with another request's context, or twice")
	}
	pass.ran = true
	c := pass.gin
	c.Request = r
	before := c.Writer
	if w == http.ResponseWriter(before) {
		c.Next()
		return
	}
	held := &writer{ResponseWriter: before, to: w, status: http.StatusOK, size: unwritten}
	c.Writer = held
	defer func() { c.Writer = before }()
	c.Next()
	held.WriteHeaderNow()
}
