package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

// watch serves what an orchestrator and a human ask, on an address of its own:
//
//	/healthz  the process answers
//	/readyz   it should get requests: there are keys, what was revoked is loaded, and it is not shutting down
//	/status   how things are, as JSON, without any secret
func (g *gateway) watch() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, map[string]bool{"healthy": true}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status := http.StatusOK
		why := g.notReady()
		if why != "" {
			status = http.StatusServiceUnavailable
		}
		tell(w, status, map[string]any{"ready": why == "", "why": why})
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, g.status()) })
	return mux
}

func tell(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(body) // the client has left
}

// notReady is why no request should come, empty if they may. That an issuer is down
// is no reason once there were keys: all instances would leave at the same time, and
// known tokens still pass.
func (g *gateway) notReady() string {
	if g.draining.Load() {
		return "shutting down"
	}
	if g.admin != nil && g.admin.journal != nil && !g.admin.checker.Status().Ready {
		return "what was revoked is not loaded"
	}
	for _, i := range g.issuers {
		if !i.keys.Status().FetchedAt.IsZero() {
			return ""
		}
	}
	return "no issuer's keys were fetched yet"
}

type issuerStatus struct {
	URL       string `json:"url"`
	Usable    bool   `json:"usable"`
	Keys      int    `json:"keys"`
	Age       string `json:"age"`
	Fetches   uint64 `json:"fetches"`
	Failures  uint64 `json:"failures"`
	LastError string `json:"last_error,omitempty"`
}

type ownStatus struct {
	Usable    bool      `json:"usable"`
	Expires   time.Time `json:"expires,omitzero"`
	Requests  uint64    `json:"requests"`
	Failures  uint64    `json:"failures"`
	LastError string    `json:"last_error,omitempty"`
}

type revocationStatus struct {
	Ready     bool   `json:"ready"`
	Entries   int    `json:"entries"`
	Refused   uint64 `json:"refused"`
	LastError string `json:"last_error,omitempty"`
}

type status struct {
	Ready      bool                 `json:"ready"`
	Why        string               `json:"why,omitempty"`
	Started    time.Time            `json:"started"`
	Requests   uint64               `json:"requests"`
	UnderWay   int                  `json:"under_way"`
	Statuses   map[int]uint64       `json:"statuses"`
	Refusals   map[string]uint64    `json:"refusals"` // by the reason of jwtvalidate
	Issuers    []issuerStatus       `json:"issuers"`
	OwnTokens  map[string]ownStatus `json:"own_tokens,omitempty"` // by upstream
	Revocation *revocationStatus    `json:"revocation,omitempty"`
}

func (g *gateway) status() status {
	st := status{Why: g.notReady(), Started: g.started.UTC(), OwnTokens: map[string]ownStatus{}}
	st.Ready = st.Why == ""
	for _, i := range g.issuers {
		s := i.keys.Status()
		st.Issuers = append(st.Issuers, issuerStatus{
			i.URL, s.Usable, len(s.Keys), s.Age.Round(time.Second).String(), s.Fetches, s.Failures, text(s.LastError),
		})
	}
	for name, u := range g.upstream {
		if u.own != nil {
			s := u.own.Status()
			st.OwnTokens[name] = ownStatus{s.Usable, s.Expires, s.Requests, s.Failures, text(s.LastError)}
		}
	}
	if g.admin != nil {
		s := g.admin.checker.Status()
		st.Revocation = &revocationStatus{s.Ready, s.Entries, s.Refused, text(s.LastError)}
	}
	g.tally.mu.Lock()
	defer g.tally.mu.Unlock()
	st.Requests, st.UnderWay = g.tally.total, g.tally.underWay
	st.Statuses, st.Refusals = maps.Clone(g.tally.statuses), maps.Clone(g.tally.refusals)
	return st
}

// text is that of an error of the library, which holds no secret.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
