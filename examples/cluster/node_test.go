package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSettings: all that is missing is named at once, and that nobody can call the admin
// API.
func TestSettings(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	const noSecret = "set REVOCATION_SECRET (base64 of 32 bytes or more); or -demo"
	const closed = "ADMIN_TOKEN is not set: the admin API is closed\n"
	for _, row := range []struct {
		name                            string
		issuer, audience, secret, admin string
		want, line                      string // want empty: it runs
	}{
		{"nothing", "", "", "", "", "set -issuer, -audience, REVOCATION_SECRET (base64 of 32 bytes or more); or -demo", ""},
		{"no issuer", "", service, good, "a", "set -issuer; or -demo", ""},
		{"no audience", "http://127.0.0.1:1", "", good, "a", "set -audience; or -demo", ""},
		{"no secret", "http://127.0.0.1:1", service, "", "a", noSecret, ""},
		{"a secret of 31 bytes", "http://127.0.0.1:1", service, base64.StdEncoding.EncodeToString(make([]byte, 31)), "a", noSecret, ""},
		{"a secret that is no base64", "http://127.0.0.1:1", service, strings.Repeat("!", 64), "a", noSecret, ""},
		{"an issuer without a scheme", "idp.example.com", service, good, "a", "-issuer: ", ""},
		{"no admin", "http://127.0.0.1:1", service, good, "", "", closed},
		{"all", "http://127.0.0.1:1", service, good, "a", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv("REVOCATION_SECRET", row.secret)
			t.Setenv("ADMIN_TOKEN", row.admin)
			var lines bytes.Buffer
			log.SetOutput(&lines)
			log.SetFlags(0)
			defer log.SetOutput(os.Stderr)
			defer log.SetFlags(log.LstdFlags)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // it starts, and ends at once
			err := run(ctx, []string{"-listen", "127.0.0.1:0", "-issuer", row.issuer, "-audience", row.audience, "-redis", "127.0.0.1:1", "-insecure-http"})
			if row.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, row.want)
			}
			require.Equal(t, row.line, lines.String())
		})
	}
}
