package reflink

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

// mtime is in 2015, with nanoseconds that no float and no microsecond keeps.
const mtime = 1450677467_123456789

// A site is a source in a read-only snapshot and a target directory in
// another subvolume, as in a sync.
type site struct {
	data []byte
	src  *os.File
	dir  *os.File
	meta Meta
}

// newSite makes a source of size random bytes and an empty target directory.
func newSite(t *testing.T, size int) site {
	t.Helper()
	f := btrfstest.Shared(t)
	data := randomBytes(size)
	mirror := f.Subvolume(t, "mirror")
	write(t, filepath.Join(mirror, "mail"), data)
	snap := f.Snapshot(t, mirror, "snap")
	dir := filepath.Join(f.Subvolume(t, "live"), "cur")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return site{data, open(t, filepath.Join(snap, "mail")), open(t, dir),
		Meta{UID: 5000, GID: 5001, Mode: 0o640, Mtime: mtime, Size: int64(size)}}
}

// TestPlace: 0 bytes, one that btrfs stores inline, the limit of that, an
// extent that ends inside a block, several extents. Content, owner, mode, times
// to the nanosecond, inode and link count are as told.
func TestPlace(t *testing.T) {
	for _, size := range []int{0, 1, 1500, 2048, 2049, 4096, 7300, 300 << 10, 3<<20 + 1} {
		s := newSite(t, size)
		got, err := Place(s.src, s.dir, "1450677467.M1P2.mx,S=7:2,S", s.meta)
		if err != nil {
			t.Errorf("%d bytes: %v", size, err)
			continue
		}
		path := filepath.Join(s.dir.Name(), "1450677467.M1P2.mx,S=7:2,S")
		checkFile(t, path, s, got)
		if !got.Shared {
			t.Errorf("%d bytes: copied, want a clone", size)
		}
		src, dst := extents(t, s.src.Name()), extents(t, path)
		if size > 4096 && (len(dst) == 0 || !strings.Contains(dst[0], "shared")) {
			t.Errorf("%d bytes: extents are not shared: %q", size, dst)
		}
		if size > 4096 && !cmp.Equal(src, dst) {
			t.Errorf("%d bytes: extents differ:\n%s", size, cmp.Diff(src, dst))
		}
	}
}

// TestPlaceCopies: where the kernel refuses to clone, the bytes are copied and
// everything else is the same.
func TestPlaceCopies(t *testing.T) {
	tests := []struct {
		name  string
		errno unix.Errno // what FICLONE says here
		dir   func(t *testing.T, s site) string
	}{
		{"nodatacow directory (chattr +C)", unix.EINVAL, func(t *testing.T, s site) string {
			dir := filepath.Join(s.dir.Name(), "nocow")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("chattr", "+C", dir).CombinedOutput(); err != nil {
				t.Fatalf("chattr: %v: %s", err, out)
			}
			return dir
		}},
		{"other btrfs", unix.EXDEV, func(t *testing.T, s site) string {
			return btrfstest.New(t, 64<<20).Path
		}},
	}
	for _, tt := range tests {
		for _, size := range []int{0, 1500, 300 << 10} {
			s := newSite(t, size)
			s.dir = open(t, tt.dir(t, s))
			if size > 2048 {
				checkRefusesClone(t, s, tt.errno)
			}
			s.src.Seek(1, 0) // a copy must not begin there
			got, err := Place(s.src, s.dir, "mail", s.meta)
			if err != nil {
				t.Errorf("%s, %d bytes: %v", tt.name, size, err)
				continue
			}
			checkFile(t, filepath.Join(s.dir.Name(), "mail"), s, got)
			if got.Shared {
				t.Errorf("%s, %d bytes: claims to be shared", tt.name, size)
			}
		}
	}
}

// TestPlaceRefuses: nothing is clobbered, nothing is left.
func TestPlaceRefuses(t *testing.T) {
	tests := []struct {
		name, file string
		spoil      func(t *testing.T, s *site)
		want       error // nil: any
	}{
		{"name is taken", "taken", nil, ErrExist},
		{"name is a dangling symlink", "symlink", nil, ErrExist},
		{"name is a directory", "sub", nil, ErrExist},
		{"source longer than expected", "x", func(t *testing.T, s *site) { s.meta.Size-- }, nil},
		{"source shorter than expected", "x", func(t *testing.T, s *site) { s.meta.Size++ }, nil},
		{"target is a read-only snapshot", "x", func(t *testing.T, s *site) {
			s.dir = open(t, filepath.Dir(s.src.Name()))
		}, unix.EROFS},
		{"name with a slash", "sub/x", nil, unix.EINVAL},
		{"dot dot", "..", nil, unix.EINVAL},
		{"empty name", "", nil, unix.EINVAL},
		{"name with a NUL", "a\x00b", nil, unix.EINVAL},
		{"name of 256 bytes", strings.Repeat("n", 256), nil, unix.ENAMETOOLONG},
	}
	for _, tt := range tests {
		s := newSite(t, 7300)
		dir := s.dir.Name()
		write(t, filepath.Join(dir, "taken"), []byte("the user's"))
		os.Symlink("../outside", filepath.Join(dir, "symlink"))
		os.Mkdir(filepath.Join(dir, "sub"), 0o700)
		if tt.spoil != nil {
			tt.spoil(t, &s)
		}
		before := listing(t, filepath.Dir(dir))
		got, err := Place(s.src, s.dir, tt.file, s.meta)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if got != (Placed{}) {
			t.Errorf("%s: returned %+v", tt.name, got)
		}
		if d := cmp.Diff(before, listing(t, filepath.Dir(dir))); d != "" {
			t.Errorf("%s: the store changed:\n%s", tt.name, d)
		}
	}
}

