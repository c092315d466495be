package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const demoAudience = "https://api.example.com"

// step is one request of the demonstration and the answer it must get.
type step struct {
	what          string
	authorization []string
	status        int
	challenge     string // a part of WWW-Authenticate; empty: there must be none
}

// demo starts an issuer, an API and the gateway between them, sends requests and
// prints a row for each. It fails if one is not answered as it must be.
func demo(ctx context.Context, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	idp, err := newIssuer()
	if err != nil {
		return err
	}
	if idp.url, err = start(ctx, idp); err != nil {
		return err
	}
	api, err := start(ctx, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "orders: 3")
	}))
	if err != nil {
		return err
	}
	var last atomic.Value // the gateway's own reason for its last decision
	gateway, err := newGateway(config{
		issuer: idp.url, audience: demoAudience, upstream: api,
		algorithms: []string{"RS256"}, insecureHTTP: true, logger: slog.New(slog.DiscardHandler),
		observe: func(_ context.Context, e jwtvalidate.Event) { last.Store(e) },
	})
	if err != nil {
		return err
	}
	url, err := start(ctx, gateway)
	if err != nil {
		return err
	}
	steps, err := demoSteps(idp)
	if err != nil {
		return err
	}

	fmt.Fprintf(out, "issuer  %s\nAPI     %s\ngateway %s\n\n", idp.url, api, url)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REQUEST\tANSWER\tREASON\tCHALLENGE\t")
	surprises := 0
	for _, s := range steps {
		status, challenge, err := s.send(ctx, url)
		if err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		verdict := ""
		if status != s.status || (s.challenge == "") != (challenge == "") || !strings.Contains(challenge, s.challenge) {
			verdict = fmt.Sprintf("UNEXPECTED: want %d %s", s.status, s.challenge)
			surprises++
		}
		event, _ := last.Load().(jwtvalidate.Event)
		fmt.Fprintf(table, "%s\t%d %s\t%s\t%s\t%s\n", s.what, status, http.StatusText(status), reason(event), challenge, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if surprises > 0 {
		return fmt.Errorf("%d of %d answers were not as expected", surprises, len(steps))
	}
	fmt.Fprintf(out, "\nall %d answers as expected\n", len(steps))
	return nil
}

func reason(e jwtvalidate.Event) string {
	if e.Reason == "" {
		return e.Kind
	}
	return string(e.Reason)
}

// demoSteps mints what the demonstration sends.
func demoSteps(idp *issuer) ([]step, error) {
	good, err := idp.token(nil)
	if err != nil {
		return nil, err
	}
	expired, err := idp.token(object{"exp": time.Now().Add(-time.Hour).Unix(), "iat": time.Now().Add(-2 * time.Hour).Unix()})
	if err != nil {
		return nil, err
	}
	foreign, err := idp.token(object{"aud": "https://payroll.example.com"})
	if err != nil {
		return nil, err
	}
	stranger, err := newIssuer()
	if err != nil {
		return nil, err
	}
	stranger.url = idp.url // it names our issuer, and our key's id
	forged, err := stranger.token(object{"sub": "admin"})
	if err != nil {
		return nil, err
	}
	claims := object{"iss": idp.url, "aud": demoAudience, "sub": "admin", "exp": time.Now().Add(time.Hour).Unix()}
	none, err := unsigned(object{"alg": "none", "typ": "JWT"}, claims)
	if err != nil {
		return nil, err
	}
	confused, err := hmacWithPublicKey(idp, claims)
	if err != nil {
		return nil, err
	}
	segments := strings.Split(good, ".")
	changed := segments[0] + "." + strings.Split(forged, ".")[1] + "." + segments[2]

	const invalid, malformed = `error="invalid_token"`, `error="invalid_request"`
	return []step{
		{"a good token", []string{"Bearer " + good}, http.StatusOK, ""},
		{"no token", nil, http.StatusUnauthorized, `Bearer realm="api"`},
		{"expired", []string{"Bearer " + expired}, http.StatusUnauthorized, invalid},
		{"forged: another key, same key id", []string{"Bearer " + forged}, http.StatusUnauthorized, invalid},
		{"forged: claims changed", []string{"Bearer " + changed}, http.StatusUnauthorized, invalid},
		{"for another audience", []string{"Bearer " + foreign}, http.StatusUnauthorized, invalid},
		{"alg none", []string{"Bearer " + none + "."}, http.StatusUnauthorized, invalid},
		{"alg none, with a signature", []string{"Bearer " + none + "." + segments[2]}, http.StatusUnauthorized, invalid},
		{"HS256 with the public key as secret", []string{"Bearer " + confused}, http.StatusUnauthorized, invalid},
		{"garbage", []string{"Bearer not.a.token"}, http.StatusUnauthorized, invalid},
		{"Authorization twice", []string{"Bearer " + good, "Bearer " + good}, http.StatusBadRequest, malformed},
		{"two tokens in one header", []string{"Bearer " + good + ", Bearer " + good}, http.StatusBadRequest, malformed},
		{"another scheme", []string{"Basic YWxpY2U6c2VjcmV0"}, http.StatusUnauthorized, `Bearer realm="api"`},
		{"the good token again", []string{"Bearer " + good}, http.StatusOK, ""},
	}, nil
}

// hmacWithPublicKey plays the oldest trick: what everybody may know, the public
// key, as an HMAC secret.
func hmacWithPublicKey(idp *issuer, claims object) (string, error) {
	input, err := unsigned(object{"alg": "HS256", "typ": "JWT", "kid": keyID}, claims)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(&idp.key.PublicKey)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil)), nil
}

func (s *step) send(ctx context.Context, url string) (status int, challenge string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/orders", nil)
	if err != nil {
		return 0, "", err
	}
	r.Header["Authorization"] = s.authorization
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, answer.Header.Get("WWW-Authenticate"), answer.Body.Close()
}

// start serves h on a free loopback port until ctx ends.
func start(ctx context.Context, h http.Handler) (url string, err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { _ = serve(ctx, listener, h) }()
	return "http://" + listener.Addr().String(), nil
}
