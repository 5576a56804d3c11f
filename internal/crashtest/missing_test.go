package crashtest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// forty makes a mailbox of forty mails in three folders, synced.
func forty(t *testing.T, dir string) *world {
	t.Helper()
	w := newWorld(t, dir)
	w.mb.Folders = nil
	for i, f := range []string{"INBOX", "work", "Trash"} {
		w.online.makeFolder(f)
		for j := range 13 {
			w.online.deliver(f, fmt.Sprintf("m%d%02d", i, j), "S", i*20+j)
		}
	}
	w.online.deliver("INBOX", "m99", "F", 99)
	w.sync()
	return w
}

// heldNow returns what waits after the last sync: by message.
func (w *world) heldNow() map[string]state.Held {
	w.t.Helper()
	dir := w.records()
	defer dir.Close()
	rec, _, err := state.NewestRecord(dir)
	must(w.t, err)
	held := map[string]state.Held{}
	for _, h := range rec.Pending.Held {
		held[h.Message] = h
	}
	return held
}

// decideAll gives every question the same answer, as "conflicts resolve --all".
func (w *world) decideAll(side merge.Side) {
	w.t.Helper()
	take := map[string]merge.Side{}
	for m := range w.heldNow() {
		take[m] = side
	}
	w.decide(take)
}

// TestOnlineEmptied: the online mailbox is empty all at once, for whatever
// reason. Nothing goes at home, not even where the policy is to apply deletions:
// each mail waits. One answer settles them all, either way.
func TestOnlineEmptied(t *testing.T) {
	empty := func(w *world) {
		for _, f := range []string{"cur", ".work", ".Trash"} {
			must(w.t, os.RemoveAll(w.online.path+"/"+f))
		}
		must(w.t, os.Mkdir(w.online.path+"/cur", 0o700))
	}
	for _, tt := range []struct {
		name  string
		after func(w *world) // what happens then
		want  int            // mails at home in the end
		on    int            // and online
	}{
		{"take online: they go at home too", func(w *world) { w.decideAll(merge.Online) }, 0, 0},
		{"take offline: they stay, archive only", func(w *world) { w.decideAll(merge.Offline) }, 40, 0},
		{"nobody answers", func(*world) {}, 40, 0},
		{"mail is back", func(w *world) {
			for _, m := range look(w.t, w.offline.path).Mails {
				if m.Folder != "INBOX" {
					w.online.makeFolder(m.Folder)
				}
				command(w.t, "cp", "-a", w.offline.find(m.Folder, m.Key), w.online.dirOf(m.Folder)+"/cur/")
			}
		}, 40, 40},
	} {
		for _, policy := range []merge.Deletion{merge.Hold, merge.Apply} {
			t.Run(fmt.Sprintf("%s, %s", policy, tt.name), func(t *testing.T) {
				t.Parallel()
				w := forty(t, btrfstest.Shared(t).Path)
				w.mb.Merge.DeletedOnline = policy
				before, mails := files(t, w.offline.path), look(t, w.offline.path).Mails
				empty(w)
				for i := range 2 { // held stays held
					res := w.sync()
					if said := len(res.Notes) == 1 && strings.HasPrefix(res.Notes[0], "40 mails deleted online, which is more than is allowed at once"); said != (i == 0) {
						t.Errorf("sync %d says %q", i, res.Notes)
					}
					if r := res.Record.Report; r.Held != 40 || r.Offline.Deleted != 0 {
						t.Errorf("held %d and deleted %d at home, want 40 and 0", r.Held, r.Offline.Deleted)
					}
					if d := cmp.Diff(mails, look(t, w.offline.path).Mails); d != "" {
						t.Errorf("at home (-before +after):\n%s", d)
					}
				}
				for _, h := range w.heldNow() {
					if h.Kind != merge.DeletedOnline || !strings.HasPrefix(h.Subject, "mail m") {
						t.Errorf("held: %+v", h)
					}
				}
				tt.after(w)
				w.sync()
				if n := len(files(t, w.offline.path)); n != tt.want {
					t.Errorf("%d mails at home, want %d", n, tt.want)
				}
				if n := len(files(t, w.online.path)); n != tt.on {
					t.Errorf("%d mails online, want %d", n, tt.on)
				}
				if n, waits := len(w.heldNow()), tt.name == "nobody answers"; n != 0 != waits {
					t.Errorf("%d questions left", n)
				}
				w.untouched(before)
				w.settled()
			})
		}
	}
}

// TestOnlineReplaced: the online mailbox is a new, empty subvolume (a new disk).
// What it lacks was deleted by nobody; the report says so.
func TestOnlineReplaced(t *testing.T) {
	w := forty(t, btrfstest.Shared(t).Path)
	before := look(t, w.offline.path)
	must(t, os.Rename(w.online.path, w.online.path+".old"))
	command(t, "btrfs", "subvolume", "create", w.online.path)
	w.online.makeFolder("INBOX")
	w.online.deliver("INBOX", "new", "", 5)
	res := w.sync()
	if d := res.Record.Report.Offline.Deleted; d != 0 || len(res.Notes) == 0 {
		t.Errorf("deleted at home: %d; notes: %q", d, res.Notes)
	}
	after := look(t, w.offline.path)
	w.wantWhere("new", [2]string{"INBOX:", "INBOX:"})
	w.offline.delete("INBOX", "new")
	if d := cmp.Diff(before.Mails, look(t, w.offline.path).Mails); d != "" {
		t.Errorf("at home (-before +after):\n%s", d)
	}
	w.sync()
	if len(after.Mails) != 41 || len(look(t, w.offline.path).Mails) != 40 {
		t.Errorf("mails at home: %d, then %d", len(after.Mails), len(look(t, w.offline.path).Mails))
	}
}

// TestOnlineNotMounted: the online disk is not mounted, its mount point is an
// empty directory. The sync is refused before anything happens.
func TestOnlineNotMounted(t *testing.T) {
	disk, fs := btrfstest.New(t), btrfstest.Shared(t)
	must(t, os.Symlink(disk.Path, fs.Path+"/online"))
	w := forty(t, fs.Path)
	before := look(t, w.offline.path)
	image := strings.TrimSuffix(disk.Path, "/mnt") + "/img"
	command(t, "umount", disk.Path)
	_, err := w.trySync(engine.Options{})
	wantError(t, err, "mailbox chris: online: "+w.mb.Online.Path+": ")
	command(t, "mount", "-o", "loop", image, disk.Path)
	if d := cmp.Diff(before, look(t, w.offline.path)); d != "" {
		t.Errorf("at home (-before +after):\n%s", d)
	}
	w.online.deliver("INBOX", "new", "", 5)
	w.sync()
	w.wantWhere("new", [2]string{"INBOX:", "INBOX:"})
	w.settled()
}
