package jose

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// MaxToken is the largest token that is read, in bytes. It leaves room for
// ML-DSA signatures (RFC 9964) and for users with hundreds of groups.
const MaxToken = 16 << 10

// maxKeyID bounds kid, x5t and x5t#S256 in bytes.
const maxKeyID = 512

// ErrToken is wrapped by every error of Compact.Parse. No error holds any of
// the token.
var ErrToken = errors.New("jose: malformed token")

var (
	errTokenSize   = fmt.Errorf("%w: larger than 16 KiB", ErrToken)
	errSegments    = fmt.Errorf("%w: not three segments", ErrToken)
	errEncoding    = fmt.Errorf("%w: base64url", ErrToken)
	errNoSignature = fmt.Errorf("%w: no signature", ErrToken)
	errHeader      = fmt.Errorf("%w: header member of the wrong type", ErrToken)
	errCritical    = fmt.Errorf("%w: crit or b64", ErrToken)
	errNested      = fmt.Errorf("%w: nested", ErrToken)
)

// Header is what is read of a JOSE header.
type Header struct {
	Alg         string // as it stands; may be unknown
	KeyID       string // kid; empty if absent, never if present
	X5T         string // x5t
	X5TS256     string // x5t#S256
	Type        string // typ
	HasType     bool   // typ is present
	ContentType string // cty
}

// Compact is a JWS in compact serialisation (RFC 7515 section 3.1), taken apart
// but not verified. Its buffers are reused by the next Parse.
type Compact struct {
	Header       Header
	SigningInput []byte // valid until the next Parse
	Signature    []byte // valid until the next Parse
	Payload      string // decoded; stays

	raw, decoded []byte
	scan         scanner
	peek         Object // what was read last: the header, then the payload

	// The header that was read last, and its segment. Most tokens of an issuer have
	// one and the same, and what the same bytes mean does not change.
	known   Header
	knownAs []byte // empty: none
}

// maxKnown bounds the segment of a header that is kept, in bytes.
const maxKnown = 512

var headerLimits = Limits{
	Bytes: MaxToken, Depth: 16, Values: 256,
	Reserved: Reserve(
		"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "b64", "enc", "zip",
	),
}

// ParseCompact takes a token apart into a Compact of its own.
func ParseCompact(token string) (*Compact, error) {
	c := new(Compact)
	if err := c.Parse(token); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse takes a token apart. Size and segments are checked before anything is
// allocated or decoded. After an error nothing of an earlier token is left.
func (c *Compact) Parse(token string) error {
	c.Header, c.SigningInput, c.Signature, c.Payload = Header{}, nil, nil, ""
	if len(token) > MaxToken {
		return errTokenSize
	}
	first := strings.IndexByte(token, '.')
	if first < 0 {
		return errSegments
	}
	second := strings.IndexByte(token[first+1:], '.')
	if second < 0 {
		return errSegments
	}
	second += first + 1
	if strings.IndexByte(token[second+1:], '.') >= 0 {
		return errSegments
	}
	if second+1 == len(token) {
		return errNoSignature
	}

	c.raw = append(c.raw[:0], token...)
	if cap(c.decoded) < len(token) {
		c.decoded = make([]byte, len(token))
	}
	buf := c.decoded[:cap(c.decoded)]
	if err := c.readHeader(buf, c.raw[:first]); err != nil {
		return err
	}
	payload, err := decodeSegment(buf, c.raw[first+1:second])
	if err != nil {
		return err
	}
	c.Payload = string(payload)
	c.Signature, err = decodeSegment(buf, c.raw[second+1:])
	c.SigningInput = c.raw[:second]
	return err
}

// ParsePayload reads the payload as ParseObject does, with the buffers of c; the
// Object is its own.
func (c *Compact) ParsePayload(lim Limits) (*Object, error) {
	if _, err := c.PeekPayload(lim); err != nil {
		return nil, err
	}
	o := new(Object)
	o.Copy(&c.peek)
	return o, nil
}

// PeekPayload is ParsePayload for a look that makes nothing: its Object is good until
// the next Parse.
func (c *Compact) PeekPayload(lim Limits) (*Object, error) {
	if err := c.scan.object(&c.peek, c.Payload, lim); err != nil {
		return nil, err
	}
	c.peek.boxes.Store(nil)
	return &c.peek, nil
}

func (c *Compact) readHeader(buf, segment []byte) error {
	if len(segment) > 0 && bytes.Equal(segment, c.knownAs) {
		c.Header = c.known
		return nil
	}
	header, err := decodeSegment(buf, segment)
	if err != nil {
		return err
	}
	if err := c.parseHeader(string(header)); err != nil {
		return err
	}
	if len(segment) <= maxKnown {
		c.known, c.knownAs = c.Header, append(c.knownAs[:0], segment...)
	}
	return nil
}

func (c *Compact) parseHeader(text string) error {
	if err := c.scan.object(&c.peek, text, headerLimits); err != nil {
		return fmt.Errorf("%w: header: %w", ErrToken, err)
	}
	for i := range c.peek.members {
		h := &c.Header
		ok := true
		switch c.peek.name(i) {
		case "alg":
			h.Alg, ok = c.peek.textAt(i)
		case "kid":
			h.KeyID, ok = c.peek.keyID(i)
		case "x5t":
			h.X5T, ok = c.peek.keyID(i)
		case "x5t#S256":
			h.X5TS256, ok = c.peek.keyID(i)
		case "typ":
			h.Type, ok = c.peek.textAt(i)
			h.HasType = true
		case "cty":
			h.ContentType, ok = c.peek.textAt(i)
		case "crit", "b64":
			// No extension is understood, so none can be satisfied (RFC 7515
			// section 4.1.11); a JWT must not use b64 (RFC 7797 section 7).
			return errCritical
		}
		if !ok {
			return errHeader
		}
	}
	if cty := c.Header.ContentType; strings.EqualFold(cty, "JWT") || strings.EqualFold(cty, "application/jwt") {
		return errNested
	}
	return nil
}

// keyID is a value that names a key.
func (o *Object) keyID(i int) (string, bool) {
	id, ok := o.textAt(i)
	return id, ok && id != "" && len(id) <= maxKeyID
}
