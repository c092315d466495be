package jwkcache_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkix(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return pemBlock("PUBLIC KEY", der)
}

func pkcs8(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pemBlock("PRIVATE KEY", der)
}

func certify(t *testing.T, key crypto.Signer) (der []byte, block string) {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(-time.Hour)} // a validity is not asked for
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	require.NoError(t, err)
	return der, pemBlock("CERTIFICATE", der)
}

func thumbprint(t *testing.T, k testidp.Key) string {
	t.Helper()
	text, err := jose.Thumbprint(k.Signer.Public())
	require.NoError(t, err)
	return text
}

func tempFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, text)
	return path
}

// write writes in place.
func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestLocalForms(t *testing.T) {
	r, e, d := newKey(t, "rsa", jose.RS256), newKey(t, "ec", jose.ES256), newKey(t, "ed", jose.EdDSA)
	f, g := newKey(t, "", jose.ES384), newKey(t, "", jose.ES256)
	der, cert := certify(t, g.Signer)
	sum1, sum256 := sha1.Sum(der), sha256.Sum256(der)
	x5t, x5tS256 := base64.RawURLEncoding.EncodeToString(sum1[:]), base64.RawURLEncoding.EncodeToString(sum256[:])
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	private, err := json.Marshal(map[string]string{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "c2VjcmV0"})
	require.NoError(t, err)
	pkcs1 := pemBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(r.Signer.Public().(*rsa.PublicKey)))

	type find struct {
		id, alg string
		want    []testidp.Key
	}
	byThumbprint := func(k testidp.Key) find { return find{thumbprint(t, k), k.Alg.String(), []testidp.Key{k}} }
	for _, tt := range []struct {
		name, text string
		finds      []find
		skipped    []string
	}{
		{"a set", setOf(jwk(t, r, nil), jwk(t, e, nil)), []find{{"rsa", "RS256", []testidp.Key{r}}, {"ec", "ES256", []testidp.Key{e}}}, nil},
		{"a set in white space", "\n\t " + setOf(jwk(t, e, nil)) + "\r\n", []find{{"ec", "ES256", []testidp.Key{e}}}, nil},
		{"one JWK", jwk(t, d, nil), []find{{"ed", "EdDSA", []testidp.Key{d}}, {"ed", "Ed25519", []testidp.Key{d}}, {"ed", "RS256", nil}}, nil},
		{"one JWK with a member keys", strings.Replace(jwk(t, e, nil), "{", `{"keys":[],`, 1), []find{{"ec", "ES256", []testidp.Key{e}}}, nil},
		{"a JWK that mentions PEM", jwk(t, e, members{"note": "-----BEGIN PUBLIC KEY-----"}), []find{{"ec", "ES256", []testidp.Key{e}}}, nil},
		{"the same in white space", " \n" + jwk(t, e, members{"note": "-----BEGIN PUBLIC KEY-----"}), []find{{"ec", "ES256", []testidp.Key{e}}}, nil},
		{"RSA", pkix(t, r.Signer.Public()), []find{byThumbprint(r), {thumbprint(t, r), "PS512", []testidp.Key{r}}, {"", "RS256", []testidp.Key{r}}}, nil},
		{"RSA, PKCS #1", pkcs1, []find{byThumbprint(r)}, nil},
		{"EC", pkix(t, f.Signer.Public()), []find{byThumbprint(f), {thumbprint(t, f), "ES256", nil}, {"", "ES384", []testidp.Key{f}}}, nil},
		{"Ed25519", pkix(t, d.Signer.Public()), []find{byThumbprint(d), {"", "Ed25519", []testidp.Key{d}}}, nil},
		{"a certificate", cert, []find{
			byThumbprint(g),
			{x5t, "ES256", []testidp.Key{g}},
			{x5tS256, "ES256", []testidp.Key{g}},
			{thumbprint(t, g) + x5t, "ES256", []testidp.Key{g}},
			{"", "ES256", []testidp.Key{g}},
			{x5t, "RS256", nil},
		}, nil},
		{"several blocks", pkix(t, r.Signer.Public()) + "\n" + cert + pkix(t, e.Signer.Public()), []find{byThumbprint(r), byThumbprint(g), byThumbprint(e), {"", "ES256", []testidp.Key{g, e}}}, nil},
		{"text before and between", "subject=CN = idp\r\n" + strings.ReplaceAll(cert, "\n", "\r\n") + "# the next one\n" + pkix(t, r.Signer.Public()) + "# end", []find{byThumbprint(g), byThumbprint(r)}, nil},

		{"a private JWK in the set", setOf(string(private), jwk(t, e, nil)), []find{{"ec", "ES256", []testidp.Key{e}}}, []string{"private or symmetric key material"}},
		{"a secret in the set", setOf(`{"kty":"oct","kid":"s","k":"c2VjcmV0"}`, jwk(t, e, nil)), []find{{"ec", "ES256", []testidp.Key{e}}, {"s", "HS256", nil}}, []string{"private or symmetric key material"}},
		{"private keys between", pkcs8(t, d.Signer) + pkix(t, e.Signer.Public()) + pemBlock("EC PRIVATE KEY", der) + pemBlock("ENCRYPTED PRIVATE KEY", der), []find{byThumbprint(e), {thumbprint(t, d), "EdDSA", nil}}, []string{
			"PEM block: jose: unusable key: private or symmetric key material",
			"PEM block: jose: unusable key: private or symmetric key material",
			"PEM block: jose: unusable key: private or symmetric key material",
		}},
		{"blocks of another kind", pemBlock("EC PARAMETERS", der) + pkix(t, e.Signer.Public()) + pemBlock("X509 CRL", der), []find{byThumbprint(e)}, []string{"unsupported kty or crv", "unsupported kty or crv"}},
		{"unusable keys", pkix(t, small.Public()) + pkix(t, e.Signer.Public()) + pkix(t, p224.Public()), []find{byThumbprint(e), {"", "RS256", nil}}, []string{"unusable key", "unusable key"}},
		{"no DER within", pemBlock("PUBLIC KEY", []byte("secret")) + pkix(t, e.Signer.Public()) + pemBlock("CERTIFICATE", der[:20]), []find{byThumbprint(e)}, []string{"PEM block: asn1", "PEM block: x509"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, cfg := range []jwkcache.Config{{Set: []byte(tt.text)}, {File: tempFile(t, tt.text)}} {
				c, err := jwkcache.New(cfg)
				require.NoError(t, err)
				for _, f := range tt.finds {
					requireKeys(t, lookup(t, c, f.id, f.alg), f.want...)
				}
				var skipped []string
				for _, k := range c.Status().Keys {
					if k.Skipped != "" {
						skipped = append(skipped, k.Skipped)
					}
				}
				require.Len(t, skipped, len(tt.skipped))
				for i := range skipped {
					require.Contains(t, skipped[i], tt.skipped[i])
				}
			}
		})
	}
}

