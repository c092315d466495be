package clientcreds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

// exchange is one token request. x/oauth2 writes it; the answer is read here, with
// bounds, and handed up in the one form that x/oauth2 cannot misread.
func (s *Source) exchange(ctx context.Context, tokenURL string, cred *credential, to *target) (*answer, *TokenError) {
	conf := clientcredentials.Config{
		ClientID:       s.client().id,
		ClientSecret:   cred.secret,
		TokenURL:       tokenURL,
		Scopes:         to.scopes,
		EndpointParams: maps.Clone(s.client().params),
		AuthStyle:      cred.style,
	}
	if conf.EndpointParams == nil {
		conf.EndpointParams = map[string][]string{}
	}
	maps.Copy(conf.EndpointParams, cred.params)
	if to.audience != "" {
		conf.EndpointParams.Set("audience", to.audience)
	}
	if len(to.resources) > 0 {
		conf.EndpointParams["resource"] = to.resources
	}
	if cred.authorize != nil { // it says who asks, and the body does not
		conf.ClientID = ""
	}
	w := &wire{base: s.transport, authorize: cred.authorize, now: s.now}
	_, err := conf.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: w}))
	var failed *TokenError
	switch {
	case w.failed != nil:
		failed = w.failed
	case err != nil:
		failed = &TokenError{Reason: ReasonMalformed, cause: err} // the request could not be written
	default:
		return w.answer, nil
	}
	failed.TokenHost = hostOf(tokenURL)
	failed.from = cred.identity
	if fingerprintOf(failed.Code) == cred.identity {
		failed.Code = "" // the server repeats the secret
	}
	return nil, failed
}

// wire is what is between x/oauth2 and the network, for one request. The client
// above sees no other answer than a 200, and so follows no redirect.
type wire struct {
	base      http.RoundTripper
	authorize func(*http.Request)
	now       func() time.Time

	answer *answer
	failed *TokenError
}

var errAnswer = errors.New("clientcreds: no token in the answer")

// RoundTrip may change the request: it is ours.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := w.now()
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "gatehouse")
	if w.authorize != nil {
		w.authorize(r)
	}
	in, err := w.base.RoundTrip(r)
	if err == nil && (in == nil || in.Body == nil) {
		err = errors.New("clientcreds: the transport returned no answer")
	}
	if err != nil {
		w.failed = transportError(err)
		return nil, errAnswer
	}
	defer in.Body.Close()
	body, err := io.ReadAll(io.LimitReader(in.Body, maxAnswer+1))
	switch {
	case len(body) > maxAnswer:
		w.failed = &TokenError{Reason: ReasonTooLarge, Status: in.StatusCode, Temporary: true}
	case err != nil:
		w.failed = transportError(err)
		w.failed.Status = in.StatusCode
	default:
		w.answer, w.failed = parseAnswer(in.StatusCode, in.Header.Get("Content-Type"), body, asked)
	}
	if w.failed != nil {
		w.failed.after, _ = fetch.RetryAfter(in.Header, w.now())
		return nil, errAnswer
	}
	return w.plain(r)
}

// plain is the answer once more: the token, its type, and seconds as an integer.
func (w *wire) plain(r *http.Request) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"access_token": w.answer.accessToken, "token_type": "Bearer"})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status:        strconv.Itoa(http.StatusOK) + " " + http.StatusText(http.StatusOK),
		StatusCode:    http.StatusOK,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		Request:       r,
	}, nil
}
