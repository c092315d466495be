package redislog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke/redislog"
)

// resp is the bytes of an answer: one entry for each id, with its fields and values.
func resp(entries ...[]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(entries))
	for _, e := range entries {
		fmt.Fprintf(&b, "*2\r\n$%d\r\n%s\r\n*%d\r\n", len(e[0]), e[0], len(e)-1)
		for _, text := range e[1:] {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(text), text)
		}
	}
	return b.String()
}

func TestParsePage(t *testing.T) {
	for _, row := range []struct {
		name string
		raw  string
		want string // positions and data; empty: it is refused
	}{
		{"none", "*0\r\n", "[]"},
		{"one", resp([]string{"7-1", "d", "data"}), "[7-1 data]"},
		{"two", resp([]string{"7-1", "d", "a"}, []string{"7-2", "d", "\r\n$1\r\n"}), "[7-1 a 7-2 \r\n$1\r\n]"},
		{"no field", resp([]string{"7-1"}), "[7-1 ]"},
		{"another field", resp([]string{"7-1", "e", "x"}, []string{"7-2", "d", "a"}), "[7-1  7-2 a]"},
		{"two fields", resp([]string{"7-1", "d", "x", "d", "y"}, []string{"7-2", "d", "a"}), "[7-1  7-2 a]"},
		{"largest id", resp([]string{"18446744073709551615-18446744073709551615", "d", "a"}), "[18446744073709551615-18446744073709551615 a]"},
		{"too large an id", resp([]string{"18446744073709551616-0", "d", "a"}), ""},
		{"not after", resp([]string{"5-0", "d", "a"}), ""},
		{"out of order", resp([]string{"7-1", "d", "a"}, []string{"7-1", "d", "a"}), ""},
		{"no id", resp([]string{"x", "d", "a"}), ""},
		{"half an id", resp([]string{"7-", "d", "a"}), ""},
		{"an error", "-LOADING Redis is loading\r\n", ""},
		{"nothing", "", ""},
		{"nil", "_\r\n", ""},
		{"more behind it", "*0\r\n*0\r\n", ""},
		{"cut off", resp([]string{"7-1", "d", "data"})[:25], ""},
		{"a huge length", "*99999999999\r\n", ""},
		{"a huge string", "*1\r\n*2\r\n$999999999\r\n7-1\r\n", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			entries, err := redislog.ParsePage([]byte(row.raw), [2]uint64{5, 0})
			if row.want == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, e := range entries {
				require.NotNil(t, e.Data)
				got = append(got, fmt.Sprintf("%d-%d %s", e.Position[0], e.Position[1], e.Data))
			}
			require.Equal(t, row.want, "["+strings.Join(got, " ")+"]")
		})
	}
}

// FuzzParsePage: whatever a server sends, what is accepted is in order and no more than
// was sent.
func FuzzParsePage(f *testing.F) {
	f.Add([]byte(resp([]string{"7-1", "d", "data"}, []string{"7-2", "e", "x", "d", "y"})))
	f.Add([]byte("*1\r\n*2\r\n$3\r\n7-1\r\n*-1\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := redislog.ParsePage(raw, [2]uint64{})
		size, last := 0, [2]uint64{}
		for _, e := range entries {
			require.True(t, last[0] < e.Position[0] || last[0] == e.Position[0] && last[1] < e.Position[1])
			last = e.Position
			size += len(e.Data)
		}
		require.True(t, err == nil || entries == nil)
		require.LessOrEqual(t, size, len(raw))
	})
}
