package jwtvalidate_test

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // RSA-OAEP of RFC 7518 is defined with it
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// sealTwins encrypts one text n times with one content key: only the encrypted key
// differs, which is no part of what the tag covers (RFC 7516 section 5.1). Whoever
// holds a token can make as many.
func sealTwins(t *testing.T, to *rsa.PublicKey, text string, n int) []string {
	t.Helper()
	cek, iv := make([]byte, 32), make([]byte, 12)
	block, err := aes.NewCipher(cek)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed := gcm.Seal(nil, iv, []byte(text), []byte(b64(sealedHeader)))
	end := "." + b64(string(iv)) + "." + b64(string(sealed[:len(text)])) + "." + b64(string(sealed[len(text):]))
	twins := make([]string, n)
	for i := range twins {
		key, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, to, cek, nil)
		require.NoError(t, err)
		twins[i] = b64(sealedHeader) + "." + b64(string(key)) + end
	}
	return twins
}

// TestTokensOfOneEnd: tokens that differ only far from their end are remembered side by
// side, and however many there are, they displace nothing but each other.
func TestTokensOfOneEnd(t *testing.T) {
	var cached atomic.Bool
	v := validator(t, jwtvalidate.Config{
		Issuers:        []jwtvalidate.Issuer{policy(sourceOf(&ecKey().PublicKey))},
		DecryptionKeys: []jwtvalidate.DecryptionKey{{Algorithm: "RSA-OAEP", Key: decryptionPEM(t, rsaKey())}},
		Observe:        func(_ context.Context, e jwtvalidate.Event) { cached.Store(e.Cached) },
	})
	ask := func(token string) bool {
		_, err := v.CheckToken(t.Context(), token)
		require.NoError(t, err)
		return cached.Load()
	}
	others := make([]string, 50)
	for i := range others {
		others[i] = es256(t, goodHeader, payload(fmt.Sprintf(`"jti":"%d"`, i)))
		require.False(t, ask(others[i]))
		require.True(t, ask(others[i]))
	}
	twins := sealTwins(t, &rsaKey().PublicKey, es256(t, goodHeader, payload(`"jti":"x"`)), 40)
	for round := range 2 {
		for _, token := range twins[:2] {
			require.Equal(t, round > 0, ask(token))
		}
	}
	for _, token := range twins {
		ask(token)
		require.True(t, ask(token))
	}
	kept := 0
	for _, token := range others {
		if ask(token) {
			kept++
		}
	}
	require.GreaterOrEqual(t, kept, 45, "few share a bucket with the twins")
	forged := []byte(twins[39])
	forged[len(b64(sealedHeader))+20] ^= 1 // in the encrypted key
	for range 2 {
		_, err := v.CheckToken(t.Context(), string(forged))
		require.ErrorIs(t, err, jwtvalidate.ErrInvalidToken)
		require.False(t, cached.Load())
	}
}

// TestForgeriesWaitForNobody: while a token is verified for the first time, others with
// its signature are refused at once, and other good ones are accepted.
func TestForgeriesWaitForNobody(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	var readings atomic.Int64
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(&ecKey().PublicKey))},
		Now: func() time.Time {
			if readings.Add(1) == 2 { // the first finds out whether it has lapsed; the second stands behind the signature
				close(held)
				<-release
			}
			return clock()
		},
	})
	token := good(t)
	end := token[strings.LastIndexByte(token, '.'):]
	first := make(chan error, 1)
	var wait sync.WaitGroup
	defer wait.Wait()
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	wait.Go(func() {
		_, err := v.CheckToken(context.WithoutCancel(t.Context()), token)
		first <- err
	})
	<-held
	// By chance one in 256 queues behind it: one of four does not.
	for name, other := range map[string]func(i int) string{
		"forged": func(i int) string {
			return b64(goodHeader) + "." + b64(payload(fmt.Sprintf(`"sub":"%d"`, i))) + end
		},
		"good": func(i int) string { return es256(t, goodHeader, payload(fmt.Sprintf(`"sub":"%d"`, i))) },
	} {
		done := make(chan error, 4)
		for i := range 4 {
			token := other(i)
			wait.Go(func() {
				_, err := v.CheckToken(context.WithoutCancel(t.Context()), token)
				done <- err
			})
		}
		select {
		case err := <-done:
			require.Equal(t, name == "forged", err != nil, "%s: %v", name, err)
		case <-time.After(10 * time.Second):
			t.Fatal(name + " ones wait")
		}
	}
	require.Empty(t, first, "it still waits")
	free()
	require.NoError(t, <-first)
}

// TestSecondOfTwoFirstSights: who has waited for the verification of the same token
// takes it over, if its own look at the keys has found that key.
func TestSecondOfTwoFirstSights(t *testing.T) {
	for _, row := range []struct {
		name   string
		second crypto.PublicKey // what the source has for the second
		want   error
		cached int64
	}{
		{"the same key", &ecKey().PublicKey, nil, 1},
		{"another key by then", &evilEC().PublicKey, jwtvalidate.ErrSignature, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			held, queued, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
			var readings, asked, cached atomic.Int64
			v := validator(t, jwtvalidate.Config{
				Issuers: []jwtvalidate.Issuer{policy(asking(func(context.Context) ([]crypto.PublicKey, error) {
					if asked.Add(1) == 1 {
						return []crypto.PublicKey{&ecKey().PublicKey}, nil
					}
					return []crypto.PublicKey{row.second}, nil
				}))},
				Now: func() time.Time {
					switch readings.Add(1) {
					case 2: // the first one's, behind the signature
						close(held)
						<-release
					case 3: // the second one's, which found nothing remembered
						close(queued)
					}
					return clock()
				},
				Observe: func(_ context.Context, e jwtvalidate.Event) {
					if e.Cached {
						cached.Add(1)
					}
				},
			})
			token := good(t)
			first, second := make(chan error, 1), make(chan error, 1)
			var wait sync.WaitGroup
			defer wait.Wait()
			free := sync.OnceFunc(func() { close(release) })
			defer free()
			check := func(answer chan<- error) {
				wait.Go(func() {
					_, err := v.CheckToken(context.WithoutCancel(t.Context()), token)
					answer <- err
				})
			}
			check(first)
			<-held
			check(second)
			<-queued
			free()
			require.NoError(t, <-first)
			require.ErrorIs(t, <-second, row.want)
			require.Equal(t, row.cached, cached.Load())
		})
	}
}

// TestClaimsOutliveTheirBuffers: names that are spelled with escapes, too.
func TestClaimsOutliveTheirBuffers(t *testing.T) {
	p := policy(mustSecret(t, secret))
	p.Algorithms = []string{"HS256"}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
	token := func(i int) string {
		return mint(t, jose.HS256, secret, `{"alg":"HS256"}`, payload(fmt.Sprintf(`"\u0073ub":"s%d","\u0061%d":"v%d","n%d":%d`, i, i, i, i, i)))
	}
	kept := make([]*jwtvalidate.Claims, 100)
	for i := range kept {
		c, err := v.CheckToken(t.Context(), token(i))
		require.NoError(t, err)
		kept[i] = c
	}
	for i, c := range kept {
		require.Equal(t, fmt.Sprintf("s%d", i), c.Subject())
		for name, want := range map[string]string{fmt.Sprintf("a%d", i): fmt.Sprintf("v%d", i), fmt.Sprintf("n%d", i): fmt.Sprint(i)} {
			got, has := c.Get(name)
			require.True(t, has, name)
			require.Equal(t, want, fmt.Sprint(got))
		}
		_, has := c.Get(fmt.Sprintf("n%d", i+1))
		require.False(t, has)
	}
}
