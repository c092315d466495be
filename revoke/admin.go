package revoke

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Caller is who asks an admin handler for something.
type Caller struct {
	Name       string // for the record: at most 200 bytes. Required: who has none gets a 401
	ClientID   string // whose tokens it may revoke by RFC 7009
	Privileged bool   // it may revoke everybody's, and use the JSON API
	Global     bool   // it may revoke issuers, keys and everything
}

// AdminConfig makes the admin handlers.
type AdminConfig struct {
	// Authorize says who asks. An error is a 401, one with RetryAfter() a 503.
	// Required.
	Authorize func(r *http.Request) (Caller, error)
	// Verify has the claims of a token that is to be revoked by RFC 7009. Nil and nil:
	// it is none of ours, or is bad. An error: it cannot be told (503). Nil: there is
	// no /revoke.
	Verify func(ctx context.Context, token string) (Claims, error)
	// PerMinute is how many tokens a caller that is not Privileged may revoke by RFC
	// 7009 in a minute; above, the answer is 429. Zero: 600.
	PerMinute int
	// Audit is told of every write that was made, that could not be, or that its caller
	// may not make, synchronously: not of those of strangers and foreign pages, nor of
	// what was malformed. Nil: nobody.
	Audit func(ctx context.Context, e Event)
}

// Admin is a handler, for a server of the owner's choice, of
//
//	POST   /revoke               RFC 7009: token=…
//	POST   /v1/revocations       a record as JSON; 201 with its id
//	GET    /v1/revocations       those in force: ?kind=…&issuer=…&limit=…
//	DELETE /v1/revocations/{id}  Restore
//	POST   /v1/check             {"claims": {…}, "key": thumbprint}
//	GET    /v1/status            Status, as JSON
//
// A record has the members kind, issuer, value, claims, issued_before, ban, until,
// expires and reason, which are the fields of [Record]; times are RFC 3339, and a
// member that is not known is refused. A list has at most 100 entries, or limit of up
// to 1000, and says in the member more that there are others. The status has the members
// ready, entries, max_entries, shapes, as_of, staleness (such as "1.5s"), refused,
// unavailable, served_stale, damaged and last_error, which are the fields of [Status];
// but for the first three, what is zero is left out. All but /revoke is for a
// Privileged [Caller], else 403. Errors are spelled as in RFC 6749 section 5.2. Writes that a
// browser sends from a foreign page are refused.
func (c *Checker) Admin(cfg AdminConfig) (http.Handler, error) {
	var errs []error
	if cfg.Authorize == nil {
		errs = append(errs, errors.New("revoke: Authorize: required"))
	}
	if cfg.PerMinute < 0 {
		errs = append(errs, errors.New("revoke: PerMinute: negative"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	a := &admin{Checker: c, cfg: cfg, quota: quota{perMinute: cmp.Or(cfg.PerMinute, 600)}}
	mux := http.NewServeMux()
	if cfg.Verify != nil {
		mux.HandleFunc("/revoke", a.revoke)
	}
	mux.HandleFunc("POST /v1/revocations", a.privileged(a.create))
	mux.HandleFunc("GET /v1/revocations", a.privileged(a.list))
	mux.HandleFunc("DELETE /v1/revocations/{id}", a.privileged(a.delete))
	mux.HandleFunc("POST /v1/check", a.privileged(a.check))
	mux.HandleFunc("GET /v1/status", a.privileged(a.status))
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "access_denied", "")
	}))
	return origins.Handler(mux), nil
}

type admin struct {
	*Checker
	cfg   AdminConfig
	quota quota
}

// caller answers, if there is none.
func (a *admin) caller(w http.ResponseWriter, r *http.Request) (Caller, bool) {
	who, err := a.cfg.Authorize(r)
	if err == nil && (who.Name == "" || !printable(who.Name)) {
		err = errors.New("no name, or an odd one")
	}
	if err == nil {
		return who, true
	}
	if later, ok := errors.AsType[retryLater](err); ok {
		unavailableAnswer(w, later.RetryAfter())
	} else {
		refuse(w, http.StatusUnauthorized, "invalid_client", "")
	}
	return Caller{}, false
}

func (a *admin) privileged(next func(http.ResponseWriter, *http.Request, Caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, ok := a.caller(w, r)
		switch {
		case !ok:
		case !who.Privileged:
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				a.audit(r, Event{Kind: eventRefused, Actor: who.Name})
			}
			refuse(w, http.StatusForbidden, "access_denied", "")
		default:
			next(w, r, who)
		}
	}
}

func (a *admin) audit(r *http.Request, e Event) { told(r.Context(), a.cfg.Audit, e) }

