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
// without the key. Its errors, and its being slow, are a token that is not there:
// it can make tokens rarer, never calls fail.
type Store interface {
	// Get returns what was put under a key; nil, nil if there is nothing.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put keeps a value for a time.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Lock makes the caller the only one to have the key, for a time at most. A nil
	// unlock and a nil error: somebody else has it.
	Lock(ctx context.Context, key string, ttl time.Duration) (unlock func(), err error)
}

const (
	storeWait = time.Second // of one look into the store, and of waiting for another's token
	storePoll = 100 * time.Millisecond
	storeLock = 10 * time.Second
)

// sealedStore is a Store that is trusted with nothing.
type sealedStore struct {
	store Store
	aead  cipher.AEAD
	key   [sha256.Size]byte // of the names: parameters may be secrets
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
	return &sealedStore{store, aead, sha256.Sum256(append([]byte("clientcreds name "), key...))}, nil
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
	unlock, err := s.store.Lock(short, id, storeLock)
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

func (s *sealedStore) get(ctx context.Context, id string, old *token, now time.Time) *token {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	box, err := s.store.Get(ctx, id)
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
	if !t.fresh(now) || !t.renews(old) {
		return nil
	}
	return t
}

func (s *sealedStore) put(ctx context.Context, id string, t *token, now time.Time) {
	scope, _ := t.oauth2.Extra("scope").(string)
	text, err := json.Marshal(record{1, t.oauth2.AccessToken, scope, t.asked.Round(0), t.lifetime, t.refreshIn})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	box := s.aead.Seal(nil, nil, text, []byte(id))    //nolint:gosec // its nonce is random, and it wants none
	_ = s.store.Put(ctx, id, box, t.hard.at.Sub(now)) // an outage costs tokens, not calls
}
