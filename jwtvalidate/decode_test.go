package jwtvalidate_test

import (
	"encoding/json"
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

// TestDecodeIsExact: leaving out a name that a field would fold changes nothing else.
func TestDecodeIsExact(t *testing.T) {
	const nested, deep = `{"b":1.00,"a":"<\u00e9>","X":[1e0]}`, `{"b":1.0 }`
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	c, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(`"raw":`+nested+`, "X" : "y" ,"list":[ {"X":"y","raw":`+deep+`} ,null]`)))
	require.NoError(t, err)
	type doc struct {
		Raw  json.RawMessage `json:"raw"`
		X    string          `json:"x"`
		List []*doc          `json:"list"`
	}
	d, err := jwtvalidate.Decode[doc](c)
	require.NoError(t, err)
	require.Empty(t, d.X)
	require.Len(t, d.List, 2)
	require.Empty(t, d.List[0].X)
	require.Equal(t, []string{nested, deep}, []string{string(d.Raw), string(d.List[0].Raw)}, "byte for byte")
	require.Nil(t, d.List[1])

	other, err := jwtvalidate.Decode[map[string]json.RawMessage](c)
	require.NoError(t, err)
	require.Equal(t, `"y"`, string(other["X"]), "a map has no fields that fold")
}
