package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"snapmerge/internal/apply"
	"snapmerge/internal/config"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// RestoreOptions say what is to be brought back: mails by their keys, all that a
// sync has deleted, or what retained snapshots have and home has no more.
type RestoreOptions struct {
	IDs    []string // keys, as reports and file names have them
	Sync   int
	Folder string    // only what was in there when it was last seen
	Since  time.Time // only what was there since then
	// Into is the folder that all of it goes to; "": each mail's former one.
	Into    string
	Online  bool // put it back online as well
	DryRun  bool
	Who     string
	Asked   string // the options, for the log
	Now     func() time.Time
	Connect Connect
}

// A Restoration is what was brought back, or would be.
type Restoration struct {
	*state.Restore
	DryRun bool
	Notes  []string
}

// Restore brings mail back from snapshots: as a new file at home, with the folder,
// flags and date that it had. Nothing is replaced. It is placed as everything
// else is, under Dovecot's locks, and a file beside the snapshots says what was
// done, before and after.
//
// The next sync takes it for the user's: a deletion that both sides know of has
// left no base, so the mail is new at home, which is no reason to remove it. Where
// it is still online the two are one again. So it is refused while an interrupted
// sync waits to be finished: that could take the mail for one that it had not got
// round to deleting.
//
// Errors: a [*Problem] if a store is not fit or the time is not right,
// [lock.ErrLocked]; nothing was changed then. What became of each mail is in the
// result.
func Restore(ctx context.Context, mb config.Mailbox, opt RestoreOptions) (*Restoration, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	r := &restorer{mb: mb, opt: opt, old: map[string]*frozen{}}
	defer r.close()
	err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	list, err := r.find()
	if err == nil {
		err = r.ready(list)
	}
	if err != nil {
		return nil, err
	}
	if err := r.notice(list); err != nil {
		return nil, err
	}
	return r.carryOut(ctx, list)
}

// notBegun is why a mail has failed that it was not the turn of. Where the connection
// broke it may have been placed all the same.
const notBegun = "not begun"

// A restorer is one restore.
type restorer struct {
	mb    config.Mailbox
	opt   RestoreOptions
	hosts *Hosts
	rec   *state.Record // of the newest sync, nil if there was none
	snaps []snapshot.Entry
	old   map[string]*frozen
	live  [2]*frozen // online's only if it is to be changed; as home knows it, if it is elsewhere
	notes []string
}

func (r *restorer) close() {
	for _, z := range r.old {
		z.root.Close()
	}
	for _, z := range r.live {
		if z != nil {
			z.root.Close()
		}
	}
	if r.hosts != nil {
		r.hosts.Close()
	}
}

// open locks home, and online if that is to be changed: a sync takes home's lock
// first, so the one keeps it away.
func (r *restorer) open(ctx context.Context) (err error) {
	if r.opt.Online {
		r.hosts, err = OpenHosts(ctx, r.mb, r.opt.Connect, false)
	} else {
		r.hosts, err = openHome(ctx, r.mb)
	}
	if err != nil {
		return err
	}
	rec, damaged, err := state.NewestRecord(r.hosts.Dir)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		r.notes = append(r.notes, d.Error())
	}
	r.rec = rec
	if err := r.checkJournal(); err != nil {
		return err
	}
	if r.live[merge.Offline], err = openLive(storeOf(r.mb.Offline)); err != nil {
		return err
	}
	if err := r.listSnapshots(); err != nil || !r.opt.Online {
		return err
	}
	r.live[merge.Online], err = r.openOnline()
	return err
}

