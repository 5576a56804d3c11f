package crashtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// fresh makes a world with those folders online.
func fresh(t *testing.T, folders ...string) *world {
	t.Helper()
	w := newWorld(t, btrfstest.Shared(t).Path)
	for _, f := range folders {
		w.online.makeFolder(f)
	}
	return w
}

// drop puts a file of that name and text into cur/, as a new inode.
func (s store) drop(folder, name, text string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dirOf(folder), "cur", name), []byte(text), 0o600))
}

// wantHeld compares what waits, as "kind message".
func (w *world) wantHeld(want ...string) {
	w.t.Helper()
	if d := cmp.Diff(strings.Join(want, ", "), strings.Join(w.end().Held, ", ")); d != "" {
		w.t.Errorf("held (-want +got):\n%s", d)
	}
}

// wantDid compares all that a sync did or tried: "side op message folder effect".
func wantDid(t *testing.T, res *engine.Result, want ...string) {
	t.Helper()
	var got []string
	for _, a := range res.Record.Report.Actions {
		got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s", a.Side, a.Op, a.Message, a.From, a.To, a.Effect)), " "))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("actions (-want +got):\n%s", d)
	}
}

// text returns what a mail's file holds.
func (s store) text(folder, key string) string {
	s.t.Helper()
	b, err := os.ReadFile(s.mustFind(folder, key))
	must(s.t, err)
	return string(b)
}

// TestTwoNamesOfOneInode: online, aaa and bbb are two names of one file. To flag
// one of them deletes and doubles nothing at home.
func TestTwoNamesOfOneInode(t *testing.T) {
	for _, policy := range []merge.Deletion{merge.Hold, merge.Apply} {
		t.Run(policy.String(), func(t *testing.T) {
			w := fresh(t, "work")
			w.mb.Merge.DeletedOnline = policy
			w.online.deliver("INBOX", "aaa", "", 1)
			must(t, os.Link(w.online.mustFind("INBOX", "aaa"), filepath.Join(w.online.dirOf("work"), "cur", "bbb:2,")))
			w.sync()
			before := files(t, w.offline.path)
			w.online.flag("INBOX", "aaa", "F")
			wantDid(t, w.sync(), "offline flag aaa INBOX INBOX done")
			w.wantWhere("aaa", [2]string{"INBOX:F", "INBOX:F work:"})
			w.wantWhere("bbb", [2]string{"work:", ""})
			if len(before) != 1 {
				t.Errorf("%d files at home, want one with two names", len(before))
			}
			w.wantHeld()
			w.untouched(before)
			w.settled()
		})
	}
}

// TestKeyUsedAgain: a mail was deleted on both sides, and online has another one
// of its name. That one is not deleted for the other's sake, but asked about,
// also by the next syncs. The mail may have come home with the very last sync.
func TestKeyUsedAgain(t *testing.T) {
	for syncs := 1; syncs <= 2; syncs++ {
		t.Run(fmt.Sprintf("after %d", syncs), func(t *testing.T) {
			w := fresh(t)
			w.online.drop("INBOX", "m:2,", "old\n")
			for range syncs {
				w.sync()
			}
			w.offline.delete("INBOX", "m")
			w.online.delete("INBOX", "m")
			w.online.drop("INBOX", "m:2,", "another mail\n")
			for range 3 {
				wantDid(t, w.sync())
				w.wantHeld("delete-modify m")
				w.wantWhere("m", [2]string{"INBOX:", ""})
			}
			if got := w.online.text("INBOX", "m"); got != "another mail\n" {
				t.Errorf("online has %q", got)
			}
			w.settled()
		})
	}
}

// TestUnreadableAtHome: what a mail at home has become is accepted by no reader.
// That is no deletion: online's copy stays.
func TestUnreadableAtHome(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, off store, mail string){
		"replaced by a symlink": func(t *testing.T, off store, mail string) {
			must(t, os.Rename(mail, off.path+"/tmp/archived"))
			must(t, os.Symlink(off.path+"/tmp/archived", mail))
		},
		"a second colon in its name": func(t *testing.T, _ store, mail string) {
			must(t, os.Rename(mail, mail+":x"))
		},
		"its folder is a symlink": func(t *testing.T, off store, _ string) {
			must(t, os.Rename(off.path+"/.work", off.path+"/tmp/work"))
			must(t, os.Symlink("tmp/work", off.path+"/.work"))
		},
		"names that are nothing but separators": func(t *testing.T, off store, mail string) {
			for _, n := range []string{",", ":", ":,", ":2,S"} {
				off.drop("work", n, "")
			}
			must(t, os.Rename(mail, mail+":x"))
		},
	} {
		for syncs := 1; syncs <= 2; syncs++ {
			t.Run(fmt.Sprintf("%s, after %d", name, syncs), func(t *testing.T) {
				w := fresh(t, "work")
				w.online.deliver("work", "m", "S", 1)
				for range syncs {
					w.sync()
				}
				spoil(t, w.offline, w.offline.mustFind("work", "m"))
				for range 2 {
					res, err := w.trySync(engine.Options{})
					must(t, err)
					for _, a := range res.Record.Report.Actions {
						if a.Side == merge.Online || a.Effect == state.Done {
							t.Errorf("did %+v", a)
						}
					}
				}
				if w.online.find("work", "m") == "" {
					t.Error("online's copy is gone")
				}
			})
		}
	}
}

