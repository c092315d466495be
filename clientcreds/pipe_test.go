//go:build unix

package clientcreds_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// TestFileIsAPipe: to open one would wait for whoever writes to it.
func TestFileIsAPipe(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    func(cfg *clientcreds.Config, name string)
		refuse string // by New; empty: by Token
	}{
		{"KeyFile", func(cfg *clientcreds.Config, name string) {
			cfg.AuthMethod, cfg.Issuer, cfg.KeyFile = "private_key_jwt", issuer, name
		}, "clientcreds: KeyFile: read "},
		{"AssertionFile", func(cfg *clientcreds.Config, name string) {
			cfg.AuthMethod, cfg.AssertionFile = "client_assertion", name
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
			require.NoError(t, syscall.Mkfifo(pipe, 0o600))
			require.NoError(t, os.Symlink(pipe, link))
			t.Cleanup(func() { // of whoever waits all the same
				if f, err := os.OpenFile(pipe, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
					_ = f.Close()
				}
			})
			for _, name := range []string{pipe, link} {
				cfg := config(&idp{})
				cfg.Secret = nil
				tt.set(&cfg, name)
				refused := make(chan error, 1)
				go func() {
					s, err := clientcreds.New(cfg)
					if err == nil {
						_, err = s.Token(t.Context())
					}
					refused <- err
				}()
				select {
				case err := <-refused:
					if tt.refuse != "" {
						require.EqualError(t, err, tt.refuse+name+": not a regular file")
						continue
					}
					var failed *clientcreds.TokenError
					require.ErrorAs(t, err, &failed)
					require.Equal(t, clientcreds.ReasonSecret, failed.Reason)
				case <-time.After(10 * time.Second):
					require.FailNow(t, "it waits for a writer")
				}
			}
		})
	}
}
