package jwtsign_test

import (
	"crypto"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// TestFirstCallerAfterAPause: nobody has looked for long, and the keys of before may
// have been replaced by others: the first caller has those of the file as it is now.
func TestFirstCallerAfterAPause(t *testing.T) {
	one, two := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "second")
	sign := func(t *testing.T, s *jwtsign.Signer) string { return kidOf(t, s) }
	publish := func(t *testing.T, s *jwtsign.Signer) string {
		kids := kidsIn(t, serveJWKS(t, s, nil).Body.String())
		require.Len(t, kids, 1)
		return kids[0]
	}
	for _, row := range []struct {
		name  string
		use   func(*testing.T, *jwtsign.Signer) string
		pause time.Duration
		text  string // of the file, replaced at the start of the pause
		want  string
	}{
		{"Sign", sign, 3 * time.Hour, two, "second"},
		{"JWKS", publish, 3 * time.Hour, two, "second"},
		{"Sign, after the shortest long pause", sign, 10 * time.Second, two, "second"},
		{"JWKS, after the shortest long pause", publish, 10 * time.Second, two, "second"},
		{"Sign, of the same", sign, 3 * time.Hour, one, "one"},
		{"JWKS, of the same", publish, 3 * time.Hour, one, "one"},
		{"Sign, of what is broken", sign, 3 * time.Hour, "{", "one"},
		{"JWKS, of what is broken", publish, 3 * time.Hour, "{", "one"},
	} {
		t.Run(row.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "keys.json")
			synctest.Test(t, func(t *testing.T) {
				store(t, name, one)
				cfg := config()
				cfg.Keys, cfg.File = nil, name
				s := signer(t, cfg)
				for range 2 { // since New, and since the last look
					store(t, name, row.text)
					time.Sleep(row.pause)
					start := time.Now()
					require.Equal(t, row.want, row.use(t, s))
					require.Zero(t, time.Since(start))
					synctest.Wait()

					store(t, name, one)
					time.Sleep(5 * time.Second)
					row.use(t, s)
					synctest.Wait()
					require.Equal(t, "one", row.use(t, s))
				}
			})
		})
	}
}

// TestLookThatHangs holds up those who come while it is waited for, for a second, and
// nobody after them. Once it ends, its keys are there.
func TestLookThatHangs(t *testing.T) {
	one, two := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "second")
	name := filepath.Join(t.TempDir(), "keys.json")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		end := sync.OnceFunc(func() { close(release) })
		defer end()
		var decrypts atomic.Int64
		store(t, name, one)
		cfg := config()
		cfg.Keys, cfg.File = nil, name
		cfg.Decrypt = func(b []byte) ([]byte, error) {
			if decrypts.Add(1) > 1 {
				<-release
			}
			return b, nil
		}
		s := signer(t, cfg)
		store(t, name, two)
		time.Sleep(time.Hour)
		takes := func() time.Duration {
			start := time.Now()
			if kid := kidOf(t, s); kid != "one" {
				t.Errorf("it is signed with %q", kid)
			}
			return time.Since(start)
		}
		var together sync.WaitGroup
		for range 8 {
			together.Go(func() {
				if took := takes(); took != time.Second {
					t.Errorf("a caller was held for %v", took)
				}
			})
		}
		together.Wait()
		for range 3 {
			require.Zero(t, takes(), "the next ones do not wait")
			time.Sleep(3 * time.Second)
		}
		require.EqualValues(t, 2, decrypts.Load(), "one look at a time")
		end()
		synctest.Wait()
		require.Equal(t, "second", kidOf(t, s))
		time.Sleep(time.Hour)
		require.Equal(t, "second", kidOf(t, s))
	})
}

// TestReplaceKeepsTheBound: calls that were left behind are calls of the Signer, not of
// the ring in which it was.
func TestReplaceKeepsTheBound(t *testing.T) {
	const most = 3
	same := func(first, _ *hsm) crypto.Signer { return first }
	inBox := func(first, _ *hsm) crypto.Signer { return boxed{first} }
	for _, row := range []struct {
		name          string
		before, after func(first, other *hsm) crypto.Signer
		first, other  int32 // how many calls of each are under way at most
	}{
		{"the same Signer", same, same, most, 0},
		{"a value with the same in it", inBox, inBox, most, 0},
		{"another Signer", same, func(_, other *hsm) crypto.Signer { return other }, most, most},
		{"one of another type", same, inBox, 2 * most, 0},
		{"one that cannot be compared", same, func(_, other *hsm) crypto.Signer { return unlike{other, nil} }, most, 3 * most},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				end := sync.OnceFunc(func() { close(release) })
				defer end()
				stuck := func() *hsm { return &hsm{Signer: ecKey(), before: func() { <-release }} }
				first, other := stuck(), stuck()
				cfg := remoteConfig(row.before(first, other), "ES256")
				cfg.MaxCalls, cfg.Timeout = most, time.Second
				s := signer(t, cfg)
				ask := func() {
					var group sync.WaitGroup
					for range 4 * most {
						group.Go(func() {
							if _, err := s.Sign(t.Context(), map[string]any{"sub": "ann"}); err == nil {
								t.Error("nothing signs")
							}
						})
					}
					group.Wait()
				}
				ask()
				next := remoteConfig(row.after(first, other), "ES256").Keys
				for range 3 {
					require.NoError(t, s.Replace(next))
					ask()
				}
				require.Equal(t, row.first, first.most.Load())
				require.Equal(t, row.other, other.most.Load())
				end()
				synctest.Wait()
				require.Zero(t, first.under.Load()+other.under.Load())
				require.Equal(t, "remote", kidOf(t, s), "what was taken is given back")
			})
		})
	}
}

// boxed is a Signer that is equal to another with the same in it.
type boxed struct{ *hsm }

// unlike is a Signer that is equal to none, and of which == panics.
type unlike struct {
	*hsm
	_ []byte
}
