package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/tree"
)

// dirs returns all directories below the root with owner and mode, and files.
func (v *live) dirs() string {
	v.t.Helper()
	var b strings.Builder
	must(v.t, filepath.WalkDir(v.path, func(p string, d os.DirEntry, err error) error {
		rel, _ := filepath.Rel(v.path, p)
		if err == nil && strings.Contains(rel, "F") { // the tests' folders have an F in their name
			fmt.Fprintf(&b, "%s\n", rel)
			st := v.stat(rel)
			want := uint32(0o600)
			if d.IsDir() {
				want = 0o700
			}
			if st.Uid != uid || st.Gid != uid || st.Mode&0o7777 != want {
				v.t.Errorf("%s is %d:%d, mode %o", rel, st.Uid, st.Gid, st.Mode&0o7777)
			}
		}
		return err
	}))
	return b.String()
}

func lines(s string) string { return strings.Join(strings.Fields(s), "\n") + "\n" }

const fsLayout = "fs"

// What is there (directories end in a slash, "F/+" is a whole Maildir), what is
// done, how it ends, and what is there then.
func TestFolders(t *testing.T) {
	pp, whole := func(dir string) string {
		return fmt.Sprintf("%[1]s %[1]s/cur %[1]s/maildirfolder %[1]s/new %[1]s/tmp", dir)
	},
		func(dir string) string { return fmt.Sprintf("%[1]s %[1]s/cur %[1]s/new %[1]s/tmp", dir) }
	cases := []struct {
		name, layout, have string
		op                 Op
		why, want          string
	}{
		{"make", "", "", Op{Kind: MakeFolder, Folder: "F"}, "", pp(".F")},
		{"make below nothing", "", "", Op{Kind: MakeFolder, Folder: "F/Ä.b"}, "", pp(`.F.&AMQ-\2eb`)},
		{"make what is there", "", ".F/+", Op{Kind: MakeFolder, Folder: "F"}, "", pp(".F")},
		{"make the other half", "", ".F/ .F/cur/", Op{Kind: MakeFolder, Folder: "F"}, "", pp(".F")},
		{"make where a file is", "", ".F", Op{Kind: MakeFolder, Folder: "F"}, "not a directory", ".F"},
		{"make, fs", fsLayout, "", Op{Kind: MakeFolder, Folder: "F"}, "", whole("F")},
		{"make with parents, fs", fsLayout, "", Op{Kind: MakeFolder, Folder: "F/g/h"}, "", "F F/g " + whole("F/g/h")},
		{"make a parent a folder, fs", fsLayout, "F/ F/g/+", Op{Kind: MakeFolder, Folder: "F"}, "", "F F/cur " + whole("F/g") + " F/new F/tmp"},

		{"rename", "", ".F/+", Op{Kind: RenameFolder, Folder: "F", NewFolder: "F2"}, "", whole(".F2")},
		{"rename, done before", "", ".F2/+", Op{Kind: RenameFolder, Folder: "F", NewFolder: "F2"}, "", whole(".F2")},
		{"rename, both gone", "", "", Op{Kind: RenameFolder, Folder: "F", NewFolder: "F2"}, string(raceGone), ""},
		{"rename, target there", "", ".F/+ .F2/+", Op{Kind: RenameFolder, Folder: "F", NewFolder: "F2"}, string(raceTaken), whole(".F") + " " + whole(".F2")},
		{"rename another folder", "", ".F/+", Op{Kind: RenameFolder, Folder: "F", NewFolder: "F2", From: tree.File{Ino: 1}}, "another folder", whole(".F")},
		{"rename INBOX", "", "", Op{Kind: RenameFolder, Folder: "INBOX", NewFolder: "F2"}, "INBOX", ""},
		{"rename, fs, children go along", fsLayout, "F/+ F/g/+", Op{Kind: RenameFolder, Folder: "F", NewFolder: "F2/x"}, "",
			"F2 F2/x F2/x/cur " + whole("F2/x/g") + " F2/x/new F2/x/tmp"},

		{"remove", "", ".F/+ .F/maildirfolder .F/dovecot-uidlist .F/dovecot.index.log .F/dovecot-keywords", Op{Kind: RemoveFolder, Folder: "F"}, "", ""},
		{"remove, done before", "", "", Op{Kind: RemoveFolder, Folder: "F"}, "", ""},
		{"remove the rest of one", "", ".F/ .F/dovecot.index", Op{Kind: RemoveFolder, Folder: "F"}, "", ""},
		{"remove, mail in cur", "", ".F/+ .F/dovecot-uidlist .F/cur/1:2,", Op{Kind: RemoveFolder, Folder: "F"}, "something in cur",
			".F .F/cur .F/cur/1:2, .F/dovecot-uidlist .F/new .F/tmp"},
		{"remove, mail in new", "", ".F/+ .F/new/1", Op{Kind: RemoveFolder, Folder: "F"}, "something in new",
			".F .F/cur .F/new .F/new/1 .F/tmp"},
		{"remove, delivery under way", "", ".F/+ .F/tmp/1", Op{Kind: RemoveFolder, Folder: "F"}, "something in tmp",
			".F .F/cur .F/new .F/tmp .F/tmp/1"},
		{"remove, something else in it", "", ".F/+ .F/notes.txt", Op{Kind: RemoveFolder, Folder: "F"}, `holds "notes.txt"`,
			".F .F/cur .F/new .F/notes.txt .F/tmp"},
		{"remove, a directory with a name of Dovecot's", "", ".F/+ .F/dovecot.index/", Op{Kind: RemoveFolder, Folder: "F"}, `holds "dovecot.index"`,
			".F .F/cur .F/dovecot.index .F/new .F/tmp"},
		{"remove another folder", "", ".F/+", Op{Kind: RemoveFolder, Folder: "F", From: tree.File{Ino: 1}}, "another folder", whole(".F")},
		{"remove, fs, child stays", fsLayout, "F/+ F/dovecot-uidlist F/g/+", Op{Kind: RemoveFolder, Folder: "F"}, "", "F " + whole("F/g")},
		{"remove, fs, the rest of one", fsLayout, "F/ F/new/ F/dovecot-uidlist", Op{Kind: RemoveFolder, Folder: "F"}, "", ""},
		{"remove, fs, mail", fsLayout, "F/+ F/new/1", Op{Kind: RemoveFolder, Folder: "F"}, "something in new", "F F/cur F/new F/new/1 F/tmp"},
		{"remove INBOX", "", "", Op{Kind: RemoveFolder, Folder: "INBOX"}, "INBOX", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := newLive(t, tree.Layout{FS: c.layout == fsLayout})
			for _, p := range strings.Fields(c.have) {
				if dir, ok := strings.CutSuffix(p, "/+"); ok {
					v.maildir(dir)
				} else if dir, ok := strings.CutSuffix(p, "/"); ok {
					must(t, os.Mkdir(filepath.Join(v.path, dir), 0o700))
					must(t, os.Chown(filepath.Join(v.path, dir), uid, uid))
				} else {
					v.write(p, "")
				}
			}
			r := v.run(c.op)[0]
			if why := fmt.Sprint(r.Why, r.Err); c.why == "" && r.Outcome != Done || !strings.Contains(why, c.why) {
				t.Errorf("%v: %q %v, want %q", r.Outcome, r.Why, r.Err, c.why)
			}
			got := v.dirs()
			want := lines(c.want)
			if c.want == "" {
				want = ""
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("store (-want +got)\n%s", d)
			}
			if r.Outcome == Done && c.op.Kind != RemoveFolder {
				name := c.op.Folder
				if c.op.Kind == RenameFolder {
					name = c.op.NewFolder
				}
				dir, _ := v.layout.Dir(name)
				if r.File.Folder != name || r.File.Ino != v.stat(dir).Ino {
					t.Errorf("result %+v", r.File)
				}
			}
			if names, _ := os.ReadDir(v.path + "/tmp"); len(names) != 0 {
				t.Errorf("left in tmp: %v", names)
			}
		})
	}
}

