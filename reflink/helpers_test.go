package reflink

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var extentLine = regexp.MustCompile(`(?m)^ *\d+: .*$`)

// extents returns the lines of filefrag -v: logical and physical ranges, flags.
func extents(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.Command("filefrag", "-v", path).CombinedOutput()
	if err != nil {
		t.Fatalf("filefrag: %v: %s", err, out)
	}
	return extentLine.FindAllString(string(out), -1)
}

// listing returns path, mode, size, link count and inode of all below dir.
func listing(t *testing.T, dir string) map[string][4]uint64 {
	t.Helper()
	all := map[string][4]uint64{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if p != dir && err == nil {
			err = unix.Lstat(p, &st)
			all[strings.TrimPrefix(p, dir)] = [4]uint64{uint64(st.Mode), uint64(st.Size), uint64(st.Nlink), st.Ino}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func fifo(t *testing.T) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// endless makes a sparse file larger than any test file system.
func endless(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "endless")
	write(t, path, nil)
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	return path
}