// revoke is RFC 7009. What is no token of ours is as good as revoked: 200.
func (a *admin) revoke(w http.ResponseWriter, r *http.Request) {
	who, ok := a.caller(w, r)
	if !ok {
		return
	}
	token, ok := readForm(w, r, "token")
	if !ok {
		return
	}
	claims, err := a.cfg.Verify(r.Context(), token)
	if err != nil {
		fail(w, err)
		return
	}
	if isNil(claims) {
		answer(w, http.StatusOK, nil)
		return
	}
	own := who.ClientID != "" && (text(claims, "client_id") == who.ClientID ||
		text(claims, "client_id") == "" && text(claims, "azp") == who.ClientID)
	if !own && !who.Privileged {
		a.audit(r, Event{Kind: eventRefused, Record: KindToken, Actor: who.Name})
		refuse(w, http.StatusBadRequest, "unauthorized_client", "") //nolint:misspell // RFC 7009 section 2.1, RFC 6749 section 5.2
		return
	}
	rec := Record{Kind: KindToken, Issuer: text(claims, "iss"), Actor: who.Name, Reason: "RFC 7009"}
	id, _ := claims.Get(a.idClaim(rec.Issuer))
	if b, ok := appendValue(nil, id, true); ok {
		rec.Value = string(b[5:])
	}
	if rec.Issuer == "" || rec.Value == "" {
		answer(w, http.StatusOK, nil) // it cannot be named, and nothing else may stand for it
		return
	}
	rec.Expires = time.Unix(foreverSecond, 0) // without exp, it is kept for ever
	if expires, ends := instantOf(claims, "exp"); ends {
		rec.Expires = time.Unix(0, expires.ns)
	}
	if wait, ok := a.share(who); !ok {
		a.audit(r, Event{Kind: eventRefused, Record: KindToken, Actor: who.Name})
		retryAfter(w, wait)
		refuse(w, http.StatusTooManyRequests, "temporarily_unavailable", "")
		return
	}
	receipt, err := a.Revoke(r.Context(), rec)
	a.audit(r, Event{Kind: eventRevoked, Record: KindToken, Issuer: rec.Issuer, ID: receipt.ID, Actor: who.Name, Err: err})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, nil)
}

// share reports whether a caller may write once more, or when.
func (a *admin) share(who Caller) (wait time.Duration, ok bool) {
	if who.Privileged {
		return 0, true
	}
	return a.quota.take(who.ClientID, a.clock())
}

// recordJSON is a Record as the API has it. Times are RFC 3339.
type recordJSON struct {
	Kind         Kind           `json:"kind"`
	Issuer       string         `json:"issuer,omitempty"`
	Value        string         `json:"value,omitempty"`
	Claims       map[string]any `json:"claims,omitempty"`
	IssuedBefore time.Time      `json:"issued_before,omitzero"`
	Ban          bool           `json:"ban,omitempty"`
	Until        time.Time      `json:"until,omitzero"`
	Expires      time.Time      `json:"expires,omitzero"`
	Reason       string         `json:"reason,omitempty"`
}

// entryJSON is what is in force. It names nobody.
type entryJSON struct {
	ID     string    `json:"id"`
	Kind   Kind      `json:"kind"`
	Issuer string    `json:"issuer,omitempty"`
	Claims []string  `json:"claims,omitempty"`
	Ban    bool      `json:"ban,omitempty"`
	Cutoff time.Time `json:"cutoff,omitzero"`
	Until  time.Time `json:"until,omitzero"`
}

// bodyLimits refuse what readers of JSON differ about: a name twice, or in letters of
// another case.
var bodyLimits = jose.Limits{
	Bytes: maxBody, Depth: 16, Values: 4096,
	Reserved: jose.Reserve("kind", "issuer", "value", "claims", "issued_before", "ban", "until", "expires", "reason", "key"),
}

// readJSON reads exactly one JSON object with no member that is not known. It answers
// if it cannot.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	if !hasType(r, "application/json") {
		refuse(w, http.StatusUnsupportedMediaType, "invalid_request", "want application/json")
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		_, err = jose.ParseObject(string(body), bodyLimits)
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		d.DisallowUnknownFields()
		err = d.Decode(into)
	}
	if err != nil {
		refuse(w, statusOf(err), "invalid_request", "malformed JSON, or a member that is not known")
	}
	return err == nil
}

func (a *admin) create(w http.ResponseWriter, r *http.Request, who Caller) {
	var in recordJSON
	if !readJSON(w, r, &in) || !a.may(w, r, who, in.Kind) {
		return
	}
	receipt, err := a.Revoke(r.Context(), Record{
		Kind: in.Kind, Issuer: in.Issuer, Value: in.Value, Claims: in.Claims, IssuedBefore: in.IssuedBefore,
		Ban: in.Ban, Until: in.Until, Expires: in.Expires, Reason: in.Reason, Actor: who.Name,
	})
	e := Event{Kind: eventRevoked, ID: receipt.ID, Actor: who.Name, Err: err}
	if !errors.Is(err, ErrRecord) { // else they are whatever was sent
		e.Record, e.Issuer = in.Kind, in.Issuer
	}
	a.audit(r, e)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusCreated, entryJSON{
		ID: receipt.ID, Kind: in.Kind, Issuer: in.Issuer, Ban: in.Ban, Cutoff: receipt.Cutoff.UTC(), Until: receipt.Until.UTC(),
	})
}