// openHome is OpenHosts for home alone.
func openHome(ctx context.Context, mb config.Mailbox) (*Hosts, error) {
	home := host.Open(storeOf(mb.Offline), snapshot.Offline)
	h := &Hosts{}
	h.Side[merge.Offline] = home
	err := lock(ctx, home)
	if err == nil {
		err = h.lookHome(ctx, mb)
	}
	if err == nil {
		h.Dir, err = os.Open(mb.Offline.Snapshots)
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Hosts) lookHome(ctx context.Context, mb config.Mailbox) error {
	f, err := h.Side[merge.Offline].Look(ctx, false)
	if err != nil {
		return err
	}
	h.Facts[merge.Offline] = f
	var errs []error
	for i := range f.Problems {
		errs = append(errs, fmt.Errorf("mailbox %s: %s: %w", mb.Name, merge.Offline, &f.Problems[i]))
	}
	return errors.Join(errs...)
}

func (r *restorer) checkJournal() error {
	in, _, err := state.ReadJournal(r.hosts.Dir)
	if errors.Is(err, state.ErrNoIntent) {
		return nil
	}
	if err == nil && r.rec != nil && r.rec.Sync >= in.Sync {
		return nil // it has come to its end
	}
	p := &Problem{Subject: "mailbox " + r.mb.Name, Text: "a sync was interrupted, and may still delete what is brought back now", Mend: "finish it first: snapmerge sync " + r.mb.Name}
	return errors.Join(p, err)
}

// ready finds out for each mail whether it can be read, and whether it is there.
func (r *restorer) ready(list []*wanted) error {
	for _, w := range list {
		if w.effect != "" {
			continue
		}
		if err := r.read(w); err != nil {
			return err
		}
	}
	home, err := r.holdings(merge.Offline, list)
	if err != nil {
		return err
	}
	for _, w := range list {
		if w.effect == "" {
			if err := home.check(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// carryOut places the mails, and says so before and after.
func (r *restorer) carryOut(ctx context.Context, list []*wanted) (*Restoration, error) {
	all := list
	if r.opt.Online {
		online, err := r.online(list)
		if err != nil {
			return nil, err
		}
		all = append(slices.Clone(list), online...)
	}
	rec := &state.Restore{Mailbox: r.mb.Name, Asked: r.opt.Asked, Who: r.opt.Who, Started: r.opt.Now()}
	if r.rec != nil {
		rec.Sync = r.rec.Sync
	}
	out := &Restoration{Restore: rec, DryRun: r.opt.DryRun, Notes: r.notes}
	todo := slices.ContainsFunc(all, func(w *wanted) bool { return w.effect == "" })
	if r.opt.DryRun || !todo {
		rec.Mails = restored(all)
		return out, nil
	}
	if err := r.number(rec); err != nil {
		return nil, err
	}
	rec.Mails = restored(all)
	if err := state.WriteRestore(r.hosts.Dir, rec); err != nil {
		return nil, err
	}
	var err error
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		err = cmp.Or(err, r.place(ctx, side, all))
	}
	for _, w := range all {
		if w.effect == "" {
			w.effect, w.why = state.Failed, notBegun
		}
	}
	rec.Mails, rec.Finished = restored(all), r.opt.Now()
	return out, errors.Join(err, state.WriteRestore(r.hosts.Dir, rec))
}

// number gives a restore the next free number after the last sync.
func (r *restorer) number(rec *state.Restore) error {
	ids, err := state.ListRestores(r.hosts.Dir)
	rec.N = 1
	for _, id := range ids {
		if id.Sync == rec.Sync {
			rec.N = id.N + 1
		}
	}
	return err
}

func restored(list []*wanted) (out []state.Restored) {
	for _, w := range list {
		m := state.Restored{Side: w.side, Message: w.message, Copy: w.copy, To: w.to, Effect: w.effect, Why: w.why, File: w.file}
		if w.src != nil {
			m.After = &state.Named{Name: w.name.String(), Flags: w.name.Flags, Keywords: w.keywords}
		}
		if w.file != nil {
			m.After.Name = w.file.Name
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b state.Restored) int {
		return cmp.Or(cmp.Compare(b.Side, a.Side), strings.Compare(a.To, b.To), strings.Compare(a.Message, b.Message))
	})
	return out
}

// place makes the files of one side, and the folders that they need.
func (r *restorer) place(ctx context.Context, side merge.Side, list []*wanted) error {
	if r.live[side] == nil {
		return nil
	}
	b := host.Batch{Sync: true}
	var at []*wanted // of each step; nil: a folder
	made := map[string]bool{}
	reader, err := tree.NewReader(r.live[side].root, r.live[side].layout)
	if err != nil {
		return err
	}
	defer reader.Close()
	for _, w := range list {
		if w.side != side || w.effect != "" {
			continue
		}
		if !made[w.to] {
			made[w.to] = true
			if _, ok, err := reader.Folder(w.to); err != nil {
				return err
			} else if !ok || side == merge.Online && r.hosts.Mirrored { // it may be gone since; one that is there is left
				b.Steps, at = append(b.Steps, host.Step{Op: apply.Op{Kind: apply.MakeFolder, Folder: w.to}}), append(at, nil)
			}
		}
		b.Steps, at = append(b.Steps, host.Step{Op: w.op()}), append(at, w)
	}
	if len(b.Steps) == 0 {
		return nil
	}
	return r.hosts.Side[side].Apply(ctx, b, func(i int, res apply.Result) {
		if at[i] != nil {
			at[i].done(res)
		}
	})
}
