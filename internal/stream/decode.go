// Package stream reads btrfs send streams and makes of them the changes between
// two snapshots of a mail store: [Decoder] reads commands, [Tracker] follows the
// paths that they name, [Changes] looks up what the paths are in the two
// snapshots, and [Diff] does all of it for two snapshots of this host. [Receive]
// makes the mirror of a snapshot of another host.
//
// The format is that of fs/btrfs/send.h and fs/btrfs/send.c. A stream can come
// from a host that is not trusted: whatever is not exactly as a kernel writes
// it is refused, and memory is bounded before it is taken.
package stream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Limits bound what a stream may cost. A field that is 0 stands for that of
// [DefaultLimits].
type Limits struct {
	Bytes   int64 // of the stream
	Names   int   // that a Tracker keeps: about 200 bytes of memory each
	Unnamed int   // files and directories at a time that still have the name they were made under
}

// DefaultLimits suit a mailbox of some million mails. A kernel makes each file
// and directory under a name like o257-9-0 and renames it; only directories
// wait for that, when they go below others that were made after them.
var DefaultLimits = Limits{Bytes: 1 << 40, Names: 4 << 20, Unnamed: 1 << 16}

func (l Limits) orDefault() Limits {
	if l.Bytes == 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	if l.Names == 0 {
		l.Names = DefaultLimits.Names
	}
	if l.Unnamed == 0 {
		l.Unnamed = DefaultLimits.Unnamed
	}
	return l
}

const (
	magic      = "btrfs-stream\x00"
	headerSize = len(magic) + 4
	commandLen = 10       // of a command's header: u32 length of the body, u16 command, u32 crc32c
	maxCommand = 64 << 10 // with its header: BTRFS_SEND_BUF_SIZE_V1
)

// A Decoder reads one stream of protocol 1.
//
// It returns a command only if its checksum is right, the kernel has such a
// command, and it has exactly its attributes, each once and of its size. Its
// paths are relative, without empty, "." and ".." names, without NUL, with names
// of at most 255 bytes and 4095 in all; "" only where the root is meant. The
// first command is Subvol or Snapshot, and there is no second one.
//
// It does not judge sizes, offsets, owners, modes and what is named: an
// untrusted stream needs a receiver that does: [Receive].
type Decoder struct {
	r      *bufio.Reader
	limits Limits
	offset int64 // bytes read
	begun  bool  // the subvol or snapshot command was there
	err    error // what Next returns from now on
}

// NewDecoder returns a Decoder that reads r to its end. It has a buffer of its
// own, of 128 KiB, and reads no further than that ahead.
func NewDecoder(r io.Reader, l Limits) *Decoder {
	return &Decoder{r: bufio.NewReaderSize(r, 2*maxCommand), limits: l.orDefault()}
}

// Next returns the next command. Its Data is valid until the next call.
//
// The error is io.EOF after a whole stream: closed by its end command, and
// nothing behind it. A stream that ends before is an io.ErrUnexpectedEOF. Other
// errors say what is wrong, with offset and command. After an error Next
// returns the same one.
func (d *Decoder) Next() (Command, error) {
	if d.err != nil {
		return Command{}, d.err
	}
	c, err := d.next()
	if err != nil {
		d.err = err
	}
	return c, err
}

// Offset returns the number of bytes that were read as commands.
func (d *Decoder) Offset() int64 { return d.offset }

func (d *Decoder) next() (Command, error) {
	if d.offset == 0 {
		if err := d.header(); err != nil {
			return Command{}, fmt.Errorf("stream: header: %w", err)
		}
	}
	c, n, err := d.command()
	if err != nil {
		return Command{}, fmt.Errorf("stream: %s at byte %d: %w", what(c.Op), d.offset, err)
	}
	d.offset += int64(n)
	if c.Op != End {
		return c, nil
	}
	if _, err := d.r.Peek(1); err == nil {
		return Command{}, fmt.Errorf("stream: byte %d: data after the end", d.offset)
	} else if err != io.EOF {
		return Command{}, fmt.Errorf("stream: read: %w", err)
	}
	return Command{}, io.EOF
}