func TestLocalRefused(t *testing.T) {
	e := newKey(t, "ec", jose.ES256)
	block := pkix(t, e.Signer.Public())
	const malformed = "jose: malformed JWK set: "
	for _, tt := range []struct {
		name, text, want string
		change           func(*jwkcache.Config)
	}{
		{"empty", "", malformed, nil},
		{"white space", " \n", malformed, nil},
		{"a page", "<!doctype html>", malformed, nil},
		{"null", "null", malformed, nil},
		{"an array of keys", "[" + jwk(t, e, nil) + "]", malformed, nil},
		{"an empty object", "{}", malformed + "no member keys", nil},
		{"no keys", `{"keys":[]}`, "no usable key of 0", nil},
		{"keys is a string", `{"keys":"x"}`, malformed + "keys is not an array", nil},
		{"two sets", setOf(jwk(t, e, nil)) + setOf(jwk(t, e, nil)), malformed, nil},
		{"keys twice", `{"keys":[],"keys":[` + jwk(t, e, nil) + `]}`, malformed, nil},
		{"truncated", strings.TrimSuffix(setOf(jwk(t, e, nil)), "}"), malformed, nil},
		{"one private JWK", `{"kty":"EC","crv":"P-256","d":"c2VjcmV0"}`, "no usable key of 1; key 0: jose: unusable key: private or symmetric key material", nil},
		{"one secret", `{"kty":"oct","k":"c2VjcmV0"}`, "no usable key of 1; key 0: jose: unusable key: private or symmetric key material", nil},
		{"a private key alone", pkcs8(t, e.Signer), "no usable key of 1; key 0: PEM block: jose: unusable key: private or symmetric key material", nil},
		{"a certificate cut off", block + block[:len(block)/2], malformed[:len(malformed)-2] + ": damaged PEM block", nil},
		{"cut off in its first line", block + "-----BEGIN", "damaged PEM block", nil},
		{"a damaged block in front", strings.Replace(block, "\n", "\n!", 1) + block, "damaged PEM block", nil},
		{"a damaged block alone", block[:len(block)-10], "damaged PEM block", nil},
		{"too many keys", setOf(jwk(t, e, nil), jwk(t, e, nil)), "more than 1 keys", func(c *jwkcache.Config) { c.MaxKeys = 1 }},
		{"too many blocks", block + block, "more than 1 keys", func(c *jwkcache.Config) { c.MaxKeys = 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tempFile(t, tt.text)
			for _, cfg := range []jwkcache.Config{{Set: []byte(tt.text)}, {File: path}} {
				if tt.change != nil {
					tt.change(&cfg)
				}
				c, err := jwkcache.New(cfg)
				require.ErrorContains(t, err, tt.want)
				field := "Set"
				if cfg.File != "" {
					field = "File"
				}
				require.True(t, strings.HasPrefix(err.Error(), "jwkcache: "+field+": "), err)
				require.Equal(t, cfg.File != "", strings.Contains(err.Error(), path), "it says which file")
				require.NotContains(t, err.Error(), "c2VjcmV0")
				require.NotContains(t, err.Error(), "%!")
				require.Nil(t, c)
			}
		})
	}
}

