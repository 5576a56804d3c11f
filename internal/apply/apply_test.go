package apply

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/dovecottest"
	"snapmerge/tree"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

const uid = dovecottest.UID

// A live is a Maildir in a subvolume, owned by a user, and the store opened on it.
type live struct {
	*Store
	t    *testing.T
	path string
	ctl  string // directory of the control files, "" if that is path
}

func newLive(t *testing.T, l tree.Layout) *live {
	t.Helper()
	path := btrfstest.Shared(t).Subvolume(t, "live")
	for _, d := range []string{filepath.Dir(path), path} {
		must(t, os.Chmod(d, 0o755))
	}
	must(t, os.Chmod(path, 0o700))
	must(t, os.Chown(path, uid, uid))
	v := &live{t: t, path: path}
	v.maildir(".")
	v.open(l)
	return v
}

func (v *live) open(l tree.Layout) {
	s, err := Open(v.path, v.ctl, l)
	must(v.t, err)
	v.t.Cleanup(func() { s.Close() })
	v.Store = s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// maildir makes cur, new and tmp in a directory below the root.
func (v *live) maildir(dir string) {
	v.t.Helper()
	for _, sub := range []string{"", "cur", "new", "tmp"} {
		p := filepath.Join(v.path, dir, sub)
		if err := os.Mkdir(p, 0o700); err == nil {
			must(v.t, os.Chown(p, uid, uid))
		} else if !errors.Is(err, fs.ErrExist) {
			v.t.Fatal(err)
		}
	}
}

// write makes a file of the user's.
func (v *live) write(name, content string) {
	v.t.Helper()
	p := filepath.Join(v.path, name)
	must(v.t, os.WriteFile(p, []byte(content), 0o600))
	must(v.t, os.Chown(p, uid, uid))
}

// mail makes a mail that says where it was, and returns what a scan would say.
func (v *live) mail(folder, path string) tree.File {
	v.t.Helper()
	v.write(path, "Subject: "+path+"\n\nhello\n")
	return v.file(folder, path)
}

func (v *live) file(folder, path string) tree.File {
	v.t.Helper()
	st := v.stat(path)
	return tree.File{Folder: folder, New: filepath.Base(filepath.Dir(path)) == "new", Name: filepath.Base(path),
		Ino: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano()}
}

func (v *live) stat(path string) *syscall.Stat_t {
	v.t.Helper()
	fi, err := os.Lstat(filepath.Join(v.path, path))
	must(v.t, err)
	return fi.Sys().(*syscall.Stat_t)
}

func owner(fi os.FileInfo) uint32 { return fi.Sys().(*syscall.Stat_t).Uid }

// run carries operations out and returns their results.
func (v *live) run(ops ...Op) []Result {
	v.t.Helper()
	var rs []Result
	must(v.t, v.Run(context.Background(), ops, func(i int, r Result) {
		if i != len(rs) {
			v.t.Errorf("done(%d) after %d results", i, len(rs))
		}
		rs = append(rs, r)
	}))
	return rs
}

// show returns every file below the root, one a line, with the first line of a
// mail where it has another name now; directories that hold nothing with a slash.
func (v *live) show() string {
	v.t.Helper()
	var b strings.Builder
	must(v.t, filepath.WalkDir(v.path, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(v.path, p)
		if err != nil || d.IsDir() {
			return err
		}
		b.WriteString(rel)
		if data, _ := os.ReadFile(p); strings.HasPrefix(string(data), "Subject: ") {
			line, _, _ := strings.Cut(string(data), "\n")
			if was := strings.TrimPrefix(line, "Subject: "); was != rel {
				b.WriteString(" < " + was)
			}
		}
		b.WriteString("\n")
		return nil
	}))
	return b.String()
}

// source makes a file beside the store, in the part of a snapshot.
func (v *live) source(content string) (func() (*os.File, error), int64) {
	p := filepath.Join(filepath.Dir(v.path), "source")
	must(v.t, os.WriteFile(p, []byte(content), 0o644))
	return func() (*os.File, error) { return os.Open(p) }, int64(len(content))
}

var someTime = time.Date(2015, 12, 21, 5, 57, 47, 123456789, time.UTC).UnixNano()

func (v *live) place(to Target) Op {
	src, size := v.source("Subject: from the snapshot\n\nhello\n")
	return Op{Kind: Place, To: to, Source: src, Size: size, Mtime: someTime}
}

func flags(t testing.TB, s string) tree.Flags {
	f, err := tree.ParseFlags(s)
	must(t, err)
	return f
}
