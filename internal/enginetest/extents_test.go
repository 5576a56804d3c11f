package enginetest

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/merge"
)

// An extent is where a part of a file lies on the disk.
type extent struct {
	Logical, Physical, Length uint64
}

const (
	fiemapSync    = 1
	extentInline  = 0x200 // in the metadata: there is nothing to share
	extentDelay   = 0x4   // not written yet
	maxExtents    = 32
	fiemapIoctl   = 0xc020660b // FS_IOC_FIEMAP, linux/fiemap.h
	fiemapHeader  = 32
	fiemapExtSize = 56
)

// extents asks the kernel for the extents of a file (FIEMAP,
// Documentation/filesystems/fiemap.rst).
func extents(t *testing.T, path string) (out []extent, inline bool) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, fiemapHeader+maxExtents*fiemapExtSize)
	le := binary.NativeEndian
	le.PutUint64(buf[8:], ^uint64(0))
	le.PutUint32(buf[16:], fiemapSync)
	le.PutUint32(buf[24:], maxExtents)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fiemapIoctl, uintptr(unsafe.Pointer(&buf[0]))); errno != 0 {
		t.Fatalf("FIEMAP of %q: %v", path, errno)
	}
	for i := range int(le.Uint32(buf[20:])) {
		e := buf[fiemapHeader+i*fiemapExtSize:]
		flags := le.Uint32(e[40:])
		if flags&extentDelay != 0 {
			t.Fatalf("%q is not on disk", path)
		}
		inline = inline || flags&extentInline != 0
		out = append(out, extent{le.Uint64(e), le.Uint64(e[8:]), le.Uint64(e[16:])})
	}
	return out, inline
}

// TestPlacedMail: a mail that comes home lies on the same blocks as in online's
// snapshot, has its mtime to the nanosecond, and owner and mode of the
// mailbox's mail; and so is its copy in a second folder. A small mail has no
// blocks, then the bytes must do.
func TestPlacedMail(t *testing.T) {
	for _, size := range []int{1, 500, 4096, 5000, 300_000} {
		fs := btrfstest.Shared(t)
		w := newWorld(t, fs, func(name string) string { return fs.Subvolume(t, name) }, rules{maxDeletions: 100}, size%2 == 0, 1)
		received := time.Date(2019, 2, 3, 4, 5, 6, 123456789, time.UTC).UnixNano()
		id := w.newMail(0)
		m := w.mails[id]
		delete(w.byContent, sum(m.body))
		m.body, m.received = slices.Repeat([]byte("x"), size), received
		w.byContent[sum(m.body)] = id
		name := w.unique(id)
		w.write(online, id, "INBOX", "cur", name+":2,S", received)
		from := filepath.Join(w.stores[online].path("INBOX"), "cur", name+":2,S")
		w.must(os.Link(from, filepath.Join(w.stores[online].path("work"), "cur", name+":2,S")))
		res, err := engine.Sync(context.Background(), w.mailbox(), w.state, engine.Options{})
		w.must(err)
		source := filepath.Join(w.stores[online].snapshots, res.Record.Snapshots[online], "cur", name+":2,S")
		want, inline := extents(t, source)
		home := w.read(offline)
		if len(home.files) != 2 || home.files[0].ino != home.files[1].ino {
			t.Fatalf("size %d: home has %+v, want one file in two folders", size, home.files)
		}
		for _, f := range home.files {
			path := w.path(offline, f)
			got, _ := extents(t, path)
			if d := cmp.Diff(want, got); d != "" && !inline {
				t.Errorf("size %d: other blocks than the snapshot's (-snapshot +home):\n%s", size, d)
			}
			w.checkBody("G2", offline, f)
			st, err := os.Stat(path)
			w.must(err)
			if f.mtime != received || f.uid != mailUID || st.Mode() != 0o600 {
				t.Errorf("size %d: mtime %d, owner %d, mode %o; want %d, %d, 600", size, f.mtime, f.uid, st.Mode(), received, mailUID)
			}
		}
		if size >= 5000 && (inline || len(want) == 0) {
			t.Errorf("size %d: no extents to compare", size)
		}
		w.remove(t)
	}
}

// TestUntouchedExtents: a sync that renames, moves, copies and expires leaves
// the blocks of every mail at home where they were.
func TestUntouchedExtents(t *testing.T) {
	fs := btrfstest.Shared(t)
	r := rules{maxDeletions: 100, folders: map[string]rule{"old": {keepDays: 30}}}
	w := newWorld(t, fs, func(name string) string { return fs.Subvolume(t, name) }, r, false, 1)
	for range 40 {
		w.do(op{Kind: "deliver-cur", A: 1, B: 1})
	}
	w.sync()
	blocks := func() map[uint64][]extent {
		out := map[uint64][]extent{}
		for _, f := range w.read(offline).files {
			out[f.ino], _ = extents(t, w.path(offline, f))
		}
		return out
	}
	before := blocks()
	for i, kind := range []string{"flag", "keyword", "move", "copy", "move-new-name", "rename-folder", "flag", "move", "move", "copy"} {
		for _, side := range merge.Sides {
			w.do(op{Kind: kind, Side: side, A: 7*i + 3, B: i})
		}
	}
	w.syncAgain(w.sync())
	if d := cmp.Diff(before, blocks()); d != "" {
		t.Errorf("blocks changed:\n%s", d)
	}
	w.remove(t)
}
