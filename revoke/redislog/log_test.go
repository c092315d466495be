package redislog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestShared: what is revoked on one node is refused on the other, and restored there.
func TestShared(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := startNode(t, s.client(t)), startNode(t, s.client(t))
	ready(t, a, b)
	mustRevoke(t, a, single("1"))
	requireRefused(t, a, "1")
	eventually(t, func() bool { return b.refuses("1") })
	receipt := mustRevoke(t, b, ban("bob"))
	eventually(t, func() bool { return a.refuses("bob") })
	require.NoError(t, a.Restore(t.Context(), receipt.ID))
	eventually(t, func() bool { return b.passes("bob") })

	c := startNode(t, s.client(t))
	ready(t, c)
	requireRefused(t, c, "1")
	require.True(t, c.passes("bob"))
	require.Less(t, a.Status().Staleness, 5*time.Second)
	require.NotContains(t, fmt.Sprintf("%+v %#v", a.log.Status(), a.log), "bob")
}