func TestFileIsBounded(t *testing.T) {
	e := newKey(t, "ec", jose.ES256)
	text := setOf(jwk(t, e, nil))
	path := tempFile(t, text)
	c, err := jwkcache.New(jwkcache.Config{File: path, MaxBytes: int64(len(text))})
	require.NoError(t, err)
	has(t, c, e)
	blocks := pkix(t, e.Signer.Public()) + pkix(t, newKey(t, "", jose.ES256).Signer.Public())
	_, err = jwkcache.New(jwkcache.Config{Set: []byte(blocks), MaxKeys: 2})
	require.NoError(t, err)
	for _, trailing := range []string{" ", strings.Repeat(" ", 1<<20)} {
		write(t, path, text+trailing)
		_, err = jwkcache.New(jwkcache.Config{File: path, MaxBytes: int64(len(text))})
		require.EqualError(t, err, fmt.Sprintf("jwkcache: File: %s: more than %d bytes", path, len(text)))
	}
}

func TestFileIsNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := jwkcache.New(jwkcache.Config{File: dir})
	require.EqualError(t, err, "jwkcache: File: read "+dir+": not a regular file")
	_, err = jwkcache.New(jwkcache.Config{File: os.DevNull})
	require.EqualError(t, err, "jwkcache: File: read "+os.DevNull+": not a regular file")
	_, err = jwkcache.New(jwkcache.Config{File: filepath.Join(dir, "missing")})
	require.EqualError(t, err, "jwkcache: File: stat "+filepath.Join(dir, "missing")+": no such file or directory")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// fileCache reads path again as soon as a clock has been moved by reread.
func fileCache(t *testing.T, path string, change ...func(*jwkcache.Config)) (*jwkcache.Cache, *settable) {
	t.Helper()
	clock := newSettable()
	cfg := jwkcache.Config{File: path, Now: clock.Now}
	for _, f := range change {
		f(&cfg)
	}
	c, err := jwkcache.New(cfg)
	require.NoError(t, err)
	return c, clock
}

const reread = 11 * time.Second // twice five, and a tenth

// longAgo gives a file a time at which its content has settled.
func longAgo(t *testing.T, path string) {
	t.Helper()
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	require.NoError(t, os.Chtimes(path, at, at))
}

