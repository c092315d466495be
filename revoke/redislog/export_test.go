package redislog

import "github.com/gatehouse-auth/gatehouse/revoke"

// ParsePage reads the answer to XRANGE.
func ParsePage(raw []byte, after [2]uint64) ([]revoke.Entry, error) { return parsePage(raw, after) }
