package revoke_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

func TestHandlerWiring(t *testing.T) {
	c, err := revoke.New(revoke.Config{MaxLifetime: time.Hour})
	require.NoError(t, err)
	none := func(*http.Request) (revoke.Claims, bool) { return nil, false }
	require.PanicsWithValue(t, "revoke: Handler: claims is nil", func() { c.Handler(nil) })
	require.PanicsWithValue(t, "revoke: Handler: next is nil", func() { c.Handler(none)(nil) })
	require.NotPanics(t, func() { c.Handler(none)(http.NotFoundHandler()) })
}

func TestMaxStalenessFollowsMaxLifetime(t *testing.T) {
	secret := func() ([]byte, error) { return make([]byte, 32), nil }
	_, err := revoke.New(revoke.Config{MaxLifetime: 20 * time.Second, Log: new(revoke.MemoryLog), Secret: secret})
	require.NoError(t, err)
	_, err = revoke.New(revoke.Config{MaxLifetime: 20 * time.Second, MaxStaleness: 30 * time.Second, Log: new(revoke.MemoryLog), Secret: secret})
	require.ErrorContains(t, err, "MaxStaleness: not within MaxLifetime")
}
