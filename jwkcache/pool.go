package jwkcache

import (
	"cmp"
	"container/list"
	"errors"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

// PoolConfig makes a Pool.
type PoolConfig struct {
	// Cache is what every cache of the pool is made of; its URL, Issuer, File,
	// Set, Decrypt and Snapshot stay empty. With no Client, the caches share a transport
	// that opens no connection to private, loopback, link-local and other
	// addresses that are not public, and uses no proxy of the environment.
	Cache Config
	// MaxCaches bounds the caches; beyond it, the one that was asked for longest
	// ago is dropped. Zero: 1000.
	MaxCaches int
	// IdleAfter drops caches that nobody has asked for. Zero: 1 h.
	IdleAfter time.Duration
	// InsecurePrivateAddresses allows connections to addresses that are not
	// public: an issuer that can choose its URL can then ask what is inside.
	InsecurePrivateAddresses bool
}

// Pool makes and bounds caches for issuers that are not known when the service
// starts. Nothing is shared between two caches but the transport. Which issuers
// there may be is for the caller to decide, before it asks the Pool.
type Pool struct {
	template  Config
	client    *fetch.Client
	maxCaches int
	idleAfter time.Duration

	mu     sync.Mutex
	byKey  map[poolKey]*list.Element
	recent *list.List // of *pooled, the latest first
}

type poolKey struct{ issuer, url string }

type pooled struct {
	key   poolKey
	cache *Cache
	asked time.Time
}

// NewPool makes a Pool. It opens no connection and starts no goroutine.
func NewPool(cfg PoolConfig) (*Pool, error) {
	var errs []error
	c := cfg.Cache
	if c.URL != "" || c.Issuer != "" || c.File != "" || c.Set != nil || c.Snapshot != "" || c.Decrypt != nil {
		errs = append(errs, errors.New("jwkcache: Cache: URL, Issuer, File, Set, Decrypt and Snapshot belong to one cache"))
	}
	if c.Client != nil && !cfg.InsecurePrivateAddresses {
		errs = append(errs, errors.New("jwkcache: Cache.Client: its Transport is not guarded; say InsecurePrivateAddresses, or leave it out"))
	}
	if cfg.MaxCaches < 0 {
		errs = append(errs, errors.New("jwkcache: MaxCaches: negative"))
	}
	if cfg.IdleAfter < 0 {
		errs = append(errs, errors.New("jwkcache: IdleAfter: negative"))
	}
	c, settingErrs := withDefaults(c, "jwkcache: Cache.")
	client, clientErrs := newClient(c, c.Client == nil && !cfg.InsecurePrivateAddresses, "jwkcache: Cache.")
	if errs = append(append(errs, settingErrs...), clientErrs...); errs != nil {
		return nil, errors.Join(errs...)
	}
	return &Pool{
		template:  c,
		client:    client,
		maxCaches: cmp.Or(cfg.MaxCaches, 1000),
		idleAfter: cmp.Or(cfg.IdleAfter, time.Hour),
		byKey:     make(map[poolKey]*list.Element),
		recent:    list.New(),
	}, nil
}

// Get is the cache for an issuer, made at the first call. With a url, the set is
// there, and the issuer is a name and no more; without one, it is discovered. The
// same pair gets the same cache, until it has been idle or crowded out: ask for it
// each time. An error says that the issuer is empty, or that what would be fetched
// is no https URL; nothing is fetched here.
func (p *Pool) Get(issuer, url string) (*Cache, error) {
	key := poolKey{issuer, url}
	now := p.template.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropIdle(now)
	if e := p.byKey[key]; e != nil {
		e.Value.(*pooled).asked = now
		p.recent.MoveToFront(e)
		return e.Value.(*pooled).cache, nil
	}
	if issuer == "" {
		return nil, errors.New("jwkcache: Pool: an issuer is required")
	}
	cfg := p.template
	if url != "" {
		cfg.URL = url
	} else {
		cfg.Issuer = issuer
	}
	if err := checkSource(p.client, cfg); err != nil {
		return nil, err
	}
	c, err := newCache(cfg, p.client)
	if err != nil {
		return nil, err
	}
	if p.recent.Len() >= p.maxCaches {
		p.drop(p.recent.Back())
	}
	p.byKey[key] = p.recent.PushFront(&pooled{key, c, now})
	return c, nil
}

// Len is how many caches there are now.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recent.Len()
}

func (p *Pool) dropIdle(now time.Time) {
	for e := p.recent.Back(); e != nil && now.Sub(e.Value.(*pooled).asked) >= p.idleAfter; e = p.recent.Back() {
		p.drop(e)
	}
}

func (p *Pool) drop(e *list.Element) {
	delete(p.byKey, e.Value.(*pooled).key)
	p.recent.Remove(e)
}
