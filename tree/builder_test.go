package tree

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// builderStore has of everything that a scan tells apart.
var builderStore = []string{"cur/", "new/", "tmp/", "cur/a:2,S", "cur/b", "new/c", "cur/.hidden", "cur/x:2,:2,", "cur/d/", "cur/p |", "cur/l -> b",
	".a/cur/", ".a/cur/1", ".a.b/new/", ".a.b/new/2", ".bare/", ".a/dovecot-keywords = 0 Junk\n", ".x&bad/cur/", ".x&bad/cur/3",
	".l -> .a", ".k/cur/", ".k/new -> ../new", ".k/cur/k", "plain/cur/"}

func openStoreAt(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestBuilder: from the entries of all directories, whoever read them, a Builder
// makes what Scan makes, and a Reader a file of each that it has itself.
func TestBuilder(t *testing.T) {
	for _, l := range []Layout{{}, {Mirror: true}, {FS: true}} {
		live := btrfstest.Shared(t).Subvolume(t, "live")
		build(t, live, builderStore...)
		mark(t, filepath.Join(live, "cur/refused"), "too long", 0)
		root := openStoreAt(t, live)
		b, err := NewBuilder(root, l)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(root, l)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for i, d := range b.Dirs() {
			dir, err := l.Dir(d.Folder)
			if err != nil {
				t.Fatal(err)
			}
			dir = filepath.Join(live, dir, File{New: d.New}.Dir())
			var st unix.Stat_t
			if err := unix.Lstat(dir, &st); err != nil || st.Ino != d.Ino {
				t.Errorf("%s: inode %d, %v, want %d", dir, st.Ino, err, d.Ino)
			}
			names, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range names {
				if err := errors.Join(unix.Lstat(filepath.Join(dir, e.Name()), &st), b.Add(i, e.Name(), &st)); err != nil {
					t.Fatal(err)
				}
				f, ok, err := r.FileOf(d.Folder, d.New, e.Name(), &st)
				g, links, err2 := r.File(d.Folder, d.New, e.Name())
				if f != g || ok != (links > 0) || err != nil || err2 != nil {
					t.Errorf("%s: %+v, %v, %v, want %+v, %d links, %v", e.Name(), f, ok, err, g, links, err2)
				}
			}
		}
		want, err := Scan(root, l)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, b.Tree()); d != "" {
			t.Errorf("%+v: -Scan +Builder:\n%s", l, d)
		}
	}
}

// TestReaderDirs: folders as Folders has them, and directories as a Builder has.
func TestReaderDirs(t *testing.T) {
	live := btrfstest.Shared(t).Subvolume(t, "live")
	build(t, live, builderStore...)
	root := openStoreAt(t, live)
	r, err := NewReader(root, Layout{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	folders, dirs, err := r.Dirs()
	if err != nil {
		t.Fatal(err)
	}
	wantFolders, err := r.Folders()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBuilder(root, Layout{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]any{wantFolders, b.Dirs()}, []any{folders, dirs}); d != "" || len(dirs) != 5 {
		t.Errorf("-want +got:\n%s", d)
	}
	if refused, _ := r.Refused(); len(refused) == 0 {
		t.Error("nothing refused")
	}
}

// TestEntries: every name but the hidden ones, with its inode number, however many.
func TestEntries(t *testing.T) {
	live := btrfstest.Shared(t).Subvolume(t, "live")
	build(t, live, builderStore...)
	for i := range 3000 {
		build(t, live, fmt.Sprintf("cur/%d.M1P2Q3R4.a-long-host-name.example.net", i))
	}
	r, err := NewReader(openStoreAt(t, live), Layout{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := map[string]uint64{}
	e, err := r.Entries(Inbox, false)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for {
		ino, name, err := e.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[string(name)] = ino
	}
	want := map[string]uint64{}
	names, err := os.ReadDir(filepath.Join(live, "cur"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(live, "cur", n.Name()), &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			st.Ino = 0
		}
		if n.Name() != ".hidden" {
			want[n.Name()] = st.Ino
		}
	}
	if d := cmp.Diff(want, got); d != "" || len(want) < 2500 {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, folder := range []string{"k", "none"} {
		if e, err := r.Entries(folder, true); e != nil || err != nil {
			t.Errorf("new/ of %q: %v, %v", folder, e, err)
		}
	}
}
