package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTableIsMarkdown(t *testing.T) {
	tab := newTable("what", "ns", "÷")
	tab.add("a", "1", none)
	tab.add("longer", "12345", "1.00")
	require.Equal(t, ""+
		"| what   |    ns |    ÷ |\n"+
		"|--------|------:|-----:|\n"+
		"| a      |     1 |    – |\n"+
		"| longer | 12345 | 1.00 |\n", tab.String())
}

func TestMedian(t *testing.T) {
	require.InDelta(t, 3, median([]float64{3}), 0)
	require.InDelta(t, 3, median([]float64{9, 1, 3}), 0)
	require.InDelta(t, 2, median([]float64{9, 1, 3, 0}), 0)
}
