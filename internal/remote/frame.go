package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A kind is the type of a frame, its first byte.
type kind byte

const (
	kindHello    kind = 'H' // both, once, first
	kindBeat     kind = 'B' // both: I live
	kindRequest  kind = 'Q' // client: a verb and its arguments
	kindName     kind = 'N' // client: an item of prune (a snapshot), of apply (a folder to unlock)
	kindStep     kind = 'S' // client: an item of apply
	kindStop     kind = 'X' // client: end the operation
	kindMore     kind = 'M' // client: a piece of the stream was read
	kindData     kind = 'D' // agent: a piece of the send stream; client: of a mail to be placed
	kindSnapshot kind = 'L' // agent: an item of look
	kindProblem  kind = 'P' // agent: an item of look
	kindResult   kind = 'R' // agent: an item of apply
	kindEnd      kind = 'E' // agent: the operation has ended
)

// limits are the most bytes that a frame's payload may have. A kind that is not
// here does not exist.
var limits = map[kind]uint32{
	kindHello: 16 << 10, kindBeat: 0, kindRequest: 4 << 10, kindName: 32 << 10,
	kindStep: 64 << 10, kindStop: 0, kindMore: 0,
	kindData: 64 << 10, kindSnapshot: 4 << 10, kindProblem: 16 << 10, kindResult: 64 << 10, kindEnd: 16 << 10,
}

// headerSize is that of a frame's header: its kind, and the payload's length as
// a big-endian uint32.
const headerSize = 5

// A frame is one message.
type frame struct {
	kind    kind
	payload []byte
}

func (f frame) String() string {
	return fmt.Sprintf("frame %q of %d bytes", byte(f.kind), len(f.payload))
}

// readFrame reads a frame. Nothing is allocated before its length is checked.
// [io.EOF] if there is none, [io.ErrUnexpectedEOF] within one.
func readFrame(r io.Reader) (frame, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: kind(h[0])}
	limit, ok := limits[f.kind]
	n := binary.BigEndian.Uint32(h[1:])
	if !ok {
		return frame{}, fmt.Errorf("frame of unknown type %q", h[0])
	}
	if n > limit {
		return frame{}, fmt.Errorf("frame %q of %d bytes, at most %d", h[0], n, limit)
	}
	f.payload = make([]byte, n)
	_, err := io.ReadFull(r, f.payload)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return f, err
}

// appendFrame appends a frame as it is sent.
func appendFrame(b []byte, k kind, payload []byte) ([]byte, error) {
	if limit, ok := limits[k]; !ok || len(payload) > int(limit) {
		return nil, fmt.Errorf("frame %q of %d bytes is too long to be sent", byte(k), len(payload))
	}
	b = append(b, byte(k))
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...), nil
}
