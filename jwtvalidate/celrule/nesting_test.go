package celrule_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
)

// TestNestedTooDeeply: nobody says where in the text that is, and so neither does the
// error. Of other faults it says so.
func TestNestedTooDeeply(t *testing.T) {
	nested := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	const recursion = "celrule: expression recursion limit exceeded: "
	for _, row := range []struct {
		name, expr string
		want       string // how the error begins; empty: none
	}{
		{"brackets", nested(70, "(", "true", ")"), recursion},
		{"many brackets", nested(1000, "(", "true", ")"), recursion},
		{"lists", nested(70, "[", "", "]") + " == []", recursion},
		{"conditions", nested(70, "true ? true : ", "true", ""), recursion},
		{"indices", nested(70, "claims[", "'a'", "]") + " == 1", recursion},
		{"in another line", "true &&\n\n" + nested(70, "(", "true", ")"), recursion},
		{"names", "claims" + nested(70, ".a", "", "") + " == 1", "celrule: max recursion depth exceeded"},

		{"brackets that are few enough", nested(20, "(", "true", ")"), ""},
		{"names that are few enough", "claims" + nested(20, ".a", "", "") + " == 1", ""},
		{"another fault in brackets", nested(20, "(", "nobody", ")"), "celrule: 1:21: "},
		{"another fault in another line", "true &&\n nobody", "celrule: 2:2: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := celrule.New(row.expr)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.want)
			for _, line := range strings.Split(err.Error(), "\n") {
				require.True(t, strings.HasPrefix(line, row.want), line)
				require.NotContains(t, line, "-1:")
				require.NotContains(t, line, ":0:")
			}
		})
	}
}
