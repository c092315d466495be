package house_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the README shows first is an Example that runs, and fifteen lines long.
func TestReadmeRuns(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(readme), "```go\n")
	code, _, found := strings.Cut(code, "```")
	require.True(t, found)
	require.LessOrEqual(t, strings.Count(code, "\n"), 15)

	example, err := os.ReadFile(filepath.Join(root, "examples", "quickstart", "quickstart_test.go"))
	require.NoError(t, err)
	require.Contains(t, strings.ReplaceAll(string(example), "\n\t", "\n"), "func Example() {\n"+code)
}
