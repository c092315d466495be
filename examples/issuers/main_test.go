package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

func TestIssuers(t *testing.T) {
	const staffURL, customersURL = "https://staff.test", "https://customers.test/"
	staff, customers := jwttest.New(t), jwttest.New(t)
	audience := staff.Policy().Audiences[0]
	h, err := newHandler(config{staff: staffURL, customers: customersURL, audience: audience, staffKeys: staff, customerKeys: customers})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	defer server.Close()

	from := func(url string) map[string]any { return map[string]any{"iss": url} }
	for name, row := range map[string]struct {
		token           string
		orders, reports int
	}{
		"staff":                             {staff.Token(from(staffURL)), 200, 200},
		"a customer":                        {customers.Token(from(customersURL)), 200, 403},
		"a customer who claims to be staff": {customers.Token(from(staffURL)), 401, 401},
		"staff who claim to be a customer":  {staff.Token(from(customersURL)), 401, 401},
		"the slash is missing":              {customers.Token(from("https://customers.test")), 401, 401},
		"somebody else's":                   {staff.Token(nil), 401, 401},
		"staff, without client_id":          {staff.Token(map[string]any{"iss": staffURL, "client_id": nil}), 401, 401},
		"a customer, without client_id":     {customers.Token(map[string]any{"iss": customersURL, "client_id": nil}), 200, 403},
		"none":                              {"", 401, 401},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.orders, send(t, http.MethodGet, server.URL+"/orders", row.token))
			require.Equal(t, row.reports, send(t, http.MethodGet, server.URL+"/reports", row.token))
		})
	}

	// What one of them cannot answer is no matter of the other.
	staff.Outage(true)
	require.Equal(t, 503, send(t, http.MethodGet, server.URL+"/orders", staff.Token(from(staffURL))))
	require.Equal(t, 200, send(t, http.MethodGet, server.URL+"/orders", customers.Token(from(customersURL))))
}

// send has the status of the answer to a request with a token, or without.
func send(t *testing.T, method, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	return res.StatusCode
}
