// Program cluster is a service of several processes that agree on what is revoked,
// through a Redis that may be killed and come back empty.
//
//	cluster -demo                                   starts all of it on loopback, and shows what happens
//	cluster -listen … -issuer … -audience … -redis … one node, for an issuer and a Redis of your own
//
// What to copy is node.go: a Checker on a Log, Run beside the server, and the Checker as
// the Validator's Revocation. A node takes REVOCATION_SECRET, base64 of 32 bytes or
// more and the same on all nodes, and ADMIN_TOKEN, by which its admin API is called.
package main
