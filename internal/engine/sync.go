// Package engine runs a sync from freeze to record. It puts the other packages
// together and decides nothing about mail itself: that is package merge.
//
// The stages, and what is true after each of them when the power fails:
//
//	freeze    two snapshots that no record names; the next run removes them
//	merge     nothing has changed
//	intend    the journal says everything that is going to be done
//	apply     a prefix of it is done; the next run finds out which from the
//	          journal and its own snapshots, and takes it for agreed
//	record    sync.N.json is there: the sync has happened. Only the index may
//	          be behind, and is built again
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/lock"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// Options of a sync.
type Options struct {
	DryRun bool // plan only: nothing stays changed
	// Progress is told what is being done and how far it is; total is 0 if unknown.
	Progress func(stage string, done, total int)
	Now      func() time.Time // the clock
}

// Stages, as Progress names them.
const (
	StageFreeze = "snapshot"
	StageScan   = "read"
	StageMerge  = "compare"
	StageHome   = "change offline"
	StageOnline = "change online"
	StageRecord = "record"
)

// A Result is what a sync leaves for the report.
type Result struct {
	Record *state.Record
	DryRun bool
	// Notes are sentences about the sync as a whole that a person should read.
	Notes []string
	// Stale has, by folder, how many mails have been waiting in online's new/
	// for more than a week.
	Stale map[string]int
	// Interrupted is the sync whose work this one finished, or 0.
	Interrupted int
}

// A run is one sync of one mailbox.
type run struct {
	mb     config.Mailbox
	opt    Options
	now0   time.Time // the clock of the whole sync
	policy merge.Policy
	dir    *os.File // the offline snapshots, with records and journal
	index  *state.Index
	// started is when the sync began; begun and taken are when online's snapshot
	// was, by the clock of ctimes.
	started, begun, taken time.Time
	indexPath             string

	last         *state.State
	heldSource   map[string]*state.SnapshotFile // where home's copy of what waited is, by message
	interrupted  *state.Intent
	acks         []state.Ack
	decided      map[string]state.Decided // answers since the last sync
	n            int                      // number of this sync
	meta         state.Meta
	lost         [2]bool
	rulesChanged bool

	frozen    [2]*frozen
	old       map[string]*frozen
	base, now [2]*files
	ownNames  [2]map[string]string // folders that the last sync renamed, old name → new
	refused   [2][]tree.Refused

	refusedMore [2]int // how many more there were than the list holds
	ids         *identities
	agreed      map[string][2][]tree.Placement
	work        []string
	waiting     []string // new online, in new/, and left there
	tooLate     []string // new online, and left for the next sync
	in          merge.Input
	plan        merge.Plan
	list        []*step
	recovered   []state.ReportAction
	byMessage   map[string][]*step // the steps of each message
	heldNow     []state.Held       // after this sync
	notes       []string
}

// Sync brings the two sides of a mailbox in step. A Result without a Record
// never comes without an error.
//
// Errors: [lock.ErrLocked] if another run works on the mailbox. After any error
// the next run completes the work.
func Sync(ctx context.Context, mb config.Mailbox, stateDir string, opt Options) (*Result, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Progress == nil {
		opt.Progress = func(string, int, int) {}
	}
	r := &run{mb: mb, opt: opt, now0: opt.Now(), old: map[string]*frozen{},
		agreed: map[string][2][]tree.Placement{}, heldSource: map[string]*state.SnapshotFile{}}
	r.policy = mb.Policy(r.now0)
	// Not the coarse clock: it can be a tick behind a ctime that is there already,
	// since Linux 6.13 takes some of them from the fine one.
	r.started = time.Now()
	if err := CheckStores(mb, false); err != nil {
		return nil, err
	}
	release, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	defer r.close()
	if err := r.load(stateDir); err != nil {
		return nil, err
	}
	return r.sync(ctx)
}

func (r *run) sync(ctx context.Context) (*Result, error) {
	if err := r.freeze(); err != nil {
		return nil, err
	}
	if err := r.compare(); err != nil {
		r.dropFrozen()
		return nil, err
	}
	if r.opt.DryRun {
		rec, err := r.record(r.opt.Now())
		if err = errors.Join(err, r.dropFrozen()); err != nil {
			return nil, err
		}
		return r.result(rec), nil
	}
	// Nothing has changed until the journal is written.
	journal, err := r.intend()
	if err != nil {
		r.dropFrozen()
		return nil, err
	}
	if err := r.apply(ctx, journal); err != nil {
		return nil, err
	}
	r.opt.Progress(StageRecord, 0, 0)
	rec, err := r.record(r.opt.Now())
	if err != nil {
		return nil, err
	}
	if err := state.WriteRecord(r.dir, rec); err != nil {
		return nil, err
	}
	if err := r.commit(rec); err != nil {
		return nil, err
	}
	// The journal last: while it is there, the next run knows that it must see to
	// the answers.
	if err := state.WriteDecisions(r.dir, nil); err != nil {
		return nil, err
	}
	if err := journal.Remove(); err != nil {
		return nil, err
	}
	res := r.result(rec)
	r.heldNow = rec.Pending.Held
	if err := r.rotate(); err != nil {
		return res, err
	}
	return res, nil
}

