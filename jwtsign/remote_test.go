package jwtsign_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// hsm is a key service: a Signer whose calls are counted and can be held up or spoilt.
type hsm struct {
	crypto.Signer
	under, most, calls atomic.Int32
	before             func() // nil: nothing
	spoil              func(signature []byte) ([]byte, error)
}

func (h *hsm) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	h.calls.Add(1)
	n := h.under.Add(1)
	defer h.under.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	if h.before != nil {
		h.before()
	}
	signature, err := h.Signer.Sign(random, digest, opts)
	if h.spoil != nil {
		return h.spoil(signature)
	}
	return signature, err
}

// polite also takes a context.
type polite struct {
	hsm
	got atomic.Pointer[context.Context]
}

func (p *polite) SignContext(ctx context.Context, random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	p.got.Store(&ctx)
	p.under.Add(1)
	defer p.under.Add(-1)
	if p.before != nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p.Signer.Sign(random, digest, opts)
}

func remoteConfig(key crypto.Signer, alg string) jwtsign.Config {
	cfg := config()
	cfg.Keys = []jwtsign.Key{{Private: jwtsign.SignerKey(key), Algorithm: alg, ID: "remote"}}
	return cfg
}

// TestRemoteEveryAlgorithm signs by a Signer of which nothing is known.
func TestRemoteEveryAlgorithm(t *testing.T) {
	for alg, key := range signers() {
		h := &hsm{Signer: key}
		p := &polite{hsm: hsm{Signer: key}}
		for _, remote := range []crypto.Signer{h, p} {
			token, err := signer(t, remoteConfig(remote, alg)).Sign(t.Context(), map[string]any{"sub": "ann"})
			require.NoError(t, err, alg)
			require.Equal(t, "ann", open(t, token, alg, key).claims["sub"])
		}
		require.EqualValues(t, 1, h.calls.Load())
		require.Zero(t, p.calls.Load(), "SignContext is used where there is one")
		require.NotNil(t, p.got.Load())
	}
}

// TestRemoteStalls: the caller leaves by its context or by Timeout; calls are
// bounded, also those that were left behind, and all goroutines end.
func TestRemoteStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &hsm{Signer: ecKey(), before: func() { <-release }}
		cfg := remoteConfig(h, "ES256")
		cfg.MaxCalls, cfg.Timeout = 3, 7*time.Second
		s := signer(t, cfg)
		for _, row := range []struct {
			name  string
			leave time.Duration // 0: never
			want  time.Duration
			err   error
		}{
			{"by its deadline", time.Second, time.Second, context.DeadlineExceeded},
			{"by Timeout", 0, 7 * time.Second, context.DeadlineExceeded},
			{"by Timeout before its deadline", time.Hour, 7 * time.Second, context.DeadlineExceeded},
			{"with no call free", 2 * time.Second, 2 * time.Second, context.DeadlineExceeded},
			{"with no call free, by Timeout", 0, 7 * time.Second, context.DeadlineExceeded},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			if row.leave != 0 {
				ctx, cancel = context.WithTimeout(ctx, row.leave)
			}
			start := time.Now()
			token, err := s.Sign(ctx, map[string]any{"sub": canary})
			require.Empty(t, token)
			require.ErrorIs(t, err, jwtsign.ErrUnavailable, row.name)
			require.ErrorIs(t, err, row.err, row.name)
			require.Equal(t, row.want, time.Since(start), row.name)
			cancel()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Sign(ctx, map[string]any{})
		require.ErrorIs(t, err, jwtsign.ErrUnavailable)
		require.ErrorIs(t, err, context.Canceled)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _ = s.Sign(ctx, map[string]any{})
			})
		}
		group.Wait()
		require.EqualValues(t, 3, h.calls.Load())
		require.EqualValues(t, 3, h.most.Load())
		close(release)
		synctest.Wait()
		require.Zero(t, h.under.Load())
		_, err = s.Sign(t.Context(), map[string]any{})
		require.NoError(t, err, "it works again")
	}) // a goroutine that is left would be found here
}

func TestRemoteDefaultBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &hsm{Signer: ecKey(), before: func() { <-release }}
		s := signer(t, remoteConfig(h, "ES256"))
		var group sync.WaitGroup
		start := time.Now()
		for range 40 {
			group.Go(func() {
				_, err := s.Sign(t.Context(), map[string]any{})
				if !errors.Is(err, jwtsign.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		require.Equal(t, 10*time.Second, time.Since(start))
		require.EqualValues(t, 32, h.calls.Load())
		close(release)
	})
}

// TestRotationAwayFromAStall: a service that hangs for good does not take the one
// along by which it is replaced.
func TestRotationAwayFromAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cfg := remoteConfig(&hsm{Signer: ecKey(), before: func() { <-release }}, "ES256")
		cfg.MaxCalls = 1
		s := signer(t, cfg)
		_, err := s.Sign(t.Context(), map[string]any{})
		require.ErrorIs(t, err, jwtsign.ErrUnavailable)
		good := &hsm{Signer: p384()}
		require.NoError(t, s.Replace([]jwtsign.Key{{Private: jwtsign.SignerKey(good), Algorithm: "ES384"}}))
		_, err = s.Sign(t.Context(), map[string]any{})
		close(release)
		synctest.Wait()
		require.NoError(t, err)
	})
}

type contextKey struct{}

func TestRemoteContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &polite{hsm: hsm{Signer: ecKey()}}
		s := signer(t, remoteConfig(p, "ES256"))
		ctx := context.WithValue(t.Context(), contextKey{}, "trace")
		_, err := s.Sign(ctx, map[string]any{})
		require.NoError(t, err)
		require.Equal(t, "trace", (*p.got.Load()).Value(contextKey{}), "the caller's context")
		deadline, has := (*p.got.Load()).Deadline()
		require.True(t, has)
		require.Equal(t, 10*time.Second, time.Until(deadline))

		p.before = func() {}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		start := time.Now()
		_, err = s.Sign(ctx, map[string]any{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		synctest.Wait()
		require.Zero(t, p.under.Load(), "the call has left, too")
	})
}

// TestRemoteUnderLoad: a service with latency serves many callers at a time.
func TestRemoteUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hsm{Signer: edKey(), before: func() { time.Sleep(50 * time.Millisecond) }}
		cfg := remoteConfig(h, "EdDSA")
		cfg.MaxCalls = 8
		s := signer(t, cfg)
		start := time.Now()
		var group sync.WaitGroup
		for range 200 {
			group.Go(func() {
				token, err := s.Sign(t.Context(), map[string]any{})
				if err != nil || strings.Count(token, ".") != 2 {
					t.Error(err)
				}
			})
		}
		group.Wait()
		require.Equal(t, 200/8*50*time.Millisecond, time.Since(start))
		require.EqualValues(t, 8, h.most.Load())
	})
}

// An answer that is there before its caller waits is not lost.
func TestRemoteQuick(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16)) // so that the system takes turns, too
	s := signer(t, remoteConfig(remoteKey{edKey()}, "EdDSA"))
	var failed atomic.Int64
	var last atomic.Pointer[error]
	var group sync.WaitGroup
	until := time.Now().Add(3 * time.Second)
	for range 64 {
		group.Go(func() {
			for time.Now().Before(until) {
				if _, err := s.Sign(context.Background(), map[string]any{}); err != nil {
					failed.Add(1)
					last.Store(&err)
				}
			}
		})
	}
	group.Wait()
	if failed.Load() > 0 {
		require.Failf(t, "calls that went well are errors", "%d: %v", failed.Load(), *last.Load())
	}
}

