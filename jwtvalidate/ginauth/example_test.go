package ginauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/ginauth"
)

// Middleware for net/http guards a group of gin's routes, and finds the route
// parameters with PathValue. In your service it is v.Handler or v.Require(…) of
// jwtvalidate; here, it lets users see themselves.
func Example() {
	self := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, _, _ := r.BasicAuth(); user == "" || user != r.PathValue("id") {
				w.WriteHeader(http.StatusForbidden) // gin's chain is aborted
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	r := gin.New()
	users := r.Group("/users/:id", ginauth.Wrap(self))
	users.GET("/orders", func(c *gin.Context) { c.String(http.StatusOK, "orders of %s", c.Param("id")) })

	for _, path := range []string{"/users/ann/orders", "/users/bob/orders"} {
		req := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		req.SetBasicAuth("ann", "a password")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		fmt.Println(path, w.Code, w.Body)
	}
	// Output:
	// /users/ann/orders 200 orders of ann
	// /users/bob/orders 403
}
