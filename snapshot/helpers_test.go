package snapshot

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

func mkdir(t *testing.T, f *btrfstest.FS, rel string) string {
	t.Helper()
	path := filepath.Join(f.Path, rel)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// show returns what "btrfs subvolume show" prints, by label.
func show(t *testing.T, path string) map[string]string {
	t.Helper()
	facts := map[string]string{}
	for line := range strings.Lines(run(t, "btrfs", "subvolume", "show", path)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[k] = strings.TrimSpace(v)
		}
	}
	return facts
}

// orDash prints a UUID as btrfs(8) does.
func orDash(u UUID) string {
	if u == (UUID{}) {
		return "-"
	}
	return u.String()
}

// tree returns all paths below dir with their types.
func tree(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	all := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			all[p] = d.Type()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// inode256 makes a tmpfs with a directory whose inode number is that of a
// subvolume's root.
func inode256(t *testing.T) string {
	t.Helper()
	mnt := t.TempDir()
	if err := unix.Mount("none", mnt, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(mnt, 0) })
	for {
		dir, err := os.MkdirTemp(mnt, "")
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil || st.Ino > 256 {
			t.Fatalf("no inode 256 in a tmpfs: %d, %v", st.Ino, err)
		}
		if st.Ino == 256 {
			return dir
		}
	}
}
