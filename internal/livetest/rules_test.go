package livetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"snapmerge/internal/dovecottest"
	"snapmerge/merge"
	"snapmerge/tree"
)

// TestRules are rules that take more than a line of a table to show. Each test
// begins with what [start] makes.
func TestRules(t *testing.T) {
	p := startPair(t, setup{})
	t.Run("group", func(t *testing.T) {
		for i, r := range ruleTests {
			t.Run(r.rule, func(t *testing.T) {
				t.Parallel()
				w := p.newWorld(t, fmt.Sprintf("r%d", i))
				w.begin()
				r.test(t, w)
			})
		}
	})
}

var ruleTests = []struct {
	rule string
	test func(t *testing.T, w *world)
}{
	{"a copy is a link to the local file", copyIsALink},
	{"content that Dovecot copied, as folders differ in mode, is the same mail", otherMode},
	{"names of the two sides may differ and stay", namesDiffer},
	{"mail that a client moved to the other server is not doubled", dragged},
	{"nothing is put beside a file of that name in new", newTrap},
	{"wrong sizes in a name do not reach home", wrongSizes},
	{"odd names", oddNames},
	{"26 keywords in a folder", manyKeywords},
	{"letters without a name are not spread", unnamedLetters},
	{"letters with other names than before", renumbered},
	{"control files are not copied", controlFiles},
}

