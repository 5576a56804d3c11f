package enginetest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// mailbox is the configuration, in the program's terms.
func (w *world) mailbox() config.Mailbox {
	r := w.oracle.rules
	mb := config.Mailbox{Name: "chris"}
	mb.Merge = config.Merge{Prefer: r.prefer, DeletedOnline: r.deleted[online], DeletedOffline: r.deleted[offline], MaxDeletions: r.maxDeletions}
	switch {
	case r.includeNew == 1:
		mb.Merge.IncludeNew = merge.Keep{Unit: merge.KeepNone}
	case r.includeNew > 1:
		mb.Merge.IncludeNew = merge.Keep{Unit: merge.KeepDays, N: r.includeNew}
	}
	for _, name := range slices.Sorted(maps.Keys(r.folders)) {
		f := r.folders[name]
		rule := merge.Rule{Match: name, Skip: f.skip, DeletedOnline: f.deletedOnline, DeletedOffline: f.deletedOffline, KeepFlagged: &f.keepFlagged}
		if f.keepDays > 0 {
			rule.Keep = &merge.Keep{Unit: merge.KeepDays, N: f.keepDays}
		}
		if name == lists {
			rule.Archive = [2]merge.Pattern{merge.Pattern(r.archive[online]), merge.Pattern(r.archive[offline])}
		}
		mb.Folders = append(mb.Folders, rule)
	}
	mb.Rotate = w.rotation
	for side, s := range map[*config.Store]store{&mb.Online: w.stores[online], &mb.Offline: w.stores[offline]} {
		*side = config.Store{Path: s.root, Snapshots: s.snapshots, Layout: tree.Layout{FS: s.fs}}
	}
	return mb
}

// A forecast is what the oracle expects of a sync.
type forecast struct {
	mails   map[int]verdict
	facts   map[int]facts
	folders [2]map[string]bool
	agreed  map[string]bool
}

// forecast asks the oracle about every mail, and once more about those that
// were deleted if there are too many of them.
func (w *world) forecast(view map[int][2]places, shelves [2]shelf) forecast {
	w.t.Helper()
	fc := forecast{mails: map[int]verdict{}, facts: map[int]facts{}}
	deletions := [2]int{}
	for mail, ps := range view {
		fa := w.factsOf(mail, view)
		v := w.oracle.foresee(mail, ps, fa)
		fc.mails[mail], fc.facts[mail] = v, fa
		for _, s := range v.deleted {
			deletions[s]++
		}
	}
	var tooMany [2]bool
	for _, s := range merge.Sides {
		tooMany[s] = deletions[s] > w.oracle.maxDeletions || deletions[s] > 10 && deletions[s] > w.oracle.known[s]/2
	}
	after, have := [2]map[string]int{{}, {}}, [2]map[string]bool{{}, {}}
	for mail, ps := range view {
		fa := fc.facts[mail]
		fa.tooMany = tooMany
		v := w.oracle.foresee(mail, ps, fa)
		if v.odd != "" {
			w.t.Fatalf("the oracle does not know what becomes of mail %d: %s\n%s", mail, v.odd, w.story())
		}
		fc.mails[mail] = v
		for _, s := range merge.Sides {
			for f := range v.want[s] {
				after[s][f]++
			}
		}
	}
	for _, s := range merge.Sides {
		for f := range shelves[s].folders {
			have[s][f] = true
		}
	}
	fc.folders, fc.agreed = w.oracle.folderVerdict(have, after)
	for _, s := range merge.Sides { // skipped folders stay as they are
		for f := range have[s] {
			if w.oracle.folders[f].skip {
				fc.folders[s][f] = true
			}
		}
	}
	return fc
}

// connect is how the engine gets at online: in a far world without being told
// that it is on this machine, so that it works on received copies.
func (w *world) connect(ctx context.Context, mb config.Mailbox) (host.Host, error) {
	h, err := engine.ConnectLocal(ctx, mb)
	if w.far {
		h = struct{ host.Host }{h}
	}
	return h, err
}

// sync lets the engine sync, checks everything that can be checked, and returns
// its report.
func (w *world) sync() *state.Record {
	w.t.Helper()
	view, before := w.view()
	fc := w.forecast(view, before)
	res, err := engine.Sync(context.Background(), w.mailbox(), w.state, engine.Options{Now: func() time.Time { return w.clock }, Connect: w.connect})
	w.must(err)
	rec := res.Record
	w.log("sync %d", rec.Sync)
	for _, a := range rec.Report.Actions {
		w.log("  %s: %s %q to %q of mail %v, rule %s: %s %s", a.Side, a.Op, a.From, a.To, w.keys[a.Message], a.Rule, a.Effect, a.Why)
	}
	got, after := w.view()
	w.checkMails(fc, got)
	w.checkFolders(fc, after)
	w.checkHeld(fc, rec)
	w.checkFiles(rec, before, after)
	w.checkReport(rec, before, after)
	for mail, v := range fc.mails {
		w.oracle.settle(mail, v, view[mail], fc.facts[mail])
	}
	w.oracle.last = w.clock
	w.oracle.agreed, w.oracle.rename, w.oracle.known = fc.agreed, [2]map[string]string{{}, {}}, [2]int{}
	for _, m := range w.oracle.memory {
		for _, s := range merge.Sides {
			if len(m.base[s]) > 0 {
				w.oracle.known[s]++
			}
		}
	}
	return rec
}

// syncAgain: G5. A second sync at once does nothing at all, not even to the
// times of a directory.
func (w *world) syncAgain(first *state.Record) *state.Record {
	w.t.Helper()
	before := w.everything()
	rec := w.sync()
	if rec.Report.Online != (state.Counts{}) || rec.Report.Offline != (state.Counts{}) || len(rec.Report.Actions) > 0 {
		w.fail("G5", "the second sync did something: %+v %+v", rec.Report.Totals, rec.Report.Actions)
	}
	if d := cmp.Diff(before, w.everything()); d != "" {
		w.fail("G5", "the second sync left traces:\n%s", d)
	}
	if a, b := first.Report.Held, rec.Report.Held; a != b {
		w.fail("G5", "%d held, then %d", a, b)
	}
	return rec
}

// everything lists all that is in both stores, with inodes and times.
func (w *world) everything() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, side := range merge.Sides {
		w.must(filepath.WalkDir(w.stores[side].root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st syscall.Stat_t
			if err := syscall.Lstat(path, &st); err != nil {
				return err
			}
			out[side.String()+path[len(w.stores[side].root):]] = fmt.Sprint(st.Ino, st.Mode, st.Uid, st.Nlink, st.Size, st.Mtim, st.Ctim)
			return nil
		}))
	}
	return out
}

// decide answers one of the questions that wait.
func (w *world) decide(rec *state.Record, n int, take merge.Side) {
	w.t.Helper()
	held := slices.Clone(rec.Pending.Held)
	if len(held) == 0 {
		return
	}
	slices.SortFunc(held, func(a, b state.Held) int { return w.known(a.Message) - w.known(b.Message) })
	h := held[n%len(held)]
	mail := w.known(h.Message)
	dir, err := os.Open(w.stores[offline].snapshots)
	w.must(err)
	defer dir.Close()
	w.must(state.Decide(dir, map[string]state.Decided{h.ID: {
		Decision: merge.Decision{State: h.State, Take: take}, Message: h.Message, Who: "test", At: w.clock,
	}}))
	m := w.oracle.of(mail)
	m.answered, m.take = m.asked, take
	w.log("  decided: mail %d, %s: take %s", mail, h.Kind, take)
}
