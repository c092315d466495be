package jwtsign_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// buffer collects log lines of several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// TestLogLines: who sends bad claims again and again writes one line a second, cannot
// hide that a reload failed, and writes none once it has left.
func TestLogLines(t *testing.T) {
	var log buffer
	cfg := config()
	cfg.Logger = log.logger()
	s := signer(t, cfg)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err := s.Sign(gone, "no object")
	require.Error(t, err)
	require.Empty(t, log.String())
	for range 3 {
		_, err = s.Sign(t.Context(), "no object")
		require.Error(t, err)
	}
	require.Equal(t, 1, strings.Count(log.String(), "reason=claims"), log.String())
	require.Error(t, s.Replace(nil))
	require.Equal(t, 1, strings.Count(log.String(), "reason=reload"), log.String())
}
