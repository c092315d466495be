package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseWrk(t *testing.T) {
	for _, row := range []struct {
		name, out string
		want      float64
	}{
		{"good", "  44821 requests in 2.00s, 5.13MB read\nRequests/sec:  22394.31\nTransfer/sec:      2.56MB\n", 22394.31},
		{"refused", "  Non-2xx or 3xx responses: 44821\nRequests/sec:  22394.31\n", 0},
		{"broken connections", "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec:  22394.31\n", 0},
		{"nothing", "", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			rate, err := parseWrk([]byte(row.out))
			if row.want == 0 {
				require.ErrorContains(t, err, "wrk: ")
				return
			}
			require.NoError(t, err)
			require.InDelta(t, row.want, rate, 0)
		})
	}
}
