package enginetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/internal/verify"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// A goner is a file that a sync has deleted, as it was before.
type goner struct {
	sync    int
	file    file
	message string
}

// TestRestoreHistory lives a random history of 50 syncs and brings everything back
// that any of them has deleted, sync by sync: byte for byte, into its folder, with
// its flags, keywords, date and owner; what is there again is not doubled. The sync
// after that leaves it all alone, and so does one without the index.
func TestRestoreHistory(t *testing.T) {
	for i, rules := range []rules{
		{deleted: [2]merge.Deletion{merge.Apply, merge.Apply}, maxDeletions: 100},
		{deleted: [2]merge.Deletion{merge.Apply, merge.Hold}, maxDeletions: 100, prefer: merge.PreferOnline},
	} {
		seed := restoreSeed(t) + uint64(i)
		w, gone := liveLong(t, rules, i == 1, seed, 50-20*i)
		back := w.restoreAll(gone)
		if len(gone) < 6 || back < 5 {
			t.Errorf("seed %d: %d deleted, %d brought back: that proves little", seed, len(gone), back)
		}
		t.Logf("seed %d: %d deleted, %d brought back", seed, len(gone), back)
		w.remove(t)
	}
}

func restoreSeed(t *testing.T) uint64 {
	seed := uint64(1)
	if s := os.Getenv("SNAPMERGE_SEED"); s == "random" {
		seed = rand.Uint64()
	} else if s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SNAPMERGE_SEED=%d", seed)
	return seed
}

// liveLong lives n rounds at random, and keeps account of what the syncs delete.
func liveLong(t *testing.T, r rules, fsHome bool, seed uint64, n int) (*world, []goner) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, fs, func(name string) string { return fs.Subvolume(t, name) }, r, fsHome, seed)
	w.rotation = config.Rotate{PreserveMin: "all"}
	rng := rand.New(rand.NewPCG(seed, 3))
	var gone []goner
	for range n {
		w.clock = w.clock.AddDate(0, 0, rng.IntN(3))
		for range 3 + rng.IntN(8) {
			w.do(op{opKinds[rng.IntN(len(opKinds))], merge.Side(rng.IntN(2)), rng.IntN(100), rng.IntN(100)})
		}
		if w.beyond() {
			w.t.Fatalf("seed %d leads to where the oracle ends: take another", seed)
		}
		_, before := w.view()
		rec := w.sync()
		gone = append(gone, w.goners(rec, before)...)
		if len(rec.Pending.Held) > 0 && rng.IntN(2) == 0 {
			w.decide(rec, rng.IntN(100), merge.Side(rng.IntN(2)))
		}
	}
	return w, gone
}

// goners are what the report says was deleted, as it was on disk.
func (w *world) goners(rec *state.Record, before [2]shelf) (out []goner) {
	for _, a := range rec.Report.Actions {
		if a.Op != "delete" {
			continue
		}
		i := slices.IndexFunc(before[a.Side].files, func(f file) bool { return f.folder == w.oldName(a.Side, rec, a.From) && f.name == a.Before.Name })
		if i < 0 {
			w.t.Fatalf("sync %d: no file for %+v %q\n%s", rec.Sync, a, a.Before.Name, w.story())
		}
		g := goner{sync: rec.Sync, file: before[a.Side].files[i], message: a.Message}
		g.file.folder = a.From
		if !slices.ContainsFunc(out, func(x goner) bool { return x.message == a.Message && x.file.folder == a.From }) {
			out = append(out, g)
		}
	}
	return out
}

func (w *world) oldName(side merge.Side, rec *state.Record, folder string) string {
	for _, a := range rec.Report.Actions {
		if a.Side == side && a.Op == "rename-folder" && a.To == folder {
			return a.From
		}
	}
	return folder
}

// restoreAll brings it all back, the last deletion first, and returns how many
// mails that were.
func (w *world) restoreAll(gone []goner) (back int) {
	w.t.Helper()
	bySync := map[int][]goner{}
	for _, g := range gone {
		bySync[g.sync] = append(bySync[g.sync], g)
	}
	for n := range 60 {
		list := bySync[60-n]
		if len(list) == 0 {
			continue
		}
		_, before := w.view()
		res, err := engine.Restore(context.Background(), w.mailbox(), engine.RestoreOptions{Sync: 60 - n, Who: "test", Now: func() time.Time { return w.clock }})
		w.must(err)
		_, after := w.view()
		if len(res.Mails) != len(list) {
			w.t.Fatalf("sync %d deleted %d mails, restored: %+v\n%s", 60-n, len(list), res.Mails, w.story())
		}
		for _, g := range list {
			back += w.checkBack(g, res, before[offline], after[offline])
		}
		w.log("restored what sync %d deleted", 60-n)
	}
	_, before := w.view()
	if w.beyond() { // several places of a mail came back
		_, err := engine.Sync(context.Background(), w.mailbox(), w.state, engine.Options{Now: func() time.Time { return w.clock }})
		w.must(err)
	} else {
		w.sync() // against the oracle, which knows nothing of restores: mail that is new at home
	}
	w.must(os.RemoveAll(w.state))
	res, err := engine.Sync(context.Background(), w.mailbox(), w.state, engine.Options{Now: func() time.Time { return w.clock }})
	w.must(err)
	if n := len(res.Record.Report.Actions); n > 0 {
		w.t.Fatalf("the second sync after it: %+v\n%s", res.Record.Report.Actions, w.story())
	}
	_, after := w.view()
	for _, f := range before[offline].files {
		// Folder and flags may be others now, if online had changed the mail too: the
		// oracle has looked.
		if !slices.ContainsFunc(after[offline].files, func(g file) bool { return g.ino == f.ino }) {
			w.t.Fatalf("the next sync took %+v away\n%s", f, w.story())
		}
	}
	w.verify()
	return back
}