// TestPlaceSourceType: nothing but a regular file is even read.
func TestPlaceSourceType(t *testing.T) {
	s := newSite(t, 10)
	for name, src := range map[string]*os.File{"directory": s.dir, "FIFO": fifo(t), "device": open(t, "/dev/zero")} {
		if _, err := Place(src, s.dir, "x", s.meta); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v, want %q", name, err, "no regular file")
		}
	}
	if got := listing(t, s.dir.Name()); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// TestPlaceEndlessSource: what is copied stops at the announced size, however
// long the source has become.
func TestPlaceEndlessSource(t *testing.T) {
	s := newSite(t, 0)
	small := btrfstest.New(t, 64<<20)
	s.src = open(t, endless(t))
	s.meta.Size = 100
	s.dir = open(t, small.Path)
	if _, err := Place(s.src, s.dir, "x", s.meta); err == nil || errors.Is(err, unix.ENOSPC) {
		t.Errorf("error %v, want one about the size", err)
	}
}

// TestPlaceNoSpace: a copy that does not fit leaves no name.
func TestPlaceNoSpace(t *testing.T) {
	s := newSite(t, 80<<20)
	small := btrfstest.New(t, 64<<20)
	s.dir = open(t, small.Path)
	if _, err := Place(s.src, s.dir, "x", s.meta); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error %v, want ENOSPC", err)
	}
	if got := listing(t, small.Path); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// TestPlaceAfterPowerCut: the kernel commits names without waiting for data
// (CommitMetadata), then the power goes. A mail that has its name must be whole,
// cloned or copied, without any sync by the caller.
func TestPlaceAfterPowerCut(t *testing.T) {
	fs := btrfstest.New(t, 256<<20)
	data := randomBytes(7300)
	write(t, filepath.Join(fs.Subvolume(t, "mirror"), "mail"), data)
	live := open(t, fs.Subvolume(t, "live"))
	near := open(t, filepath.Join(fs.Snapshot(t, filepath.Join(fs.Path, "mirror"), "snap"), "mail"))
	far := filepath.Join(t.TempDir(), "mail") // on another file system
	write(t, far, data)
	m := Meta{Mode: 0o600, Mtime: mtime, Size: int64(len(data))}
	for name, src := range map[string]*os.File{"cloned": near, "copied": open(t, far)} {
		for i := range 50 {
			p, err := Place(src, live, fmt.Sprint(name, i), m)
			if err != nil || p.Shared != (name == "cloned") {
				t.Fatalf("%s: %+v, %v", name, p, err)
			}
		}
	}
	fs.CommitMetadata(t, "commit")
	after := filepath.Join(fs.PowerCut(t), "live")
	if n := len(listing(t, after)); n != 100 {
		t.Errorf("%d mails after the cut, want 100", n)
	}
	for name := range listing(t, after) {
		if got, err := os.ReadFile(after + name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes after the cut, want %d (%v)", name, len(got), len(data), err)
		}
	}
}

func checkFile(t *testing.T, path string, s site, p Placed) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Error(err)
		return
	}
	type facts struct {
		Ino, Nlink   uint64
		UID, GID     int
		Mode         uint32
		Mtime, Atime int64
		Size         int64
	}
	got := facts{st.Ino, uint64(st.Nlink), int(st.Uid), int(st.Gid), st.Mode, st.Mtim.Nano(), st.Atim.Nano(), st.Size}
	m := s.meta
	want := facts{p.Ino, 1, m.UID, m.GID, unix.S_IFREG | uint32(m.Mode), m.Mtime, m.Mtime, m.Size}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s, %d bytes (-want +got):\n%s", path, m.Size, d)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, s.data) {
		t.Errorf("%s: %d bytes, not the same (%v)", path, len(data), err)
	}
	if got := listing(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("beside the mail: %v", got)
	}
}

// checkRefusesClone makes sure that the case tests what it says.
func checkRefusesClone(t *testing.T, s site, want unix.Errno) {
	t.Helper()
	tmp, err := tempFile(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tmp.Close()
	if err := unix.IoctlFileClone(int(tmp.Fd()), int(s.src.Fd())); err != want {
		t.Errorf("FICLONE: %v, want %v: the case tests nothing", err, want)
	}
}
