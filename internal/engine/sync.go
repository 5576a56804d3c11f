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
	"os"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// Options of a sync.
type Options struct {
	DryRun bool // plan only: nothing stays changed
	// MaxDeletions, if not nil, is how many new deletions a side may have in this
	// sync, in place of what the configuration and the half-of-the-mail rule say.
	MaxDeletions *int
	// Progress is told what is being done and how far it is; total is 0 if unknown.
	// While a stream is received it is called from two goroutines.
	Progress func(stage string, done, total int)
	// Batch is how many steps are done before they are made durable and acknowledged
	// in the journal; 0 stands for 10,000.
	Batch   int
	Now     func() time.Time // the clock
	Connect Connect          // nil: online is a path on this machine
}

// Stages, as Progress and Result.Stages name them.
const (
	StageConnect = "connect"
	StageLoad    = "load" // while online is called
	StagePrepare = "prepare"
	StageFreeze  = "snapshot"
	StageReceive = "receive" // done and total are bytes
	StageScan    = "read"
	StageMerge   = "compare"
	StageIntend  = "journal"
	StageHome    = "change offline"
	StageOnline  = "change online"
	StageRecord  = "record"
	StageRotate  = "rotate"
)

// A Stage is a part of a sync and how long it took.
type Stage struct {
	Name string
	Took time.Duration
}

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
	Stages      []Stage
}

// A run is one sync of one mailbox.
type run struct {
	mb     config.Mailbox
	opt    Options
	now0   time.Time // the clock of the whole sync
	policy merge.Policy
	hosts  *Hosts
	dir    *os.File // the offline snapshots, with records and journal
	index  *state.Index
	begun  time.Time // when online's snapshot was taken, by its host's clock of ctimes
	taken  time.Time

	indexPath string
	stages    []Stage

	newest       *state.Summary                 // of the records; nil before the first sync
	last         *state.State                   // without its trees
	messages     [2]int                         // how many each side's base has
	heldSource   map[string]*state.SnapshotFile // where home's copy of what waited is, by message
	interrupted  *state.Intent
	acks         []state.Ack
	decided      map[string]state.Decided // answers since the last sync
	n            int                      // number of this sync
	indexed      int                      // the sync that the index was of when it was opened
	meta         state.Meta
	lost         [2]bool
	rulesChanged bool

	frozen      [2]*frozen
	old         map[string]*frozen
	base        [2]*base
	now         [2]*now
	ownNames    [2]map[string]string // folders that the last sync renamed, old name → new
	nested      [2]*host.Frozen
	refused     [2][]tree.Refused
	made        [2]map[string]bool // archive subfolders that syncs have made
	refusedMore [2]int             // how many more there were than the list holds

	ids       *identities
	agreed    map[string][2][]tree.Placement
	work      []string
	waiting   []string // new online, in new/, and left there
	tooLate   []string // new online, and left for the next sync
	in        merge.Input
	plan      merge.Plan
	list      []*step
	recovered []state.ReportAction
	aimed     [2]map[place]string // message by the folder and unique name that its steps give
	byMessage map[string][]*step  // the steps of each message
	heldNow   []state.Held        // after this sync

	subscriptions       []state.ReportAction // what was done about them
	agreedSubscriptions []string
	received            int64          // bytes of the stream
	arriving            <-chan arrival // what comes of online's snapshot
	arrival             arrival
	notes               []string
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
	if opt.Batch == 0 {
		opt.Batch = 10_000
	}
	if opt.Progress == nil {
		opt.Progress = func(string, int, int) {}
	}
	r := &run{mb: mb, opt: opt, now0: opt.Now(), old: map[string]*frozen{},
		agreed: map[string][2][]tree.Placement{}, heldSource: map[string]*state.SnapshotFile{}}
	r.policy = mb.Policy(r.now0)
	r.policy.Allowed = opt.MaxDeletions
	var err error
	end := r.stage(StageConnect)
	defer r.close()
	if r.hosts, err = openHosts(ctx, mb, opt.Connect, false, func(dir *os.File) error { return r.load(dir, stateDir) }); err != nil {
		return nil, err
	}
	end()
	end = r.stage(StagePrepare)
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	end()
	return r.sync(ctx)
}

