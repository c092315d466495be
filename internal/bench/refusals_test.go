package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStrangersCauseNoLookup(t *testing.T) {
	k, err := newKey(rs256)
	require.NoError(t, err)
	rows, err := refusals(k)
	require.NoError(t, err)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			lookups, err := countLookups(t.Context(), k, row.token)
			require.NoError(t, err)
			require.Equal(t, row.lookups, lookups)
		})
	}
	good, err := k.token(oneKiB(0))
	require.NoError(t, err)
	_, err = countLookups(t.Context(), k, good)
	require.EqualError(t, err, "1 answers other than 401, the last 204")
}
