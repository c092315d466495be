package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test's own binary be a node of the demonstration.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-listen" {
		if err := run(context.Background(), os.Args[1:]); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestDemo walks it with real processes and a real Redis.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	err := demo(t.Context(), &out)
	if errors.Is(err, errNoRedis) && os.Getenv("GATEHOUSE_CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err, out.String())
	require.NotContains(t, out.String(), "NO:")
}
