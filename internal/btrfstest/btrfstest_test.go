package btrfstest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { Main(m) }

// TestShared: two fresh directories of one btrfs.
func TestShared(t *testing.T) {
	a, b := Shared(t), Shared(t)
	if a.Path == b.Path {
		t.Errorf("the same directory twice: %s", a.Path)
	}
	var sa, sb unix.Statfs_t
	if err := errors.Join(unix.Statfs(a.Path, &sa), unix.Statfs(b.Path, &sb)); err != nil {
		t.Fatal(err)
	}
	if sa.Type != unix.BTRFS_SUPER_MAGIC || sa.Fsid != sb.Fsid {
		t.Errorf("not one btrfs: type %x, %v and %v", sa.Type, sa.Fsid, sb.Fsid)
	}
}

// TestSubvolumeAndSnapshot: both are subvolumes (inode 256), the snapshot has
// the content and takes no write.
func TestSubvolumeAndSnapshot(t *testing.T) {
	fs := Shared(t)
	live := fs.Subvolume(t, "deep/live")
	if err := os.WriteFile(filepath.Join(live, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	snap := fs.Snapshot(t, live, "snaps/1")
	for _, p := range []string{live, snap} {
		var st unix.Stat_t
		if err := unix.Stat(p, &st); err != nil || st.Ino != 256 {
			t.Errorf("%s: inode %d, error %v", p, st.Ino, err)
		}
	}
	if _, err := os.Stat(filepath.Join(snap, "f")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(snap, "g"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("write into the snapshot: %v, want EROFS", err)
	}
}

// TestNewIsSmallAndGoesAway: a file system of 64 MiB is full after 64 MiB, and
// after the test neither mount, image nor loop device is left.
func TestNewIsSmallAndGoesAway(t *testing.T) {
	var dir string
	t.Run("use", func(t *testing.T) {
		fs := New(t, 64<<20)
		dir = filepath.Dir(fs.Path)
		err := os.WriteFile(filepath.Join(fs.Path, "big"), bytes.Repeat([]byte("snapmerge"), 8<<20), 0o600)
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("72 MB in 64 MiB: %v, want ENOSPC", err)
		}
	})
	checkGone(t, dir)
}

// TestKilledRun: a test binary dies with its file system mounted; the next one
// cleans up. What a living one holds is left alone.
func TestKilledRun(t *testing.T) {
	living := New(t, 64<<20)
	dead, err := newMount(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	dead.lock.Close() // as the kernel does for a killed process
	New(t, 64<<20)
	checkGone(t, dead.dir)
	if err := os.WriteFile(filepath.Join(living.Path, "f"), nil, 0o600); err != nil {
		t.Error(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(living.Path, &st); err != nil || st.Type != unix.BTRFS_SUPER_MAGIC {
		t.Errorf("the living one is gone: %x, %v", st.Type, err)
	}
}

// TestBusyNamesTheProcess: a file left open is the mistake that tests make.
func TestBusyNamesTheProcess(t *testing.T) {
	m, err := newMount(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(m.path(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	if pids := users(m.path()); len(pids) != 1 || pids[0] != os.Getpid() {
		t.Errorf("users: %v, want our own %d", pids, os.Getpid())
	}
	if err := unix.Unmount(m.path(), 0); err != unix.EBUSY {
		t.Errorf("unmount: %v, want EBUSY", err)
	}
	f.Close()
	if err := m.remove(); err != nil {
		t.Error(err)
	}
}

// TestPowerCut: after a commit of metadata a file written before is there and
// empty; after a sync it is whole; one written later is not there.
func TestPowerCut(t *testing.T) {
	fs := New(t, 128<<20)
	create := func(name string) {
		if err := os.WriteFile(filepath.Join(fs.Path, name), make([]byte, 8000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	create("synced")
	unix.Sync()
	create("committed")
	fs.CommitMetadata(t, "c")
	create("lost")
	dir := fs.PowerCut(t)
	for name, want := range map[string]int64{"synced": 8000, "committed": 0, "lost": -1} {
		size := int64(-1)
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil {
			size = st.Size()
		}
		if size != want {
			t.Errorf("%s: %d bytes, want %d (-1: not there)", name, size, want)
		}
	}
}

func checkGone(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("%s is still mounted (%v)", dir, err)
	}
	loops, err := exec.Command("losetup", "-a").CombinedOutput()
	if err != nil || strings.Contains(string(loops), dir) {
		t.Errorf("loop device still attached (%v):\n%s", err, loops)
	}
}