// stage tells that a stage begins; the result is called at its end.
func (r *run) stage(name string) (end func()) {
	begun := time.Now()
	r.opt.Progress(name, 0, 0)
	return func() { r.stages = append(r.stages, Stage{name, time.Since(begun)}) }
}

func (r *run) sync(ctx context.Context) (*Result, error) {
	if err := r.look(ctx); err != nil {
		// What is not dropped now, as its disk is read-only for instance, is dropped
		// by the next run.
		_ = r.dropFrozen(ctx)
		return nil, err
	}
	if r.opt.DryRun {
		if err := r.subscribe(ctx); err != nil {
			return nil, errors.Join(err, r.dropFrozen(ctx))
		}
		rec, err := r.record(r.opt.Now())
		if err = errors.Join(err, r.dropFrozen(ctx)); err != nil {
			return nil, err
		}
		return r.result(rec), nil
	}
	journal, err := r.change(ctx)
	if err == nil {
		err = r.subscribe(ctx)
	}
	if err != nil {
		return nil, err
	}
	end := r.stage(StageRecord)
	rec, err := r.finish(journal)
	if err != nil {
		return nil, err
	}
	end()
	r.heldNow = rec.Pending.Held
	end = r.stage(StageRotate)
	if err := r.rotate(ctx, rec); err != nil {
		return r.result(rec), err
	}
	end()
	return r.result(rec), nil
}

// look freezes both sides, reads them and makes the plan. What comes from another
// machine is received meanwhile, until it is asked for; after an error it is
// waited for, so that nothing is made any more.
func (r *run) look(ctx context.Context) error {
	receiving, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		if r.arriving != nil {
			<-r.arriving
		}
	}()
	if err := r.freeze(ctx, receiving); err != nil {
		return err
	}
	return r.compare(ctx)
}

// change carries out the plan. Nothing has changed until the journal is written;
// where there is nothing to do, there is none.
func (r *run) change(ctx context.Context) (*state.Journal, error) {
	if len(r.list) == 0 && r.interrupted == nil {
		return nil, nil
	}
	end := r.stage(StageIntend)
	journal, err := r.intend()
	if err != nil {
		_ = r.dropFrozen(ctx)
		return nil, err
	}
	end()
	return journal, r.apply(ctx, journal)
}

// finish records the sync. The journal goes last: while it is there, the next
// run knows that it must see to the answers.
func (r *run) finish(journal *state.Journal) (*state.Record, error) {
	rec, err := r.record(r.opt.Now())
	if err == nil {
		err = state.WriteRecord(r.dir, rec)
	}
	if err == nil {
		err = r.commit(rec)
	}
	if err == nil && len(r.decided) > 0 {
		err = state.WriteDecisions(r.dir, nil)
	}
	if err == nil && journal != nil {
		err = journal.Remove()
	}
	return rec, err
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
	if r.hosts != nil {
		r.hosts.Close()
	}
}

func (r *run) store(side merge.Side) config.Store {
	if side == merge.Online {
		return r.mb.Online
	}
	return r.mb.Offline
}

// compare reads both snapshots and makes the plan.
func (r *run) compare(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	end := r.stage(StageMerge)
	r.rulesChanged = r.last.Rules != r.rules()
	for _, a := range r.last.Agreed {
		r.agreed[a.Message] = a.Base
	}
	if err := r.identify(); err != nil {
		return err
	}
	r.findMade()
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
	end()
	return r.answered()
}

// answered is the error of a question to the index that went wrong: the answers
// since then were none.
func (r *run) answered() error {
	return errors.Join(r.base[merge.Online].err, r.base[merge.Offline].err)
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
	if err := r.ownOfRestores(&own); err != nil {
		return err
	}
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
	if r.hosts.Mirrored && r.arrival.track == nil && aSide != bSide {
		// All of it was received anew, although home has most of it already.
		if aSide == merge.Offline {
			sa, sb = sb, sa
		}
		return shareBytes(sa, sb)
	}
	return equalBytes(sa, sb)
}
