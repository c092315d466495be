// Package ginauth lets gin use net/http middleware, such as that of jwtvalidate
// and jwtsign.
//
//	r := gin.New()
//	r.Use(ginauth.Wrap(v.Handler))
//	r.GET("/orders/:id", ginauth.Wrap(v.Require(jwtvalidate.AllScopes("orders:read"))), show)
//
// What gin has matched is there for request rules: route parameters are copied
// with SetPathValue, so that Claim("sub").PathValue("id") works. The handlers
// behind find the claims by jwtvalidate.FromContext(c.Request.Context()), and the
// request as the middleware has left it in c.Request. Where the middleware does not
// call on, gin's chain is aborted.
package ginauth
