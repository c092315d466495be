package jwtvalidate_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// revokedIDs are the jti of tokens that are no longer wanted.
type revokedIDs struct{ ids sync.Map }

func (r *revokedIDs) Revoked(_ context.Context, claims interface{ Get(name string) (any, bool) }) (bool, error) {
	id, _ := claims.Get("jti")
	_, revoked := r.ids.Load(id)
	return revoked, nil
}

// An event stream outlives the check at its beginning. It asks again from time to
// time, and ends when the token has expired, its key is gone or it was revoked.
func ExampleValidator_Recheck() {
	issuer, revoked := jwttest.New(new(testing.T)), new(revokedIDs)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}, Revocation: revoked})
	if err != nil {
		panic(err)
	}
	tick := make(chan time.Time) // in your service: time.NewTicker(30 * time.Second).C
	server := httptest.NewServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 1; ; n++ {
			fmt.Fprintf(w, "data: %d for %s\n\n", n, claims.Subject())
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick:
			}
			if err := v.Recheck(r.Context(), claims); err != nil { // an outage too: the client comes back
				fmt.Fprint(w, "event: bye\ndata:\n\n")
				return
			}
		}
	})))
	defer server.Close()

	r, _ := http.NewRequest(http.MethodGet, server.URL, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(map[string]any{"sub": "ann", "jti": "token-7"}))
	res, err := server.Client().Do(r)
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	fmt.Println(res.Status, res.Header.Get("Content-Type"))
	for events := bufio.NewScanner(res.Body); events.Scan(); {
		line := events.Text()
		if line == "" {
			continue
		}
		fmt.Println(line)
		if strings.HasPrefix(line, "data: 2 ") {
			revoked.ids.Store("token-7", true)
		}
		if strings.HasPrefix(line, "data: ") {
			tick <- time.Now()
		}
	}
	// Output:
	// 200 OK text/event-stream
	// data: 1 for ann
	// data: 2 for ann
	// event: bye
	// data:
}
