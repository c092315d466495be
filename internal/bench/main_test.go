package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The section http starts this binary once more.
func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		main()
		return
	}
	m.Run()
}

// Every section prints its table. The figures are of one request, and mean nothing.
func TestSections(t *testing.T) {
	benchtime := flag.Lookup("test.benchtime").Value
	before := benchtime.String()
	require.NoError(t, benchtime.Set("1x"))
	t.Cleanup(func() { require.NoError(t, benchtime.Set(before)) })
	small := sizes{
		turn: 8, fill: 8, rotation: []int{4, 64}, requests: 128, issuers: []int{1, 3}, memory: 64, http: 20 * time.Millisecond,
	}
	for _, section := range sections {
		t.Run(section.name, func(t *testing.T) {
			var out bytes.Buffer
			s := &session{out: &out, rounds: 2, sizes: small}
			require.NoError(t, s.run(t.Context(), []string{section.name}))
			require.Contains(t, out.String(), "## "+section.name+"\n")
			if !strings.Contains(out.String(), "has one core") {
				require.Contains(t, out.String(), "-:|\n|") // a table with a row
			}
		})
	}
}

func TestFlags(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"help", []string{"-h"}, ""},
		{"unknown section", []string{"-only", "peers,pears"}, `-only: no section "pears"; there are peers, cores,`},
		{"no time", []string{"-time", "0s"}, "-time and -rounds are positive"},
		{"no rounds", []string{"-rounds", "0"}, "-time and -rounds are positive"},
		{"an argument", []string{"peers"}, "there are no arguments"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := run(t.Context(), row.args, io.Discard, io.Discard)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.want)
		})
	}
}
