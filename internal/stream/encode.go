package stream

import (
	"encoding/binary"
	"io"
)

// AppendHeader appends what a stream of protocol 1 begins with.
func AppendHeader(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(append(b, magic...), 1)
}

// AppendCommand appends a command as [Decoder] reads it, with its length and
// checksum. What it holds must fit: paths of less than 4096 bytes, and less than
// 64 KiB in all.
func AppendCommand(b []byte, c Command) []byte {
	start := len(b)
	b = append(b, make([]byte, commandLen)...)
	for a := aUUID; a < attrEnd; a++ {
		if commands[c.Op].attrs&setOf(a) == 0 {
			continue
		}
		head := len(b)
		b = binary.LittleEndian.AppendUint16(b, uint16(a))
		b = c.appendValue(append(b, 0, 0), a)
		binary.LittleEndian.PutUint16(b[head+2:], uint16(len(b)-head-4))
	}
	whole := b[start:]
	binary.LittleEndian.PutUint32(whole, uint32(len(whole)-commandLen))
	binary.LittleEndian.PutUint16(whole[4:], uint16(c.Op))
	binary.LittleEndian.PutUint32(whole[6:], checksum(whole))
	return b
}

// appendValue is the inverse of set.
func (c *Command) appendValue(b []byte, a attr) []byte {
	switch a {
	case aPath:
		return append(b, c.Path...)
	case aPathTo, aClonePath, aPathLink:
		return append(b, c.To...)
	case aUUID:
		return append(b, c.UUID[:]...)
	case aCloneUUID:
		return append(b, c.ParentUUID[:]...)
	case aXattrName:
		return append(b, c.Xattr...)
	case aXattrData, aData:
		return append(b, c.Data...)
	case aAtime:
		return appendTime(b, c.Atime)
	case aMtime:
		return appendTime(b, c.Mtime)
	case aCtime:
		return appendTime(b, c.Ctime)
	}
	return binary.LittleEndian.AppendUint64(b, *c.number(a))
}

func appendTime(b []byte, t Time) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b, uint64(t.Sec)), t.Nsec)
}

// A filter writes what a stream does to names, without data and without what is
// not taken over: what [Receive] calls its filtered form.
type filter struct {
	w    io.Writer
	buf  []byte
	full bool // a full stream: its beginning and its end only
}

// filterSize is how much the filter gathers before it writes.
const filterSize = 64 << 10

func (f *filter) begin(c Command) error {
	f.full = c.Op == Subvol
	f.buf = AppendCommand(AppendHeader(f.buf), c)
	return nil
}

// add takes a command that was carried out.
func (f *filter) add(c Command) error {
	switch c.Op {
	case Chmod, Chown, SetXattr, RemoveXattr:
		return nil
	case Write:
		c.Op, c.Size = UpdateExtent, uint64(len(c.Data))
	case Clone:
		c.Op = UpdateExtent
	}
	if f.full || f.w == nil {
		return nil
	}
	f.buf = AppendCommand(f.buf, c)
	if len(f.buf) < filterSize {
		return nil
	}
	return f.flush()
}

// end closes the stream.
func (f *filter) end() error {
	f.buf = AppendCommand(f.buf, Command{Op: End})
	return f.flush()
}

func (f *filter) flush() error {
	if f.w == nil {
		return nil
	}
	_, err := f.w.Write(f.buf)
	f.buf = f.buf[:0]
	return err
}
