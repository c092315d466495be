package celrule_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
	"github.com/stretchr/testify/require"
)

func validator(tb testing.TB, rules ...jwtvalidate.Rule) (*jwtvalidate.Validator, *jwttest.Issuer) {
	tb.Helper()
	is := jwttest.New(tb)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{is.Policy()}, Rules: rules})
	require.NoError(tb, err)
	return v, is
}