// An empty subvolume becomes a store.
func TestMakeInbox(t *testing.T) {
	v := newLive(t, tree.Layout{})
	for _, d := range []string{"cur", "new", "tmp"} {
		must(t, os.Remove(filepath.Join(v.path, d)))
	}
	rs := v.run(Op{Kind: MakeFolder, Folder: "F"}, Op{Kind: MakeFolder, Folder: "INBOX"}, v.place(Target{Folder: "INBOX", Unique: "1.x.h"}))
	for _, r := range rs {
		if r.Outcome != Done {
			t.Errorf("%v %q %v", r.Outcome, r.Why, r.Err)
		}
	}
	if v.stat("tmp").Uid != uid || v.stat("cur").Uid != uid {
		t.Error("owner")
	}
	if _, err := os.Lstat(v.path + "/maildirfolder"); err == nil {
		t.Error("the root is marked as a folder")
	}
}

// Files in tmp/ that Dovecot would remove are no reason to keep a folder.
func TestRemoveOldTmp(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".F")
	v.write(".F/tmp/old", "")
	v.now = func() time.Time { return time.Now().Add(37 * time.Hour) }
	if r := v.run(Op{Kind: RemoveFolder, Folder: "F"})[0]; r.Outcome != Done {
		t.Errorf("%v %q %v", r.Outcome, r.Why, r.Err)
	}
	if got := v.dirs(); got != "" {
		t.Errorf("left:\n%s", got)
	}
}

// What a killed run left in tmp/ goes when the store is opened; nobody else's does.
func TestLeftovers(t *testing.T) {
	v := newLive(t, tree.Layout{})
	dead, alive := deadPid(t), livePid(t)
	mine := fmt.Sprintf("tmp/snapmerge.%d.1", dead)
	v.maildir(mine)
	v.write(mine+"/maildirfolder", "")
	v.write(fmt.Sprintf("tmp/snapmerge.%d.2", dead), "0 One\n")
	v.maildir(fmt.Sprintf("tmp/snapmerge.%d.3", dead))
	v.mail("", fmt.Sprintf("tmp/snapmerge.%d.3/cur/mail", dead))
	v.write(fmt.Sprintf("tmp/snapmerge.%d.1", alive), "")
	v.write("tmp/1.x.h", "")
	v.write("tmp/snapmerge.notes", "")
	v.open(tree.Layout{})
	names, err := os.ReadDir(v.path + "/tmp")
	must(t, err)
	var got []string
	for _, n := range names {
		got = append(got, n.Name())
	}
	want := []string{"1.x.h", fmt.Sprintf("snapmerge.%d.1", alive), fmt.Sprintf("snapmerge.%d.3", dead), "snapmerge.notes"}
	if d := cmp.Diff(toSet(want), toSet(got)); d != "" {
		t.Error(d)
	}
}

func toSet(s []string) map[string]bool {
	m := map[string]bool{}
	for _, x := range s {
		m[x] = true
	}
	return m
}