// TestRemoteBroken: whatever comes from a service that is no signature of the key
// that is published is no token.
func TestRemoteBroken(t *testing.T) {
	const told = "c4n4ry-pin-1234"
	other := newEC(t)
	for alg, key := range signers() {
		for _, row := range []struct {
			name  string
			spoil func(signature []byte) ([]byte, error)
		}{
			{"nil", func([]byte) ([]byte, error) { return nil, nil }},
			{"empty", func([]byte) ([]byte, error) { return []byte{}, nil }},
			{"garbage", func([]byte) ([]byte, error) { return []byte(told), nil }},
			{"garbage of the right length", func(b []byte) ([]byte, error) { return make([]byte, len(b)), nil }},
			{"cut", func(b []byte) ([]byte, error) { return b[:len(b)-1], nil }},
			{"a byte more", func(b []byte) ([]byte, error) { return append(b, 0), nil }},
			{"a bit off", func(b []byte) ([]byte, error) { b[len(b)-1] ^= 1; return b, nil }},
			{"huge", func([]byte) ([]byte, error) { return make([]byte, 1<<20), nil }},
			{"of another key", func([]byte) ([]byte, error) { return other.Sign(nil, make([]byte, 32), crypto.SHA256) }},
			{"an error", func([]byte) ([]byte, error) { return nil, errors.New(told) }},
			{"an error beside a signature", func(b []byte) ([]byte, error) { return b, errors.New(told) }},
			{"a panic", func([]byte) ([]byte, error) { panic(told) }},
			{"a panic with nil", func([]byte) ([]byte, error) { panic(nil) }}, //nolint:govet // as it comes
			{"the goroutine's end", func([]byte) ([]byte, error) { runtime.Goexit(); return nil, nil }},
		} {
			t.Run(alg+" "+row.name, func(t *testing.T) {
				var log buffer
				h := &hsm{Signer: key, spoil: row.spoil}
				cfg := remoteConfig(h, alg)
				cfg.MaxCalls, cfg.Timeout = 1, 5*time.Second
				cfg.Logger = log.logger()
				s := signer(t, cfg)
				for range 3 { // no call is lost
					start := time.Now()
					token, err := s.Sign(t.Context(), map[string]any{"sub": "ann"})
					require.ErrorIs(t, err, jwtsign.ErrUnavailable)
					require.Empty(t, token)
					require.Less(t, time.Since(start), 4*time.Second)
					if !strings.HasPrefix(row.name, "an error") { // that is the operator's to read
						require.NotContains(t, err.Error()+log.String(), told)
					}
				}
				require.EqualValues(t, 3, h.calls.Load())
				got := ask(t, ways["Handler"](t, s, write("application/json", `{"access_token":{"sub":"`+canary+`"}}`)), http.MethodPost)
				require.Equal(t, 503, got.status)
				require.NotContains(t, fmt.Sprint(got), canary)
			})
		}
	}
}

// fixedDER answers with R and S in a form of its own.
type fixedDER struct {
	*ecdsa.PrivateKey
	form func(r, s *big.Int) []byte
	want func(r, s *big.Int) bool
}

func (f fixedDER) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	for {
		der, err := f.PrivateKey.Sign(random, digest, opts)
		if err != nil {
			return nil, err
		}
		var sig struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &sig); err != nil {
			return nil, err
		}
		if f.want(sig.R, sig.S) {
			return f.form(sig.R, sig.S), nil
		}
	}
}

// TestRemoteECDSA: R and S with high bits and leading zeros, as HSMs write them.
func TestRemoteECDSA(t *testing.T) {
	proper := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		require.NoError(t, err)
		return b
	}
	padded := func(r, s *big.Int) []byte { // two zeros before each number, which is no DER
		number := func(n *big.Int) []byte {
			b := append([]byte{0, 0}, n.FillBytes(make([]byte, 32))...)
			return append([]byte{2, byte(len(b))}, b...)
		}
		body := append(number(r), number(s)...)
		return append([]byte{0x30, byte(len(body))}, body...)
	}
	plain := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	all := func(_, _ *big.Int) bool { return true }
	for _, row := range []struct {
		name string
		form func(r, s *big.Int) []byte
		want func(r, s *big.Int) bool
		good bool
	}{
		{"high bits", proper, func(r, s *big.Int) bool { return r.BitLen() == 256 && s.BitLen() == 256 }, true},
		{"no high bits", proper, func(r, s *big.Int) bool { return r.BitLen() < 256 && s.BitLen() < 256 }, true},
		{"a short R", proper, func(r, _ *big.Int) bool { return r.BitLen() <= 248 }, true},
		{"a short S", proper, func(_, s *big.Int) bool { return s.BitLen() <= 248 }, true},
		{"zeros before", padded, all, false},
		{"R || S", plain, all, false},
		{"S before R", func(r, s *big.Int) []byte { return proper(s, r) }, all, false},
		{"bytes behind", func(r, s *big.Int) []byte { return append(proper(r, s), 0) }, all, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := signer(t, remoteConfig(fixedDER{ecKey(), row.form, row.want}, "ES256"))
			token, err := s.Sign(t.Context(), map[string]any{})
			if !row.good {
				require.ErrorIs(t, err, jwtsign.ErrUnavailable)
				return
			}
			require.NoError(t, err)
			open(t, token, "ES256", ecKey())
			c, err := jose.ParseCompact(token)
			require.NoError(t, err)
			require.Len(t, c.Signature, 64)
		})
	}
}
