package house_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThreeDirectDependencies(t *testing.T) {
	// Read here as well, so that the test cache notices a change.
	_, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)

	cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	var mod struct {
		Module  struct{ Path string }
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace, Exclude []any
	}
	require.NoError(t, json.Unmarshal(out, &mod))
	require.Equal(t, module, mod.Module.Path)

	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	slices.Sort(direct)
	require.Equal(t, []string{
		"github.com/lestrrat-go/jwx/v2",
		"github.com/stretchr/testify",
		"golang.org/x/oauth2",
	}, direct, "rule 12: a fourth needs the reasons written down")
	require.Empty(t, mod.Replace, "a replacement does not reach those who import the module")
	require.Empty(t, mod.Exclude)
}
