package stream

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/snapshot"
)

// TestDecode: a stream made by hand, with every field of every command.
func TestDecode(t *testing.T) {
	sec := value{aAtime, []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}}
	as := func(a attr) value { return value{a, sec.v} }
	uuid := value{aUUID, []byte("0123456789abcdef")}
	clone := value{aCloneUUID, []byte("fedcba9876543210")}
	u, p := snapshot.UUID(uuid.v), snapshot.UUID(clone.v)
	for _, c := range []struct {
		raw  []byte
		want Command
	}{
		{encode(Snapshot, text(aPath, "now"), uuid, number(aTransid, 9), clone, number(aCloneTransid, 8)),
			Command{Op: Snapshot, Path: "now", UUID: u, Transid: 9, ParentUUID: p, ParentTransid: 8}},
		{encode(Mkfile, text(aPath, "o257-9-0"), number(aIno, 257)), Command{Op: Mkfile, Path: "o257-9-0", Ino: 257}},
		{encode(Mkdir, number(aIno, 258), text(aPath, ".a/cur")), Command{Op: Mkdir, Path: ".a/cur", Ino: 258}},
		{encode(Mknod, text(aPath, "d"), number(aIno, 259), number(aRdev, 7), number(aMode, 0o20600)), Command{Op: Mknod, Path: "d", Ino: 259, Rdev: 7, Mode: 0o20600}},
		{encode(Mkfifo, text(aPath, "d"), number(aIno, 259), number(aRdev, 0), number(aMode, 0o10600)), Command{Op: Mkfifo, Path: "d", Ino: 259, Mode: 0o10600}},
		{encode(Mksock, text(aPath, "d"), number(aIno, 259), number(aRdev, 0), number(aMode, 1)), Command{Op: Mksock, Path: "d", Ino: 259, Mode: 1}},
		{encode(Symlink, text(aPath, "l"), number(aIno, 260), text(aPathLink, "/../x//")), Command{Op: Symlink, Path: "l", Ino: 260, To: "/../x//"}},
		{encode(Rename, text(aPath, "a"), text(aPathTo, "b/c")), Command{Op: Rename, Path: "a", To: "b/c"}},
		{encode(Link, text(aPath, "a"), text(aPathLink, "b")), Command{Op: Link, Path: "a", To: "b"}},
		{encode(Unlink, text(aPath, "a\n\xff")), Command{Op: Unlink, Path: "a\n\xff"}},
		{encode(Rmdir, text(aPath, "...")), Command{Op: Rmdir, Path: "..."}},
		{encode(SetXattr, text(aPath, ""), text(aXattrName, "user.x"), text(aXattrData, "")), Command{Op: SetXattr, Xattr: "user.x", Data: []byte{}}},
		{encode(RemoveXattr, text(aPath, "a"), text(aXattrName, "user.x")), Command{Op: RemoveXattr, Path: "a", Xattr: "user.x"}},
		{encode(Write, text(aPath, "a"), number(aOffset, 3), text(aData, "data")), Command{Op: Write, Path: "a", Offset: 3, Data: []byte("data")}},
		{encode(Clone, number(aOffset, 1), number(aCloneLen, 2), text(aPath, "a"), clone, number(aCloneTransid, 3), text(aClonePath, "b"), number(aCloneOffset, 4)),
			Command{Op: Clone, Path: "a", To: "b", Offset: 1, Size: 2, ParentUUID: p, ParentTransid: 3, FromOffset: 4}},
		{encode(Truncate, text(aPath, "a"), number(aSize, 5)), Command{Op: Truncate, Path: "a", Size: 5}},
		{encode(Chmod, text(aPath, ""), number(aMode, 0o700)), Command{Op: Chmod, Mode: 0o700}},
		{encode(Chown, text(aPath, "a"), number(aUID, 1), number(aGID, 2)), Command{Op: Chown, Path: "a", UID: 1, GID: 2}},
		{encode(Utimes, text(aPath, ""), as(aAtime), as(aMtime), as(aCtime)), Command{Op: Utimes, Atime: Time{1, 2}, Mtime: Time{1, 2}, Ctime: Time{1, 2}}},
		{encode(UpdateExtent, text(aPath, "a"), number(aOffset, 6), number(aSize, 7)), Command{Op: UpdateExtent, Path: "a", Offset: 6, Size: 7}},
	} {
		before := [][]byte{version1, subvol}
		if c.want.Op == Snapshot {
			before = before[:1]
		}
		got, err := decodeAll(stream(append(before, c.raw, endCmd)...))
		if err != nil || len(got) == 0 {
			t.Errorf("%s: %v", c.want.Op, err)
			continue
		}
		if diff := cmp.Diff(c.want, got[len(got)-1]); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.want.Op, diff)
		}
	}
}

