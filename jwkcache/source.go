package jwkcache

import (
	"context"
	"crypto"
	"crypto/x509"
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
		return func(ctx context.Context, before *snapshot) (*snapshot, error) {
			return discover(ctx, client, cfg, before)
		}
	case cfg.File != "":
		return func(_ context.Context, before *snapshot) (*snapshot, error) {
			text, err := readFile(cfg.File, cfg.MaxBytes)
			if err != nil {
				return nil, err
			}
			return parseLocal(text, cfg, before)
		}
	default:
		text := string(cfg.Set)
		return func(context.Context, *snapshot) (*snapshot, error) {
			s, err := parseLocal(text, cfg, nil)
			if err == nil {
				s.static = true
			}
			return s, err
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
	if res.NotModified {
		same := *before
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
	s.url, s.etag = url, res.ETag
	return s, nil
}

// rediscoverAfter is the age at which an issuer's metadata are asked for again,
// although the set that they named can still be had.
const rediscoverAfter = time.Hour

func discover(ctx context.Context, client *fetch.Client, cfg Config, before *snapshot) (*snapshot, error) {
	if before != nil && cfg.Now().Sub(before.discovered) < rediscoverAfter {
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

func readFile(name string, maxBytes int64) (string, error) {
	f, err := os.Open(name) //nolint:gosec // the path is the application's own setting
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return "", err
	}
	if int64(len(text)) > maxBytes {
		return "", fmt.Errorf("%s: more than %d bytes", name, maxBytes)
	}
	return string(text), nil
}

// parseLocal reads a JWK set, one JWK, or PEM.
func parseLocal(text string, cfg Config, before *snapshot) (*snapshot, error) {
	var keys []jose.SetKey
	switch trimmed := strings.TrimSpace(text); {
	case strings.HasPrefix(trimmed, "-----BEGIN"):
		keys = parsePEM([]byte(trimmed), cfg.MaxKeys)
	default:
		if k, err := jose.ParseJWK(trimmed); err == nil {
			keys = []jose.SetKey{{JWK: k}}
			break
		}
		var err error
		if keys, err = jose.ParseJWKSet(trimmed, int(cfg.MaxBytes), cfg.MaxKeys); err != nil {
			return nil, err
		}
	}
	return newSnapshot(keys, before)
}

// parsePEM reads public keys and certificates. They have no ids: they are found
// by tokens that name none, and by the thumbprint of the certificate.
func parsePEM(text []byte, maxKeys int) []jose.SetKey {
	var keys []jose.SetKey
	for len(keys) < maxKeys {
		block, rest := pem.Decode(text)
		if block == nil {
			return keys
		}
		text = rest
		keys = append(keys, pemKey(block))
	}
	return keys
}

func pemKey(block *pem.Block) jose.SetKey {
	var key crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		err = jose.ErrKeyPrivate
	}
	if err != nil {
		return jose.SetKey{Err: fmt.Errorf("PEM block: %w", err)}
	}
	return jose.SetKey{JWK: &jose.JWK{Key: key}}
}
