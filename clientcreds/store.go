package clientcreds

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// Store shares tokens between processes. What it is given is sealed, and worthless
// without the key. Its errors and panics, and its being slow, are a token that is
// not there: it can make tokens rarer, never calls fail.
type Store interface {
	// Get returns what was put under a key; nil, nil if there is nothing.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put keeps a value for a time, which is above zero.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Lock makes the caller the only one to have the key, for a time at most. It is
	// the key that Get and Put are given: a lock stands beside the value, not in its
	// place. A nil unlock and a nil error: somebody else has it. unlock is called when
	// ctx has ended.
	Lock(ctx context.Context, key string, ttl time.Duration) (unlock func(), err error)
}

const (
	storeWait = time.Second // of one look into the store, and of waiting for another's token
	storePoll = 100 * time.Millisecond
	storeLock = 10 * time.Second
	storeMost = 256 // calls of it at once, those that have been given up included
)

var errStore = errors.New("clientcreds: the store does not answer")

// sealedStore is a Store that is trusted with nothing.
type sealedStore struct {
	store Store
	aead  cipher.AEAD
	key   [sha256.Size]byte // of the names: parameters may be secrets
	calls chan struct{}     // bounds them
}

// storeCall is one call of the store, which may panic, or be deaf to its context:
// then it is left alone.
func storeCall[T any](ctx context.Context, s *sealedStore, call func(context.Context) (T, error)) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	select {
	case s.calls <- struct{}{}:
	default:
		return v, errStore
	}
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errStore} // what stays after a panic
		defer func() {
			_ = recover()
			<-s.calls
			done <- r
		}()
		r.v, r.err = call(ctx)
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// record is what is sealed. Times are of the wall clock, which others share.
type record struct {
	Version  int           `json:"v"`
	Token    string        `json:"t"`
	Scope    string        `json:"s,omitempty"`
	Asked    time.Time     `json:"a"`
	Lifetime time.Duration `json:"l"`
	Refresh  time.Duration `json:"r,omitempty"`
}

func newSealed(store Store, key []byte) (*sealedStore, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("want 16, 24 or 32 bytes")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	name := sha256.Sum256(append([]byte("clientcreds name "), key...))
	return &sealedStore{store, aead, name, make(chan struct{}, storeMost)}, nil
}

// storeID names a target in the store: all that the server's answer depends on.
func (s *Source) storeID(to target) string {
	if s.sealed == nil {
		return ""
	}
	c := s.client()
	text, err := json.Marshal([]any{
		s.endpoint().fixed, c.issuer, c.id, c.method, c.keyID, c.x5tS256,
		to.audience, to.resources, to.scopes, c.params,
	})
	if err != nil {
		return "" // there is nothing in it that cannot be written
	}
	mac := hmac.New(sha256.New, s.sealed().key[:])
	mac.Write(text)
	return "clientcreds:" + hex.EncodeToString(mac.Sum(nil))
}

// take finds a token that is better than old. If there is none, it is this process
// that should ask for it, having the lock if unlock is not nil: who does not get
// the lock waits a moment for the other's token, and asks all the same.
func (s *sealedStore) take(ctx context.Context, id string, old *token, now func() time.Time) (t *token, unlock func()) {
	if t := s.get(ctx, id, old, now()); t != nil {
		return t, nil
	}
	short, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	unlock, err := s.lock(short, id)
	if err != nil || unlock != nil {
		if err == nil { // the other may have been done between
			t = s.get(ctx, id, old, now())
		}
		if t != nil {
			unlock()
			unlock = nil
		}
		return t, unlock
	}
	tick := time.NewTicker(storePoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if t := s.get(short, id, old, now()); t != nil {
				return t, nil
			}
		case <-short.Done():
			return nil, nil
		}
	}
}

// lock is Lock. A lock that comes when nobody waits for it any more is given back.
func (s *sealedStore) lock(ctx context.Context, id string) (unlock func(), err error) {
	give, err := storeCall(ctx, s, func(ctx context.Context) (func(), error) {
		give, err := s.store.Lock(ctx, id, storeLock)
		if give != nil && ctx.Err() != nil {
			give()
			return nil, ctx.Err()
		}
		return give, err
	})
	if give == nil {
		return nil, err
	}
	return func() {
		_, _ = storeCall(context.WithoutCancel(ctx), s, func(context.Context) (struct{}, error) {
			give()
			return struct{}{}, nil
		})
	}, err
}

func (s *sealedStore) get(ctx context.Context, id string, old *token, now time.Time) *token {
	box, err := storeCall(ctx, s, func(ctx context.Context) ([]byte, error) { return s.store.Get(ctx, id) })
	if err != nil || len(box) == 0 || len(box) > 2*maxAnswer {
		return nil
	}
	text, err := s.aead.Open(nil, nil, box, []byte(id))
	if err != nil {
		return nil
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Version != 1 || !visible(r.Token) || r.Asked.After(now.Add(time.Minute)) {
		return nil
	}
	t := newToken(&answer{accessToken: r.Token, scope: r.Scope, lifetime: r.Lifetime, refreshIn: r.Refresh}, r.Asked)
	if !t.fresh(now) || !t.renews(old) || old != nil && !t.asked.After(old.asked) { // the last: nobody turns it back
		return nil
	}
	return t
}

func (s *sealedStore) put(ctx context.Context, id string, t *token, now time.Time) {
	ttl := t.hard.at.Sub(now)
	if ttl <= 0 {
		return // its answer took longer than its life; to some stores, that is for ever
	}
	scope, _ := t.oauth2.Extra("scope").(string)
	text, err := json.Marshal(record{1, t.oauth2.AccessToken, scope, t.asked.Round(0), t.lifetime, t.refreshIn})
	if err != nil {
		return
	}
	box := s.aead.Seal(nil, nil, text, []byte(id))                         //nolint:gosec // its nonce is random, and it wants none
	_, _ = storeCall(ctx, s, func(ctx context.Context) (struct{}, error) { // an outage costs tokens, not calls
		return struct{}{}, s.store.Put(ctx, id, box, ttl)
	})
}