func TestFileIsReloaded(t *testing.T) {
	k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
	before, now := setOf(jwk(t, k, nil)), setOf(jwk(t, l, nil))
	require.Len(t, now, len(before), "the size does not tell")
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, path string)
	}{
		{"in place", func(t *testing.T, path string) { write(t, path, now) }},
		{"in place, longer", func(t *testing.T, path string) { write(t, path, now+" "); longAgo(t, path) }},
		{"in place, at an older time", func(t *testing.T, path string) {
			write(t, path, now)
			require.NoError(t, os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0)))
		}},
		{"replaced, with the same time", func(t *testing.T, path string) {
			other := tempFile(t, now)
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.Chtimes(other, info.ModTime(), info.ModTime()))
			require.NoError(t, os.Rename(other, path))
		}},
		{"removed and written", func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			write(t, path, now)
		}},
		{"another form", func(t *testing.T, path string) { write(t, path, jwk(t, l, nil)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tempFile(t, before)
			longAgo(t, path)
			c, clock := fileCache(t, path)
			has(t, c, k)
			tt.change(t, path)
			has(t, c, k) // it is looked at every five seconds
			clock.add(reread)
			hasNot(t, c, k)
			has(t, c, l)
			require.EqualValues(t, 2, c.Status().Generation)
		})
	}
	t.Run("through a link, as of Kubernetes", func(t *testing.T) {
		dir := t.TempDir()
		for i, text := range []string{before, now} {
			version := filepath.Join(dir, fmt.Sprintf("v%d", i))
			require.NoError(t, os.Mkdir(version, 0o700))
			write(t, filepath.Join(version, "keys"), text)
			longAgo(t, filepath.Join(version, "keys"))
		}
		require.NoError(t, os.Symlink("v0", filepath.Join(dir, "data")))
		c, clock := fileCache(t, filepath.Join(dir, "data", "keys"))
		has(t, c, k)
		require.NoError(t, os.Symlink("v1", filepath.Join(dir, "next")))
		require.NoError(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "data")))
		clock.add(reread)
		hasNot(t, c, k)
		has(t, c, l)
	})
	t.Run("as often as RefreshAfter says", func(t *testing.T) {
		path := tempFile(t, before)
		c, clock := fileCache(t, path, func(c *jwkcache.Config) { c.RefreshAfter = time.Second })
		write(t, path, now)
		clock.add(3 * time.Second)
		hasNot(t, c, k)
		has(t, c, l)
	})
	t.Run("an unknown kid is reason enough", func(t *testing.T) {
		path := tempFile(t, before)
		c, _ := fileCache(t, path)
		has(t, c, k)
		write(t, path, now)
		has(t, c, l)
	})
	t.Run("behind a lookup", func(t *testing.T) {
		path := tempFile(t, before)
		c, clock := fileCache(t, path)
		write(t, path, now)
		clock.add(6 * time.Second)
		has(t, c, k)
		require.Eventually(t, func() bool { return c.Status().Generation == 2 }, 5*time.Second, time.Millisecond)
		has(t, c, l)
	})
}

// TestFileIsReadOnlyWhenItChanged: Decrypt counts how often. A file that was
// written just before it was read may change again without a new time.
func TestFileIsReadOnlyWhenItChanged(t *testing.T) {
	k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
	path := tempFile(t, setOf(jwk(t, k, nil)))
	longAgo(t, path)
	read := 0
	c, clock := fileCache(t, path, func(c *jwkcache.Config) {
		c.Decrypt = func(b []byte) ([]byte, error) { read++; return b, nil }
	})
	for range 5 {
		clock.add(reread)
		has(t, c, k)
	}
	require.Equal(t, 1, read)
	require.EqualValues(t, 5, c.Status().Fetches)
	require.Equal(t, time.Duration(0), c.Status().Age, "it was looked at")

	require.NoError(t, os.Chtimes(path, time.Now(), time.Now()))
	clock.add(reread)
	has(t, c, k)
	require.Equal(t, 2, read)
	info, err := os.Stat(path)
	require.NoError(t, err)
	write(t, path, setOf(jwk(t, l, nil)))
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime())) // as a coarse clock has it
	clock.add(reread)
	has(t, c, l)
	require.Equal(t, 3, read)
}

