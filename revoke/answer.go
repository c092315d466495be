package revoke

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"
)

// maxBody bounds what the handlers read.
const maxBody = 64 << 10

// answer writes JSON, or nothing for nil. No answer here may be kept by a cache.
func answer(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body) // the client has left
	}
}

// problem is an error as RFC 6749 section 5.2 spells one.
type problem struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	answer(w, status, problem{code, text})
}

// fail answers an error of Revoke, Restore, Check or a hook. None but ErrRecord has
// its text shown.
func fail(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrUnavailable):
		unavailableAnswer(w, retryOf(err))
	case errors.Is(err, ErrRecord):
		refuse(w, http.StatusBadRequest, "invalid_request", err.Error())
	case errors.Is(err, ErrUnknown):
		refuse(w, http.StatusNotFound, "not_found", "")
	default: // a hook, or a context that has ended
		unavailableAnswer(w, retryOf(err))
	}
}

func retryAfter(w http.ResponseWriter, after time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(after, time.Second).Seconds()))))
}

func unavailableAnswer(w http.ResponseWriter, after time.Duration) {
	retryAfter(w, after)
	refuse(w, http.StatusServiceUnavailable, "temporarily_unavailable", "")
}

// readForm reads a form from the body, never from the URL, and one parameter of it
// that must be there once. It answers if it cannot.
func readForm(w http.ResponseWriter, r *http.Request, name string) (string, bool) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "invalid_request", "")
		return "", false
	}
	if !hasType(r, "application/x-www-form-urlencoded") {
		refuse(w, http.StatusUnsupportedMediaType, "invalid_request", "want application/x-www-form-urlencoded")
		return "", false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, statusOf(err), "invalid_request", "")
		return "", false
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form[name]) != 1 || form[name][0] == "" {
		refuse(w, http.StatusBadRequest, "invalid_request", "want "+name+" once")
		return "", false
	}
	return form[name][0], true
}

func statusOf(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func hasType(r *http.Request, want string) bool {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && got == want && len(r.Header.Values("Content-Type")) == 1
}

// text is a claim that is a string, empty if it is not.
func text(claims Claims, name string) string {
	v, _ := claims.Get(name)
	s, _ := v.(string)
	return s
}

// isNil also finds a nil pointer or map, which is no nil interface: in what a hook has
// returned, and in a Config.
func isNil(v any) bool {
	p := reflect.ValueOf(v)
	return v == nil || (p.Kind() == reflect.Pointer || p.Kind() == reflect.Map) && p.IsNil()
}

// The challenges have the realm that jwtvalidate takes where none is set: RFC 6750
// section 3 wants a parameter behind the scheme. Who has sent nothing is told of no
// error (section 3.1).
const (
	noClaimsChallenge = `Bearer realm="api"`
	revokedChallenge  = noClaimsChallenge + `, error="invalid_token"`
)

// Handler is middleware for claims that somebody else has verified: 401 for what is
// revoked, or has no claims; 503 if it cannot be told. jwtvalidate asks the Checker
// itself, and has no need of it. It panics if claims or next is nil.
func (c *Checker) Handler(claims func(*http.Request) (Claims, bool)) func(http.Handler) http.Handler {
	if claims == nil {
		panic("revoke: Handler: claims is nil")
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("revoke: Handler: next is nil")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			found, ok := claims(r)
			if !ok || isNil(found) {
				refuseBearer(w, noClaimsChallenge)
				return
			}
			revoked, err := c.Revoked(r.Context(), found)
			switch {
			case err != nil:
				fail(w, err)
			case revoked:
				refuseBearer(w, revokedChallenge)
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}

func refuseBearer(w http.ResponseWriter, challenge string) {
	w.Header().Set("WWW-Authenticate", challenge)
	answer(w, http.StatusUnauthorized, nil)
}

// told hands an Event to an audit hook, whose panic changes nothing.
func told(ctx context.Context, audit func(context.Context, Event), e Event) {
	if audit != nil {
		defer func() { _ = recover() }()
		audit(ctx, e)
	}
}
