package jwtsign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Key is a signing key and when it is used. Times are absolute, so that replicas
// with the same keys agree, also after a restart.
type Key struct {
	// Private is the key: of ParseKey, SignerKey or Secret. Required.
	Private PrivateKey

	// Algorithm is the one alg that it signs with: RS, PS, ES or HS with 256, 384 or
	// 512, EdDSA or Ed25519 (RFC 9864). Zero: what its JWK says; else required.
	Algorithm string

	// ID is kid. Zero: what its JWK says, else the RFC 7638 thumbprint; a Secret
	// has none then.
	ID string

	// PublishFrom is when the key is first published: earlier than it signs, by the
	// time that validators may keep a JWK set. Zero: at once.
	PublishFrom time.Time
	// SignFrom is when it begins to sign. Of several keys that may sign, the one
	// that has begun last does; no two begin together. Zero: at once.
	SignFrom time.Time
	// RetireAt is when it no longer signs. It stays published until its last token
	// has expired, and a minute more. Zero: never.
	RetireAt time.Time
}

// PrivateKey is a key that signs. Printing it shows nothing.
type PrivateKey struct{ reveal func() privateKey }

type privateKey struct {
	key any // a crypto.Signer, or a *jose.Secret
	alg jose.Alg
	id  string
}

// Format shows no key, whatever the verb.
func (PrivateKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("jwtsign.PrivateKey")) }

func opaque(k privateKey) PrivateKey { return PrivateKey{func() privateKey { return k }} }

// ParseKey reads one private key: a JWK (RFC 7517; kty oct is a Secret), or PEM of
// PKCS #8, PKCS #1 or SEC 1. An encrypted key must have been decrypted before.
func ParseKey(text []byte) (PrivateKey, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		k, err := jose.ParsePrivateJWK(string(trimmed))
		if err != nil {
			return PrivateKey{}, fmt.Errorf("jwtsign: ParseKey: %w", err)
		}
		return opaque(privateKey{k.Key, k.Alg, k.KeyID}), nil
	}
	key, err := jose.ParsePrivatePEM(text)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("jwtsign: ParseKey: %w", err)
	}
	return opaque(privateKey{key: key}), nil
}

// SignerKey is a key behind a crypto.Signer: one in memory, or one in an HSM or key
// service. Of the latter, each call runs beside the request, bounded by
// Config.Timeout and MaxCalls; if it has a method SignContext, Sign with a context
// before its parameters, that is used. What it signs is verified.
func SignerKey(signer crypto.Signer) PrivateKey {
	return opaque(privateKey{key: signer})
}

// Secret is a key for HS256, HS384 and HS512, at least as long as the hash (RFC 7518
// section 3.2; New checks it against Algorithm). The bytes are copied, and must be
// the secret itself: a text that holds a public key, PEM or JSON is refused. It is
// never published.
func Secret(b []byte) (PrivateKey, error) {
	if err := jose.CheckSecretText(b); err != nil {
		return PrivateKey{}, fmt.Errorf("jwtsign: Secret: %w", err)
	}
	secret, err := jose.NewSecret(b)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("jwtsign: Secret: %w", err)
	}
	return opaque(privateKey{key: secret}), nil
}

// signingKey is a Key that was checked.
type signingKey struct {
	id          string
	alg         jose.Alg
	key         any
	public      crypto.PublicKey // nil: a Secret
	remote      bool
	calls       chan struct{} // under way, of a remote one
	jwk         []byte        // as it is published; nil: a Secret
	header      [2]string     // of its tokens, before and behind their type
	publishFrom time.Time
	signFrom    time.Time
	retireAt    time.Time
}

