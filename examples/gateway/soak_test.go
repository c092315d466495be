package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

const (
	usualSoak      = 8 * time.Second
	soakLeeway     = time.Second
	soakMinRefetch = time.Second
	soakAnyTime    = 2 * 60 * 60 // seconds that a token lives which shall not end meanwhile
	soakPhases     = 8
)

// The real program serves under load, in front of a real backend, with a real OpenID
// server for its issuer, while keys are rotated, tokens are revoked, the issuer is
// down and comes back, and the program is told to end. All the time no good token is
// refused and no bad one passes, but for what the documents say:
//
//   - a key that has left the set serves until the next fetch (jwkcache: RefreshAfter).
//     Here tokens with an unknown key id cause one each MinRefetch.
//   - a new key's first token needs a fetch, which MinRefetch delays where ids that are
//     not in the set have used up what was saved.
//   - while the issuer is down, a token whose key id is not known is answered 503.
//
// GATEHOUSE_SOAK is how long the load runs, such as 60s; from 30 s on, as fast as it goes.
func TestSoak(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc, as Linux has it")
	}
	length := usualSoak
	if text := os.Getenv("GATEHOUSE_SOAK"); text != "" {
		var err error
		length, err = time.ParseDuration(text)
		require.NoError(t, err, "GATEHOUSE_SOAK")
	}
	s := newSoak(t, length)
	for _, phase := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"warm-up", s.warmUp},
		{"a key is added", s.addKey},
		{"a key is removed", s.removeKey},
		{"tokens are revoked", s.revokeSome},
		{"the issuer is down", s.losesIssuer},
		{"the end of the load", s.settle},
		{"shutdown", s.shutdown},
	} {
		s.phase = phase.name
		phase.run(t)
		require.Empty(t, s.prober.faults.all(), phase.name)
		require.Empty(t, s.backend.faults.all(), phase.name)
	}
	t.Log("\n" + s.summary())
	s.checkMemory(t)
}

// soak is the whole setting.
type soak struct {
	length, dwell time.Duration
	env           []string // of the issuer
	issuer        provider
	rsa, unknown  testidp.Key
	ec            [3]testidp.Key
	backend       *soakBackend
	gateway       *soakProcess
	prober        *prober
	load          *soakLoad

	lasting, leaving []*soakToken // of the load
	unseen           []*soakToken // good ones that the gateway sees late
	old              *soakToken   // signed by the first EC key
	stale            probe
	short            []probe

	phase     string
	samples   map[string][]sample
	notes     []string // of the summary
	stopProbe func()
}

func (s *soak) note(name, format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf("%-52s %s", name, fmt.Sprintf(format, args...)))
}

func newSoak(t *testing.T, length time.Duration) *soak {
	t.Helper()
	s := &soak{length: length, dwell: length / soakPhases, samples: map[string][]sample{}}
	s.rsa, s.unknown = newSoakKey(t, "rsa", jose.RS256), newSoakKey(t, "unpublished", jose.ES256)
	for i := range s.ec {
		s.ec[i] = newSoakKey(t, fmt.Sprintf("ec-%d", i+1), jose.ES256)
	}
	const secret = "soak-secret-0123456789"
	client := func(id, alg string, ttl int) metadata {
		return metadata{
			"client_id": id, "client_secret": secret, "token_endpoint_auth_method": "client_secret_basic",
			"access_token_alg": alg, "access_token_ttl": ttl,
		}
	}
	s.env = []string{
		"OP_SECRET=" + secret, fmt.Sprintf("OP_SECONDS=%d", int(length.Seconds())+300),
		"OP_CLIENTS=" + asJSON(t, []metadata{
			client("lasting-rsa", "RS256", soakAnyTime), client("lasting-ec", "ES256", soakAnyTime),
			client("leaver", "RS256", soakAnyTime), client("short", "RS256", 1),
		}),
	}
	s.issuer = startProvider(t, append(s.env, "OP_KEYS="+privateJWKs(t, s.ec[0], s.rsa))...)
	s.env = append(s.env, "OP_PORT="+s.issuer.Issuer[strings.LastIndexByte(s.issuer.Issuer, ':')+1:])
	s.backend = newSoakBackend(t)
	s.gateway = startProcess(t, s.config(t), "OPS="+opsSecret, "WEB="+webSecret, "JOURNAL="+strings.Repeat("j", 32))
	s.samples["start"] = []sample{s.gateway.sample(t)}
	s.prober = newProber(s.gateway.url)
	t.Cleanup(s.prober.client.CloseIdleConnections)
	return s
}

