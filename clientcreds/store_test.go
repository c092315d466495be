package clientcreds_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// memory is a Store in memory.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	ttls   map[string]time.Duration
	locked map[string]bool
	err    error
	hangs  bool
}

func (m *memory) broken(ctx context.Context) error {
	if m.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return m.err
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	if err := m.broken(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

func (m *memory) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := m.broken(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values, m.ttls = map[string][]byte{}, map[string]time.Duration{}
	}
	m.values[key], m.ttls[key] = value, ttl
	return nil
}

func (m *memory) Lock(ctx context.Context, key string, _ time.Duration) (func(), error) {
	if err := m.broken(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked[key] {
		return nil, nil
	}
	if m.locked == nil {
		m.locked = map[string]bool{}
	}
	m.locked[key] = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.locked[key] = false
	}, nil
}

func withStore(p *idp, m *memory) clientcreds.Config {
	cfg := config(p)
	cfg.Store = m
	cfg.StoreKey = func() ([]byte, error) { return []byte("0123456789abcdef"), nil }
	return cfg
}

// TestStore: a fleet of ten pays for one token, and for one renewal.
func TestStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m := &idp{takes: 300 * time.Millisecond}, &memory{}
		var fleet []*clientcreds.Source
		for range 10 {
			fleet = append(fleet, newSource(t, withStore(p, m)))
		}
		all := func(want string) {
			var wg sync.WaitGroup
			for _, s := range fleet {
				wg.Go(func() { require.Equal(t, want, tokenOf(t, s)) })
			}
			wg.Wait()
		}
		all("token-1")
		require.Equal(t, 1, p.requests())
		for key, box := range m.values {
			require.NotContains(t, string(box), "token-1")
			require.NotContains(t, key, "orders")
			require.InDelta(t, (3590 * time.Second).Seconds(), m.ttls[key].Seconds(), 1)
			require.False(t, m.locked[key])
		}
		time.Sleep(57 * time.Minute)
		all("token-1")
		time.Sleep(2 * time.Second)
		all("token-2")
		require.Equal(t, 2, p.requests())
	})
}

// TestStoreIsNotTrusted: what was changed, moved, or sealed by another key, is not
// there.
func TestStoreIsNotTrusted(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, p *idp, m *memory, cfg *clientcreds.Config)
		want string
	}{
		{"untouched", func(*testing.T, *idp, *memory, *clientcreds.Config) {}, "token-1"},
		{"another key", func(_ *testing.T, _ *idp, _ *memory, cfg *clientcreds.Config) {
			cfg.StoreKey = func() ([]byte, error) { return []byte("fedcba9876543210"), nil }
		}, "token-2"},
		{"changed", func(_ *testing.T, _ *idp, m *memory, _ *clientcreds.Config) {
			for key := range m.values {
				m.values[key][20] ^= 1
			}
		}, "token-2"},
		{"cut", func(_ *testing.T, _ *idp, m *memory, _ *clientcreds.Config) {
			for key := range m.values {
				m.values[key] = m.values[key][:5]
			}
		}, "token-2"},
		{"moved to another target", func(t *testing.T, p *idp, m *memory, cfg *clientcreds.Config) {
			var box []byte
			for key := range m.values {
				box = m.values[key]
			}
			m.values = nil
			cfg.Scopes = []string{"admin"}
			tokenOf(t, newSource(t, *cfg))
			for key := range m.values {
				m.values[key] = box
			}
		}, "token-3"},
		{"another client", func(_ *testing.T, _ *idp, _ *memory, cfg *clientcreds.Config) { cfg.ClientID = "other" }, "token-2"},
		{"another scope", func(_ *testing.T, _ *idp, _ *memory, cfg *clientcreds.Config) { cfg.Scopes = []string{"x"} }, "token-2"},
		{"old", func(*testing.T, *idp, *memory, *clientcreds.Config) { time.Sleep(58 * time.Minute) }, "token-2"},
		{"from the future", func(_ *testing.T, _ *idp, _ *memory, cfg *clientcreds.Config) {
			cfg.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		}, "token-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, m := &idp{}, &memory{}
				cfg := withStore(p, m)
				require.Equal(t, "token-1", tokenOf(t, newSource(t, cfg)))
				tt.do(t, p, m, &cfg)
				require.Equal(t, tt.want, tokenOf(t, newSource(t, cfg)))
			})
		})
	}
}

// TestStoreOutage: an outage is a miss, and a slow store costs three seconds.
func TestStoreOutage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		store *memory
		most  time.Duration
	}{
		{"down", &memory{err: errDown}, 0},
		{"hangs", &memory{hangs: true}, 3 * time.Second},
		{"locked for ever", &memory{locked: nil}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{}
				if tt.name == "locked for ever" {
					s := newSource(t, withStore(&idp{}, tt.store))
					tokenOf(t, s)
					for key := range tt.store.values {
						tt.store.locked[key] = true
						delete(tt.store.values, key)
					}
				}
				start := time.Now()
				require.Equal(t, "token-1", tokenOf(t, newSource(t, withStore(p, tt.store))))
				require.LessOrEqual(t, time.Since(start), tt.most)
			})
		})
	}
}

// TestStoreAnd401: the token that an API rejected is not taken from the store
// again, but the one that another process has got for it is.
func TestStoreAnd401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m, a := &idp{}, &memory{}, &api{}
		one, two := newSource(t, withStore(p, m)), newSource(t, withStore(p, m))
		tokenOf(t, one)
		tokenOf(t, two)
		a.reject("token-1")
		time.Sleep(time.Minute)
		for _, s := range []*clientcreds.Source{one, two} {
			_, body := send(t, s.Transport(a), "GET", apiURL, nil)
			require.Equal(t, "Bearer token-2|", body)
		}
		require.Equal(t, 2, p.requests())
	})
}
