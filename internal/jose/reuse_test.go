package jose_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// TestPayloadsOutliveTheNext: what ParsePayload has handed out stays, with members and
// names that are spelled with escapes; what PeekPayload hands out is that of the last
// token, also where a value was decoded before.
func TestPayloadsOutliveTheNext(t *testing.T) {
	t.Parallel()
	var c jose.Compact
	var kept []*jose.Object
	const n = 20
	for i := range n {
		require.NoError(t, c.Parse(encode(fmt.Sprintf(`{"alg":"HS256","\u006b%d":1,"\u006c":2}`, i))+"."+
			encode(fmt.Sprintf(`{"\u0061%d":"%d","b":"%d","\u0063":[%d]}`, i, i, i, i))+".c2ln"))
		peek, err := c.PeekPayload(jose.ClaimLimits)
		require.NoError(t, err)
		value, _ := peek.Get("b")
		require.Equal(t, fmt.Sprint(i), value)
		o, err := c.ParsePayload(jose.ClaimLimits)
		require.NoError(t, err)
		kept = append(kept, o)
	}
	for i, o := range kept {
		require.Equal(t, []string{fmt.Sprintf("a%d", i), "b", "c"}, o.Names())
		for _, name := range []string{fmt.Sprintf("a%d", i), "b"} {
			text, ok := o.Text(name)
			require.True(t, ok)
			require.Equal(t, fmt.Sprint(i), text)
		}
		raw, _ := o.Raw("c")
		require.Equal(t, fmt.Sprintf("[%d]", i), raw)
	}
}

// TestNamesOfOneMark: names of one length with the same first and last letter are told
// apart, and a second one is found, escaped or not, as the last of few and of many.
func TestNamesOfOneMark(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 60; n++ {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"a%02dz":%d,`, i, i)
		}
		o, err := jose.ParseObject("{"+b.String()+`"":0,"x":{"a00z":1}}`, jose.DefaultLimits)
		require.NoError(t, err)
		require.Len(t, o.Names(), n+2)
		for i := range n {
			for _, again := range []string{fmt.Sprintf(`"a%02dz"`, i), fmt.Sprintf(`"\u0061%02dz"`, i), fmt.Sprintf(`"\u0061\u003%d\u003%dz"`, i/10, i%10)} {
				_, err := jose.ParseObject("{"+b.String()+again+":0}", jose.DefaultLimits)
				require.ErrorIs(t, err, jose.ErrJSON, again)
				_, err = jose.ParseObject(`{"x":{`+b.String()+again+":0}}", jose.DefaultLimits)
				require.ErrorIs(t, err, jose.ErrJSON, again)
			}
		}
	}
}
