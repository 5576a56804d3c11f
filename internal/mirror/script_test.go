package mirror

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"testing"

	"snapmerge/internal/stream"
	"snapmerge/snapshot"
)

// UUIDs of the snapshots in scripted streams.
var (
	baseUUID  = snapshot.UUID{0xba, 0x5e}
	nowUUID   = snapshot.UUID{0x70}
	otherUUID = snapshot.UUID{0x07}
)

// full and increment are the first commands of streams that are asked for.
var (
	full      = stream.Command{Op: stream.Subvol, Path: "now", UUID: nowUUID, Transid: 9}
	increment = stream.Command{Op: stream.Snapshot, Path: "now", UUID: nowUUID, Transid: 9, ParentUUID: baseUUID, ParentTransid: 7}
)

// ops are the commands of a script by name.
var ops = map[string]stream.Op{"mkfile": stream.Mkfile, "mkdir": stream.Mkdir, "mknod": stream.Mknod, "mkfifo": stream.Mkfifo,
	"mksock": stream.Mksock, "symlink": stream.Symlink, "rename": stream.Rename, "link": stream.Link, "unlink": stream.Unlink,
	"rmdir": stream.Rmdir, "setxattr": stream.SetXattr, "rmxattr": stream.RemoveXattr, "write": stream.Write, "clone": stream.Clone,
	"truncate": stream.Truncate, "chmod": stream.Chmod, "chown": stream.Chown, "utimes": stream.Utimes, "extent": stream.UpdateExtent}

// script turns commands in words, one after each ";", into a stream:
//
//	mkfile PATH INO       symlink PATH INO TARGET   link NEW OLD
//	write PATH AT TEXT    truncate PATH SIZE        clone PATH AT SIZE self|parent|other SOURCE AT
//	utimes PATH SECONDS   setxattr PATH NAME VALUE
//
// and so on. "/" as a path is the root.
func script(t testing.TB, first stream.Command, text string) []byte {
	t.Helper()
	list := []stream.Command{first}
	for line := range strings.SplitSeq(text, ";") {
		if w := strings.Fields(line); len(w) > 0 {
			list = append(list, command(t, w))
		}
	}
	return encode(list...)
}

func encode(list ...stream.Command) []byte {
	b := stream.AppendHeader(nil)
	for _, c := range list {
		b = stream.AppendCommand(b, c)
	}
	return stream.AppendCommand(b, stream.Command{Op: stream.End})
}

func command(t testing.TB, w []string) stream.Command {
	t.Helper()
	num := func(i int) uint64 {
		n, err := strconv.ParseUint(w[i], 0, 64)
		if err != nil {
			t.Fatalf("%q: %v", w, err)
		}
		return n
	}
	c := stream.Command{Op: ops[w[0]], Path: w[1]}
	if c.Path == "/" {
		c.Path = ""
	}
	switch c.Op {
	case 0:
		t.Fatalf("no command %q", w)
	case stream.Mkfile, stream.Mkdir:
		c.Ino = num(2)
	case stream.Mknod, stream.Mkfifo, stream.Mksock:
		c.Ino, c.Mode, c.Rdev = num(2), 0o60666, 0x801
	case stream.Symlink:
		c.Ino, c.To = num(2), w[3]
	case stream.Rename, stream.Link:
		c.To = w[2]
	case stream.SetXattr:
		c.Xattr, c.Data = w[2], []byte(w[3])
	case stream.RemoveXattr:
		c.Xattr = w[2]
	case stream.Write:
		c.Offset, c.Data = num(2), []byte(w[3])
	case stream.Truncate:
		c.Size = num(2)
	case stream.Chmod:
		c.Mode = num(2)
	case stream.Chown:
		c.UID, c.GID = num(2), num(2)
	case stream.Utimes:
		at := stream.Time{Sec: int64(num(2)), Nsec: 5}
		c.Atime, c.Mtime, c.Ctime = at, at, at
	case stream.UpdateExtent:
		c.Offset, c.Size = num(2), num(3)
	case stream.Clone:
		c.Offset, c.Size, c.To, c.FromOffset = num(2), num(3), w[5], num(6)
		c.ParentUUID = map[string]snapshot.UUID{"self": nowUUID, "parent": baseUUID, "other": otherUUID}[w[4]]
	}
	return c
}

// chop returns the parts of a stream: its header, and each command.
func chop(b []byte) (parts [][]byte) {
	n := len(stream.AppendHeader(nil))
	for len(b) > 0 {
		parts = append(parts, b[:n:n])
		b = b[n:]
		if len(b) >= 10 {
			n = min(len(b), 10+int(b[0])|int(b[1])<<8|int(b[2])<<16)
		} else {
			n = len(b)
		}
	}
	return parts
}

// attribute returns a command of raw attributes, with its checksum.
func raw(o stream.Op, attrs ...any) []byte {
	var body []byte
	for i := 0; i < len(attrs); i += 2 {
		v := fmt.Append(nil, attrs[i+1])
		a := attrs[i].(int)
		body = append(body, byte(a), byte(a>>8), byte(len(v)), byte(len(v)>>8))
		body = append(body, v...)
	}
	return mend(append([]byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), 0, byte(o), byte(o >> 8), 0, 0, 0, 0}, body...))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// mend makes the checksum of a command right.
func mend(b []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(^uint32(0), table, b[:6])
	sum = ^crc32.Update(crc32.Update(sum, table, make([]byte, 4)), table, b[10:])
	binary.LittleEndian.PutUint32(b[6:], sum)
	return b
}
