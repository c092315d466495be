package frameworks

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/ginauth"
)

// Gin is the service on gin, through ginauth.
func Gin(s Service) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/login", ginauth.Wrap(s.Signer.Handler), gin.WrapF(s.login))
	group := r.Group("/", ginauth.Wrap(s.Validator.Handler))
	group.GET("/orders", ginauth.Wrap(s.Validator.Require(readOrders)), gin.WrapF(s.orders))
	group.DELETE("/orders", ginauth.Wrap(s.Validator.Require(isAdmin, freshLogin)), gin.WrapF(s.orders))
	group.GET("/users/:id", ginauth.Wrap(s.Validator.Require(isSelf)), gin.WrapF(s.orders))
	group.GET("/stream", gin.WrapF(s.stream))
	group.GET("/broken", gin.WrapF(s.broken))
	return r
}
