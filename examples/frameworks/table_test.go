package frameworks_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// What callers want. In HTTP it is a method and a path, in gRPC the name of a unary
// method and, behind "Stream", of a stream under the same rules.
type action struct{ method, path, rpc string }

var (
	list     = action{"GET", "/orders", "List"}
	remove   = action{"DELETE", "/orders", "Remove"}
	own      = action{"GET", "/users/ann", ""}
	another  = action{"GET", "/users/bob", ""}
	events   = action{"GET", "/stream", ""} // see TestWatch
	fail     = action{"GET", "/broken", "Break"}
	unlisted = action{"GET", "/nowhere", "Unlisted"}
)

// row is a request, and the answer of every framework.
type row struct {
	name        string
	action      action
	credentials []string // the values of Authorization
	status      int      // 0: the connection is cut
	body        string
	challenge   string
	code        codes.Code
	reason      string // empty: no details
}

// The challenges of every framework.
const (
	noToken   = `Bearer realm="api"`
	bad       = `Bearer realm="api", error="invalid_token"`
	malformed = `Bearer realm="api", error="invalid_request"`
	noScope   = `Bearer realm="api", error="insufficient_scope", scope="orders:read"`
	stepUp    = `Bearer realm="api", error="insufficient_user_authentication", max_age=300`
)

// table is what all are held to.
func table(t *testing.T, w *world) []row {
	t.Helper()
	bearer := func(token string) []string { return []string{"Bearer " + token} }
	ann := w.token(t)
	root := map[string]any{"sub": "root", "roles": []string{"admin"}, "auth_time": time.Now().Add(-time.Minute).Unix()}
	admin := w.sign(t, root)
	root["auth_time"] = time.Now().Add(-10 * time.Minute).Unix()
	stale := w.sign(t, root)
	old, err := w.signer(t, func() time.Time { return time.Now().Add(-2 * time.Hour) }).Sign(t.Context(), map[string]any{"sub": "ann", "scope": "orders:read"})
	require.NoError(t, err)
	bound := w.sign(t, map[string]any{"sub": "ann", "scope": "orders:read", "cnf": map[string]any{"jkt": "x"}})
	stolen := w.token(t)
	w.revoke(t, stolen)
	return []row{
		{"good", list, bearer(ann), 200, "orders of ann", "", codes.OK, ""},
		{"good, remembered", list, bearer(ann), 200, "orders of ann", "", codes.OK, ""},
		{"scheme in another case", list, []string{"bEARER " + ann}, 200, "orders of ann", "", codes.OK, ""},
		{"no token", list, nil, 401, "", noToken, codes.Unauthenticated, "no_token"},
		{"another scheme", list, []string{"Basic YTpi"}, 401, "", noToken, codes.Unauthenticated, "no_token"},
		{"no scheme", list, []string{ann}, 401, "", noToken, codes.Unauthenticated, "no_token"},
		{"empty", list, []string{"Bearer"}, 400, "", malformed, codes.Unauthenticated, "invalid_request"},
		{"malformed", list, []string{"Bearer a b"}, 400, "", malformed, codes.Unauthenticated, "invalid_request"},
		{"two in one value", list, []string{"Bearer " + ann + ", Bearer " + ann}, 400, "", malformed, codes.Unauthenticated, "invalid_request"},
		{"two values", list, append(bearer(ann), "Bearer "+ann), 400, "", malformed, codes.Unauthenticated, "invalid_request"},
		{"two values, one of another scheme", list, append(bearer(ann), "Basic YTpi"), 400, "", malformed, codes.Unauthenticated, "invalid_request"},
		{"bad token", list, bearer(ann[:len(ann)-4]), 401, "", bad, codes.Unauthenticated, "invalid_token"},
		{"expired", list, bearer(old), 401, "", bad, codes.Unauthenticated, "invalid_token"},
		{"bound to its sender", list, bearer(bound), 401, "", bad, codes.Unauthenticated, "invalid_token"},
		{"revoked", list, bearer(stolen), 401, "", bad, codes.Unauthenticated, "invalid_token"},
		{"lacking scope", list, bearer(admin), 403, "", noScope, codes.PermissionDenied, "insufficient_scope"},
		{"lacking role", remove, bearer(ann), 403, "", "", codes.PermissionDenied, "forbidden"},
		{"stale login", remove, bearer(stale), 401, "", stepUp, codes.Unauthenticated, "step_up"},
		{"admin", remove, bearer(admin), 200, "orders of root", "", codes.OK, ""},
		{"oneself", own, bearer(ann), 200, "orders of ann", "", codes.OK, ""},
		{"another", another, bearer(ann), 403, "", "", codes.OK, ""},
		{"streaming answer", events, bearer(ann), 200, "data: 0\n\ndata: 1\n\ndata: 2\n\n", "", codes.OK, ""},
		{"stream without token", events, nil, 401, "", noToken, codes.OK, ""},
		{"stream with revoked token", events, bearer(stolen), 401, "", bad, codes.OK, ""},
		{"panic in the handler", fail, bearer(ann), 0, "", "", codes.Internal, ""},
		{"panic behind a refusal", fail, nil, 401, "", noToken, codes.Unauthenticated, "no_token"},
		{"good after a panic", list, bearer(ann), 200, "orders of ann", "", codes.OK, ""},
	}
}

// runs reports whether a handler is to run.
func (r row) runs() bool { return r.status == 200 || r.status == 0 }