// verify: what is sound gives no finding, whatever the clients have done.
func (w *world) verify() {
	w.t.Helper()
	res, err := verify.Run(context.Background(), w.mailbox(), w.state, verify.Options{Now: func() time.Time { return w.clock }, Connect: w.connect})
	w.must(err)
	if len(res.Findings) > 0 || len(res.Notes) > 0 {
		w.t.Fatalf("verify: %+v, %q\n%s", res.Findings, res.Notes, w.story())
	}
}

// checkBack: a mail is back as it was, or it had come back before.
func (w *world) checkBack(g goner, res *engine.Restoration, before, after shelf) int {
	w.t.Helper()
	i := slices.IndexFunc(res.Mails, func(m state.Restored) bool { return m.Message == g.message && m.To == g.file.folder })
	if i < 0 {
		w.t.Fatalf("not restored: %+v\n%s", g, w.story())
	}
	switch m := res.Mails[i]; m.Effect {
	case state.There:
		if !slices.ContainsFunc(before.files, func(f file) bool { return f.mail == g.file.mail }) {
			w.t.Fatalf("said to be there: %+v\n%s", g, w.story())
		}
		return 0
	case state.Done:
		j := slices.IndexFunc(after.files, func(f file) bool { return f.ino == m.File.Ino })
		if j < 0 {
			w.t.Fatalf("not there: %+v\n%s", m, w.story())
		}
		f := after.files[j]
		if f.folder != g.file.folder || f.attrs != g.file.attrs || f.mail != g.file.mail || f.size != g.file.size || f.uid != mailUID {
			w.t.Fatalf("was %+v, came back as %+v\n%s", g.file, f, w.story())
		}
		if received := w.mails[f.mail].received; f.mtime != received && f.mtime != received-received%1e9 {
			w.t.Fatalf("mail %d came back with mtime %d, want %d", f.mail, f.mtime, received)
		}
		w.checkBody("restore", offline, f)
		return 1
	default:
		w.t.Fatalf("not restored: %+v\n%s", m, w.story())
	}
	return 0
}

// TestRestoreWhileKept: rotation lets snapshots go. What a snapshot that is left
// has can be brought back; of what none has it is said.
func TestRestoreWhileKept(t *testing.T) {
	w, gone := liveLong(t, rules{deleted: [2]merge.Deletion{merge.Apply, merge.Apply}, maxDeletions: 100}, false, restoreSeed(t), 25)
	defer w.remove(t)
	list, err := snapshot.List(w.stores[offline].snapshots)
	w.must(err)
	rng := rand.New(rand.NewPCG(1, 4))
	kept := map[string]bool{}
	for _, e := range list {
		if kept[e.Name] = e.Sync == list[len(list)-1].Sync || rng.IntN(4) == 0; !kept[e.Name] {
			w.must(snapshot.Delete(w.stores[offline].snapshots, e.Name))
		}
	}
	_, sh := w.view()
	back, lost := 0, 0
	for _, g := range gone {
		if m := w.mails[g.file.mail]; m.dragged || m.dragOf >= 0 { // its bytes are those of another mail, too
			continue
		}
		if slices.ContainsFunc(sh[offline].files, func(f file) bool { return f.mail == g.file.mail }) {
			continue
		}
		res, err := engine.Restore(context.Background(), w.mailbox(), engine.RestoreOptions{IDs: []string{g.message}})
		w.must(err)
		held := w.inSnapshots(g.file.mail)
		if m := res.Mails[0]; (m.Effect == state.Lost) == held {
			t.Fatalf("mail %d: %+v, but a snapshot has it: %v\n%s", g.file.mail, m, held, w.story())
		} else if held {
			back++
		} else {
			lost++
		}
		_, sh = w.view()
	}
	if os.Getenv("SNAPMERGE_SEED") == "" && (back == 0 || lost == 0) {
		t.Errorf("%d brought back, %d lost: that proves little", back, lost)
	}
}

// inSnapshots tells whether any snapshot has a mail, by its bytes.
func (w *world) inSnapshots(mail int) bool {
	for _, side := range merge.Sides {
		all, _ := filepath.Glob(filepath.Join(w.stores[side].snapshots, "o*.*"))
		for _, root := range all {
			found := false
			filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					body, _ := os.ReadFile(path)
					found = found || sum(body) == sum(w.mails[mail].body)
				}
				return nil
			})
			if found {
				return true
			}
		}
	}
	return false
}
