package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// mails writes 100 mails of which nothing is on disk yet.
func mails(t *testing.T, root, content string) {
	t.Helper()
	for i := range 100 {
		write(t, filepath.Join(root, "mail"+strconv.Itoa(i)), content)
	}
}

// TestSeal: what was made as .part gets its name, is read-only and a received
// one, to btrfs(8) too; the next is a branch of it with its mail, writable, and
// not a received one until it is sealed itself.
func TestSeal(t *testing.T) {
	fs := btrfstest.Shared(t)
	dir := mkdir(t, fs, "snaps")
	uuid := UUID{1, 2, 3}
	root, err := Create(dir, "online.1")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if st, err := root.Stat(); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	write(t, filepath.Join(dir, "online.1.part/mail"), "one")
	if err := Seal(root, dir, "online.1", uuid, 7, true); err != nil {
		t.Fatal(err)
	}
	facts := show(t, filepath.Join(dir, "online.1"))
	if facts["Received UUID"] != uuid.String() || facts["Flags"] != "readonly" || facts["Send transid"] != "7" {
		t.Errorf("%v", facts)
	}
	next, err := Branch(dir, "online.1", "online.2")
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if data, err := os.ReadFile(filepath.Join(dir, "online.2.part/mail")); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
	write(t, filepath.Join(dir, "online.2.part/more"), "two")
	if info, err := Read(filepath.Join(dir, "online.2.part")); err != nil || info.ReadOnly || info.ReceivedUUID != (UUID{}) {
		t.Errorf("%+v, %v", info, err)
	}
	if err := Seal(next, dir, "online.2", UUID{4}, 8, true); err != nil {
		t.Fatal(err)
	}
	list, err := List(dir)
	if err != nil || len(list) != 2 || list[1].Info.ReceivedUUID != (UUID{4}) || list[1].Info.Stransid != 8 || !list[1].Info.ReadOnly {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestSealRefuses: a name that is taken stays as it is, and so does a .part that
// is not the subvolume that was filled.
func TestSealRefuses(t *testing.T) {
	fs := btrfstest.Shared(t)
	dir := mkdir(t, fs, "snaps")
	live := fs.Subvolume(t, "live")
	root, err := Create(dir, "online.1")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := Create(dir, "online.1"); !errors.Is(err, ErrExists) {
		t.Errorf("a second one of that name: %v", err)
	}
	if err := Take(live, dir, "online.1"); err != nil {
		t.Fatal(err)
	}
	before, _ := Read(filepath.Join(dir, "online.1"))
	if err := Seal(root, dir, "online.1", UUID{1}, 1, true); !errors.Is(err, ErrExists) {
		t.Errorf("over another snapshot: %v", err)
	}
	if after, err := Read(filepath.Join(dir, "online.1")); err != nil || after != before {
		t.Errorf("%+v, %v, was %+v", after, err, before)
	}
	if _, err := Branch(dir, "online.1", "online.1"); !errors.Is(err, ErrExists) {
		t.Errorf("a branch of a name that is taken: %v", err)
	}
	if err := os.Rename(live, filepath.Join(dir, "online.3")); err != nil {
		t.Fatal(err)
	}
	if _, err := Branch(dir, "online.3", "online.4"); !errors.Is(err, ErrNotSnapshot) {
		t.Errorf("a branch of a writable subvolume: %v", err)
	}
	other, err := Create(dir, "online.2")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := Seal(root, dir, "online.2", UUID{1}, 1, true); !errors.Is(err, ErrExists) {
		t.Errorf("another's .part: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "online.2")); !errors.Is(err, unix.ENOENT) {
		t.Errorf("it got the name: %v", err)
	}
	for _, bad := range []string{"", "..", "a/b", strings.Repeat("n", 255)} {
		if _, err := Create(dir, bad); err == nil {
			t.Errorf("%q was made", bad)
		}
	}
}

// TestDiscard: a leftover goes, read-only or not, and nothing else does.
func TestDiscard(t *testing.T) {
	fs := btrfstest.Shared(t)
	dir := mkdir(t, fs, "snaps")
	for _, name := range []string{"online.1", "online.2"} {
		root, err := Create(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name+".part/mail"), "half")
		if name == "online.2" {
			if err := setReadOnly(root); err != nil {
				t.Fatal(err)
			}
		}
		root.Close()
	}
	fs.Snapshot(t, fs.Subvolume(t, "live"), "snaps/online.3")
	fs.Subvolume(t, "snaps/theirs.part")
	mkdir(t, fs, "snaps/online.4.part")
	write(t, filepath.Join(dir, "online.5.part"), "a file")
	if err := os.Symlink("online.3", filepath.Join(dir, "online.6.part")); err != nil {
		t.Fatal(err)
	}
	found, err := Leftovers(dir)
	if diff := cmp.Diff([]string{"online.1", "online.2"}, found); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if list, err := List(dir); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	for name, want := range map[string]error{"online.1": nil, "online.2": nil, "online.3": ErrNotExist,
		"online.4": ErrNotSubvolume, "online.5": ErrNotSubvolume, "online.6": ErrNotSubvolume, "../live": unix.EINVAL} {
		if err := Discard(dir, name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	var left []string
	for p := range tree(t, dir) {
		left = append(left, strings.TrimPrefix(p, dir))
	}
	slices.Sort(left)
	if diff := cmp.Diff([]string{"", "/online.3", "/online.4.part", "/online.5.part", "/online.6.part", "/theirs.part"}, left); diff != "" {
		t.Error(diff)
	}
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// TestSealUnwritten: a cut after the sealing of a copy in which nothing was changed
// leaves it whole under its name, as soon as the directory is synced.
func TestSealUnwritten(t *testing.T) {
	content := strings.Repeat("on disk since the first copy ", 300)
	fs := btrfstest.New(t, 256<<20)
	root, err := Create(fs.Path, "online.1")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	mails(t, filepath.Join(fs.Path, "online.1.part"), content)
	if err := Seal(root, fs.Path, "online.1", UUID{1}, 1, true); err != nil {
		t.Fatal(err)
	}
	next, err := Branch(fs.Path, "online.1", "online.2")
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	steps := append(sealing(next, fs.Path, "online.2", UUID{2}, 2, false), step{"sync the directory", func() error { return syncDir(fs.Path) }})
	for i, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.what, err)
		}
		cut := fs.PowerCut(t)
		_, err := os.Stat(filepath.Join(cut, "online.2"))
		switch last := i == len(steps)-1; {
		case last && err != nil:
			t.Errorf("not there under its name when the directory is synced: %v", err)
		case err == nil && whole(t, cut, "online.2", content) != 100:
			t.Errorf("after %q %d mails are whole", s.what, whole(t, cut, "online.2", content))
		}
	}
}

// TestSealPowerCut: a power cut after any step of sealing leaves the subvolume
// under its .part name, or under its own with every mail whole. Without the first
// sync it does not: the read-only subvolume has its name and received UUID, and
// mails in it are empty. So this test can fail.
func TestSealPowerCut(t *testing.T) {
	content := strings.Repeat("not yet on disk ", 500)
	for _, first := range []string{"sync", "no sync"} {
		t.Run(first, func(t *testing.T) {
			fs := btrfstest.New(t, 256<<20)
			root, err := Create(fs.Path, "online.1")
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			mails(t, filepath.Join(fs.Path, "online.1.part"), content)
			steps := sealing(root, fs.Path, "online.1", UUID{1}, 1, true)
			if first == "no sync" {
				steps = slices.DeleteFunc(steps, func(s step) bool { return s.what == "sync" })
			}
			steps = append(steps, step{"sync the directory", func() error { return syncDir(fs.Path) }})
			var broken int
			for i, s := range steps {
				if err := s.do(); err != nil {
					t.Fatalf("%s: %v", s.what, err)
				}
				last := i == len(steps)-1
				if !last { // the kernel may commit at any moment
					fs.CommitMetadata(t, "other"+strconv.Itoa(i))
				}
				cut := fs.PowerCut(t)
				_, err := os.Stat(filepath.Join(cut, "online.1"))
				if err == nil && whole(t, cut, "online.1", content) < 100 {
					broken++
				}
				if last && err != nil {
					t.Errorf("not there under its name when the directory is synced: %v", err)
				}
			}
			if (broken > 0) != (first == "no sync") {
				t.Errorf("%d cuts left a subvolume under its name with broken mails", broken)
			}
		})
	}
}