func (s *soak) config(t *testing.T) string {
	t.Helper()
	type object = map[string]any
	return asJSON(t, object{
		"listen": "127.0.0.1:0", "health": object{"listen": "127.0.0.1:0"}, "log": object{"level": "warn"},
		"leeway": soakLeeway.String(), "shutdown_timeout": "1m", "drain_delay": "500ms",
		"issuers": []object{{
			"url": s.issuer.Issuer, "audiences": []string{s.issuer.Audience}, "algorithms": []string{"RS256", "ES256"},
			"profile": "rfc9068", "insecure_http": true, "min_refetch": soakMinRefetch.String(),
		}},
		"forward":   []object{{"claim": []string{"sub"}, "header": "X-User"}, {"claim": []string{"jti"}, "header": "X-Token-Id"}},
		"upstreams": []object{{"name": "backend", "url": s.backend.URL}},
		"routes":    []object{{"pattern": "/", "upstream": "backend", "scopes": []string{"api:read"}}},
		"revocation": object{
			"listen": "127.0.0.1:0", "max_lifetime": "3h", "require_id": true,
			"journal": filepath.Join(t.TempDir(), "revoked"), "secret": object{"env": "JOURNAL"},
			"callers": []object{
				{"name": "ops", "secret": object{"env": "OPS"}, "privileged": true},
				{"name": "web", "secret": object{"env": "WEB"}, "client_id": "lasting-rsa"},
			},
		},
	})
}

// tokens are those of the real server; the backend is told that they may come.
func (s *soak) tokens(t *testing.T, n int, client string) []*soakToken {
	t.Helper()
	list := s.issuer.soakTokens(t, n, client)
	s.backend.expect(list...)
	return list
}

// minted is a token that is bad for one reason.
func (s *soak) minted(t *testing.T, kind string, by testidp.Key, reason string, change map[string]any) probe {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": s.issuer.Issuer, "aud": s.issuer.Audience, "sub": "mallory", "client_id": "mallory", "scope": "api:read",
		"jti": "bad: " + kind, "iat": now, "exp": now + soakAnyTime,
	}
	for name, value := range change {
		claims[name] = value
	}
	return probe{kind: kind, token: newSoakToken(by.Mint(t, "at+jwt", asJSON(t, claims)), "", 0, 0), reason: reason}
}

