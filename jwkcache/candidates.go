package jwkcache

import (
	"crypto"
	"slices"
	"strings"
)

// candidates are the keys that may have signed what names an id, or none.
type candidates struct {
	keys   []crypto.PublicKey
	owners [][]string // of each key, the issuers that the set says it is of; nil: everybody's
}

// add takes a key that the list does not hold yet: one that a set names twice is
// tried once.
func (c *candidates) add(key crypto.PublicKey, issuer string) {
	i := slices.IndexFunc(c.keys, func(other crypto.PublicKey) bool {
		k, ok := other.(interface{ Equal(crypto.PublicKey) bool })
		return ok && k.Equal(key)
	})
	switch {
	case i >= 0 && (issuer == "" || c.owners[i] == nil):
		c.owners[i] = nil
	case i >= 0:
		c.owners[i] = append(c.owners[i], issuer)
	case len(c.keys) < maxCandidates:
		c.keys = append(c.keys, key)
		var owners []string
		if issuer != "" {
			owners = []string{issuer}
		}
		c.owners = append(c.owners, owners)
	}
}

// of are the keys that may sign for an issuer.
func (c *candidates) of(issuer string) []crypto.PublicKey {
	foreign := func(owners []string) bool {
		return owners != nil && !slices.ContainsFunc(owners, func(owner string) bool { return covers(owner, issuer) })
	}
	if !slices.ContainsFunc(c.owners, foreign) {
		return c.keys
	}
	var keys []crypto.PublicKey
	for i, owners := range c.owners {
		if !foreign(owners) {
			keys = append(keys, c.keys[i])
		}
	}
	return keys
}

// segment stands for one segment of an issuer's path.
const segment = "{tenantid}"

// covers reports whether a key's issuer is the one that is meant.
func covers(owner, issuer string) bool {
	before, behind, isTemplate := strings.Cut(owner, segment)
	if !isTemplate {
		return owner == issuer
	}
	tenant, fits := strings.CutPrefix(issuer, before)
	if tenant, fits2 := strings.CutSuffix(tenant, behind); fits && fits2 {
		return tenant != "" && !strings.Contains(tenant, "/")
	}
	return false
}