// TestRecordsGone: the records are gone, the snapshots are not. Nobody knows what
// those hold, so they stay, also where a sync only looks.
func TestRecordsGone(t *testing.T) {
	w := fresh(t)
	w.online.deliver("INBOX", "m1", "S", 1)
	w.online.deliver("INBOX", "m2", "S", 2)
	w.sync()
	w.offline.delete("INBOX", "m1")
	w.sync()
	records, err := filepath.Glob(w.mb.Offline.Snapshots + "/sync.*")
	must(t, err)
	for _, r := range records {
		must(t, os.Remove(r))
	}
	want := []string{"offline.1", "offline.2"}
	if d := cmp.Diff(want, names(t, w.mb.Offline.Snapshots)); d != "" {
		t.Fatal(d)
	}
	_, err = w.trySync(engine.Options{DryRun: true})
	must(t, err)
	if d := cmp.Diff(want, names(t, w.mb.Offline.Snapshots)); d != "" {
		t.Errorf("after sync -n (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"online.2"}, names(t, w.mb.Online.Snapshots)); d != "" {
		t.Errorf("online after sync -n (-want +got):\n%s", d)
	}
	res := w.sync()
	if d := cmp.Diff([]string{"offline.1", "offline.2", "offline.3", "sync.3.json"}, names(t, w.mb.Offline.Snapshots)); d != "" {
		t.Errorf("after a sync (-want +got):\n%s", d)
	}
	if !strings.Contains(strings.Join(res.Notes, "\n"), "up to sync 2, but no record") {
		t.Errorf("notes: %q", res.Notes)
	}
	w.wantWhere("m2", [2]string{"INBOX:S", "INBOX:S"})
	w.settled()
}

// TestRenamedAgain: the last sync renamed a folder online. What the user then
// does with that name at home is the user's renaming, the sync's own is not.
func TestRenamedAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(off store)
		want [2]string
		did  string
	}{
		{"back", func(off store) { off.renameFolder("b", "a") }, [2]string{"a:S", "a:S"}, "online rename-folder b a done"},
		{"on, and the first name is another folder's", func(off store) {
			off.renameFolder("b", "c")
			off.makeFolder("a")
			off.deliver("a", "h", "S", 2)
		}, [2]string{"c:S", "c:S"}, "online rename-folder b c done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fresh(t, "a")
			w.online.deliver("a", "m", "S", 1)
			w.sync()
			w.sync()
			before := files(t, w.offline.path)
			w.offline.renameFolder("a", "b")
			wantDid(t, w.sync(), "online rename-folder a b done")
			tt.then(w.offline)
			wantDid(t, w.sync(), tt.did)
			w.wantWhere("m", tt.want)
			w.untouched(before)
			w.settled()
		})
	}
}

// TestMovedBeforeDeletion: a sync that was to delete a mail at home is stopped
// before it does, and the user moves the mail. That it is no longer in its
// folder is not the sync's work, so it is asked about.
func TestMovedBeforeDeletion(t *testing.T) {
	w := fresh(t, "work")
	w.mb.Merge.DeletedOnline = merge.Apply
	w.online.deliver("INBOX", "m", "S", 1)
	w.sync()
	w.sync()
	before := files(t, w.offline.path)
	w.online.delete("INBOX", "m")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := engine.Sync(ctx, w.mb, stateDir(w.dir), engine.Options{}); err == nil {
		t.Fatal("the sync was not stopped")
	}
	w.wantWhere("m", [2]string{"", "INBOX:S"})
	w.offline.move("INBOX", "m", "work")
	for range 2 {
		wantDid(t, w.sync())
		w.wantHeld("delete-modify m")
		w.wantWhere("m", [2]string{"", "work:S"})
	}
	w.untouched(before)
	w.settled()
}