// badProbes are one of each kind that must never pass.
func (s *soak) badProbes(t *testing.T) []probe {
	t.Helper()
	fresh := func() string { return s.issuer.token(t, "lasting-ec", s.issuer.Audience) } // of its own: its jti may never come
	bad := func(kind, text, reason string) probe {
		return probe{kind: kind, token: newSoakToken(text, "", 0, 0), reason: reason}
	}
	_, rest, _ := strings.Cut(fresh(), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + rest
	s.stale = s.minted(t, "bad: key that is not published", s.unknown, "unknown_key", nil)
	s.stale.maybe = true
	posing := s.unknown
	posing.ID = s.rsa.ID
	posing.Alg, posing.Signer = jose.RS256, testidp.GenerateKey(t, jose.RS256)
	return []probe{
		s.stale,
		bad("bad: forged signature", flip(s.issuer.token(t, "lasting-rsa", s.issuer.Audience)), "signature"),
		bad("bad: alg none", none, "algorithm"),
		bad("bad: alg none, no signature", none[:strings.LastIndexByte(none, '.')+1], "malformed"),
		bad("bad: other audience", s.issuer.token(t, "lasting-rsa", otherAudience), "audience"),
		s.minted(t, "bad: other issuer", s.rsa, "unknown_issuer", map[string]any{"iss": "https://idp.example.com"}),
		s.minted(t, "bad: expired", s.rsa, "expired", map[string]any{"iat": time.Now().Unix() - 100, "exp": time.Now().Unix() - 10}),
		s.minted(t, "bad: jti is null", s.rsa, "malformed", map[string]any{"jti": nil}),
		s.minted(t, "bad: another key under a published id", posing, "signature", nil),
		{kind: "bad: no token", reason: "no_token"},
	}
}

// wait lets the load go on, takes samples, and while the issuer is there, renews the
// token that lives for a second: it passes, is remembered, and then does not pass.
func (s *soak) wait(t *testing.T, d time.Duration, issuerIsUp bool) {
	t.Helper()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for end, n := time.Now().Add(d), 0; time.Now().Before(end); n++ {
		<-ticker.C
		s.samples[s.phase] = append(s.samples[s.phase], s.gateway.sample(t))
		if issuerIsUp && n%2 == 0 {
			const kind = "good for a second, then expired"
			s.short = append(s.short, probe{kind: kind, token: s.tokens(t, 1, "short")[0], reason: "expired"})
			s.short = s.short[max(0, len(s.short)-6):]
			s.prober.drop(kind)
			s.prober.add(s.short...)
		}
	}
}

func (s *soak) warmUp(t *testing.T) {
	s.lasting, s.leaving = s.tokens(t, 50, "lasting-rsa"), append(s.tokens(t, 10, "lasting-rsa"), s.tokens(t, 10, "leaver")...)
	s.unseen = s.tokens(t, 20, "lasting-rsa")
	ofOldKey := s.tokens(t, 10, "lasting-ec")
	s.old = s.tokens(t, 1, "lasting-ec")[0]
	require.Contains(t, headerOf(t, s.old.text), `"kid":"ec-1"`)

	s.wait(t, time.Until(s.samples["start"][0].at.Add(2*soakMinRefetch)), false) // both fetches for unknown ids are saved up
	s.prober.add(s.badProbes(t)...)
	s.prober.add(
		probe{kind: "good: RS256", token: s.tokens(t, 1, "lasting-rsa")[0]},
		probe{kind: "good until its key is removed", token: s.old, reason: "unknown_key", maybe: true},
	)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.prober.run(ctx, 25*time.Millisecond) })
	s.stopProbe = func() {
		stop()
		running.Wait()
	}
	t.Cleanup(s.stopProbe)

	pause := 4 * time.Millisecond
	if s.length >= 30*time.Second {
		pause = 0
	}
	s.load = startLoad(t, s.gateway.url, pause, slices.Concat(s.lasting, s.leaving, ofOldKey))
	s.wait(t, s.dwell, true)
}

// addKey publishes a second key and signs with it: the first token of it passes at
// the first try, while one stale client asks for an unknown id all the time.
func (s *soak) addKey(t *testing.T) {
	s.issuer.publish(t, s.ec[1], s.ec[0], s.rsa)
	ofNewKey := s.tokens(t, 20, "lasting-ec")
	require.Contains(t, headerOf(t, ofNewKey[0].text), `"kid":"ec-2"`)
	start := time.Now()
	require.Equal(t, http.StatusOK, s.prober.send(probe{kind: "good: new key", token: ofNewKey[0]}))
	s.note("new key: its first token passed after", "%v, at the first try", time.Since(start).Round(time.Millisecond))
	s.prober.add(probe{kind: "good: new key", token: ofNewKey[1]})
	s.load.use(slices.Concat(s.lasting, s.leaving, ofNewKey)) // the load has no token of the old key any more
	s.wait(t, s.dwell, true)
}

func (s *soak) removeKey(t *testing.T) {
	s.old.good.Store(time.Now().UnixNano())
	s.issuer.publish(t, s.ec[1], s.rsa)
	start := time.Now()
	p := probe{kind: "good until its key is removed", token: s.old, reason: "unknown_key"}
	require.Eventually(t, func() bool { return s.prober.send(p) == http.StatusUnauthorized }, 5*soakMinRefetch, 5*time.Millisecond)
	s.old.bad.Store(time.Now().UnixNano())
	s.note("removed key: its token was refused after", "%v (documented: MinRefetch, here %v)", time.Since(start).Round(time.Millisecond), soakMinRefetch)
	s.wait(t, s.dwell, true)
}