// lock makes this the only run on the mailbox: on the offline snapshots, which
// every run needs, and on online's, which another home might share.
func (r *run) lock() (release func(), err error) {
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	for _, path := range []string{r.mb.Offline.Snapshots, r.mb.Online.Snapshots} {
		d, err := os.Open(path)
		if err != nil {
			release()
			return nil, fmt.Errorf("lock: %w", err)
		}
		releases = append(releases, func() { d.Close() })
		if r.dir == nil {
			r.dir = d
		} else if same, err := sameDir(r.dir, d); same || err != nil {
			return release, err
		}
		unlock, err := lock.Take(d)
		if err != nil {
			release()
			return nil, err
		}
		releases = append(releases, unlock)
	}
	return release, nil
}

func sameDir(a, b *os.File) (bool, error) {
	sa, err := a.Stat()
	if err != nil {
		return false, err
	}
	sb, err := b.Stat()
	return err == nil && os.SameFile(sa, sb), err
}

func (r *run) close() {
	for _, z := range r.frozen {
		if z != nil {
			z.root.Close()
		}
	}
	for _, z := range r.old {
		z.root.Close()
	}
	if r.index != nil {
		r.index.Close()
	}
}

// freeze takes both snapshots, online's first: what arrives in between is at
// home later, never lost.
func (r *run) freeze() error {
	r.opt.Progress(StageFreeze, 0, 0)
	r.meta = state.Meta{Mailbox: r.mb.Name, Sync: r.n}
	var err error
	if r.begun, err = tickAfter(r.started); err != nil {
		return err
	}
	for _, side := range merge.Sides {
		s, name := r.store(side), snapshot.Name(side.String(), r.n)
		if err := snapshot.Take(s.Path, s.Snapshots, name); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", side, err), r.dropFrozen())
		}
		r.meta.Snapshots[side] = name
		if side == merge.Online {
			r.taken = time.Now()
		}
		z, err := openFrozen(s, name)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", side, err), r.dropFrozen())
		}
		r.frozen[side] = z
		if r.meta.Stores[side], err = storeID(s, name); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", side, err), r.dropFrozen())
		}
	}
	if err := r.findLost(); err != nil {
		return errors.Join(err, r.dropFrozen())
	}
	return nil
}

// dropFrozen removes this run's snapshots: it has changed nothing.
func (r *run) dropFrozen() error {
	var errs []error
	for _, side := range merge.Sides {
		if name := r.meta.Snapshots[side]; name != "" {
			err := snapshot.Delete(r.store(side).Snapshots, name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (r *run) store(side merge.Side) config.Store {
	if side == merge.Online {
		return r.mb.Online
	}
	return r.mb.Offline
}

// compare reads both snapshots and makes the plan.
func (r *run) compare() error {
	for _, side := range merge.Sides {
		r.opt.Progress(StageScan, int(side), 2)
		t, err := tree.Scan(r.frozen[side].root, r.store(side).Layout)
		if err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
		r.refused[side], r.refusedMore[side], t.Refused = t.Refused, t.RefusedMore, nil
		r.now[side] = newFiles(t)
		r.base[side] = knownFiles(r.last.Trees[side], r.last.Messages[side])
	}
	r.opt.Progress(StageMerge, 0, 0)
	r.rulesChanged = r.last.Rules != r.rules()
	for _, a := range r.last.Agreed {
		r.agreed[a.Message] = a.Base
	}
	if err := r.identify(); err != nil {
		return err
	}
	r.recover()
	r.work = r.working()
	var err error
	if r.in, err = r.input(); err != nil {
		return err
	}
	r.plan = merge.Merge(r.in, r.policy)
	if r.list, err = r.steps(); err != nil {
		return err
	}
	r.byMessage = map[string][]*step{}
	for _, s := range r.list {
		if s.action != nil {
			r.byMessage[s.action.Message] = append(r.byMessage[s.action.Message], s)
		}
	}
	return nil
}

func (r *run) identify() error {
	var own [2]map[uint64]string
	for _, side := range merge.Sides {
		own[side] = map[uint64]string{}
	}
	for _, o := range r.last.Own {
		own[o.Side][o.File.Ino] = o.Message
	}
	r.ownOfInterrupted(&own)
	var names []string
	for m := range r.agreed {
		names = append(names, m)
	}
	var err error
	r.ids, err = identify(r.base, r.now, own, r.plannedByInterrupted(), r.lost, names, r.sameBytes)
	if err == nil && (r.last.Sync == 0 || r.lost != [2]bool{}) {
		err = r.ids.joinEqual()
	}
	return err
}

func (r *run) sameBytes(aSide merge.Side, a tree.File, bSide merge.Side, b tree.File) (bool, error) {
	sa, err := r.frozen[aSide].file(a)
	if err != nil {
		return false, err
	}
	sb, err := r.frozen[bSide].file(b)
	if err != nil {
		return false, err
	}
	return equalBytes(sa, sb)
}
