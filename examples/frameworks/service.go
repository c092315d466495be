package frameworks

import (
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// The rules of the routes, the same for every framework.
var (
	readOrders = jwtvalidate.AllScopes("orders:read")
	isAdmin    = jwtvalidate.Claim("roles").AnyOf("admin")
	isSelf     = jwtvalidate.Claim("sub").PathValue("id")
)

// Service is what the four share: who signs, and who decides.
type Service struct {
	Signer    *jwtsign.Signer
	Validator *jwtvalidate.Validator
}

func login(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("password") != "open sesame" {
		http.Error(w, "wrong password", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":{"sub":%q,"scope":"orders:read"},"token_type":"Bearer"}`, "ann")
}

func orders(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprint(w, "orders of ", claims.Subject())
}

func stream(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 3 {
		fmt.Fprintf(w, "data: %d\n\n", i)
		_ = http.NewResponseController(w).Flush()
	}
}

func broken(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
