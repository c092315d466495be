package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// peersSection is the whole middleware of each candidate, on the same tokens.
func peersSection(ctx context.Context, s *session) error {
	s.note("The same tokens of 1 KiB for all: %d in turn, so that none is in a processor's cache, and one again and again for \"seen before\".",
		s.sizes.turn)
	s.note("Whole handlers, which also ask for exp, iss and aud; keys in memory. \"Remembering\" is the default Config, its memory full.")
	summary := newTable(append([]string{"time ÷ bare verification (allocations)"}, algorithms...)...)
	cells := map[string][]string{} // by title
	for _, alg := range algorithms {
		results, err := s.comparePeers(ctx, alg)
		if err != nil {
			return fmt.Errorf("%s: %w", alg, err)
		}
		s.note("\n### %s\n", alg)
		t := newTable("", "ns/op", "÷ bare", "allocs/op", "B/op")
		for _, f := range results {
			t.add(f.name, whole(f.ns), hundred(f.ratio), whole(f.allocs), whole(f.bytes))
			cells[f.name] = append(cells[f.name], fmt.Sprintf("%.2f (%.0f)", f.ratio, f.allocs))
		}
		for _, c := range candidates() {
			if !c.knows(alg) {
				t.add(c.title(), none, none, none, none)
				cells[c.title()] = append(cells[c.title()], none)
			}
		}
		s.note("%s", strings.TrimSuffix(t.String(), "\n"))
	}
	s.note("\n### all\n")
	for _, c := range candidates() {
		summary.add(append([]string{c.title()}, cells[c.title()]...)...)
	}
	s.note("%s", strings.TrimSuffix(summary.String(), "\n"))
	return nil
}

// comparePeers has the bare verification in the first row.
func (s *session) comparePeers(ctx context.Context, alg string) ([]figures, error) {
	setup, err := newSetup(ctx, alg, s.sizes.fill)
	if err != nil {
		return nil, err
	}
	defer setup.stop()
	tokens, err := newPool(setup.key, s.sizes.turn, oneKiB)
	if err != nil {
		return nil, err
	}
	first, err := bare(setup.key, tokens)
	if err != nil {
		return nil, err
	}
	contenders := []contender{first}
	for _, c := range candidates() {
		if !c.knows(alg) {
			continue
		}
		h, err := c.build(ctx, setup)
		if err == nil {
			err = prove(ctx, h, setup.key)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		pick := tokens.inTurn()
		if c.repeat {
			pick = always(tokens.at(0))
		}
		contenders = append(contenders, newTraffic(ctx, h, http.StatusNoContent, pick).contender(c.title()))
	}
	return s.contest(contenders)
}
