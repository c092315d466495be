package revoke

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// recordID names a record: where its entry is, and which of several it is. It holds
// no more of what is revoked than the fingerprint.
type recordID struct {
	shape, fp uint64
	tag       uint32
}

const idSize = 20

func (id recordID) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, id.shape)
	b = binary.BigEndian.AppendUint64(b, id.fp)
	return binary.BigEndian.AppendUint32(b, id.tag)
}

func readID(b []byte) recordID {
	return recordID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])}
}

func (id recordID) String() string {
	return base64.RawURLEncoding.EncodeToString(id.append(make([]byte, 0, idSize)))
}

func parseID(text string) (recordID, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != idSize {
		return recordID{}, fmt.Errorf("%w: malformed id", ErrUnknown)
	}
	return readID(b), nil
}