func what(o Op) string {
	if o == 0 {
		return "command"
	}
	return o.String()
}

func (d *Decoder) header() error {
	h, err := d.peek(headerSize)
	if err != nil {
		return err
	}
	if string(h[:len(magic)]) != magic {
		return errors.New("not a btrfs send stream")
	}
	if v := binary.LittleEndian.Uint32(h[len(magic):]); v != 1 {
		return fmt.Errorf("protocol %d, only 1 is read", v)
	}
	d.offset = int64(headerSize)
	return d.skip(headerSize)
}

// peek returns the next n bytes, valid until the next peek.
func (d *Decoder) peek(n int) ([]byte, error) {
	b, err := d.r.Peek(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (d *Decoder) skip(n int) error {
	_, err := d.r.Discard(n)
	return err
}

// command reads one command and returns its length. The bytes stay in the
// buffer until the next peek, so Data is no copy.
func (d *Decoder) command() (c Command, n int, err error) {
	h, err := d.peek(commandLen)
	if err != nil {
		return c, 0, err
	}
	body := binary.LittleEndian.Uint32(h)
	c.Op = Op(binary.LittleEndian.Uint16(h[4:]))
	if body > maxCommand-uint32(commandLen) {
		return c, 0, fmt.Errorf("%d bytes, at most %d are allowed", body, maxCommand-commandLen)
	}
	n = commandLen + int(body)
	if d.offset+int64(n) > d.limits.Bytes {
		return c, 0, overLimit("receive", "stream of more than %d bytes", d.limits.Bytes)
	}
	b, err := d.peek(n)
	if err != nil {
		return c, 0, err
	}
	if err := d.skip(n); err != nil {
		return c, 0, err
	}
	if sum := checksum(b); sum != binary.LittleEndian.Uint32(b[6:]) {
		return c, 0, errors.New("checksum is wrong")
	}
	if err := d.order(c.Op); err != nil {
		return c, 0, err
	}
	return c, n, c.parse(b[commandLen:])
}

// order checks that the command can come now.
func (d *Decoder) order(o Op) error {
	if o == 0 || int(o) >= len(commands) {
		return errors.New("unknown in protocol 1")
	}
	first := o == Subvol || o == Snapshot
	if first == d.begun {
		if first {
			return errors.New("second subvolume in one stream")
		}
		return errors.New("no subvol or snapshot command before it")
	}
	d.begun = true
	return nil
}

// parse reads the attributes: u16 type, u16 length, value.
func (c *Command) parse(b []byte) error {
	want, got := commands[c.Op].attrs, attrs(0)
	for len(b) > 0 {
		if len(b) < 4 {
			return errors.New("half an attribute")
		}
		a, n := attr(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
		b = b[4:]
		switch {
		case a == 0 || a >= attrEnd || want&setOf(a) == 0:
			return fmt.Errorf("%s does not belong here", a)
		case got&setOf(a) != 0:
			return fmt.Errorf("%s is there twice", a)
		case n > len(b):
			return fmt.Errorf("%s of %d bytes where %d are left", a, n, len(b))
		}
		if err := c.set(a, b[:n:n]); err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
		got |= setOf(a)
		b = b[n:]
	}
	for a := aUUID; a < attrEnd; a++ {
		if (want&^got)&setOf(a) != 0 {
			return fmt.Errorf("no %s", a)
		}
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the checksum of a command as the kernel counts it: crc32c
// with seed 0 and without the inversions at both ends that hash/crc32 makes, over
// the command with a checksum of 0.
func checksum(b []byte) uint32 {
	sum := crc32.Update(^uint32(0), castagnoli, b[:6])
	sum = crc32.Update(sum, castagnoli, []byte{0, 0, 0, 0})
	return ^crc32.Update(sum, castagnoli, b[commandLen:])
}
