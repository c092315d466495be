package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// probe is one kind of request that is sent again and again, and how it is refused.
type probe struct {
	kind   string
	token  *soakToken // nil: no credential
	reason string     // of a refusal, in the gateway's /status
	maybe  bool       // during an outage of the issuer, 503 is right too
}

// tallyOf are the answers of one kind.
type tallyOf struct{ sent, passed, refused, unavailable int }

// prober sends each of its probes in turn, at a steady rate, and checks each answer.
type prober struct {
	url    string
	client *http.Client
	outage struct{ from, until atomic.Int64 } // when 503 is right
	faults faultList

	mu      sync.Mutex
	probes  []probe
	kinds   map[string]*tallyOf
	reasons map[string]int // refusals
}

func newProber(url string) *prober {
	p := &prober{
		url: url, kinds: map[string]*tallyOf{}, reasons: map[string]int{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 10 * time.Second},
	}
	p.outage.from.Store(always)
	return p
}

func (p *prober) add(probes ...probe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probes = append(p.probes, probes...)
}

// drop leaves out the probes of a kind.
func (p *prober) drop(kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probes = slices.DeleteFunc(p.probes, func(q probe) bool { return q.kind == kind })
}

// run sends a round of all probes each time the interval is over, until ctx ends.
func (p *prober) run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		round := slices.Clone(p.probes)
		p.mu.Unlock()
		for _, q := range round {
			p.send(q)
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// send sends one request, to its end whatever ctx says, and judges the answer. It
// returns the status; zero: there was none, which is a fault.
func (p *prober) send(q probe) int {
	r, err := http.NewRequest(http.MethodGet, p.url+"/probe", http.NoBody)
	if err != nil {
		panic(err)
	}
	r.Header.Set("X-Token-Id", "forged") // the gateway removes it
	r.Header.Set("X-Sent-By", "prober")
	challenge := `Bearer realm="api"`
	if q.token != nil {
		r.Header.Set("Authorization", "Bearer "+q.token.text)
		challenge += `, error="invalid_token"`
	}
	start := time.Now().UnixNano()
	answer, err := p.client.Do(r)
	if err != nil {
		p.faults.add("%s: %v", q.kind, err)
		return 0
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	end := time.Now().UnixNano()
	if err != nil {
		p.faults.add("%s: %v", q.kind, err)
		return 0
	}
	var good, bad int64
	if q.token != nil { // read after the answer: they only ever become earlier
		good, bad = q.token.good.Load(), q.token.bad.Load()
	}
	wrong := ""
	p.mu.Lock()
	defer p.mu.Unlock()
	count := p.kinds[q.kind]
	if count == nil {
		count = &tallyOf{}
		p.kinds[q.kind] = count
	}
	count.sent++
	switch answer.StatusCode {
	case http.StatusOK:
		count.passed++
		if start >= bad {
			wrong = "a bad token passed"
		} else if string(body) != "done" {
			wrong = "another body"
		}
	case http.StatusUnauthorized:
		count.refused++
		p.reasons[q.reason]++
		if end < good {
			wrong = "a good token was refused"
		} else if answer.Header.Get("WWW-Authenticate") != challenge {
			wrong = "another challenge"
		}
	case http.StatusServiceUnavailable:
		count.unavailable++
		p.reasons["unavailable"]++
		if !q.maybe || end < p.outage.from.Load() || start > p.outage.until.Load() {
			wrong = "no outage"
		} else if answer.Header.Get("Retry-After") == "" || answer.Header.Get("WWW-Authenticate") != "" {
			wrong = "want Retry-After and no challenge"
		}
	default:
		wrong = "no such answer"
	}
	if wrong != "" {
		p.faults.add("%s: %d: %s; %v", q.kind, answer.StatusCode, wrong, answer.Header)
	}
	return answer.StatusCode
}

// total is the sum of all kinds.
func (p *prober) total() (sum tallyOf) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kinds {
		sum.sent += k.sent
		sum.passed += k.passed
		sum.refused += k.refused
		sum.unavailable += k.unavailable
	}
	return sum
}

func (p *prober) table() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name := range p.kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	var out strings.Builder
	fmt.Fprintf(&out, "%-44s %8s %8s %8s %8s\n", "kind of token", "sent", "200", "401", "503")
	for _, name := range names {
		k := p.kinds[name]
		fmt.Fprintf(&out, "%-44s %8d %8d %8d %8d\n", name, k.sent, k.passed, k.refused, k.unavailable)
	}
	return out.String()
}
