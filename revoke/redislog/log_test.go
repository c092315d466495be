package redislog_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestShared: what is revoked on one node is refused on the other, and restored there.
func TestShared(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := startNode(t, s.client(t)), startNode(t, s.client(t))
	ready(t, a, b)
	mustRevoke(t, a, single("1"))
	require.True(t, a.refuses("1"))
	eventually(t, func() bool { return b.refuses("1") })
	receipt := mustRevoke(t, b, ban("bob"))
	bob := issued("2")
	bob["sub"] = "bob"
	eventually(t, func() bool { revoked, err := a.Revoked(context.Background(), bob); return revoked && err == nil })
	require.NoError(t, a.Restore(t.Context(), receipt.ID))
	eventually(t, func() bool { revoked, err := b.Revoked(context.Background(), bob); return !revoked && err == nil })

	c := startNode(t, s.client(t))
	ready(t, c)
	require.True(t, c.refuses("1"))
	revoked, err := c.Revoked(t.Context(), bob)
	require.NoError(t, err)
	require.False(t, revoked)
	require.Less(t, a.Status().Staleness, time.Second)
	_ = revoke.Record{}
}
