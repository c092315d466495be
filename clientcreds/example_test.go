package clientcreds_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"time"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// shop is an authorization server and an API, on loopback.
func shop() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"the-token-for-`+r.PostFormValue("audience")+`","token_type":"Bearer","expires_in":3600}`)
			return
		}
		_, _ = fmt.Fprint(w, r.Method, " ", r.URL.Path, " with ", r.Header.Get("Authorization"))
	}))
}

func Example() {
	server := shop()
	defer server.Close()

	source, err := clientcreds.New(clientcreds.Config{
		TokenURL:       server.URL + "/token",
		ClientID:       "orders",
		Secret:         clientcreds.StaticSecret("hush"),
		Audience:       "stock",
		AllowedOrigins: []string{server.URL},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := source.Client()
	defer client.CloseIdleConnections()

	res, err := client.Get(server.URL + "/stock/7")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	fmt.Println(string(text))

	_, err = client.Get("https://elsewhere.example.com/")
	fmt.Println(errors.Is(err, clientcreds.ErrOrigin))
	// Output:
	// GET /stock/7 with Bearer the-token-for-stock
	// true
}

// A gateway has one Source, and a token for each audience behind it.
func ExampleWithTarget() {
	server := shop()
	defer server.Close()
	source, err := clientcreds.New(clientcreds.Config{
		TokenURL:         server.URL + "/token",
		ClientID:         "gateway",
		Secret:           clientcreds.StaticSecret("hush"),
		Audience:         "stock",
		AllowedAudiences: []string{"billing"},
		AllowedOrigins:   []string{server.URL},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, audience := range []string{"", "billing", "payroll"} {
		ctx := clientcreds.WithTarget(context.Background(), clientcreds.Target{Audience: audience})
		token, err := source.Token(ctx)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(token.AccessToken)
	}
	// Output:
	// the-token-for-stock
	// the-token-for-billing
	// clientcreds: target not allowed: not one of AllowedAudiences
}

// What to answer when there is no token: it is not the fault of who asked us.
func ExampleTokenError() {
	source, err := clientcreds.New(clientcreds.Config{
		TokenURL: "https://idp.example.com/token",
		ClientID: "orders",
		Secret:   clientcreds.StaticSecret("hush"),
		Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return answer(r, 400, "application/json", `{"error":"invalid_scope"}`), nil
		})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = source.Token(context.Background())
	var failed *clientcreds.TokenError
	switch {
	case errors.As(err, &failed):
		fmt.Println(failed.Reason, failed.Code, failed.Temporary, failed.RetryAfter() > time.Second)
		fmt.Println(failed)
	case err != nil:
		fmt.Println("the caller has left:", err)
	}
	// Output:
	// request invalid_scope false true
	// clientcreds: token unavailable: request: status 400: invalid_scope (POST https://idp.example.com)
}

// KrakenD's auth/client-credentials, said with this package.
func Example_krakend() {
	os.Setenv("CLIENT_SECRET", "a secret")
	proxy := new(httputil.ReverseProxy)

	source, err := clientcreds.New(clientcreds.Config{
		TokenURL:       "https://idp.example.com/oauth/token",
		ClientID:       "orders",
		Secret:         clientcreds.StaticSecret(os.Getenv("CLIENT_SECRET")),
		Scopes:         []string{"orders:read", "orders:write"},
		Audience:       "https://api.example.com",
		AllowedOrigins: []string{"https://api.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	proxy.Transport = source.Transport(http.DefaultTransport) // of an httputil.ReverseProxy

	http.NewServeMux().Handle("/orders/", proxy)
	fmt.Println(source.Status().Usable) // asked for when a call needs it
	// Output: false
}
