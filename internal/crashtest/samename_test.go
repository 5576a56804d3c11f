package crashtest

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// texts returns what those mails say at home, sorted.
func (w *world) texts(folder string, keys ...string) (out []string) {
	w.t.Helper()
	for _, k := range keys {
		out = append(out, w.offline.text(folder, k))
	}
	slices.Sort(out)
	return out
}

// TestSameName: two different mails have one name in one folder online, but for
// their flags, until Dovecot reads the folder. Both come home, the second under a
// name of its own, and all is quiet then.
func TestSameName(t *testing.T) {
	w := fresh(t)
	w.online.drop("INBOX", "m,S=4:2,", "one\n")
	w.online.drop("INBOX", "m,S=4:2,S", "two\n")
	wantDid(t, w.sync(), "offline place m INBOX done", "offline place m,2 INBOX done")
	if d := cmp.Diff([]string{"one\n", "two\n"}, w.texts("INBOX", "m", "m.2")); d != "" {
		t.Errorf("at home (-want +got):\n%s", d)
	}
	w.wantHeld("duplicate m", "duplicate m,2")
	before := files(t, w.offline.path)
	w.settled()
	w.kept(before)
}

// TestSameNameMoved: two different mails with one name are moved into one folder
// on either side.
func TestSameNameMoved(t *testing.T) {
	w := fresh(t, "a", "b")
	w.online.drop("a", "m:2,", "one\n")
	w.online.drop("b", "m:2,", "two\n")
	w.sync()
	before := files(t, w.offline.path)
	// A client's MOVE makes a new name where the old one is taken.
	must(t, os.Rename(w.online.mustFind("b", "m"), w.online.dirOf("a")+"/cur/new:2,"))
	wantDid(t, w.sync(), "offline move m,2 b a done")
	if d := cmp.Diff([]string{"one\n", "two\n"}, w.texts("a", "m", "m.2")); d != "" {
		t.Errorf("at home (-want +got):\n%s", d)
	}
	after := files(t, w.offline.path)
	for ino := range before {
		if _, ok := after[ino]; !ok {
			t.Errorf("file %d is gone from home", ino)
		}
	}
	w.settled()
}

// TestSameNameKilled: the sync that places both dies before it says what it did.
// The next one knows them both.
func TestSameNameKilled(t *testing.T) {
	for _, k := range []kill{{"linkat", 2}, {"linkat", 3}, {"syncfs", 1}} {
		t.Run(k.String(), func(t *testing.T) {
			w := fresh(t)
			w.online.drop("INBOX", "m:2,", "one\n")
			w.online.drop("INBOX", "m:2,S", "two\n")
			if !w.killedAt(k) {
				t.Fatal("not killed")
			}
			w.sync()
			if d := cmp.Diff([]string{"one\n", "two\n"}, w.texts("INBOX", "m", "m.2")); d != "" {
				t.Errorf("at home (-want +got):\n%s", d)
			}
			if n := len(files(t, w.offline.path)); n != 2 {
				t.Errorf("%d files at home", n)
			}
			w.wantHeld("duplicate m", "duplicate m,2")
			w.settled()
		})
	}
}
