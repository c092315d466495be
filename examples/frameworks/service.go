package frameworks

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// The rules of the routes, the same for every framework. isSelf needs a request: it
// is not for gRPC.
var (
	readOrders = jwtvalidate.AllScopes("orders:read")
	isAdmin    = jwtvalidate.Claim("roles").AnyOf("admin")
	freshLogin = jwtvalidate.MaxAuthAge(5 * time.Minute)
	isSelf     = jwtvalidate.Claim("sub").PathValue("id")
)

// Service is what they share: who signs, who decides, and what there is to serve.
type Service struct {
	Signer    *jwtsign.Signer
	Validator *jwtvalidate.Validator
	// Events opens the feed of one stream, which ends when the feed is closed.
	Events func() <-chan string
	// RecheckEvery is how often a gRPC stream asks again. Zero: 30 s.
	RecheckEvery time.Duration
	// Logger gets the panics of gRPC handlers. Nil: silent.
	Logger *slog.Logger
	// Ran is told of each call that reached a handler behind the Validator. Nil: nobody.
	Ran func()
}

func (s Service) ran() {
	if s.Ran != nil {
		s.Ran()
	}
}

func (s Service) login(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("password") != "open sesame" {
		http.Error(w, "wrong password", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":{"sub":%q,"scope":"orders:read"},"token_type":"Bearer"}`, "ann")
}

func (s Service) orders(w http.ResponseWriter, r *http.Request) {
	s.ran()
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprint(w, "orders of ", claims.Subject())
}

// stream asks again before each event: a token that has expired or was revoked gets
// no more of them. Where events are rare, a ticker should ask too.
func (s Service) stream(w http.ResponseWriter, r *http.Request) {
	s.ran()
	claims, _ := jwtvalidate.FromContext(r.Context())
	w.Header().Set("Content-Type", "text/event-stream")
	for events := s.Events(); http.NewResponseController(w).Flush() == nil; {
		select {
		case <-r.Context().Done():
			return
		case event, more := <-events:
			if !more || s.Validator.Recheck(r.Context(), claims) != nil {
				return
			}
			fmt.Fprintf(w, "data: %s\n\n", event)
		}
	}
}

func (s Service) broken(http.ResponseWriter, *http.Request) {
	s.ran()
	panic("broken")
}