func TestFileThatGoesBadKeepsTheSet(t *testing.T) {
	k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
	blocks := pkix(t, k.Signer.Public()) + pkix(t, l.Signer.Public())
	for _, tt := range []struct {
		name, text string
		spoil      func(t *testing.T, path string)
	}{
		{"removed", "", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }},
		{"a folder in its place", "", func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}},
		{"emptied", "", func(t *testing.T, path string) { write(t, path, "") }},
		{"half a set", "", func(t *testing.T, path string) { write(t, path, setOf(jwk(t, k, nil))[:40]) }},
		{"no usable key", "", func(t *testing.T, path string) { write(t, path, `{"keys":[]}`) }},
		{"half the blocks", blocks, func(t *testing.T, path string) { write(t, path, blocks[:len(blocks)-20]) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := "k"
			if tt.text == "" {
				tt.text = setOf(jwk(t, k, nil))
			} else {
				id = thumbprint(t, k)
			}
			path := tempFile(t, tt.text)
			c, clock := fileCache(t, path, func(c *jwkcache.Config) { c.RefreshAfter, c.MaxStale = time.Minute, time.Minute })
			tt.spoil(t, path)
			for range 5 { // 55 s
				clock.add(reread)
				requireKeys(t, lookup(t, c, id, "ES256"), k)
			}
			require.Error(t, c.Status().LastError)
			clock.add(5 * time.Second)
			_, err := c.Keys(t.Context(), id, "ES256")
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
			require.False(t, c.Status().Usable)

			require.NoError(t, os.RemoveAll(path))
			write(t, path, tt.text)
			clock.add(time.Second)
			requireKeys(t, lookup(t, c, id, "ES256"), k)
			require.NoError(t, c.Status().LastError)
		})
	}
}

func TestDecrypt(t *testing.T) {
	k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
	reverse := func(b []byte) []byte {
		out := bytes.Clone(b)
		for i, c := range b {
			out[len(b)-1-i] = c
		}
		return out
	}
	sealed := func(k testidp.Key) string { return string(reverse([]byte(setOf(jwk(t, k, nil))))) }
	unseal := func(b []byte) ([]byte, error) { return reverse(b), nil }
	errKMS := errors.New("test: no such key")

	for _, cfg := range []jwkcache.Config{{Set: []byte(sealed(k))}, {File: tempFile(t, sealed(k))}} {
		_, err := jwkcache.New(cfg)
		require.Error(t, err, "not as it is")
		cfg.Decrypt = unseal
		c, err := jwkcache.New(cfg)
		require.NoError(t, err)
		has(t, c, k)
		cfg.Decrypt = func([]byte) ([]byte, error) { return []byte(setOf(jwk(t, k, nil))), errKMS }
		_, err = jwkcache.New(cfg)
		require.ErrorIs(t, err, errKMS)
		cfg.Decrypt = func([]byte) ([]byte, error) { return []byte("c2VjcmV0"), nil }
		_, err = jwkcache.New(cfg)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "c2VjcmV0")
		cfg.Decrypt = func([]byte) ([]byte, error) { return nil, nil }
		_, err = jwkcache.New(cfg)
		require.Error(t, err)
	}

	t.Run("in place", func(t *testing.T) {
		set := []byte(sealed(k))
		c, err := jwkcache.New(jwkcache.Config{Set: set, Decrypt: func(b []byte) ([]byte, error) {
			copy(b, reverse(b))
			return b, nil
		}})
		require.NoError(t, err)
		has(t, c, k)
		require.Equal(t, sealed(k), string(set), "the caller's bytes are its own")
	})
	for _, tt := range []struct {
		name    string
		decrypt func([]byte) ([]byte, error)
		check   func(t *testing.T, err error)
	}{
		{
			"an error later", func([]byte) ([]byte, error) { return nil, errKMS },
			func(t *testing.T, err error) { require.ErrorIs(t, err, errKMS) },
		},
		{
			"a panic later", func(b []byte) ([]byte, error) { panic("c2VjcmV0") },
			func(t *testing.T, err error) {
				require.ErrorIs(t, err, flight.ErrAborted)
				require.NotContains(t, err.Error(), "c2VjcmV0")
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tempFile(t, sealed(k))
			decrypt := unseal
			c, clock := fileCache(t, path, func(c *jwkcache.Config) {
				c.Decrypt = func(b []byte) ([]byte, error) { return decrypt(b) }
			})
			decrypt = tt.decrypt
			write(t, path, sealed(l))
			clock.add(reread)
			has(t, c, k)
			tt.check(t, c.Status().LastError)
			decrypt = unseal
			clock.add(reread)
			hasNot(t, c, k)
			has(t, c, l)
			require.NoError(t, c.Status().LastError)
		})
	}
}
