package jose_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

// hostile is input that wants to cost more than it is worth.
type hostile struct {
	name string
	good bool  // large, but accepted
	most int64 // bytes that it may allocate
	run  func() error
}

// claimLimits are those that jwtvalidate reads claims with.
var claimLimits = jose.Limits{Bytes: jose.MaxToken, Depth: 32, Values: 4096, Reserved: jose.Reserve(
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "scope", "scp", "client_id", "azp", "act", "may_act",
	"auth_time", "acr", "amr", "nonce", "events", "sid", "authorization_details",
)}

// repeat makes text of at most size bytes: first, then as many numbered parts as
// fit, then last.
func repeat(size int, first, part, last string) string {
	var b strings.Builder
	b.WriteString(first)
	for i := 0; ; i++ {
		next := strings.ReplaceAll(part, "#", fmt.Sprintf("%04x", i))
		if b.Len()+1+len(next)+len(last) > size {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(next)
	}
	return b.String() + last
}

var hostileInputs = sync.OnceValue(func() []hostile {
	const kib, mib = 1 << 10, 1 << 20
	room := (jose.MaxToken - 40) * 3 / 4 // what is left for header or payload in a token of 16 KiB
	token := func(header, payload string) func() error {
		text := encode(header) + "." + encode(payload) + ".c2ln"
		return func() error {
			c, err := jose.ParseCompact(text)
			if err != nil {
				return err
			}
			_, err = c.ParsePayload(claimLimits)
			return err
		}
	}
	parse := func(text string) func() error {
		return func() error {
			_, err := jose.ParseCompact(text)
			return err
		}
	}
	object := func(text string) func() error {
		return func() error {
			_, err := jose.ParseObject(text, jose.DefaultLimits)
			return err
		}
	}
	set := func(text string) func() error {
		return func() error {
			_, err := jose.ParseJWKSet(text, mib, 100)
			return err
		}
	}
	wide25 := repeat(250, `{`, `"#":0`, `}`)
	deep := strings.Repeat(`[`, 10000) + strings.Repeat(`]`, 10000)
	distinct := repeat(mib, `{`, `"#":0`, `}`)
	million := distinct[:len(distinct)-1] + strings.Repeat(`,"again":0`, 1_000_000) + `}`
	const header = `{"alg":"ES256"}`
	return []hostile{
		{"dots 50 000", false, 512, parse(strings.Repeat(".", 50000))},
		{"dots 16 KiB", false, 512, parse(strings.Repeat(".", jose.MaxToken))},
		{"dots 10 MB", false, 512, parse(strings.Repeat(".", 10_000_000))},
		{"token 16 KiB of text", true, 64 * kib, token(header, `{"a":"`+strings.Repeat("a", room-30)+`"}`)},
		{"token 16 KiB of members", true, 768 * kib, token(header, repeat(room-20, `{`, `"#":0`, `}`))},
		{"token 16 KiB of values", true, 64 * kib, token(header, `{"a":[0`+strings.Repeat(",0", 4090)+`]}`)},
		{"token 16 KiB of escaped names", true, 768 * kib, token(header, repeat(room-20, `{`, `"\u0061#":0`, `}`))},
		{"token 16 KiB of escapes", true, 64 * kib, token(header, `{"a":"`+strings.Repeat(`\u0061`, room/6-10)+`"}`)},
		{"token 16 KiB of capital names", true, 768 * kib, token(header, repeat(room-20, `{`, `"Ausx#":0`, `}`))},
		{"token 16 KiB of long-s names", true, 768 * kib, token(header, repeat(room-20, `{`, "\"i\u017f#\":0", `}`))},
		{"token 16 KiB of objects of 25 names", true, 512 * kib, token(header, repeat(room-20, `{"a":[`, wide25, `]}`))},
		{"token 16 KiB nested", false, 64 * kib, token(header, `{"a":`+strings.Repeat(`[`, 6000)+strings.Repeat(`]`, 6000)+`}`)},
		{"token 16 KiB of header members", false, 128 * kib, token(repeat(room-20, `{`, `"#":0`, `}`), `{}`)},
		{"token 16 KiB of escaped header members", false, 256 * kib, token(repeat(room-20, `{`, `"\u0041#":0`, `}`), `{}`)},
		{"token 16 KiB of kid", false, 64 * kib, token(`{"kid":"`+strings.Repeat("k", room-30)+`"}`, `{}`)},
		{"JSON 10 000 deep, arrays", false, kib, object(`{"a":` + deep + `}`)},
		{"JSON 10 000 deep, objects", false, 4 * kib, object(strings.Repeat(`{"a":`, 10000) + "0" + strings.Repeat(`}`, 10000))},
		{"JSON of a million members", false, 0, object(million)},
		{"JSON of a million members, count alone bounded", false, 2 * mib, func() error {
			_, err := jose.ParseObject(million, jose.Limits{Bytes: 16 * mib, Depth: 32, Values: 4096})
			return err
		}},
		{"JSON of 1 MiB of members", false, 2 * mib, object(distinct)},
		{"JSON of 1 MiB of elements", false, kib, object(`{"a":[0` + strings.Repeat(",0", mib/2-10) + `]}`)},
		{"JSON of 1 MiB of escaped names", false, 2 * mib, object(repeat(mib, `{`, `"\u0061#":0`, `}`))},
		{"JSON of 1 MiB of objects of 25 names", false, mib, object(repeat(mib, `{"a":[`, wide25, `]}`))},
		{"key set of a million members", false, 4 * kib, set(million)},
		{"key set of 1 MiB of numbers", false, 64 * kib, set(`{"keys":[0` + strings.Repeat(",0", mib/2-10) + `]}`)},
		{"key set of 101 numbers", false, 64 * kib, set(`{"keys":[0` + strings.Repeat(",0", 100) + `]}`)},
		{"key set 10 000 deep", false, 4 * kib, set(`{"keys":[` + deep + `]}`)},
	}
})

// TestHostileInputs: each is refused, or read, within its bytes. How long that
// takes is for the benchmark to say. (Not parallel: it counts what is allocated.)
func TestHostileInputs(t *testing.T) {
	for _, h := range hostileInputs() {
		t.Run(h.name, func(t *testing.T) {
			err := h.run()
			if h.good {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
			// The count is of the whole process: what its other goroutines allocate only
			// adds to it, so the least of some counts is what h itself did.
			least := int64(math.MaxInt64)
			for range 8 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_ = h.run()
				runtime.ReadMemStats(&after)
				least = min(least, int64(after.TotalAlloc-before.TotalAlloc))
			}
			require.LessOrEqual(t, least, h.most, "bytes allocated")
		})
	}
}

// TestRefusedTokensLeaveNothing: a Compact that is used for ever keeps nothing of
// what it refused half-way through. (Not parallel: it counts what is allocated.)
func TestRefusedTokensLeaveNothing(t *testing.T) {
	token := tokenOf(repeat(190, `{`, `"#":0`, `,"0000":0}`)) // refused at its last name
	var c jose.Compact
	require.NoError(t, c.Parse(tokenOf(repeat(190, `{`, `"#":0`, `}`))))
	require.ErrorIs(t, c.Parse(token), jose.ErrToken)
	const runs = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		_ = c.Parse(token)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.TotalAlloc-before.TotalAlloc)/runs, int64(1<<10), "bytes allocated for each")
}

func BenchmarkHostile(b *testing.B) {
	for _, h := range hostileInputs() {
		b.Run(strings.ReplaceAll(h.name, ",", ""), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := h.run(); (err == nil) != h.good {
					b.Fatal(err)
				}
			}
		})
	}
}
