// Package redisstore is a clientcreds.Store on Redis, so that a fleet shares the
// tokens that are paid for each. It is a module of its own, for go-redis.
//
//	store, err := redisstore.New(redisstore.Config{Client: rdb})
//	source, err := clientcreds.New(clientcreds.Config{
//		Store:    store,
//		StoreKey: key, // the same 32 bytes in the whole fleet, not in Redis
//		…
//	})
//
// Each call is one command on one key: GETRANGE, SET with PX, SET with NX and PX
// for a lock, and for giving it back EVAL of a compare-and-delete. Nothing without
// an end is kept. The key is Prefix, the id by clientcreds (an HMAC), and ":lock"
// for a lock; as no command has two keys, a Cluster needs no hash tag. One in
// Prefix, such as "{tokens}:", puts all on one node.
//
// # Outages
//
// A call costs its caller Timeout at most, whatever the client does with retries
// and deadlines of its own. After a call without an answer, calls fail at once for
// five seconds, or until an answer comes late: so that it is Timeout once for a
// token, not for each of its calls. Errors are returned as they are, for
// clientcreds to take for misses: Redis can make tokens rarer, never calls fail.
//
// At most 64 commands are under way. One that nobody waits for goes on for two
// seconds, and longer only if the client heeds no deadline: set its
// ContextTimeoutEnabled, or at least leave it a ReadTimeout. A lock that was got
// too late is given back. Locks save tokens and guard nothing: one that a failover
// loses costs a token.
//
// # Sizing
//
// A target takes the size of its token and some 300 bytes, until the token
// expires: a thousand targets of 2 KiB are 2.5 MB. A process asks once for each
// token, and while another fetches it, ten times in a second. Persistence is not
// needed. If memory may run out, volatile-ttl is a fitting eviction policy.
//
// # Who can write to Redis
//
// can delete values, fill them with garbage, and hold locks: the fleet pays for
// tokens that it could have shared, and a fetch takes a second longer. They can put
// back an older token of the same target that has not expired yet. They see how
// many targets there are, the sizes of their tokens, and when they are used. They
// can read no token, make none, and give none to another target: values are sealed
// under the StoreKey, together with their key. Who has StoreKey as well has the tokens.
//
// Passwords, ACL and TLS are those of the client. The user of an ACL needs
//
//	~gatehouse:* +getrange +set +eval +get +del
//
// Replies are bounded by asking for no more. A server that is not Redis at all
// could announce a larger one, which go-redis would make room for: use TLS where
// the network is not yours.
package redisstore