// TestManyOfOneKey: 1,600 different mails of one key and size, as only somebody
// who wants to cost time makes them. The sync ends soon, and each is at home.
func TestManyOfOneKey(t *testing.T) {
	const n = 1600
	w := fresh(t)
	for i := range n {
		w.online.drop("INBOX", fmt.Sprintf("evil,%d:2,S", i), fmt.Sprintf("%06d", i))
	}
	start := time.Now()
	res := w.sync()
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("the sync took %s", d)
	}
	home := map[string]bool{}
	for _, m := range look(t, w.offline.path).Mails {
		home[m.SHA256] = true
	}
	accounted := len(home)
	for _, a := range res.Record.Report.Actions {
		if a.Effect != state.Done {
			accounted++
		}
	}
	if accounted != n {
		t.Errorf("%d of %d mails are at home, %d at home or named as not done", len(home), n, accounted)
	}
}

// TestRenameWithFSAtHome: home has the fs layout, where directories nest, and
// online renames a folder so that home can not do the same in one step. The mail
// moves all the same, and what is below stays as it is online.
func TestRenameWithFSAtHome(t *testing.T) {
	for _, tt := range []struct {
		name    string
		folders []string
		mails   map[string]string // by folder
		from    string
		to      string
		want    []string // paths at home
	}{
		{"the new name is a plain parent directory", []string{"a", "b/x"}, map[string]string{"a": "m1", "b/x": "m2"},
			"a", "b", []string{"b/cur/m1", "b/x/cur/m2"}},
		{"a child is not renamed with it", []string{"a", "a/b"}, map[string]string{"a": "m1", "a/b": "m2"},
			"a", "z", []string{"a/b/cur/m2", "z/cur/m1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fresh(t, tt.folders...)
			w.mb.Offline.Layout.FS = true
			for folder, key := range tt.mails {
				w.online.deliver(folder, key, "S", 1)
			}
			w.sync()
			w.sync()
			before := files(t, w.offline.path)
			w.online.renameFolder(tt.from, tt.to)
			w.sync()
			var got []string
			must(t, filepath.WalkDir(w.offline.path, func(p string, d os.DirEntry, err error) error {
				if err == nil && strings.HasPrefix(d.Name(), "m") && !d.IsDir() && filepath.Base(filepath.Dir(p)) == "cur" {
					got = append(got, strings.TrimPrefix(filepath.Join(filepath.Dir(p), keyOf(p)), w.offline.path+"/"))
				}
				return err
			}))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("at home (-want +got):\n%s", d)
			}
			w.untouched(before)
			wantDid(t, w.sync())
		})
	}
}

// TestOnlineRestored: online is a backup from before the last sync. The flags
// that it lacks were taken away by nobody: it gets them back from home.
func TestOnlineRestored(t *testing.T) {
	w := fresh(t)
	w.online.deliver("INBOX", "m1", "", 1)
	w.online.deliver("INBOX", "m2", "", 2)
	w.sync()
	command(t, "btrfs", "subvolume", "snapshot", w.online.path, w.dir+"/backup")
	w.online.flag("INBOX", "m1", "FS")
	w.online.keyword("INBOX", "m1", "Wichtig")
	w.offline.flag("INBOX", "m2", "S")
	w.sync()
	must(t, os.Rename(w.online.path, w.online.path+".broken"))
	command(t, "btrfs", "subvolume", "snapshot", w.dir+"/backup", w.online.path)
	before := files(t, w.offline.path)
	res := w.sync()
	if len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "another subvolume") {
		t.Errorf("notes: %q", res.Notes)
	}
	w.wantWhere("m1", [2]string{"INBOX:FS+Wichtig", "INBOX:FS+Wichtig"})
	w.wantWhere("m2", [2]string{"INBOX:S", "INBOX:S"})
	w.untouched(before)
	w.settled()
}

// TestExpireComparesBytes: online's bytes have changed where size and date do not
// show it. Home has other ones, so the mail is not expired.
func TestExpireComparesBytes(t *testing.T) {
	w := fresh(t, "news")
	w.online.deliver("INBOX", "m", "S", 1)
	w.online.deliver("INBOX", "x", "S", 2)
	w.sync()
	p := w.online.mustFind("INBOX", "m")
	st, err := os.Stat(p)
	must(t, err)
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("CHANGED"), 20)
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(p, st.ModTime(), st.ModTime()))
	w.online.move("INBOX", "m", "news")
	w.online.move("INBOX", "x", "news")
	for i := range 2 {
		res := w.sync()
		if n, want := res.Record.Report.Online.Expired, 1-i; n != want {
			t.Errorf("expired: %d, want %d", n, want)
		}
		w.wantWhere("m", [2]string{"news:S", "news:S"})
		w.wantWhere("x", [2]string{"", "news:S"})
	}
	if !strings.Contains(w.online.text("news", "m"), "CHANGED") {
		t.Error("online's bytes are not those that were written")
	}
}

