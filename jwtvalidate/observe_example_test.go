package jwtvalidate_test

import (
	"context"
	"expvar"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// decisions stands at /debug/vars. Its keys are a closed set: no client can add one.
var decisions = expvar.NewMap("token_decisions")

// Counters, by outcome and reason.
func ExampleConfig_observe() {
	issuer := jwttest.New(new(testing.T))
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{issuer.Policy()},
		Observe: func(_ context.Context, e jwtvalidate.Event) {
			decisions.Add(e.Kind, 1)
			if e.Reason != "" {
				decisions.Add(e.Kind+" "+string(e.Reason), 1)
			}
		},
	})
	if err != nil {
		panic(err)
	}
	decisions.Init() // only this example needs to start at zero
	h := v.Handler(orders)
	for _, token := range []string{issuer.Token(nil), issuer.Token(nil), issuer.Bad("expired"), issuer.Bad("forged"), issuer.Bad("forged")} {
		order("GET", token, h)
	}
	issuer.Outage(true)
	order("GET", issuer.Token(nil), h)

	decisions.Do(func(counter expvar.KeyValue) { fmt.Println(counter.Key, counter.Value) })
	// Output:
	// accepted 2
	// refused 3
	// refused expired 1
	// refused signature 2
	// unavailable 1
	// unavailable unavailable 1
}

type auditKey struct{}

// An audit log: who wanted what, and what became of it. A good token that a rule
// of the route refuses is two decisions. Who it was is known of tokens that are
// refused too, if only their signature was good; of a forged one nothing is told.
func ExampleConfig_auditLog() {
	issuer := jwttest.New(new(testing.T))
	audit := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{issuer.Policy()},
		Observe: func(ctx context.Context, e jwtvalidate.Event) {
			who := ""
			if e.Claims != nil {
				who = e.Claims.Subject()
			}
			what, _ := ctx.Value(auditKey{}).(string)
			audit.LogAttrs(ctx, slog.LevelInfo, e.Kind, slog.String("who", who), slog.String("what", what),
				slog.String("reason", string(e.Reason)), slog.String("rule", e.Rule))
		},
	})
	if err != nil {
		panic(err)
	}
	mayCancel := jwtvalidate.AllScopes("orders:cancel").Named("may cancel")
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require(jwtvalidate.AllScopes("orders:read"))(orders))
	mux.Handle("DELETE /orders", v.Require(mayCancel)(orders))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // Observe sees the context, not the request
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), auditKey{}, r.Method+" "+r.URL.Path)))
	})

	ann := issuer.Token(map[string]any{"sub": "ann", "scope": "orders:read"})
	order("GET", ann, h)
	order("DELETE", ann, h)
	order("GET", issuer.Bad("expired"), h)
	order("GET", issuer.Bad("forged"), h)
	// Output:
	// level=INFO msg=accepted who=ann what="GET /orders" reason="" rule=""
	// level=INFO msg=accepted who=ann what="DELETE /orders" reason="" rule=""
	// level=INFO msg=refused who=ann what="DELETE /orders" reason=insufficient_scope rule="may cancel"
	// level=INFO msg=refused who="" what="GET /orders" reason=expired rule=""
	// level=INFO msg=refused who="" what="GET /orders" reason=signature rule=""
}

// Shadow mode, before a service starts to refuse: Check decides and writes
// nothing, so a request passes whatever it says. Nothing is guarded meanwhile,
// neither the handlers nor the headers of Forward and TrustedProxies.
func ExampleValidator_Check_shadowMode() {
	issuer := jwttest.New(new(testing.T))
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		panic(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	shadow := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := v.Check(r); err != nil {
				logger.LogAttrs(r.Context(), slog.LevelWarn, "will be refused",
					slog.String("reason", string(jwtvalidate.ReasonOf(err))), slog.String("path", r.URL.Path))
			}
			next.ServeHTTP(w, r)
		})
	}
	h := shadow(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "orders") }))
	for _, token := range []string{issuer.Token(nil), issuer.Bad("audience"), ""} {
		fmt.Println(order("GET", token, h))
	}
	// Output:
	// 200
	// level=WARN msg="will be refused" reason=audience path=/orders
	// 200
	// level=WARN msg="will be refused" reason=no_token path=/orders
	// 200
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// order asks for the orders, with a token or without.
func order(method, token string, h http.Handler) int {
	r := httptest.NewRequest(method, "/orders", http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
