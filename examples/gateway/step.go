package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// step is one request of the demonstration and the answer it must get.
type step struct {
	name          string
	method        string // zero: GET
	url           string // zero: the gateway's /orders/7
	authorization []string
	header        http.Header
	body          string // JSON, or a form
	status        int
	reason        string            // in the gateway's own log
	challenge     string            // a part of WWW-Authenticate; empty: there must be none
	sees          map[string]string // members of the JSON that is answered
	why           string
}

func bearer(tokens ...string) (lines []string) {
	for _, token := range tokens {
		lines = append(lines, "Bearer "+token)
	}
	return lines
}

var errStep = errors.New("the steps after this one need what it did not get")

// do sends the request of a step, adds its row, and returns the answer's JSON.
func (s *stage) do(ctx context.Context, p *step) map[string]any {
	if p.method == "" {
		p.method = http.MethodGet
	}
	front := s.house.front.url
	if p.url == "" {
		p.url = front + "/orders/7"
	}
	r := row{step: p.name, why: p.why}
	u, _ := url.Parse(p.url)
	r.request = p.method + " " + s.nameOf(p.url) + u.EscapedPath()
	answer, err := s.send(ctx, p)
	if err != nil {
		r.surprise = err.Error()
		s.rows = append(s.rows, r)
		return nil
	}
	r.answer = fmt.Sprintf("%d %s", answer.status, http.StatusText(answer.status))
	var surprises []string
	expect := func(what string, want, got any) {
		if want != got {
			surprises = append(surprises, fmt.Sprintf("want %s %v, got %v", what, want, got))
		}
	}
	expect("status", p.status, answer.status)
	if strings.HasPrefix(p.url, front) {
		reason := s.reason(ctx)
		expect("reason", p.reason, reason)
		if reason != "" {
			r.why = reason + ": " + p.why
		}
		challenge := answer.header.Get("WWW-Authenticate")
		if (p.challenge == "") != (challenge == "") || !strings.Contains(challenge, p.challenge) {
			expect("challenge", p.challenge, challenge)
		}
		expect("Retry-After", p.status == http.StatusServiceUnavailable, answer.header.Get("Retry-After") != "")
	}
	got := map[string]any{}
	_ = json.Unmarshal(answer.body, &got) // an empty body is none
	for _, member := range slices.Sorted(maps.Keys(p.sees)) {
		expect(member, p.sees[member], got[member])
	}
	r.surprise = strings.Join(surprises, "; ")
	s.rows = append(s.rows, r)
	return got
}

// reply is an answer that has been read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (s *stage) send(ctx context.Context, p *step) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, p.method, p.url, strings.NewReader(p.body))
	if err != nil {
		return reply{}, err
	}
	maps.Copy(r.Header, p.header)
	r.Header["Authorization"] = p.authorization
	if p.body != "" {
		r.Header.Set("Content-Type", "application/json")
		if !strings.HasPrefix(p.body, "{") {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return reply{answer.StatusCode, answer.Header, text}, err
}

// nameOf is which of the servers a URL is of.
func (s *stage) nameOf(address string) string {
	for name, server := range map[string]*server{
		"login": s.issuer, "API": s.backend, "gateway": s.house.front, "admin": s.house.office, "health": s.house.watcher,
	} {
		if strings.HasPrefix(address, server.url) {
			return name
		}
	}
	return ""
}

// reason waits for the line that the gateway logs of each request.
func (s *stage) reason(ctx context.Context) string {
	select {
	case line := <-s.requests:
		return line.Reason
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
	}
	return "no line in the log"
}