// TestOtherMailOfOneKey: a second mail has the key of a known one. Which file is
// which does not depend on the order of the folders, nothing is expired of either,
// and both are at home, each with its own bytes.
func TestOtherMailOfOneKey(t *testing.T) {
	for _, to := range []string{"Drafts", "work"} { // before and after "news"
		t.Run("the known one moves to "+to, func(t *testing.T) {
			w := fresh(t, "Drafts", "news", "work")
			w.online.deliver("INBOX", "m", "S", 1)
			w.sync()
			before := files(t, w.offline.path)
			w.online.move("INBOX", "m", to)
			w.online.drop("news", "m:2,", "another mail\n")
			wantDid(t, w.sync(), "offline place m,2 news done", "offline move m INBOX "+to+" done")
			w.wantHeld("duplicate m", "duplicate m,2")
			for _, s := range w.sides() {
				if got := s.text("news", "m"); got != "another mail\n" {
					t.Errorf("in news: %q", got)
				}
				if got := s.text(to, "m"); got != string(body("m", 1)) {
					t.Errorf("in %s: %q", to, got)
				}
			}
			w.kept(before)
			w.settled()
		})
	}
	t.Run("the key is like a name of snapmerge's own", func(t *testing.T) {
		w := fresh(t, "x", "news")
		w.online.drop("INBOX", "k:2,", "one\n")
		w.online.drop("x", "k:2,", "two\n")
		w.online.drop("news", "k#2:2,", "three\n")
		w.sync()
		w.wantHeld("duplicate k", "duplicate k,2")
		w.wantWhere("k", [2]string{"INBOX: x:", "INBOX: x:"})
		w.wantWhere("k#2", [2]string{"", "news:"})
		got := []string{w.offline.text("INBOX", "k"), w.offline.text("x", "k"), w.offline.text("news", "k#2")}
		if d := cmp.Diff([]string{"one\n", "two\n", "three\n"}, got); d != "" {
			t.Errorf("at home (-want +got):\n%s", d)
		}
		w.settled()
	})
	t.Run("in a first sync, home has the second one only", func(t *testing.T) {
		w := fresh(t, "a", "b")
		w.offline.makeFolder("a")
		w.offline.makeFolder("b")
		w.online.drop("a", "m:2,", "P\n")
		w.online.drop("b", "m:2,", "QQ\n")
		w.offline.drop("b", "m:2,", "QQ\n")
		before := files(t, w.offline.path)
		wantDid(t, w.sync(), "offline place m,2 a done")
		w.wantHeld("duplicate m", "duplicate m,2")
		w.wantWhere("m", [2]string{"a: b:", "a: b:"})
		if got := w.offline.text("a", "m") + w.offline.text("b", "m"); got != "P\nQQ\n" {
			t.Errorf("at home: %q", got)
		}
		w.kept(before)
		w.settled()
	})
}

// kept checks that mail which was at home before is there as the same file. Two
// mails may have one key, other than with [world.untouched].
func (w *world) kept(before map[uint64]file) {
	w.t.Helper()
	after := files(w.t, w.offline.path)
	for ino, f := range before {
		if after[ino] != f {
			w.t.Errorf("mail at home changed from %+v to %+v", f, after[ino])
		}
	}
}

// TestNewestRecordDamaged: the record of the last sync can not be read, but the
// index is of that sync. What waited still waits, and nothing is taken for a
// change again.
func TestNewestRecordDamaged(t *testing.T) {
	w := fresh(t)
	w.online.deliver("INBOX", "m1", "S", 1)
	w.online.deliver("INBOX", "m2", "S", 2)
	w.sync()
	w.online.delete("INBOX", "m2")
	w.sync()
	w.wantHeld("deleted-online m2")
	w.offline.delete("INBOX", "m1")
	damaged := w.mb.Offline.Snapshots + "/sync.2.json"
	must(t, os.WriteFile(damaged, []byte("x"), 0o600))
	res := w.sync()
	wantDid(t, res, "online delete m1 INBOX done")
	if len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "damaged") {
		t.Errorf("notes: %q", res.Notes)
	}
	must(t, os.Remove(damaged)) // the end reads all records
	w.wantHeld("deleted-online m2")
	w.wantWhere("m2", [2]string{"", "INBOX:S"})
	w.settled()
}

// TestForeignFileInRemovedFolder: a folder that online has removed holds at home
// a file that is not mail. It stays, the report says so once, and then all is quiet.
func TestForeignFileInRemovedFolder(t *testing.T) {
	w := fresh(t, "a")
	w.sync()
	foreign := filepath.Join(w.offline.dirOf("a"), "notes.txt")
	must(t, os.WriteFile(foreign, []byte("mine\n"), 0o600))
	w.online.removeFolder("a")
	wantDid(t, w.sync(), "offline remove-folder a raced")
	for range 2 {
		wantDid(t, w.sync())
	}
	if b, err := os.ReadFile(foreign); string(b) != "mine\n" {
		t.Errorf("the file at home holds %q: %v", b, err)
	}
}