// revokeSome revokes tokens that are in use: one by one, and all of a subject.
func (s *soak) revokeSome(t *testing.T) {
	post := func(path, user, secret, contentType, body string) int {
		r := http.Header{"Content-Type": {contentType}}
		(&http.Request{Header: r}).SetBasicAuth(user, secret)
		answer, _ := request(t, http.MethodPost, s.gateway.admin+path, r, strings.NewReader(body))
		return answer.StatusCode
	}
	during := func(tokens []*soakToken, revoke func()) {
		for _, k := range tokens {
			k.good.Store(time.Now().UnixNano())
		}
		revoke()
		for _, k := range tokens {
			k.bad.Store(time.Now().UnixNano())
		}
		for _, k := range tokens { // the very next request
			p := probe{kind: "revoked", token: k, reason: "revoked"}
			require.Equal(t, http.StatusUnauthorized, s.prober.send(p))
			s.prober.add(p)
		}
	}
	for _, k := range s.leaving[:10] {
		require.Equal(t, http.StatusOK, s.prober.send(probe{kind: "good: before it is revoked", token: k}))
		during([]*soakToken{k}, func() {
			form := url.Values{"token": {k.text}}.Encode()
			require.Equal(t, http.StatusOK, post("/revoke", "web", webSecret, "application/x-www-form-urlencoded", form))
		})
	}
	during(s.leaving[10:], func() {
		record := asJSON(t, map[string]string{"kind": "subject", "issuer": s.issuer.Issuer, "value": "leaver"})
		require.Equal(t, http.StatusCreated, post("/v1/revocations", "ops", opsSecret, "application/json", record))
	})
	s.wait(t, s.dwell, true)
	s.load.use(s.lasting)
}

// losesIssuer ends the real server and starts it again. Good tokens pass meanwhile,
// also those that were never seen before.
func (s *soak) losesIssuer(t *testing.T) {
	s.prober.outage.until.Store(always)
	s.prober.outage.from.Store(time.Now().UnixNano())
	fetches := s.gateway.status(t).Issuers[0]
	s.issuer.kill()
	down := time.Now()
	for n, k := range s.unseen {
		if n%5 == 0 {
			s.wait(t, s.dwell*5/time.Duration(len(s.unseen)), false)
		}
		require.Equal(t, http.StatusOK, s.prober.send(probe{kind: "good: first seen while the issuer is down", token: k}))
	}
	failed := s.gateway.status(t).Issuers[0]
	require.True(t, failed.Usable)
	require.Greater(t, failed.Failures, fetches.Failures)
	s.issuer = startProvider(t, append(s.env, "OP_KEYS="+privateJWKs(t, s.ec[1], s.rsa))...)
	outage, up := time.Since(down), time.Now()
	// With keys at hand, a fetch is tried again within half a minute (jwkcache, Outages).
	require.Eventually(t, func() bool { return s.gateway.status(t).Issuers[0].LastError == "" }, time.Minute, 20*time.Millisecond)
	back := time.Since(up)
	require.Equal(t, http.StatusUnauthorized, s.prober.send(s.stale))
	s.prober.outage.until.Store(time.Now().UnixNano())
	s.note("outage: lasted, and keys were fetched again after", "%v, %v (documented: 30s); %d fetches failed",
		outage.Round(time.Millisecond), back.Round(time.Millisecond), failed.Failures-fetches.Failures)

	// Of the fetches for unknown ids none is saved now: two ids use them up that are in no set.
	s.issuer.publish(t, s.ec[2], s.ec[1], s.rsa)
	third := s.tokens(t, 10, "lasting-ec")
	require.Contains(t, headerOf(t, third[0].text), `"kid":"ec-3"`)
	third[0].good.Store(0)
	start, tries := time.Now(), 0
	require.Eventually(t, func() bool {
		tries++
		return s.prober.send(probe{kind: "good: third key, until a fetch is allowed", token: third[0], reason: "unknown_key"}) == http.StatusOK
	}, 5*soakMinRefetch, 5*time.Millisecond)
	s.note("third key: its first token passed after", "%v, at try %d (documented: MinRefetch, here %v)",
		time.Since(start).Round(time.Millisecond), tries, soakMinRefetch)
	s.prober.add(probe{kind: "good: third key", token: third[1]})
	s.load.use(slices.Concat(s.lasting, s.unseen, third[2:]))
	s.wait(t, s.dwell, true)
}

