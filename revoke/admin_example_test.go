package revoke_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A helpdesk revokes by HTTP what a user had before the phone was lost, and takes it
// back. Who may is for Authorize to say, here by a header that a proxy would set.
func ExampleChecker_Admin() {
	checker, _ := revoke.New(revoke.Config{MaxLifetime: time.Hour})
	admin, err := checker.Admin(revoke.AdminConfig{
		Authorize: func(r *http.Request) (revoke.Caller, error) {
			name := r.Header.Get("X-Employee")
			if name == "" {
				return revoke.Caller{}, errors.New("nobody")
			}
			return revoke.Caller{Name: name, Privileged: true}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := func(employee, method, path, body string, into any) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Employee", employee)
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		if into != nil {
			_ = json.Unmarshal(w.Body.Bytes(), into)
		}
		fmt.Println(method, w.Code)
	}

	const record = `{"kind": "subject", "issuer": "https://idp.example.com", "value": "ann", "reason": "lost phone"}`
	ask("", "POST", "/v1/revocations", record, nil)
	ask("hal", "POST", "/v1/revocations", record, nil)
	var list struct {
		Revocations []struct{ ID, Kind, Issuer string }
	}
	ask("hal", "GET", "/v1/revocations?kind=subject", "", &list)
	for _, r := range list.Revocations {
		fmt.Println(r.Kind, r.Issuer) // not whom it is about
		ask("hal", "DELETE", "/v1/revocations/"+r.ID, "", nil)
	}
	ask("hal", "GET", "/v1/revocations", "", &list)
	fmt.Println(len(list.Revocations), "left")
	// Output:
	// POST 401
	// POST 201
	// GET 200
	// subject https://idp.example.com
	// DELETE 204
	// GET 200
	// 0 left
}
