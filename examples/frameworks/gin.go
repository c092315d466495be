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
	r.POST("/login", ginauth.Wrap(s.Signer.Handler), gin.WrapF(login))
	group := r.Group("/", ginauth.Wrap(s.Validator.Handler))
	group.GET("/orders", ginauth.Wrap(s.Validator.Require(readOrders)), gin.WrapF(orders))
	group.DELETE("/orders", ginauth.Wrap(s.Validator.Require(isAdmin)), gin.WrapF(orders))
	group.GET("/users/:id", ginauth.Wrap(s.Validator.Require(isSelf)), gin.WrapF(orders))
	group.GET("/stream", gin.WrapF(stream))
	group.GET("/broken", gin.WrapF(broken))
	return r
}
