package livetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapmerge/merge"
)

// Dovecot notes the old identity of a mail to which it gives another name, as
// "G…" in dovecot-uidlist. It is not read: where the name changes, by a MOVE to a
// folder that has known it before, the file stays the same inode, and that tells.
func TestNameChangesInodeStays(t *testing.T) {
	w := startPair(t, setup{}).newWorld(t, "guid")
	w.begin()
	before := w.thereAndBack()
	after := w.file(online, "INBOX", "read")
	if key(before) == key(after) || !strings.Contains(w.uidlist(), "G"+key(before)) {
		t.Errorf("the name is %q after %q, and the list\n%s", after, before, w.uidlist())
	}
	home1 := stat(t, w.file(home, "INBOX", "read")).Ino
	rec := w.sync()
	if home2 := stat(t, w.file(home, "INBOX", "read")).Ino; home1 != home2 {
		t.Errorf("home's file is another one:\n%s", actions(rec))
	}
	checkQuiet(t, w.sync())
}

// With maildir_copy_with_hardlinks=no name and inode change together, and only the
// G would tell. Then it is a new mail and a deletion, which by default waits:
// nothing is lost, home has it twice until somebody says so.
func TestNameAndInodeChange(t *testing.T) {
	w := startPair(t, setup{more: both("maildir_copy_with_hardlinks = no\n")}).newWorld(t, "guid")
	w.begin()
	w.mb.Merge.DeletedOnline = merge.Hold
	before := w.thereAndBack()
	if !strings.Contains(w.uidlist(), "G"+key(before)) {
		t.Fatalf("no G in\n%s", w.uidlist())
	}
	rec := w.sync()
	if len(rec.Pending.Held) != 1 || rec.Pending.Held[0].Kind != merge.DeletedOnline {
		t.Errorf("what waits is\n%s", actions(rec))
	}
	if n := len(w.files(home, "INBOX", "read")); n != 2 {
		t.Errorf("home has it %d times", n)
	}
}

// thereAndBack has a client move a mail to a folder and back, and returns its file
// before that, whose inode stays if Dovecot makes links.
func (w *world) thereAndBack() (before string) {
	w.t.Helper()
	before = w.file(online, "INBOX", "read")
	was := stat(w.t, before).Ino
	w.do(online, "SELECT INBOX\nUID MOVE {read} Archive\nSELECT Archive\nUID MOVE {read} INBOX")
	same := stat(w.t, w.file(online, "INBOX", "read")).Ino == was
	if links := w.more[online] == ""; same != links {
		w.t.Errorf("the inode stays: %v, want %v", same, links)
	}
	return before
}

func (w *world) uidlist() string {
	b, err := os.ReadFile(filepath.Join(w.path(online), "dovecot-uidlist"))
	must(w.t, err)
	return string(b)
}

// key is the stable part of a file's name.
func key(path string) string {
	k, _, _ := strings.Cut(filepath.Base(path), ",")
	return k
}