// TestRefused: what is wrong with a stream, and what the error says.
func TestRefused(t *testing.T) {
	mk := func(p string) []byte { return encode(Mkfile, text(aPath, p), number(aIno, 257)) }
	body := func(c []byte) []byte { return stream(version1, subvol, c, endCmd) }
	half := encode(Unlink, text(aPath, "abc"))
	for _, c := range []struct {
		what string
		in   []byte
		want string
	}{
		{"protocol 2", stream(header(2), subvol, endCmd), "protocol 2, only 1 is read"},
		{"another file", []byte("From: somebody\nTo: me\n\n"), "not a btrfs send stream"},
		{"command before the first", stream(version1, mk("a"), endCmd), "mkfile at byte 17: no subvol or snapshot command before it"},
		{"end before the first", stream(version1, endCmd), "end at byte 17: no subvol"},
		{"snapshot after subvol", body(snapCmd), "second subvolume"},
		{"two ends", body(endCmd), "data after the end"},
		{"a byte after the end", append(body(nil), 0), "data after the end"},
		{"command of protocol 2", body(encode(23, text(aPath, "f"))), "command 23 at byte 66: unknown in protocol 1"},
		{"command 0", body(encode(0)), "unknown in protocol 1"},
		{"attribute of protocol 2", body(encode(Utimes, text(aPath, "f"), zeros(aAtime, 12), zeros(aMtime, 12), zeros(aCtime, 12), zeros(aOtime, 12))), "otime does not belong here"},
		{"attribute 0", body(encode(Unlink, text(0, "f"))), "attribute 0 does not belong here"},
		{"attribute 60", body(encode(Unlink, text(60, "f"))), "attribute 60 does not belong here"},
		{"another command's attribute", body(encode(Unlink, text(aPath, "f"), number(aIno, 1))), "ino does not belong here"},
		{"an attribute that lacks", body(encode(Rename, text(aPath, "f"))), "no path_to"},
		{"an attribute twice", body(encode(Unlink, text(aPath, "f"), text(aPath, "f"))), "path is there twice"},
		{"a number of 4 bytes", body(encode(Truncate, text(aPath, "f"), zeros(aSize, 4))), "size: wrong size"},
		{"a time of 8 bytes", body(encode(Utimes, text(aPath, "f"), zeros(aAtime, 8), zeros(aMtime, 12), zeros(aCtime, 12))), "atime: wrong size"},
		{"too many nanoseconds", body(encode(Utimes, text(aPath, "f"), value{aAtime, bytes.Repeat([]byte{0xff}, 12)}, zeros(aMtime, 12), zeros(aCtime, 12))), "atime: 4294967295 nanoseconds"},
		{"a UUID of 15 bytes", stream(version1, encode(Subvol, text(aPath, "x"), zeros(aUUID, 15), number(aTransid, 1))), "uuid: wrong size"},
		{"half an attribute", body(seal(half[:commandLen+3], Unlink)), "half an attribute"},
		{"an attribute longer than its command", body(seal(half[:commandLen+5], Unlink)), "path of 3 bytes where 1 are left"},
		{"the root made", body(mk("")), "empty name"},
		{"the root renamed", body(encode(Rename, text(aPath, ""), text(aPathTo, "r"))), "empty name"},
		{"the root as target", body(encode(Rename, text(aPath, "r"), text(aPathTo, ""))), "path_to: path \"\": empty name"},
		{"the root written to", body(encode(Truncate, text(aPath, ""), number(aSize, 0))), "empty name"},
		{"absolute path", body(mk("/etc/passwd")), "empty name"},
		{"path that ends with a slash", body(mk("d/")), "empty name"},
		{"dots", body(mk("a/../b")), `name ".."`},
		{"a dot", body(mk("./a")), `name "."`},
		{"NUL", body(mk("a\x00b")), "slash or NUL"},
		{"name of 256 bytes", body(mk(strings.Repeat("n", 256))), "name of 256 bytes"},
		{"path of 4096 bytes", body(mk(strings.Repeat("n/", 2047) + "nn")), "path of 4096 bytes"},
		{"dots in a rename", body(encode(Rename, text(aPath, "a"), text(aPathTo, "../b"))), `path_to: path "../b": name ".."`},
		{"dots in a link", body(encode(Link, text(aPath, "a"), text(aPathLink, "../b"))), `path_link: path "../b": name ".."`},
		{"snapshot with a path", stream(version1, encode(Subvol, text(aPath, "a/b"), zeros(aUUID, 16), number(aTransid, 1))), "slash or NUL"},
		{"link to nothing", body(encode(Symlink, text(aPath, "a"), number(aIno, 257), text(aPathLink, ""))), "symbolic link to"},
		{"xattr without a name", body(encode(RemoveXattr, text(aPath, "a"), text(aXattrName, ""))), "xattr_name: empty name"},
		{"a byte more than 64 KiB", body(encode(Write, text(aPath, "a"), number(aOffset, 0), zeros(aData, 65536-10-5-12-4+1))), "65527 bytes, at most 65526"},
	} {
		_, err := decodeAll(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "stream: ") {
			t.Errorf("%s: error %v, want %q", c.what, err, c.want)
		}
	}
	// The longest of all is taken.
	long := []byte(stream(version1, subvol, encode(Write, text(aPath, "a"), number(aOffset, 0), zeros(aData, 65536-10-5-12-4)),
		mk(strings.Repeat("n/", 2047)+"n"), mk(strings.Repeat("n", 255)), endCmd))
	if _, err := decodeAll(long); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, decodeReader{NewDecoder(bytes.NewReader(long), Limits{Bytes: int64(len(long)) - 1})}); err == nil || !strings.Contains(err.Error(), "stream of more than") {
		t.Errorf("a byte more than Limits.Bytes: %v", err)
	}
}