// files returns the files of a folder on disk that are the mail of that subject.
func (w *world) files(side merge.Side, folder, subject string) (paths []string) {
	w.t.Helper()
	for _, sub := range []string{"cur", "new"} {
		dir := filepath.Join(w.folderPath(side, folder), sub)
		names, err := os.ReadDir(dir)
		must(w.t, err)
		for _, n := range names {
			path := filepath.Join(dir, n.Name())
			if text, _ := os.ReadFile(path); strings.Contains(string(text), "Subject: "+subject+"\n") {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

func (w *world) folderPath(side merge.Side, folder string) string {
	w.t.Helper()
	dir, err := w.layout[side].Dir(folder)
	must(w.t, err)
	return filepath.Join(w.path(side), dir)
}

func (w *world) file(side merge.Side, folder, subject string) string {
	w.t.Helper()
	paths := w.files(side, folder, subject)
	if len(paths) != 1 {
		w.t.Fatalf("%s: mail %q is %d files in %s", side, subject, len(paths), folder)
	}
	return paths[0]
}

func stat(t testing.TB, path string) *syscall.Stat_t {
	t.Helper()
	fi, err := os.Lstat(path)
	must(t, err)
	return fi.Sys().(*syscall.Stat_t)
}

// write makes a file as the mail user.
func (w *world) write(path, text string) {
	w.t.Helper()
	must(w.t, os.WriteFile(path, []byte(text), 0o600))
	must(w.t, os.Lchown(path, dovecottest.UID, dovecottest.UID))
}

// do has a client log in, do something, and go.
func (w *world) do(side merge.Side, do string) {
	w.t.Helper()
	c := w.login(side)
	defer c.Close()
	w.act(side, c, do)
}

// sees checks what a client sees that comes anew.
func (w *world) sees(side merge.Side, want string) view {
	w.t.Helper()
	v := w.look(side)
	scenario{sees: want}.checkSeen(w.t, v)
	return v
}

func copyIsALink(t *testing.T, w *world) {
	w.do(online, "SELECT INBOX\nUID COPY {read} Archive")
	was := stat(t, w.file(home, "INBOX", "read"))
	w.sync()
	for _, f := range []string{"INBOX", "Archive"} {
		if st := stat(t, w.file(home, f, "read")); st.Ino != was.Ino || st.Nlink != 2 || st.Mtim != was.Mtim {
			t.Errorf("%s: inode %d with %d links, mtime %v; was %d, %v", f, st.Ino, st.Nlink, st.Mtim, was.Ino, was.Mtim)
		}
	}
}

// otherMode: between folders of different mode Dovecot does not link but copies
// (mail_storage_copy_can_use_hardlink): the name stays, the inode does not.
func otherMode(t *testing.T, w *world) {
	for _, side := range merge.Sides {
		for _, sub := range []string{"", "cur", "new", "tmp"} {
			must(t, os.Chmod(filepath.Join(w.folderPath(side, "Archive"), sub), 0o750))
		}
	}
	was := stat(t, w.file(online, "INBOX", "read"))
	at := stat(t, w.file(home, "INBOX", "read"))
	w.do(online, "SELECT INBOX\nUID MOVE {read} Archive\nUID COPY {tagged} Archive")
	if st := stat(t, w.file(online, "Archive", "read")); st.Ino == was.Ino {
		t.Fatal("Dovecot made a link: this test shows nothing")
	}
	w.sync()
	w.sees(home, "Archive read \\Seen\n-INBOX read\nArchive tagged $Label1 Zeta \\Flagged \\Seen")
	if st := stat(t, w.file(home, "Archive", "read")); st.Ino != at.Ino {
		t.Errorf("inode %d, was %d", st.Ino, at.Ino)
	}
	if st := stat(t, w.file(home, "Archive", "tagged")); st.Mode&0o777 != 0o640 {
		t.Errorf("a copy in a folder of mode 0750 has mode %o", st.Mode)
	}
	checkQuiet(t, w.sync())
}

// namesDiffer: there and back, a mail gets another name from Dovecot on one side.
func namesDiffer(t *testing.T, w *world) {
	was := filepath.Base(w.file(home, "INBOX", "read"))
	w.do(online, "SELECT INBOX\nUID MOVE {read} Archive\nSELECT Archive\nUID MOVE {read} INBOX")
	there := filepath.Base(w.file(online, "INBOX", "read"))
	if there == was {
		t.Fatal("Dovecot kept the name: this test shows nothing")
	}
	w.sync()
	w.do(online, "SELECT INBOX\nUID STORE {read} +FLAGS (\\Flagged)")
	w.sync()
	w.do(home, "SELECT INBOX\nUID STORE {read} +FLAGS (\\Answered)\nUID MOVE {read} Empty")
	w.sync()
	for _, side := range merge.Sides {
		w.sees(side, "Empty read \\Answered \\Flagged \\Seen\n-INBOX read")
	}
	key := func(name string) string { k, _, _ := strings.Cut(filepath.Base(name), ","); return k }
	if a, b := key(w.file(online, "Empty", "read")), key(w.file(home, "Empty", "read")); a != key(there) || b != key(was) {
		t.Errorf("online %s, was %s; home %s, was %s", a, there, b, was)
	}
	checkQuiet(t, w.sync())
}

// dragged: a mail program with both accounts moves a mail by APPEND and EXPUNGE.
func dragged(t *testing.T, w *world) {
	c := w.login(online)
	c.Open("SELECT", "INBOX")
	for _, m := range c.Mails() {
		if strings.Contains(m.Text, "Subject: read\r\n") {
			w.login(home).Append("Archive", m.Flags, m.Text)
		}
	}
	w.act(online, c, "UID STORE {read} +FLAGS (\\Deleted)\nUID EXPUNGE {read}")
	rec := w.sync()
	w.sees(home, "Archive read \\Seen\n-INBOX read")
	w.sees(online, "-INBOX read\n-Archive read")
	if len(rec.Pending.Held) > 0 {
		t.Error(actions(rec))
	}
	checkQuiet(t, w.sync())
}

// newTrap: Dovecot renames new/X to cur/X:2, and destroys what is there. So
// where a mail is to go, no other file may have its name.
func newTrap(t *testing.T, w *world) {
	path := w.file(home, "INBOX", "read")
	base, _, _ := strings.Cut(filepath.Base(path), ":")
	text, err := os.ReadFile(path)
	must(t, err)
	w.write(filepath.Join(w.folderPath(home, "Archive"), "new", base), strings.ReplaceAll(string(text), "read", "wild"))
	w.do(online, "SELECT INBOX\nUID MOVE {read} Archive")
	w.sync()
	w.do(home, "SELECT Archive\nNOOP")
	w.sync()
	w.do(home, "SELECT Archive\nSELECT INBOX\nSELECT Archive")
	w.sees(home, "Archive wild")
	v := w.look(home)
	n := 0
	for _, m := range v.mails {
		if m.subject == "read" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("mail \"read\" is there %d times: %q", n, v.lines())
	}
	// Both clients move one mail to the same folder: unseen there, it lies in new/.
	for _, side := range merge.Sides {
		w.do(side, "SELECT INBOX\nUID MOVE {unseen} Empty")
	}
	w.sync()
	w.do(online, "SELECT Empty\nUID STORE {unseen} +FLAGS (\\Flagged)")
	if path := w.file(home, "Empty", "unseen"); !strings.Contains(path, "/new/") {
		t.Fatalf("%s is not in new/: this test shows nothing", path)
	}
	w.sync()
	for _, side := range merge.Sides {
		w.sees(side, "Empty unseen \\Flagged\n-INBOX unseen")
	}
	if names, _ := fs.Glob(os.DirFS(w.folderPath(home, "Empty")), "new/*"); len(names) > 0 {
		t.Errorf("left in new/: %q", names)
	}
}

// controlFiles: in a folder that snapmerge has made there is nothing of
// Dovecot's; what home's Dovecot has written stays as it is.
func controlFiles(t *testing.T, w *world) {
	control := func() map[string]string {
		out := map[string]string{}
		must(t, filepath.WalkDir(w.path(home), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Base(filepath.Dir(path)) != "cur" && filepath.Base(filepath.Dir(path)) != "new" {
				st := stat(t, path)
				rel, _ := filepath.Rel(w.path(home), path)
				out[rel] = fmt.Sprint(st.Ino, st.Size, st.Mtim)
			}
			return err
		}))
		return out
	}
	w.look(home)
	before := control()
	w.do(online, "CREATE Fresh\nSELECT INBOX\nUID MOVE {tagged} Fresh\nUID STORE {read} +FLAGS (\\Flagged Zeta)\nUID MOVE {unseen} Archive\nSELECT Fresh")
	w.sync()
	after := control()
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s was %s, is %s", path, was, after[path])
		}
	}
	for path := range after {
		if before[path] == "" && path != ".Fresh/maildirfolder" && path != ".Fresh/dovecot-keywords" {
			t.Errorf("%s was made", path)
		}
	}
	w.sees(home, "Fresh tagged $Label1 Zeta \\Flagged \\Seen\nINBOX read Zeta \\Flagged \\Seen")
}

// With the quota backend "maildir" Dovecot counts in maildirsize what it does
// itself: what it is told after a sync must be true.
func TestQuota(t *testing.T) {
	const quota = "mail_plugins = $mail_plugins quota\nprotocol imap {\n  mail_plugins = $mail_plugins imap_quota\n}\n" +
		"plugin {\n  quota = maildir:User quota\n  quota_rule = *:storage=100M\n}\n"
	w := startPair(t, setup{more: both(quota)}).newWorld(t, "u")
	w.begin()
	used := func(side merge.Side) string {
		c := w.login(side)
		defer c.Close()
		return strings.Join(c.Do("GETQUOTAROOT INBOX"), " ")
	}
	was := used(home)
	c := w.login(online)
	c.Append("INBOX", `\Seen`, message("big")+strings.Repeat("0123456789\r\n", 40_000))
	w.sync()
	a, b := used(online), used(home)
	if a != b || b == was {
		t.Errorf("online says %s, home %s, and before %s", a, b, was)
	}
	w.do(online, "SELECT INBOX\nUID STORE {big} +FLAGS (\\Deleted)\nEXPUNGE")
	w.sync()
	if a, b := used(online), used(home); a != b || b != was {
		t.Errorf("after the deletion online says %s, home %s, and before %s", a, b, was)
	}
}

// The folder of lazy_expunge is not synced: what is moved there counts as deleted.
func TestLazyExpungeSkipped(t *testing.T) {
	w := startPair(t, setup{more: both(dovecottest.LazyExpunge("Expunged"))}).newWorld(t, "u")
	w.mb.Folders = []merge.Rule{{Match: "Expunged", Skip: true}}
	w.begin()
	w.do(online, "SELECT INBOX\nUID STORE {read} +FLAGS (\\Deleted)\nEXPUNGE\nUID MOVE {unseen} Archive")
	w.do(home, "SELECT INBOX\nUID MOVE {tagged} Empty\nSELECT Archive\nUID STORE {old} +FLAGS (\\Deleted)\nEXPUNGE")
	w.sync()
	w.sees(home, "-INBOX\nArchive unseen\nEmpty tagged $Label1 Zeta \\Flagged \\Seen\nExpunged old Zeta \\Seen\n-Expunged read\n-Expunged unseen")
	w.sees(online, "-INBOX\nArchive unseen\nEmpty tagged $Label1 Zeta \\Flagged \\Seen\nExpunged read \\Seen\n-Expunged old\n-Archive old")
	checkQuiet(t, w.sync())
}

// What Maildir++ can not hold in a folder's name the plugin listescape writes in
// another way.
func TestListescape(t *testing.T) {
	scenarios(t, setup{layout: [2]tree.Layout{home: {FS: true}}, more: both("mail_plugins = $mail_plugins listescape\n")}, false, []scenario{
		{
			name:    "a dot and a tilde in a folder's name",
			do:      "CREATE ~lists/v1.0\nSELECT INBOX\nUID MOVE {read} ~lists/v1.0",
			told:    "idle: EXPUNGE",
			sees:    "~lists/v1.0 read \\Seen",
			folders: "~lists/v1.0",
		},
	})
}
