package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"snapmerge/snapshot"
)

// A mirrors is a directory in which mirrors are received, by the applying core
// alone: package mirror runs it in a process of its own.
type mirrors struct {
	t   testing.TB
	dir string
}

func newMirrors(t testing.TB, dir string) mirrors {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return mirrors{t, dir}
}

func (m mirrors) path(name string) string { return filepath.Join(m.dir, name) }

// head returns the first command of a stream: what online would have announced.
func head(t testing.TB, b []byte) Command {
	t.Helper()
	c, err := NewDecoder(bytes.NewReader(b), Limits{}).Next()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// options are those of a caller who asked for the snapshot that b says it is.
func (m mirrors) options(parent string, b []byte) ReceiveOptions {
	m.t.Helper()
	c := head(m.t, b)
	o := ReceiveOptions{UUID: c.UUID, ParentUUID: c.ParentUUID}
	if parent != "" {
		p, err := os.Open(m.path(parent))
		if err != nil {
			m.t.Fatal(err)
		}
		o.Parent = p
	}
	return o
}

// receive makes the mirror name of a stream, or nothing. It returns the filtered
// form of the stream.
func (m mirrors) receive(name, parent string, b []byte, o ReceiveOptions) ([]byte, ReceiveStats, error) {
	m.t.Helper()
	var err error
	if parent == "" {
		o.Root, err = snapshot.Create(m.dir, name)
	} else {
		o.Root, err = snapshot.Branch(m.dir, parent, name)
		defer o.Parent.Close()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	defer o.Root.Close()
	var applied bytes.Buffer
	o.Applied = &applied
	stats, err := Receive(bytes.NewReader(b), o)
	if err != nil {
		return nil, stats, errors.Join(err, snapshot.Discard(m.dir, name))
	}
	if err := snapshot.Seal(o.Root, m.dir, name, o.UUID, head(m.t, b).Transid, true); err != nil {
		m.t.Fatal(err)
	}
	return applied.Bytes(), stats, nil
}

// must receives a stream that is a good one.
func (m mirrors) must(name, parent string, b []byte) ([]byte, ReceiveStats) {
	m.t.Helper()
	applied, stats, err := m.receive(name, parent, b, m.options(parent, b))
	if err != nil {
		m.t.Fatalf("receive %s: %v", name, err)
	}
	return applied, stats
}

// stock has btrfs-receive(8) make a subvolume of a stream, in dir under the name
// that the stream has.
func stock(t testing.TB, dir string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("btrfs", "receive", dir)
	c.Stdin = bytes.NewReader(b)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("btrfs receive: %v: %s", err, out)
	}
	return filepath.Join(dir, head(t, b).Path)
}

// sendTo returns the stream of a snapshot, with data.
func sendTo(t testing.TB, snap, parent *os.File) []byte {
	t.Helper()
	r, w, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan error, 1)
	go func() {
		err := snapshot.Send(snap, parent, snapshot.SendFlags{}, w)
		w.Close()
		done <- err
	}()
	b, err := io.ReadAll(r)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return b
}

// A fact is what a test compares of a file. Files of one inode have one name in
// first.
type fact struct {
	Kind    string // "dir", "file", or why it is refused
	Size    int64
	Mtime   unix.Timespec
	Content string // its hash
	First   string
	Changed unix.Timespec // ctime online, atime here; zero if not compared
}

// facts lists all below a root. With ctimes, Changed is each file's ctime (what
// was sent), or its atime (mirror).
func facts(t testing.TB, root string, changed func(st *unix.Stat_t) unix.Timespec) map[string]fact {
	t.Helper()
	all, first := map[string]fact{}, map[uint64]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		if st.Ino == 2 { // a nested subvolume, which is not sent
			return fs.SkipDir
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f := fact{Kind: fileKind(t, p, &st), Mtime: st.Mtim}
		if _, ok := first[st.Ino]; !ok {
			first[st.Ino] = rel
		}
		f.First = first[st.Ino]
		if f.Kind == "file" {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			f.Size, f.Content = st.Size, fmt.Sprintf("%x", sha256.Sum256(b))
		}
		if f.Kind != "dir" && changed != nil {
			f.Changed = changed(&st)
		}
		all[rel] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func fileKind(t testing.TB, path string, st *unix.Stat_t) string {
	t.Helper()
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "dir"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFIFO:
		return "FIFO"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFREG:
		why := make([]byte, 100)
		n, err := unix.Lgetxattr(path, RefusedXattr, why)
		if err == unix.ENODATA {
			return "file"
		}
		if err != nil || st.Mode&0o7777 != 0 || st.Size != 0 {
			t.Errorf("%s: refused, and has mode %o, %d bytes: %v", path, st.Mode, st.Size, err)
		}
		return string(why[:n])
	}
	return "device"
}

// checkSafe looks for anything in a mirror that should not be there.
func checkSafe(t testing.TB, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		ok := st.Mode == unix.S_IFDIR|0o700 || st.Mode == unix.S_IFREG|0o600 || st.Mode == unix.S_IFREG && st.Size == 0
		if !ok || st.Uid != 0 || st.Gid != 0 {
			t.Errorf("%s: mode %o, owner %d:%d, %d bytes", p, st.Mode, st.Uid, st.Gid, st.Size)
		}
		names := make([]byte, 1000)
		n, err := unix.Llistxattr(p, names)
		if s := string(names[:n]); err != nil || s != "" && s != RefusedXattr+"\x00" {
			t.Errorf("%s: extended attributes %q, %v", p, s, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func deleteSubvolume(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		return
	}
	if out, err := exec.Command("btrfs", "subvolume", "delete", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
