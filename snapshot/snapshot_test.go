package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

// TestTake: the snapshot is read-only, has the content of the moment, and knows
// its parent.
func TestTake(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	dir := mkdir(t, fs, "snaps")
	write(t, filepath.Join(live, "mail"), "before")
	if err := Take(live, dir, "online.1"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(live, "mail"), "after")
	data, err := os.ReadFile(filepath.Join(dir, "online.1/mail"))
	if err != nil || string(data) != "before" {
		t.Errorf("%q, %v", data, err)
	}
	parent, err := Read(live)
	if err != nil {
		t.Fatal(err)
	}
	info, err := Read(filepath.Join(dir, "online.1"))
	if err != nil || !info.ReadOnly || info.ParentUUID != parent.UUID || parent.ReadOnly {
		t.Errorf("snapshot %+v (%v)\nof %+v", info, err, parent)
	}
}

// TestTakeIsDurable: a power cut right after Take finds the snapshot with its
// data, though nothing was synced before.
func TestTakeIsDurable(t *testing.T) {
	fs := btrfstest.New(t, 256<<20)
	live := fs.Subvolume(t, "live")
	content := strings.Repeat("not yet on disk ", 500)
	for i := range 100 {
		write(t, filepath.Join(live, "mail"+strconv.Itoa(i)), content)
	}
	// The kernel commits when it likes, so some may be on disk already; if all
	// are, the test proves nothing.
	if n := whole(t, fs.PowerCut(t), "live", content); n == 100 {
		t.Fatal("all mails are on disk before the snapshot")
	}
	if err := Take(live, fs.Path, "online.1"); err != nil {
		t.Fatal(err)
	}
	if n := whole(t, fs.PowerCut(t), "online.1", content); n != 100 {
		t.Errorf("%d whole mails after the cut, want 100", n)
	}
}

// whole counts the mails of a subvolume that have the content.
func whole(t *testing.T, dir, subvolume, content string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, subvolume, "mail*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if string(data) == content {
			n++
		}
	}
	return n
}

// TestTakeRefuses: nothing is made, and nothing that exists is touched.
func TestTakeRefuses(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	dir := mkdir(t, fs, "snaps")
	mkdir(t, fs, "snaps/directory")
	write(t, filepath.Join(dir, "file"), "")
	fs.Snapshot(t, live, "snaps/online.1")
	if err := errors.Join(os.Symlink("nowhere", filepath.Join(dir, "symlink")), os.Symlink("directory", filepath.Join(dir, "symlink2"))); err != nil {
		t.Fatal(err)
	}
	other := btrfstest.New(t, 64<<20)
	before := tree(t, fs.Path)
	for _, tt := range []struct {
		live, dir, name string
		want            error // nil: any
	}{
		{live, dir, "online.1", ErrExists},
		{live, dir, "directory", ErrExists},
		{live, dir, "file", ErrExists},
		{live, dir, "symlink", ErrExists},
		{live, dir, "symlink2", ErrExists},
		{live, dir, "directory/x", unix.EINVAL},
		{live, dir, "..", unix.EINVAL},
		{live, dir, "", unix.EINVAL},
		{live, dir, strings.Repeat("n", 256), unix.EINVAL},
		{dir, dir, "new", ErrNotSubvolume},
		{filepath.Join(dir, "gone"), dir, "new", ErrNotExist},
		{"/proc", dir, "new", ErrNotBtrfs},
		{live, "/proc", "new", ErrNotBtrfs},
		{live, filepath.Join(dir, "gone"), "new", ErrNotExist},
		{live, filepath.Join(dir, "file"), "new", unix.ENOTDIR},
		{live, other.Path, "new", ErrOtherFS},
		{live, filepath.Join(dir, "online.1"), "new", nil}, // read-only
	} {
		if err := Take(tt.live, tt.dir, tt.name); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("take %s of %s: %v, want %v", filepath.Join(tt.dir, tt.name), tt.live, err, tt.want)
		}
		if d := cmp.Diff(before, tree(t, fs.Path)); d != "" {
			t.Fatalf("take %s of %s left (-before +after):\n%s", filepath.Join(tt.dir, tt.name), tt.live, d)
		}
	}
}

