package jwkcache

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // x5t is defined by it (RFC 7515 section 4.1.7); nothing rests on its strength
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// source gets a set from where it is. before is the snapshot in use, nil at first.
type source func(ctx context.Context, before *snapshot) (*snapshot, error)

func newSource(cfg Config, client *fetch.Client) source {
	switch {
	case cfg.URL != "":
		return func(ctx context.Context, before *snapshot) (*snapshot, error) {
			return download(ctx, client, cfg.URL, cfg, before)
		}
	case cfg.Issuer != "":
		failed := false // fetches are made one at a time
		return func(ctx context.Context, before *snapshot) (*snapshot, error) {
			s, err := discover(ctx, client, cfg, before, failed)
			failed = err != nil
			return s, err
		}
	case cfg.File != "":
		return func(_ context.Context, before *snapshot) (*snapshot, error) {
			return readFile(cfg, before)
		}
	default:
		text := bytes.Clone(cfg.Set)
		return func(context.Context, *snapshot) (*snapshot, error) {
			return parseLocal(text, cfg, nil)
		}
	}
}

// jwkTypes are the media types of a JWK set (RFC 7517 section 8.5.1).
var jwkTypes = []string{"application/json", "application/jwk-set+json"}

// download fetches the set at url. An unchanged one (304) is the one before.
func download(ctx context.Context, client *fetch.Client, url string, cfg Config, before *snapshot) (*snapshot, error) {
	req := fetch.Request{Accept: jwkTypes}
	if before != nil && before.url == url {
		req.ETag = before.etag
	}
	res, err := client.Get(ctx, url, req)
	if err != nil {
		return nil, err
	}
	lifetime := time.Duration(-1)
	if d, says := fetch.CacheLifetime(res.Header, cfg.Now()); says {
		lifetime = d
	}
	if res.NotModified {
		same := *before
		same.lifetime = lifetime
		return &same, nil
	}
	keys, err := jose.ParseJWKSet(string(res.Body), int(cfg.MaxBytes), cfg.MaxKeys)
	if err != nil {
		return nil, err
	}
	s, err := newSnapshot(keys, before)
	if err != nil {
		return nil, err
	}
	s.url, s.etag, s.lifetime = url, res.ETag, lifetime
	return s, nil
}

// rediscoverAfter is the age at which an issuer's metadata are asked for again,
// although the set that they named can still be had.
const rediscoverAfter = time.Hour

// discover looks where the metadata named the set last, and asks them again if it
// cannot be had there: at the next fetch at the latest, if this one ran out of time.
func discover(ctx context.Context, client *fetch.Client, cfg Config, before *snapshot, failed bool) (*snapshot, error) {
	if before != nil && !failed && cfg.Now().Sub(before.discovered) < min(rediscoverAfter, cfg.MaxStale) {
		if s, err := download(ctx, client, before.url, cfg, before); err == nil {
			s.discovered = before.discovered
			return s, nil
		}
		// The set may have moved: the metadata say where it is now.
	}
	m, err := client.Discover(ctx, cfg.Issuer)
	if err != nil {
		return nil, err
	}
	if m.JWKSURI == "" {
		return nil, errors.New("the issuer's metadata have no jwks_uri")
	}
	s, err := download(ctx, client, m.JWKSURI, cfg, before)
	if err != nil {
		return nil, err
	}
	s.discovered = cfg.Now()
	return s, nil
}

// fileRefresh is the age at which a file is looked at again: that costs a stat.
const fileRefresh = 5 * time.Second

func readFile(cfg Config, before *snapshot) (*snapshot, error) {
	stamp, err := fetch.StampOf(cfg.File)
	if err != nil {
		return nil, err
	}
	if before != nil && before.file.Current(stamp) {
		unchanged := *before
		return &unchanged, nil
	}
	f, err := os.Open(cfg.File)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, cfg.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > cfg.MaxBytes {
		return nil, fmt.Errorf("%s: more than %d bytes", cfg.File, cfg.MaxBytes)
	}
	s, err := parseLocal(text, cfg, before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.File, err)
	}
	s.file = stamp
	return s, nil
}

// parseLocal reads a JWK set, one JWK, or PEM, in an envelope or not.
func parseLocal(text []byte, cfg Config, before *snapshot) (*snapshot, error) {
	if cfg.Decrypt != nil {
		var err error
		if text, err = cfg.Decrypt(text); err != nil {
			return nil, fmt.Errorf("decrypt: %w", err)
		}
	}
	keys, err := localKeys(strings.TrimSpace(string(text)), cfg)
	if err != nil {
		return nil, err
	}
	return newSnapshot(keys, before)
}

func localKeys(text string, cfg Config) ([]jose.SetKey, error) {
	if strings.Contains(text, pemBegin) && !strings.HasPrefix(text, "{") {
		return parsePEM(text, cfg.MaxKeys)
	}
	if o, err := jose.ParseObject(text, jose.DefaultLimits); err == nil && o.Has("kty") {
		k, err := jose.ParseJWK(text)
		return []jose.SetKey{{JWK: k, Err: err, Raw: text}}, nil
	}
	return jose.ParseJWKSet(text, int(cfg.MaxBytes), cfg.MaxKeys)
}

// parsePEM reads public keys and certificates. PEM has no place for a kid: a key
// is found under its RFC 7638 thumbprint, a certificate under its x5t and x5t#S256
// too, and all of them by tokens that name no key.
func parsePEM(text string, maxKeys int) ([]jose.SetKey, error) {
	blocks := strings.Count(text, pemBegin)
	if blocks > maxKeys {
		return nil, fmt.Errorf("%w: more than %d keys", jose.ErrKeySet, maxKeys)
	}
	var keys []jose.SetKey
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		keys = append(keys, pemKey(block))
	}
	if len(keys) != blocks { // pem passes over a damaged one, as of a file that is being written
		return nil, fmt.Errorf("%w: damaged PEM block", jose.ErrKeySet)
	}
	return keys, nil
}

const pemBegin = "-----BEGIN"

func pemKey(block *pem.Block) jose.SetKey {
	k := new(jose.JWK)
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		k.Key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		k.Key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			sum1, sum256 := sha1.Sum(block.Bytes), sha256.Sum256(block.Bytes) //nolint:gosec // see the import
			k.Key = cert.PublicKey
			k.X5T = base64.RawURLEncoding.EncodeToString(sum1[:])
			k.X5TS256 = base64.RawURLEncoding.EncodeToString(sum256[:])
		}
	default:
		if err = jose.ErrKeyType; strings.HasSuffix(block.Type, "PRIVATE KEY") {
			err = jose.ErrKeyPrivate
		}
	}
	if err != nil {
		return jose.SetKey{Err: fmt.Errorf("PEM block: %w", err)}
	}
	if k.KeyID, err = jose.Thumbprint(k.Key); err != nil {
		return jose.SetKey{Err: fmt.Errorf("PEM block: %w", err)}
	}
	return jose.SetKey{JWK: k}
}