// may answers 403, if the caller must not touch what concerns all.
func (a *admin) may(w http.ResponseWriter, r *http.Request, who Caller, kind Kind) bool {
	if who.Global || !kind.global() && kind != KindIssuer {
		return true
	}
	a.audit(r, Event{Kind: eventRefused, Record: kind, Actor: who.Name})
	refuse(w, http.StatusForbidden, "access_denied", "")
	return false
}

func (a *admin) delete(w http.ResponseWriter, r *http.Request, who Caller) {
	id := r.PathValue("id")
	kind, err := a.kindOf(id)
	if err == nil {
		if !a.may(w, r, who, kind) {
			return
		}
		err = a.restore(r.Context(), id, who.Name)
	}
	a.audit(r, Event{Kind: eventRestored, Record: kind, ID: known(id), Actor: who.Name, Err: err})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusNoContent, nil)
}

// known is an id, if it is one.
func known(text string) string {
	if _, err := parseID(text); err != nil {
		return ""
	}
	return text
}

func (c *Checker) kindOf(text string) (Kind, error) {
	id, err := parseID(text)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if sh := c.shapes[id.shape]; sh != nil {
		return sh.kind, nil
	}
	return "", ErrUnknown
}

const (
	usualList = 100
	maxList   = 1000
)

func (a *admin) list(w http.ResponseWriter, r *http.Request, _ Caller) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if q.Get("limit") == "" {
		limit, err = usualList, nil
	}
	kind := Kind(q.Get("kind"))
	if err != nil || limit < 1 || limit > maxList || !slices.Contains(kinds, kind) {
		refuse(w, http.StatusBadRequest, "invalid_request", "want a known kind, and a limit of 1 to 1000")
		return
	}
	out := struct {
		Revocations []entryJSON `json:"revocations"`
		More        bool        `json:"more"`
	}{Revocations: []entryJSON{}}
	for rec := range a.held() {
		if until := a.keepUntil(rec); !until.IsZero() && !a.clock().Before(until) {
			continue
		}
		if rec.restore || kind != "" && rec.kind != kind || q.Has("issuer") && rec.issuer != q.Get("issuer") {
			continue
		}
		if out.More = len(out.Revocations) == limit; out.More {
			break
		}
		e := entryJSON{ID: rec.id.String(), Kind: rec.kind, Issuer: rec.issuer, Claims: rec.names}
		if until := a.keepUntil(rec); !until.IsZero() {
			e.Until = until.UTC()
		}
		if v := rule(rec.value); !rec.kind.present() {
			if e.Ban = v.ban(); !e.Ban {
				e.Cutoff = time.UnixMilli(v.milli()).UTC()
			}
		}
		out.Revocations = append(out.Revocations, e)
	}
	answer(w, http.StatusOK, out)
}

// given are claims from the body of a request.
type given map[string]any

func (g given) Get(name string) (any, bool) { v, ok := g[name]; return v, ok }

type givenBy struct {
	given
	key string
}

func (g givenBy) KeyThumbprint() string { return g.key }

func (a *admin) check(w http.ResponseWriter, r *http.Request, _ Caller) {
	var in struct {
		Claims given  `json:"claims"`
		Key    string `json:"key"` // the thumbprint of the key that has signed it
	}
	if !readJSON(w, r, &in) {
		return
	}
	reason, err := a.Check(r.Context(), givenBy{in.Claims, in.Key})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, struct {
		Revoked bool   `json:"revoked"`
		Reason  Reason `json:"reason,omitempty"`
	}{reason != "", reason})
}

// statusJSON is a Status as the API has it.
type statusJSON struct {
	Ready       bool      `json:"ready"`
	Entries     int       `json:"entries"`
	MaxEntries  int       `json:"max_entries"`
	Shapes      int       `json:"shapes,omitempty"`
	AsOf        time.Time `json:"as_of,omitzero"`
	Staleness   string    `json:"staleness,omitempty"`
	Refused     uint64    `json:"refused,omitempty"`
	Unavailable uint64    `json:"unavailable,omitempty"`
	ServedStale uint64    `json:"served_stale,omitempty"`
	Damaged     uint64    `json:"damaged,omitempty"`
	LastError   string    `json:"last_error,omitempty"`
}

func (a *admin) status(w http.ResponseWriter, _ *http.Request, _ Caller) {
	st := a.Status()
	out := statusJSON{
		Ready: st.Ready, Entries: st.Entries, MaxEntries: st.MaxEntries, Shapes: st.Shapes,
		Refused: st.Refused, Unavailable: st.Unavailable, ServedStale: st.ServedStale, Damaged: st.Damaged,
	}
	if !st.AsOf.IsZero() {
		out.AsOf, out.Staleness = st.AsOf.UTC(), st.Staleness.String()
	}
	if st.LastError != nil {
		out.LastError = "the log could not be read" // its text is for the owner's eyes, as Status has it
	}
	answer(w, http.StatusOK, out)
}