func (s *soak) settle(t *testing.T) { s.wait(t, 2*s.dwell, true) }

// heldRequest is one that is under way when the gateway is told to end.
type heldRequest struct{ name, got, want string }

// shutdown ends the gateway by SIGTERM while the load runs. Each request that it took
// gets its whole answer.
func (s *soak) shutdown(t *testing.T) {
	s.stopProbe()
	good := "Bearer " + s.lasting[0].text
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	ended := make(chan heldRequest, 100)
	var uploads []*io.PipeWriter
	hold := func(path, want string, body io.Reader) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.gateway.url+path, body)
		require.NoError(t, err)
		r.Header = http.Header{"Authorization": {good}, "X-Sent-By": {"held"}}
		go func() {
			held := heldRequest{name: path, want: want}
			answer, err := client.Do(r)
			if err == nil {
				var text []byte
				text, err = io.ReadAll(answer.Body)
				answer.Body.Close()
				held.got = fmt.Sprintf("%d %s", answer.StatusCode, text)
			}
			if err != nil {
				held.got = err.Error()
			}
			ended <- held
		}()
	}
	const each = 10
	for range each {
		hold("/held/beginning", "200 done", http.NoBody)
		hold("/held/middle", "200 begun, done", http.NoBody)
		read, write := io.Pipe()
		uploads = append(uploads, write)
		hold("/held/upload", "200 11 bytes, <nil>, done", read)
	}
	for _, w := range uploads {
		_, err := io.WriteString(w, "begun, ")
		require.NoError(t, err)
	}
	for range 3 * each {
		<-s.backend.held
	}
	before := s.gateway.status(t)

	late := newLate(s.gateway.url, good)
	for n := range 4 {
		late.running.Go(func() { late.run(n) })
	}
	s.gateway.terminate()
	start := time.Now()
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.gateway.url, "http://"))
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, waitFor, tick)
	closed := time.Since(start)
	late.running.Wait()
	var after status
	require.Eventually(t, func() bool {
		after = s.gateway.status(t)
		return after.UnderWay == 3*each
	}, waitFor, tick, "all others have ended")
	sent := s.load.stop()
	for _, w := range uploads {
		_, err := io.WriteString(w, "done")
		require.NoError(t, err)
		w.Close()
	}
	close(s.backend.release)
	whole := 0
	for range 3 * each {
		held := <-ended
		require.Equal(t, held.want, held.got, held.name)
		whole++
	}
	require.NoError(t, s.gateway.wait(), "the gateway ends with status 0")

	// The ledger: what the senders have had, what the gateway has counted and what the backend has seen is the same.
	probed := s.prober.total()
	passed, lost := int(late.passed.Load()), 0
	for _, id := range late.unanswered() {
		if s.backend.hasSeen(id) {
			lost++
		}
	}
	require.Zero(t, lost, "requests that were taken and not answered")
	require.Zero(t, late.hungUp, "requests that were read and not answered")
	require.Zero(t, sent.Other, "answers to the load that are neither 200 nor 401")
	require.Equal(t, sent.Passed, s.backend.sentBy("load"), "whatever of the load went to the backend was answered whole")
	require.Equal(t, probed.passed, s.backend.sentBy("prober"))
	require.Equal(t, map[int]uint64{
		200: uint64(probed.passed + sent.Passed + passed), 401: uint64(probed.refused + sent.Refused), 503: uint64(probed.unavailable),
	}, after.Statuses)
	refusals := map[string]uint64{}
	for reason, n := range s.prober.reasons {
		refusals[reason] = uint64(n)
	}
	refusals["revoked"] += uint64(sent.Refused) // the load has no other bad tokens
	require.Equal(t, refusals, after.Refusals)

	s.note("load: by, good answers, refused (revoked), no answer", "%s, %d, %d, %d", s.load.name, sent.Passed, sent.Refused, sent.Errors)
	s.note("prober: requests, 200, 401, 503", "%d, %d, %d, %d", probed.sent, probed.passed, probed.refused, probed.unavailable)
	s.note("gateway: requests, by status", "%d, %s", after.Requests, asJSON(t, after.Statuses))
	s.note("gateway: refusals", "%s", asJSON(t, after.Refusals))
	s.note("issuer: fetches, failed", "%d, %d", before.Issuers[0].Fetches, before.Issuers[0].Failures)
	s.note("shutdown: port closed after (drain_delay 500ms)", "%v", closed.Round(time.Millisecond))
	s.note("shutdown: under way at SIGTERM, of them held", "%d, %d", before.UnderWay, 3*each)
	s.note("shutdown: held requests answered whole", "%d of %d (not begun, in mid-answer, in mid-upload)", whole, 3*each)
	s.note("shutdown: new connections: answered, refused", "%d, %d", passed, late.refused.Load())
	s.note("shutdown: new connections: reset, hung up on", "%d, %d (as the port closed; the gateway handled none of them)", len(late.unanswered())-late.hungUp, late.hungUp)
}

