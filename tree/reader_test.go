package tree

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
)

// TestReader: asked for every folder and file that Scan found, and for others
// beside them, a Reader has the same.
func TestReader(t *testing.T) {
	for _, tt := range []struct {
		what   string
		layout Layout
		lines  []string
		subvol string // a nested subvolume, with files in it
	}{
		{"Maildir++", Layout{}, []string{"cur/", "new/", "tmp/", "cur/a:2,S", "new/b", "cur/.hidden", "cur/x:2,:2,", "cur/d/", "cur/p |",
			".a/cur/", ".a/cur/1", ".a.b/new/", ".a.b/new/2", ".bare/", ".a/dovecot-keywords = 0 Junk\n", ".x&bad/cur/", ".x&bad/cur/3",
			".l -> .a", ".k/new -> ../new", ".k/cur/", "file = x", ".f = x", "..DOVECOT-TRASHED/cur/"}, ".n"},
		{"fs", Layout{FS: true}, []string{"cur/", "cur/a", "a/cur/", "a/cur/1", "a/b/cur/", "a/b/new/2", "a/c/", "dovecot-keywords = 1 Work\n",
			"l/cur -> ../a/cur", "m -> a", "xapian-indexes/cur/", "a/.h/cur/", "x&bad/a/cur/", "f = x"}, "a/c/cur"},
		{"no INBOX", Layout{}, []string{".a/cur/", ".a/cur/1"}, "cur"},
		{"a link is INBOX", Layout{}, []string{"cur -> .a", ".a/new/"}, ".n"},
		{"empty", Layout{}, nil, "new"},
		{"nothing at all", Layout{FS: true}, nil, "a"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			live := btrfstest.Shared(t).Subvolume(t, "live")
			build(t, live, withDirs(tt.lines)...)
			if out, err := exec.Command("btrfs", "subvolume", "create", filepath.Join(live, tt.subvol)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			build(t, live, tt.subvol+"/1", tt.subvol+"/cur/", tt.subvol+"/cur/1")
			checkReader(t, live, tt.layout)
		})
	}
}

// withDirs puts the directory before each file that is in one.
func withDirs(lines []string) (all []string) {
	for _, l := range lines {
		all = append(all, filepath.Dir(l)+"/", l)
	}
	return all
}

func checkReader(t *testing.T, live string, l Layout) {
	root, err := os.Open(live)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	want, err := Scan(root, l)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(root, l)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := &Tree{}
	if got.Folders, err = r.Folders(); err != nil {
		t.Fatal(err)
	}
	single := &Tree{}
	for _, name := range []string{"INBOX", "a", "a/b", "a/c", "bare", "k", "n", "l", "m", "x", "f", "file", "never", "never/a", "f/a", "m/b", "l/b",
		"xapian-indexes", "a/.h", "INBOX/a", "inbox", "DOVECOT-TRASHED", "new", "cur", ""} {
		f, ok, err := r.Folder(name)
		if err != nil {
			t.Fatalf("folder %q: %v", name, err)
		}
		if !ok {
			continue
		}
		single.Folders = append(single.Folders, f)
		for _, isNew := range []bool{false, true} {
			files, err := r.Files(f.Name, isNew)
			if err != nil {
				t.Fatal(err)
			}
			got.Files = append(got.Files, files...)
			for _, name := range []string{"a:2,S", "b", ".hidden", "x:2,:2,", "d", "p", "1", "2", "3", "none", "a"} {
				file, links, err := r.File(f.Name, isNew, name)
				if err != nil {
					t.Fatal(err)
				}
				if links == 1 {
					single.Files = append(single.Files, file)
				}
			}
		}
	}
	got.Sort()
	single.Sort()
	if diff := cmp.Diff([]any{want.Folders, want.Files}, []any{got.Folders, got.Files}); diff != "" {
		t.Errorf("-Scan +Folders and Files:\n%s", diff)
	}
	if diff := cmp.Diff([]any{want.Folders, want.Files}, []any{single.Folders, single.Files}); diff != "" {
		t.Errorf("-Scan +Folder and File:\n%s", diff)
	}
	refused, _ := r.Refused()
	for _, no := range refused {
		if !slices.Contains(want.Refused, no) {
			t.Errorf("Scan does not refuse %q: %s", no.Path, no.Why)
		}
	}
}

// TestReaderLinks: names of one inode, wherever they are, and what is no file.
func TestReaderLinks(t *testing.T) {
	live := btrfstest.Shared(t).Subvolume(t, "live")
	build(t, live, "cur/", "cur/1", "tmp/", "cur/2", "l -> cur", "cur/l -> 2", "p |")
	if err := os.Link(live+"/cur/1", live+"/tmp/x"); err != nil {
		t.Fatal(err)
	}
	root, err := os.Open(live)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := NewReader(root, Layout{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for path, want := range map[string]int{"cur/1": 2, "tmp/x": 2, "cur/2": 1, "cur": 0, "l": 0, "l/2": 0, "cur/l": 0, "p": 0,
		"none": 0, "none/x": 0, "cur/1/x": 0, "../live/cur/2": 0} {
		_, links, err := r.Links(path)
		if links != want || err != nil {
			t.Errorf("%s: %d links, %v; want %d", path, links, err, want)
		}
	}
	f, links, err := r.File(Inbox, false, "1")
	if err != nil || links != 2 || f.Ino == 0 {
		t.Errorf("%+v, %d links, %v", f, links, err)
	}
}
