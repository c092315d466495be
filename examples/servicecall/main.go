package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

type config struct {
	issuer           string // its metadata name the token endpoint
	clientID, secret string
	scope            string
	stockURL         string // scheme://host[:port]
}

func main() {
	var missing []string
	env := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	cfg := config{
		issuer: env("ISSUER"), clientID: env("CLIENT_ID"), secret: env("CLIENT_SECRET"), scope: env("SCOPE"),
		stockURL: env("STOCK_URL"),
	}
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
	}
	h, err := newHandler(cfg)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr: cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8080"), Handler: h,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	fmt.Println("listening on http://" + server.Addr)
	log.Fatal(server.ListenAndServe())
}

func newHandler(cfg config) (http.Handler, error) {
	stock, err := url.Parse(cfg.stockURL)
	if err != nil || stock.Host == "" || strings.Trim(stock.Path, "/") != "" {
		return nil, errors.New("STOCK_URL: want https://host[:port], without a path")
	}
	source, err := clientcreds.New(clientcreds.Config{
		Issuer:         cfg.issuer,
		ClientID:       cfg.clientID,
		Secret:         clientcreds.StaticSecret(cfg.secret),
		Scopes:         strings.Fields(cfg.scope),
		AllowedOrigins: []string{cfg.stockURL}, // the token goes nowhere else
	})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, CLIENT_ID, CLIENT_SECRET, SCOPE, STOCK_URL: %w", err)
	}
	client := source.Client() // one for all requests
	client.Timeout = 5 * time.Second
	mux := http.NewServeMux()
	mux.HandleFunc("GET /availability", func(w http.ResponseWriter, r *http.Request) {
		availability(w, r, client, stock.JoinPath("stock").String())
	})
	return mux, nil
}

func availability(w http.ResponseWriter, r *http.Request, client *http.Client, address string) {
	out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	res, err := client.Do(out)
	if failed, ok := errors.AsType[*clientcreds.TokenError](err); ok { // no fault of who asked us: its reason is for our log
		log.Print(failed)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(failed.RetryAfter().Seconds()))))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err != nil {
		log.Print(err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK { // a 401 or 403 is about us, not about who asked us
		log.Print("stock: ", res.Status)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_, _ = io.Copy(w, io.LimitReader(res.Body, 1<<20))
}
