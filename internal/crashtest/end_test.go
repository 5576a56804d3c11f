package crashtest

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// An end is what a test compares: both stores, what waits, and what all syncs
// from the third on say that they did.
type end struct {
	Online, Offline view
	Held            []string
	Did             map[string]state.Counts
}

// end reads the world after its last sync.
func (w *world) end() end {
	w.t.Helper()
	e := end{Online: look(w.t, w.online.path), Offline: look(w.t, w.offline.path), Did: map[string]state.Counts{}}
	dir := w.records()
	defer dir.Close()
	syncs, err := state.ListRecords(dir)
	must(w.t, err)
	for _, n := range syncs {
		rec, err := state.ReadRecord(dir, n)
		must(w.t, err)
		e.Held = nil
		for _, h := range rec.Pending.Held {
			e.Held = append(e.Held, string(h.Kind)+" "+h.Message)
		}
		if n > 2 {
			e.Did["online"] = sum(e.Did["online"], rec.Report.Online)
			e.Did["offline"] = sum(e.Did["offline"], rec.Report.Offline)
		}
	}
	return e
}

// records opens the directory of records and journal.
func (w *world) records() *os.File {
	w.t.Helper()
	dir, err := os.Open(w.mb.Offline.Snapshots)
	must(w.t, err)
	return dir
}

func sum(a, b state.Counts) state.Counts {
	return state.Counts{Placed: a.Placed + b.Placed, Copied: a.Copied + b.Copied, Moved: a.Moved + b.Moved,
		Flagged: a.Flagged + b.Flagged, Deleted: a.Deleted + b.Deleted, Folders: a.Folders + b.Folders, Expired: a.Expired + b.Expired}
}

// compare reports the differences of two ends. What the syncs say that they did
// counts only where nobody interfered.
func compare(t testing.TB, got, want end, counts bool) {
	t.Helper()
	if d := diffEnds(got, want, counts); d != "" {
		t.Errorf("not the end of an undisturbed sync (-want +got):\n%s", d)
	}
}

func diffEnds(got, want end, counts bool) string {
	opts := cmp.Options{}
	if !counts {
		opts = append(opts, cmpopts.IgnoreFields(end{}, "Did"))
	}
	return cmp.Diff(want, got, opts)
}

// settled checks what every finished sync leaves: a next one has nothing to do,
// and there is no journal, lock, temporary file or forgotten snapshot.
func (w *world) settled() {
	w.t.Helper()
	res, err := w.trySync(engine.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	if n := len(res.Record.Report.Actions); n > 0 {
		w.t.Errorf("the sync after it has %d actions: %+v", n, res.Record.Report.Actions)
	}
	for name, s := range w.sides() {
		if l := litter(w.t, s.path); len(l) > 0 {
			w.t.Errorf("left in the %s store: %q", name, l)
		}
	}
	mb := w.mb
	// And what is the only one to have mail that was placed and deleted at home
	// between two snapshots of home.
	want := 1
	for _, u := range res.Record.Pending.Undo {
		if strings.HasPrefix(u.Snapshot, snapshot.Online) && u.Snapshot != res.Record.Snapshots[merge.Online] {
			want++
		}
	}
	if l := names(w.t, mb.Online.Snapshots); len(l) != want {
		w.t.Errorf("snapshots online: %q, want %d: the base, and what deletions need", l, want)
	}
	for _, n := range names(w.t, mb.Offline.Snapshots) {
		if !strings.HasPrefix(n, "offline.") && !strings.HasPrefix(n, "sync.") {
			w.t.Errorf("left beside the snapshots: %q", n)
		}
	}
}

// untouched checks that mail which was at home before is there as the same file,
// or not at all: before is from [files].
func (w *world) untouched(before map[uint64]file) {
	w.t.Helper()
	known := map[string]bool{}
	for _, f := range before {
		known[f.Key] = true
	}
	for ino, f := range files(w.t, w.offline.path) {
		if was, ok := before[ino]; ok && was != f {
			w.t.Errorf("mail at home changed from %+v to %+v", was, f)
		} else if !ok && known[f.Key] {
			w.t.Errorf("mail at home is another file now: %+v", f)
		}
	}
}

// ends are the undisturbed ends, made once: by the name of the change that a user
// makes after the third sync, "" for none.
var ends struct {
	sync.Mutex
	by map[string]end
}

// wantEnd returns the end of an undisturbed third sync, and, with a change, of a
// fourth one after it.
func wantEnd(t testing.TB, c change) end {
	t.Helper()
	ends.Lock()
	defer ends.Unlock()
	if e, ok := ends.by[c.name]; ok {
		return e
	}
	w := prepare(t, btrfstest.Shared(t).Path)
	w.sync()
	if c.do != nil {
		c.do(w)
		w.sync()
	}
	if ends.by == nil {
		ends.by = map[string]end{}
	}
	e := w.end()
	ends.by[c.name] = e
	w.settled()
	return e
}
