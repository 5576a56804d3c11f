// Package btrfstest gives tests a real btrfs: a sparse image in the temporary
// directory, on a loop device. There is no mock; without root or mkfs.btrfs a
// test fails and says how to run it, because a skipped test proves nothing.
//
// Most tests take a fresh directory of one file system that the test binary
// mounts once:
//
//	func TestMain(m *testing.M) { btrfstest.Main(m) }
//
//	func TestPlace(t *testing.T) {
//		fs := btrfstest.Shared(t)
//		live := fs.Subvolume(t, "live")
//		…
//
// A test that fills a file system up, or needs a second one, takes [New].
package btrfstest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// DefaultSize is the size of a file system in bytes where none is given. The
// image is sparse, so it costs what is written to it.
const DefaultSize = 8 << 30

// mixedBelow: a small file system gets mixed block groups, as separate ones
// for data and metadata leave it no room (mkfs.btrfs(8), --mixed; without it
// nothing under some 110 MiB can be made at all).
const mixedBelow = 256 << 20

// An FS is a directory on a btrfs.
type FS struct {
	Path  string // absolute: the mount point ([New]), or a directory below it ([Shared])
	image string // what is mounted, if from New
}

// New makes and mounts a file system of its own, of size bytes (left out:
// [DefaultSize]; at least 32 MiB), and removes it when the test ends. The
// test must have closed its files by then.
func New(t testing.TB, size ...int64) *FS {
	t.Helper()
	n := int64(DefaultSize)
	if len(size) > 0 {
		n = size[0]
	}
	m, err := newMount(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.remove(); err != nil {
			t.Error(err)
		}
	})
	return &FS{m.path(), m.image()}
}

// shared is the file system of the test binary, made by the first [Shared].
var shared struct {
	sync.Mutex
	byMain bool // Main runs, so somebody will take it down
	mount  *mount
	err    error
}

// Shared returns a fresh directory of the file system that all tests of the
// binary use. It stays until the binary ends. The package's TestMain must call
// [Main].
func Shared(t testing.TB) *FS {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.byMain {
		t.Fatal("btrfstest: the package needs func TestMain(m *testing.M) { btrfstest.Main(m) }")
	}
	if shared.mount == nil && shared.err == nil {
		shared.mount, shared.err = newMount(DefaultSize)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	dir, err := os.MkdirTemp(shared.mount.path(), "t")
	if err != nil {
		t.Fatal(err)
	}
	return &FS{Path: dir}
}

// Main runs the tests, takes the shared file system down and exits. It is the
// whole of a TestMain, or its last line.
func Main(m *testing.M) {
	shared.Lock()
	shared.byMain = true
	shared.Unlock()
	code := m.Run()
	if shared.mount != nil {
		if err := shared.mount.remove(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Subvolume makes a subvolume at rel, with the directories above it, and
// returns its absolute path. btrfs(8) makes it, not the code under test.
func (fs *FS) Subvolume(t testing.TB, rel string) string {
	t.Helper()
	path := fs.parent(t, rel)
	run(t, "btrfs", "subvolume", "create", path)
	return path
}

// Snapshot makes a read-only snapshot of the subvolume live (an absolute path)
// at rel and returns its absolute path.
func (fs *FS) Snapshot(t testing.TB, live, rel string) string {
	t.Helper()
	path := fs.parent(t, rel)
	run(t, "btrfs", "subvolume", "snapshot", "-r", live, path)
	return path
}

// parent makes the directories above rel and returns rel's absolute path,
// which must be free: btrfs(8) would make its subvolume inside a directory of
// that name.
func (fs *FS) parent(t testing.TB, rel string) string {
	t.Helper()
	path := filepath.Join(fs.Path, rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Access(path, unix.F_OK); !errors.Is(err, unix.ENOENT) {
		t.Fatalf("btrfstest: %q is there already (%v)", path, err)
	}
	return path
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("btrfstest: %s %q: %v\n%s", name, args, err, out)
	}
}
