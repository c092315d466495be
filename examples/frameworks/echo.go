package frameworks

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Echo is the service on echo, whose WrapMiddleware takes net/http middleware. The
// path values are copied in front of it, for rules that ask for them.
func Echo(s Service) http.Handler {
	e := echo.New()
	wrap := func(middleware func(http.Handler) http.Handler) echo.MiddlewareFunc {
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			wrapped := echo.WrapMiddleware(middleware)(next)
			return func(c echo.Context) error {
				r := c.Request().WithContext(c.Request().Context())
				for _, name := range c.ParamNames() {
					r.SetPathValue(name, c.Param(name))
				}
				c.SetRequest(r)
				return wrapped(c)
			}
		}
	}
	handler := func(h http.HandlerFunc) echo.HandlerFunc { return echo.WrapHandler(h) }
	e.POST("/login", handler(s.login), wrap(s.Signer.Handler))
	group := e.Group("", wrap(s.Validator.Handler))
	group.GET("/orders", handler(s.orders), wrap(s.Validator.Require(readOrders)))
	group.DELETE("/orders", handler(s.orders), wrap(s.Validator.Require(isAdmin, freshLogin)))
	group.GET("/users/:id", handler(s.orders), wrap(s.Validator.Require(isSelf)))
	group.GET("/stream", handler(s.stream))
	group.GET("/broken", handler(s.broken))
	return e
}
