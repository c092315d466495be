// Package jwkcache holds the public keys of a token issuer: found by URL, by
// discovery, in a file or in bytes, looked up without a lock, and fetched again
// when they age or when a token names a key that is not there.
//
//	keys, err := jwkcache.New(jwkcache.Config{Issuer: "https://idp.example.com/"})
//	found, err := keys.Keys(ctx, kid, "RS256")
//
// A [*Cache] is a jwtvalidate.KeySource. [New] opens no connection: the first lookup
// fetches. A lookup never waits while its key is at hand and fresh; a set that
// has aged is served while one refresh runs behind it. Whoever waits for a fetch
// waits on its own context; the fetch goes on for the others. Nothing runs while
// nobody asks.
//
// # Trust
//
// https only, one host, no redirect to another, bounded time, size and number of
// keys. Discovery takes only metadata whose issuer equals the one configured. A
// set is replaced whole: a key that left it is gone with the next fetch. Keys
// that are private, symmetric, too small, or meant for something else than
// verifying signatures are skipped; they spoil no other. An answer without any
// usable key is a failed fetch, and the keys at hand stay, up to [Config.MaxStale].
//
// # Outages
//
// While the source is down, the last good set serves up to MaxStale (after an idle
// time, as soon as one fetch has failed); then lookups
// fail with [ErrUnavailable], which is no verdict on any token. Without keys, a fetch
// is tried again within a second; with keys, within half a minute; where the server
// sends Retry-After, within 5 s and 5 min. A service that must start while its issuer
// is down says [Config.Snapshot]. Issuers that are not known at start have a [Pool].
// For a health check:
//
//	if st := keys.Status(); !st.Usable {
//		http.Error(w, "no keys", http.StatusServiceUnavailable)
//	}
//
// A readiness check that does this drains a fleet when the issuer is down; often
// it is better to answer 503 to single requests, and to alarm on [Status.Age]
// and [Status.LastError].
//
// What is not checked: who may sign what. A key is found by id and algorithm;
// that it is this issuer's is the reason why a Cache serves one issuer only.
package jwkcache
