// Package redislog is a revoke.Log on Redis 7 or later, so that what is revoked on one
// node is refused on all. It is a module of its own, for go-redis.
//
//	records, err := redislog.New(redislog.Config{Client: rdb, MaxLifetime: time.Hour})
//	checker, err := revoke.New(revoke.Config{
//		Log:         records,
//		MaxLifetime: time.Hour,
//		Secret:      secret, // the same on all nodes, not in Redis
//	})
//	go checker.Run(ctx)
//
// Checks never ask Redis: each node holds all records, and reads what is new with one
// XREAD that waits. Redis may be slow, cut off or empty, and checks take what they took.
//
// # Keys
//
// {Namespace}:log is a stream with one entry for each record. What is older than
// MaxLifetime and ten minutes is trimmed by those who append: by the clock of Redis or
// their own, whichever is behind. {Namespace}:kept is a hash: the epoch, a random
// text that is new when Redis was emptied, and a copy of each record that is wanted for
// longer than the stream has it, such as a ban without an end. {Namespace}:turn is held
// for 20 seconds at most by the node that gives back what was lost. The braces have a
// Cluster keep them on one server.
//
// # What a node knows
//
// Status of the Checker has AsOf and Staleness: everything that was appended before
// AsOf is in force here. That is shown by Redis each Block: the epoch is the one that it
// was, the newest id is not older than one that was read, and there are as many entries
// more as were read. A connection on which nothing comes shows nothing, so that AsOf
// stays, and Mode decides once MaxStaleness is over.
//
// If it is not shown (ErrGap), the node reads all that there is, and merges it into what
// it has: at no time does it know less. Then it gives back what Redis has not got. One
// node that lives brings back all that it knew; what was acknowledged and is on no node
// and not in Redis is lost, hence the settings below.
//
// # What each failure looks like
//
//	Redis is down, cut off, silent   Staleness grows, LastError; Append fails (503)
//	Redis is slow                    Staleness is what an answer takes
//	restarted with its data          nothing else, once it is back
//	restarted empty, FLUSHALL        ErrGap, an Event loaded on each node, another Epoch
//	failover that lost the newest    ErrGap, loaded; entries come again in the log
//	keys evicted or deleted          ErrGap, loaded; see Status.Eviction
//	trimmed past a slow node         ErrGap or nothing, loaded
//	Redis has no memory left         Append: OOM (503); reading goes on, nodes are fresh
//	more records than MaxEntries     the node is not Ready, alarm full; none is given up
//	garbage in the log               alarm record and Damaged; other records count
//	the clock of Redis jumps ahead   the log is not trimmed until time has caught up
//
// Alarm on Staleness near MaxStaleness, on Ready false, on Damaged and Gaps that grow,
// on Events of append with Err, and on Status.Eviction other than noeviction. Watch
// Kept, and that Position follows Last.
//
// # Settings of Redis
//
//	maxmemory-policy noeviction    others lose records; volatile-* do not, but why
//	appendonly yes                 everysec may lose a second, which the nodes give back
//
// or replicas, and WaitReplicas for who must not lose what nobody but its writer knew. A
// master that is cut off from Sentinel goes on to answer those who still reach it, and
// they do not know better: min-replicas-to-write has it refuse revocations at least.
// Clients that read from replicas are refused by New.
//
// The user of an ACL needs, where the first two lines are for a node that only reads:
//
//	~{gatehouse:revoke}:*
//	+xread +xrange +xinfo|stream +hget +hlen +hscan
//	+multi +exec +xadd +hset +hsetnx +hdel +set +del
//	+wait    for WaitReplicas
//	+role    to find that a server is a replica by now; else that is not seen
//	+config|get or +info    to be warned of eviction; else nothing is said
//
// MaxLifetime must be the same on all nodes, and its longest on those that are replaced
// one by one: a node trims by its own. A node that starts while Redis is empty, before
// another has given back what was lost, is Ready without it for a Block and a second.
//
// Set the ReadTimeout of the client, or leave its default: a connection that is dead
// without an end is given up after that and Block, and each call of ours after Timeout.
//
// # Sizing
//
// A record takes some 110 bytes in Redis, with the issuer, Reason and Actor on top if
// they are longer than 25 bytes, and one that is kept beside the stream 250 more. A
// million a MaxLifetime are 110 MB, and 20 to 28 MB on each node. A node reads half a
// million a second when it starts, and is not Ready before. Each revocation goes once
// over the wire to each node, and each node asks every Block for a few hundred bytes.
// After a loss, each node reads everything once.
//
// Append is one MULTI. If one entry is refused, none is kept, but for keys that are of
// another type; if the answer is lost, it may be kept: to revoke again does no harm.
// Without memory for the stream the whole is refused.
//
// # Who can write to Redis
//
// can delete: running nodes notice, and give it back, but for single pins and entries
// that are put aside while no node is running. They can append garbage, which is told of
// and costs time and memory on each node, and old records again, which changes nothing.
// They can make no record and undo none: records are sealed by the Secret. They see how
// many records there are, when they were made, their issuers, names of claims, Reason
// and Actor, but no identifier. They can have nodes read everything again and again.
package redislog