// late sends requests on connections of their own until the port is closed.
type late struct {
	url, authorization string
	running            sync.WaitGroup
	passed, refused    atomic.Int64

	mu     sync.Mutex
	lost   []string // ids of requests without a whole answer
	hungUp int      // of them, those whose connection was closed in order, and so by the gateway
}

func newLate(url, authorization string) *late { return &late{url: url, authorization: authorization} }

func (l *late) unanswered() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

func (l *late) run(sender int) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for n := 0; ; n++ {
		id := fmt.Sprintf("late-%d-%d", sender, n)
		r, err := http.NewRequest(http.MethodGet, l.url+"/late", http.NoBody) // nobody sends it twice: no connection is reused
		if err != nil {
			panic(err)
		}
		r.Header = http.Header{"Authorization": {l.authorization}, "X-Sent-By": {"late"}, "X-Request-Id": {id}}
		answer, err := client.Do(r)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		switch {
		case err == nil && answer.StatusCode == http.StatusOK && string(body) == "done":
			l.passed.Add(1)
		case errors.Is(err, syscall.ECONNREFUSED):
			l.refused.Add(1)
			return
		default:
			l.mu.Lock()
			if l.lost = append(l.lost, id); !errors.Is(err, syscall.ECONNRESET) {
				l.hungUp++
			}
			l.mu.Unlock()
			if err == nil {
				return // another answer: the ledger will tell
			}
		}
	}
}

// most is the largest of each in a phase.
func (s *soak) most(phase string) (m sample) {
	for _, one := range s.samples[phase] {
		m.rss, m.threads, m.files = max(m.rss, one.rss), max(m.threads, one.threads), max(m.files, one.files)
		m.live, m.goroutines = max(m.live, one.live), max(m.goroutines, one.goroutines)
	}
	return m
}

func (s *soak) summary() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%v of load on %d connections, pause %v\n\n", s.length, soakConnections, s.load.pause)
	out.WriteString(s.prober.table() + "\n" + strings.Join(s.notes, "\n") + "\n\n")
	fmt.Fprintf(&out, "%-24s %10s %10s %11s %8s %8s\n", "gateway, at most", "RSS KiB", "heap MB", "goroutines", "threads", "files")
	for _, phase := range []string{"start", "warm-up", "a key is added", "a key is removed", "tokens are revoked", "the issuer is down", "the end of the load"} {
		m := s.most(phase)
		fmt.Fprintf(&out, "%-24s %10d %10d %11d %8d %8d\n", phase, m.rss, m.live, m.goroutines, m.threads, m.files)
	}
	return out.String()
}

// checkMemory compares the end with the warm-up. Heap is in whole MB, as the runtime
// tells it, and goroutines are those of one moment in each second.
func (s *soak) checkMemory(t *testing.T) {
	t.Helper()
	warm, end := s.most("warm-up"), s.most("the end of the load")
	require.Positive(t, end.rss)
	require.Positive(t, end.goroutines)
	require.LessOrEqual(t, end.rss, warm.rss+warm.rss/4+8<<10, "KiB")
	require.LessOrEqual(t, end.live, warm.live+4, "MB")
	require.LessOrEqual(t, end.threads, warm.threads+4)
	require.LessOrEqual(t, end.files, warm.files+16)
	require.LessOrEqual(t, end.goroutines, max(warm.goroutines, s.most("a key is added").goroutines)+3*soakConnections)
}
