// Package flight runs one call for many waiters, each of whom can leave, and
// remembers a failure until its backoff ends. Key sets, metadata and tokens are
// fetched through it.
//
// The call runs in a goroutine of its own, on a context of its own: no deadline,
// cancellation or value of the caller that happened to be first reaches it. No
// lock is held while it runs or while anyone waits. A panic in it, and its being
// stuck past its deadline, are failures like any other; the waiters never hang.
// When it has ended, nothing is left running.
//
// What is not done here: results are not kept. The callers' cache does that, and
// fn itself stores into it, so that a result counts even if every waiter has
// left. A caller may look into that cache just before a call ends and ask just
// after: an fn that costs something looks again first.
package flight