// TestDelete: a snapshot goes, once; a live mailbox, a directory and what a
// symlink points to do not.
func TestDelete(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	dir := mkdir(t, fs, "snaps")
	write(t, filepath.Join(live, "mail"), "x")
	fs.Snapshot(t, live, "snaps/online.1")
	fs.Snapshot(t, live, "elsewhere")
	fs.Subvolume(t, "snaps/online.2") // writable
	mkdir(t, fs, "snaps/online.3")
	if err := os.Symlink("../elsewhere", filepath.Join(dir, "online.4")); err != nil {
		t.Fatal(err)
	}
	if err := Delete(dir, "online.1"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "online.1")); !errors.Is(err, ErrNotExist) {
		t.Errorf("still there (%v)", err)
	}
	before := tree(t, fs.Path)
	for _, tt := range []struct {
		dir, name string
		want      error
	}{
		{dir, "online.1", ErrNotExist},
		{dir, "online.2", ErrNotSnapshot},
		{fs.Path, "live", ErrNotSnapshot},
		{dir, "online.3", ErrNotSubvolume},
		{dir, "online.4", ErrNotSubvolume},
		{live, "mail", ErrNotSubvolume},
		{dir, "../elsewhere", unix.EINVAL},
		{"/proc", "self", ErrNotBtrfs},
	} {
		if err := Delete(tt.dir, tt.name); !errors.Is(err, tt.want) {
			t.Errorf("delete %s: %v, want %v", filepath.Join(tt.dir, tt.name), err, tt.want)
		}
	}
	if d := cmp.Diff(before, tree(t, fs.Path)); d != "" {
		t.Errorf("deleted (-before +after):\n%s", d)
	}
}

// TestList: our names only, by number and not by letters.
func TestList(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	dir := mkdir(t, fs, "snaps")
	for _, name := range []string{"online.10", "online.9", "offline.9", "offline.10", "online.07", "online.-1", "online.+1",
		"online.1.new", "online", "online.", "mirror.1", "Online.1", "online.99999999999999999999"} {
		fs.Snapshot(t, live, "snaps/"+name)
	}
	mkdir(t, fs, "snaps/online.3")
	write(t, filepath.Join(dir, "online.4"), "")
	fs.Subvolume(t, "snaps/online.11") // half received
	if err := os.Symlink("online.9", filepath.Join(dir, "online.5")); err != nil {
		t.Fatal(err)
	}
	list, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		if e.Name != Name(e.Side, e.Sync) || e.Info.UUID == (UUID{}) {
			t.Errorf("entry %+v", e)
		}
		got = append(got, e.Name+map[bool]string{false: " writable"}[e.Info.ReadOnly])
	}
	want := []string{"offline.9", "online.9", "offline.10", "online.10", "online.11 writable"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if _, err := List(filepath.Join(dir, "gone")); !errors.Is(err, ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

// TestSameFilesystem: subvolumes of one file system differ in st_dev and are the same.
func TestSameFilesystem(t *testing.T) {
	fs, other := btrfstest.Shared(t), btrfstest.New(t, 64<<20)
	a, b := fs.Subvolume(t, "a"), fs.Subvolume(t, "b")
	plain := mkdir(t, fs, "plain")
	for _, tt := range []struct {
		a, b string
		want bool
	}{{a, b, true}, {a, plain, true}, {a, a, true}, {a, other.Path, false}, {other.Path, plain, false}} {
		if got, err := SameFilesystem(tt.a, tt.b); err != nil || got != tt.want {
			t.Errorf("%s, %s: %v, %v, want %v", tt.a, tt.b, got, err, tt.want)
		}
	}
	for _, p := range [][2]string{{a, "/proc"}, {"/proc", a}} {
		if _, err := SameFilesystem(p[0], p[1]); !errors.Is(err, ErrNotBtrfs) {
			t.Errorf("%v: %v", p, err)
		}
	}
}
