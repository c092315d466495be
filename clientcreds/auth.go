package clientcreds

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// The methods are named as in the IANA registry of token endpoint authentication
// methods (RFC 7591 section 2, RFC 8705 section 2), the last two aside.
const (
	basic         = "client_secret_basic"
	post          = "client_secret_post"
	secretJWT     = "client_secret_jwt"
	privateKeyJWT = "private_key_jwt"
	tlsPKI        = "tls_client_auth"
	tlsSelfSigned = "self_signed_tls_client_auth"
	rawBasic      = "client_secret_basic_raw"
	assertion     = "client_assertion"
)

// methods are all of them, with what each needs.
var methods = map[string]struct{ secret, key, certificate, assertion bool }{
	basic:         {secret: true},
	post:          {secret: true},
	rawBasic:      {secret: true},
	secretJWT:     {secret: true},
	privateKeyJWT: {key: true},
	tlsPKI:        {certificate: true},
	tlsSelfSigned: {certificate: true},
	assertion:     {assertion: true},
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2

// client is who asks.
type client struct {
	id               string
	method           string
	secret           func(context.Context) (string, error)
	key              crypto.Signer
	keyFile          string
	keyID            string
	x5tS256          string
	algorithm        string
	issuer           string
	audienceTokenURL bool
	assertion        func(context.Context) (string, error)
	assertionFile    string
	params           url.Values
	now              func() time.Time
}

// credential is how one token request shows who asks.
type credential struct {
	style     oauth2.AuthStyle
	secret    string              // for Basic and the body
	params    url.Values          // assertions
	authorize func(*http.Request) // sets a header of its own; nil: none
	identity  fingerprint         // of the secret, or of what the credential was made with
}

// plainError is one of ours about a credential, with a text that may be shown.
type plainError string

func (e plainError) Error() string { return "clientcreds: " + string(e) }

// credential makes one, new for each request.
func (cl *client) credential(ctx context.Context, tokenURL string) (*credential, error) {
	var secret string
	if methods[cl.method].secret {
		var err error
		if secret, err = cl.secret(ctx); err != nil {
			return nil, fmt.Errorf("clientcreds: Secret: %w", err)
		}
		if secret == "" {
			return nil, plainError("Secret is empty")
		}
	}
	c := &credential{style: oauth2.AuthStyleInParams, identity: fingerprintOf(secret)}
	var jwt string
	var err error
	switch cl.method {
	case basic:
		c.style, c.secret = oauth2.AuthStyleInHeader, secret // form-encoded, then Basic: RFC 6749 section 2.3.1
	case post:
		c.secret = secret
	case rawBasic:
		c.authorize = func(r *http.Request) { r.SetBasicAuth(cl.id, secret) }
	case secretJWT:
		jwt, err = cl.signWithSecret(secret, tokenURL)
	case privateKeyJWT:
		jwt, c.identity, err = cl.signWithKey(tokenURL)
	case assertion:
		jwt, err = cl.readAssertion(ctx)
		c.identity = fingerprintOf(jwt)
	}
	if err != nil {
		return nil, err
	}
	if jwt != "" {
		c.params = url.Values{"client_assertion_type": {assertionType}, "client_assertion": {jwt}}
	}
	return c, nil
}

// readAssertion has it from whoever issues it: a projected token of a cluster, a
// workload's identity.
func (cl *client) readAssertion(ctx context.Context) (string, error) {
	var jwt string
	var err error
	if cl.assertion != nil {
		jwt, err = cl.assertion(ctx)
	} else {
		var text []byte
		text, err = readSmall(cl.assertionFile)
		jwt = strings.TrimSpace(string(text))
	}
	if err != nil {
		return "", fmt.Errorf("clientcreds: assertion: %w", err)
	}
	if !visible(jwt) || len(jwt) > jose.MaxToken {
		return "", plainError("the assertion is empty, too long or malformed")
	}
	return jwt, nil
}

// readSmall bounds a file as everything from outside is bounded.
func readSmall(name string) ([]byte, error) {
	if _, err := fetch.StampOf(name); err != nil { // a pipe, which nobody might ever write to
		return nil, err
	}
	f, err := os.Open(name) //nolint:gosec // the owner of the Config named it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = errors.New("more than 64 KiB")
	}
	return text, err
}
