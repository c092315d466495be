package revoke

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"
)

// stored is a record as a Log has it: fingerprints in the place of identifiers.
// That it is complete in itself makes records mergeable in any order.
type stored struct {
	restore bool
	kind    Kind
	relies  bool // on MaxLifetime: it would be forgotten before a token that lives longer
	id      recordID
	value   uint64 // of the entry; of a restore, the millisecond until which to know of it
	at      int64  // when it was made, in milliseconds
	issuer  string
	names   []string
	reason  string
	actor   string
}

const (
	wireVersion = 1
	wireFixed   = 4 + idSize + 8 + 8
	macSize     = 16
	maxStored   = wireFixed + macSize + 2 + maxIssuer + 1 + maxNames*(2+maxName) + 2*(1+maxNote)
)

const (
	flagRestore = 1 << iota
	flagRelies
)

var errDamaged = errors.New("revoke: a stored record is damaged, foreign, or of a later version")

// encode seals a record with the current secret.
func (s *state) encode(r *stored) []byte {
	var flags byte
	if r.restore {
		flags |= flagRestore
	}
	if r.relies {
		flags |= flagRelies
	}
	b := make([]byte, 0, wireFixed+macSize+4+len(r.issuer)+len(r.reason)+len(r.actor)+32)
	b = append(b, wireVersion, byte(slices.Index(kinds, r.kind)), flags, byte(len(r.names)))
	b = r.id.append(b)
	b = binary.BigEndian.AppendUint64(b, r.value)
	b = binary.BigEndian.AppendUint64(b, uint64(r.at))
	b = appendText(b, r.issuer)
	for _, name := range r.names {
		b = appendText(b, name)
	}
	b = appendText(appendText(b, r.reason), r.actor)
	mac := s.prfs[0].seal(b)
	return append(b, mac[:]...)
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// decode opens a record that was sealed with the current or the previous secret. It
// takes exactly what encode makes.
func (s *state) decode(data []byte) (*stored, error) {
	if len(data) < wireFixed+macSize || len(data) > maxStored+64 || data[0] != wireVersion {
		return nil, errDamaged
	}
	b, mac := data[:len(data)-macSize], data[len(data)-macSize:]
	sealed := slices.ContainsFunc(s.prfs, func(p *prf) bool {
		want := p.seal(b)
		return subtle.ConstantTimeCompare(want[:], mac) == 1
	})
	if !sealed || int(b[1]) >= len(kinds) || b[1] == 0 || b[2]&^(flagRestore|flagRelies) != 0 || b[3] > maxNames {
		return nil, errDamaged
	}
	r := &stored{
		restore: b[2]&flagRestore != 0, relies: b[2]&flagRelies != 0, kind: kinds[b[1]],
		id:    readID(b[4:]),
		value: binary.BigEndian.Uint64(b[4+idSize:]), at: int64(binary.BigEndian.Uint64(b[12+idSize:])),
	}
	names := int(b[3])
	rest := bytes.Clone(b[wireFixed:])
	ok := true
	text := func(limit int) string {
		if len(rest) < 2 {
			ok = false
			return ""
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; n > len(rest) || n > limit {
			ok = false
			return ""
		}
		t := string(rest[:n])
		rest = rest[n:]
		return t
	}
	r.issuer = text(maxIssuer)
	for range names {
		r.names = append(r.names, text(maxName))
	}
	r.reason, r.actor = text(maxNote), text(maxNote)
	if !ok || len(rest) > 0 || r.id.fp <= gone {
		return nil, errDamaged
	}
	return r, nil
}

// seal is the MAC of a record. Its key is not the one of the fingerprints.
func (p *prf) seal(b []byte) [macSize]byte {
	s, _ := scratches.Get().(*scratch)
	defer s.release()
	s.msg = append(s.msg[:0], b...)
	var none [16]byte
	p.mac.sum(s, &none)
	return s.state
}
