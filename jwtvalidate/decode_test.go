package jwtvalidate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

func TestDecodeWithoutClaims(t *testing.T) {
	for name, c := range map[string]*jwtvalidate.Claims{"nil": nil, "zero": new(jwtvalidate.Claims)} {
		_, err := jwtvalidate.Decode[struct{}](c)
		require.ErrorIs(t, err, jwtvalidate.ErrNoToken, name)
	}
}