// A decodeReader reads commands away.
type decodeReader struct{ *Decoder }

func (d decodeReader) Read(b []byte) (int, error) {
	_, err := d.Next()
	return 0, err
}

// TestProtocol2 with a real stream.
func TestProtocol2(t *testing.T) {
	_, err := decodeAll(read(t, "corpus/29-protocol-2/incr-v2.stream"))
	if err == nil || err.Error() != "stream: header: protocol 2, only 1 is read" {
		t.Error(err)
	}
}

// TestTruncated: cut after any byte but the last, a stream is an
// io.ErrUnexpectedEOF, and stays one; whole, it is an io.EOF.
func TestTruncated(t *testing.T) {
	whole := read(t, "corpus/09-folder-rename-and-changes/incr.stream")
	for n := range len(whole) {
		d := NewDecoder(bytes.NewReader(whole[:n]), Limits{})
		var err error
		for err == nil {
			_, err = d.Next()
		}
		_, again := d.Next()
		if !errors.Is(err, io.ErrUnexpectedEOF) || again != err {
			t.Fatalf("%d of %d bytes: %v, then %v", n, len(whole), err, again)
		}
	}
	if _, err := decodeAll(whole); err != nil {
		t.Error(err)
	}
}

// TestBitFlips: whatever single bit is wrong, the stream is refused.
func TestBitFlips(t *testing.T) {
	whole := read(t, "corpus/02-flags/incr.stream")
	for i := range len(whole) * 8 {
		flipped := bytes.Clone(whole)
		flipped[i/8] ^= 1 << (i % 8)
		if _, err := decodeAll(flipped); err == nil {
			t.Fatalf("bit %d of byte %d is wrong, and nobody sees it", i%8, i/8)
		}
	}
}

// TestReadError: what the reader says comes through, and is not taken for an end.
func TestReadError(t *testing.T) {
	whole := stream(version1, subvol, endCmd)
	for n := range len(whole) + 1 {
		d := NewDecoder(io.MultiReader(bytes.NewReader(whole[:n]), broken{}), Limits{})
		var err error
		for err == nil {
			_, err = d.Next()
		}
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, os.ErrClosed }

// TestDecodeMemory: a length that is a lie costs no memory.
func TestDecodeMemory(t *testing.T) {
	lie := stream(version1, subvol, []byte{0xff, 0xff, 0xff, 0xff, 15, 0, 0, 0, 0, 0})
	allocs := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			decodeAll(lie)
		}
	}).AllocedBytesPerOp()
	if allocs > 200<<10 {
		t.Errorf("%d bytes allocated", allocs)
	}
}