func newKey(k Key) (*signingKey, error) {
	if k.Private.reveal == nil {
		return nil, errors.New("Private: required")
	}
	private := k.Private.reveal()
	key := &signingKey{id: k.ID, alg: private.alg, key: private.key, publishFrom: k.PublishFrom, signFrom: k.SignFrom, retireAt: k.RetireAt}
	var errs []error
	if k.Algorithm != "" {
		alg, known := jose.ParseAlg(k.Algorithm)
		if !known || key.alg != 0 && alg != key.alg {
			errs = append(errs, fmt.Errorf("Algorithm: %q is not supported, or not what the key is for", k.Algorithm))
		}
		key.alg = alg
	} else if key.alg == 0 {
		errs = append(errs, errors.New("Algorithm: required"))
	}
	if key.id == "" {
		key.id = private.id
	}
	if !k.RetireAt.IsZero() && !k.RetireAt.After(k.SignFrom) || k.PublishFrom.After(k.SignFrom) {
		errs = append(errs, errors.New("PublishFrom, SignFrom, RetireAt: not in this order"))
	}
	if len(key.id) > 512 || !utf8.ValidString(key.id) {
		errs = append(errs, errors.New("ID: longer than 512 bytes, or no UTF-8"))
	}
	if key.alg != 0 { // else nobody knows what the key must be like
		if err := key.prepare(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	header, err := jose.Protected(key.alg, "?", key.id)
	if err != nil {
		return nil, fmt.Errorf("ID: %w", err)
	}
	key.header[0], key.header[1], _ = strings.Cut(string(header), "?")
	return key, nil
}

// protected is the header of a token, whose type needs no escaping.
func (k *signingKey) protected(typ string) []byte {
	b := make([]byte, 0, len(k.header[0])+len(typ)+len(k.header[1]))
	return append(append(append(b, k.header[0]...), typ...), k.header[1]...)
}

// prepare binds the key to its algorithm, and makes what is published of it.
func (k *signingKey) prepare() error {
	if secret, isSecret := k.key.(*jose.Secret); isSecret {
		if err := jose.CheckKey(k.alg, secret); err != nil {
			return fmt.Errorf("Private: %w", err)
		}
		return nil
	}
	signer, ok := k.key.(crypto.Signer)
	// A nil pointer in the interface would panic at the first token.
	if v := reflect.ValueOf(signer); !ok || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("Private: a nil Signer")
	}
	if private, isEd := signer.(ed25519.PrivateKey); isEd && len(private) != ed25519.PrivateKeySize {
		return errors.New("Private: an Ed25519 key of another length")
	}
	k.public = signer.Public()
	if err := jose.CheckKey(k.alg, k.public); err != nil {
		return fmt.Errorf("Private: %w", err)
	}
	if k.id == "" {
		id, err := jose.Thumbprint(k.public)
		if err != nil {
			return fmt.Errorf("Private: %w", err)
		}
		k.id = id
	}
	switch signer.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		k.remote = true
	}
	if !k.remote && !k.works() {
		return errors.New("Private: it makes no signature that its public half verifies")
	}
	text, err := jose.MarshalJWK(k.public, k.id, k.alg)
	if err != nil {
		return fmt.Errorf("Private: %w", err)
	}
	k.jwk = text
	return nil
}

// works signs on trial: a key of two halves would make tokens that nobody can
// verify, and crypto/ecdsa panics on one without its private half.
func (k *signingKey) works() (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	token, err := jose.Sign(k.alg, k.key, []byte(`{"alg":"`+k.alg.String()+`"}`), []byte("{}"))
	return err == nil && verify(k, token) == nil
}

// signature makes the token. A key in memory signs here and now; a call of any other
// Signer goes on without the caller where that leaves.
func (s *Signer) signature(ctx context.Context, k *signingKey, typ string, payload []byte) (string, error) {
	protected := k.protected(typ)
	if !k.remote {
		token, err := jose.Sign(k.alg, k.key, protected, payload)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case k.calls <- struct{}{}:
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	type result struct {
		token string
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errors.New("the crypto.Signer panicked")} // or ended its goroutine
		defer func() {
			_ = recover()
			<-k.calls
			done <- r
		}()
		token, err := jose.Sign(k.alg, remoteSigner{ctx, k}, protected, payload)
		if err == nil {
			err = verify(k, token)
		}
		if err != nil {
			err = signerError{err}
		}
		r = result{token, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return "", fmt.Errorf("%w: %w", ErrUnavailable, r.err)
		}
		return r.token, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// signerError keeps to itself what a Signer said: it has seen what it was to sign.
type signerError struct{ cause error }

func (signerError) Error() string   { return "the crypto.Signer failed" }
func (e signerError) Unwrap() error { return e.cause }

// verify holds a token of another's making against the key that is published.
func verify(k *signingKey, token string) error {
	c, err := jose.ParseCompact(token)
	if err != nil {
		return err
	}
	return jose.Verify(k.alg, k.public, c.SigningInput, c.Signature)
}

// remoteSigner is one call of a crypto.Signer that takes a context where it can.
type remoteSigner struct {
	ctx context.Context //nolint:containedctx // for one call: crypto.Signer has no parameter for it
	key *signingKey
}

func (s remoteSigner) Public() crypto.PublicKey { return s.key.public }

func (s remoteSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	type contextSigner interface {
		SignContext(ctx context.Context, rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	}
	if signer, ok := s.key.key.(contextSigner); ok {
		return signer.SignContext(s.ctx, rand, digest, opts)
	}
	return s.key.key.(crypto.Signer).Sign(rand, digest, opts)
}
