package revoke_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// overtaken is a token of which a claim is read while something else happens: once,
// as soon as the claim named first has been read.
type overtaken struct {
	token
	first    string
	meantime func()
	read     bool
}

func (o *overtaken) Get(name string) (any, bool) {
	if o.read && name != o.first && o.meantime != nil {
		meantime := o.meantime
		o.meantime = nil
		meantime()
	}
	o.read = o.read || name == o.first
	return o.token.Get(name)
}

// TestCheckIsOvertaken: what was missing when a check looked for it is read for another
// one before the first has ended, which must not take that for its own.
func TestCheckIsOvertaken(t *testing.T) {
	other := issued(epoch.Add(-time.Second), token{"jti": "id-3", "sub": "eve"})
	for _, row := range []struct {
		name, first string
		claims      token
	}{
		{"by its id", "jti", token{}},
		{"by its subject", "sub", token{"jti": "id-2", "sub": "bob"}},
	} {
		t.Run("records that were swept, "+row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now clock
				c := newChecker(t, revoke.Config{Log: new(revoke.MemoryLog), Now: now.now})
				mustRevoke(t, c, record(revoke.KindToken, "id-1"))
				mustRevoke(t, c, record(revoke.KindSubject, "bob"))
				now.add(48 * time.Hour)
				for i := range 1000 {
					mustRevoke(t, c, record(revoke.KindToken, strconv.Itoa(i)))
					mustRevoke(t, c, record(revoke.KindSubject, strconv.Itoa(i)))
				}
				now.set(epoch)
				claims := &overtaken{token: issued(epoch.Add(-time.Second), row.claims), first: row.first, meantime: func() {
					_, err := c.Check(t.Context(), other)
					require.ErrorIs(t, err, revoke.ErrUnavailable)
					synctest.Wait()
					requireReason(t, c, "", other)
				}}
				reason, err := c.Check(t.Context(), claims)
				require.Nil(t, claims.meantime)
				require.True(t, err != nil || reason != "", "it passes")
			})
		})
		t.Run("the first reading, "+row.name, func(t *testing.T) {
			log := new(revoke.MemoryLog)
			writer := newChecker(t, revoke.Config{Log: log})
			c := newChecker(t, revoke.Config{Log: log})
			mustRevoke(t, writer, record(revoke.KindToken, "id-1"))
			mustRevoke(t, writer, record(revoke.KindSubject, "bob"))
			claims := &overtaken{token: issued(time.Now().Add(-time.Minute), row.claims), read: true} // at the first claim
			claims.meantime = func() { require.NoError(t, c.Warm(t.Context())) }
			reason, err := c.Check(t.Context(), claims)
			require.Nil(t, claims.meantime)
			require.True(t, err != nil || reason != "", "it passes")
		})
	}
}
