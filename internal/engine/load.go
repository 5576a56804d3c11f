package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"snapmerge/internal/config"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/internal/stream"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// load reads what the last sync left, and what an interrupted one was doing: all
// that can be known while online is called.
func (r *run) load(dir *os.File, stateDir string) (err error) {
	defer r.stage(StageLoad)()
	r.dir = dir
	var damaged []error
	if r.newest, damaged, err = state.NewestSummary(dir); err != nil {
		return err
	}
	for _, d := range damaged {
		r.notes = append(r.notes, d.Error())
	}
	if r.decided, err = state.ReadDecisions(dir); err != nil {
		return err
	}
	if err := r.loadJournal(r.newest); err != nil {
		return err
	}
	if err := r.openIndex(stateDir); err != nil {
		return err
	}
	if fits, err := r.loadState(len(damaged) > 0); err != nil || !fits {
		return err
	}
	return r.askIndex()
}

// prepare does the rest of it, when both sides are there: it makes the index anew
// from both base snapshots if it has to, and chooses the number of this sync.
func (r *run) prepare(ctx context.Context) error {
	if r.last == nil {
		if err := r.rebuildIndex(); err != nil {
			return err
		}
		if err := r.askIndex(); err != nil {
			return err
		}
	}
	return r.clean(ctx)
}

// askIndex opens the index for the questions of this sync.
func (r *run) askIndex() (err error) {
	if err := r.index.BeginReading(); err != nil {
		return err
	}
	for _, side := range merge.Sides {
		r.base[side] = newBase(r.index, side)
	}
	r.policy.LastSync = r.last.LastSync
	for _, h := range r.last.Held {
		r.heldSource[h.Message] = h.Source
	}
	r.ownNames = r.last.Renamed
	r.messages, err = r.index.Messages()
	return err
}

// loadJournal reads the journal of a sync that did not get as far as its record.
func (r *run) loadJournal(newest *state.Summary) error {
	in, acks, err := state.ReadJournal(r.dir)
	if errors.Is(err, state.ErrNoIntent) {
		return nil
	}
	if err != nil {
		return err
	}
	if newest != nil && newest.Sync >= in.Sync {
		// Only the last steps were missing: that sync has seen the answers from
		// before it, and those that go on counting are in its record.
		maps.DeleteFunc(r.decided, func(_ string, d state.Decided) bool { return d.At.Before(in.Started) })
		if err := state.WriteDecisions(r.dir, r.decided); err != nil {
			return err
		}
		return state.RemoveJournal(r.dir)
	}
	r.interrupted, r.acks = in, acks
	return nil
}

func (r *run) openIndex(stateDir string) error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	r.indexPath = IndexPath(stateDir, r.mb.Name)
	var err error
	if r.index, err = state.Open(r.indexPath); errors.Is(err, state.ErrRebuild) {
		err = r.newIndex()
	}
	return err
}

// newIndex begins an empty index in place of one that is of no use.
func (r *run) newIndex() error {
	err := state.Discard(r.indexPath)
	if err == nil {
		r.index, err = state.Open(r.indexPath)
	}
	return err
}

// fillIndex makes the index hold that state. A file so damaged that not even this
// works is replaced.
func (r *run) fillIndex(s *state.State) error {
	err := r.index.Replace(s)
	if !errors.Is(err, state.ErrRebuild) {
		return err
	}
	r.index.Close() // of a damaged file: it may well complain
	r.index = nil
	if err := r.newIndex(); err != nil {
		return err
	}
	return r.index.Replace(s)
}

// IndexPath is where a mailbox's index is.
func IndexPath(stateDir, mailbox string) string { return filepath.Join(stateDir, mailbox+".db") }

// loadState takes what is pending from the index. It returns false if that is not
// of the newest record.
func (r *run) loadState(damaged bool) (fits bool, err error) {
	meta, err := r.index.Meta()
	if err == nil {
		r.indexed = meta.Sync
		// If the record of the last sync is damaged, the index may be of that sync.
		newer := damaged && meta.Sync > 0 && (r.newest == nil || meta.Sync > r.newest.Sync)
		if newer || r.newest != nil && meta == r.newest.Meta || r.newest == nil && meta.Sync == 0 {
			var p state.Pending
			if p, err = r.index.Pending(); err == nil {
				r.last = &state.State{Meta: meta, Pending: p}
				return true, nil
			}
		}
	}
	if errors.Is(err, state.ErrRebuild) {
		err = nil
	}
	return false, err
}

// rebuildIndex makes the index again from the two base snapshots.
func (r *run) rebuildIndex() error {
	s := &state.State{Trees: [2]*tree.Tree{{}, {}}}
	if r.newest != nil {
		rec, err := state.ReadRecord(r.dir, r.newest.Sync)
		if err != nil {
			return err
		}
		trees, err := r.baseTrees(rec)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.notes = append(r.notes, fmt.Sprintf("the index and a snapshot of sync %d are both gone: compared as in a first sync, so nothing counts as deleted", rec.Sync))
		case err != nil:
			return err
		default:
			if s, err = state.Rebuild(trees, rec); err != nil {
				return err
			}
		}
	}
	if err := r.fillIndex(s); err != nil {
		return err
	}
	r.last = &state.State{Meta: s.Meta, Pending: s.Pending}
	return nil
}

func (r *run) baseTrees(rec *state.Record) (trees [2]*tree.Tree, err error) {
	for _, side := range merge.Sides {
		r.opt.Progress("rebuild index", int(side), 2)
		z, err := openFrozen(r.readable(side), rec.Snapshots[side])
		if err != nil {
			return trees, fmt.Errorf("rebuild index: %w", err)
		}
		trees[side], err = stream.Scan(z.root, z.layout)
		z.root.Close()
		if err != nil {
			return trees, fmt.Errorf("rebuild index: %s: %w", side, err)
		}
	}
	return trees, nil
}

// clean chooses the number of this sync, and removes the snapshots of a run that
// ended before it had changed anything: those have the next number. Numbers are
// not used twice. The snapshots of an interrupted sync stay, for it may have
// deleted mail that only they hold; and if there are others newer than the
// newest record, then records are missing, and nobody knows what they hold.
func (r *run) clean(ctx context.Context) error {
	// What the index has seen has been, even if its record is gone.
	newest := max(r.last.Sync, r.indexed)
	if recs, err := state.ListRecords(r.dir); err != nil {
		return err
	} else if len(recs) > 0 {
		newest = max(newest, recs[len(recs)-1])
	}
	if r.interrupted != nil {
		newest = max(newest, r.interrupted.Sync)
	}
	orphan := newest + 1
	mirrors, err := r.mirrors()
	if err != nil {
		return err
	}
	known := newest
	for _, e := range slices.Concat(r.hosts.Facts[merge.Offline].Snapshots, mirrors) {
		newest, known = max(newest, e.Sync), max(known, e.Sync)
	}
	for _, e := range r.hosts.Facts[merge.Online].Snapshots {
		// Online could use up all numbers, and home's for ever with them.
		if e.Sync > known+maxAhead {
			return fmt.Errorf("online has a snapshot %q, but home knows of no sync after %d: delete it there", e.Name, known)
		}
		newest = max(newest, e.Sync)
	}
	stuck := r.dropParts()
	if newest == orphan && !r.opt.DryRun {
		newest--
		if err := r.dropSync(ctx, orphan); err != nil {
			return err
		}
	} else if newest > orphan {
		r.notes = append(r.notes, fmt.Sprintf("there are snapshots up to sync %d, but no record of it: they stay", newest))
	}
	r.n = max(newest, stuck) + 1
	return nil
}

// maxAhead is by how much online's numbers may be ahead of home's: by more than
// that no home was ever set back.
const maxAhead = 1_000_000

// dropSync deletes all snapshots of a sync that came to nothing.
func (r *run) dropSync(ctx context.Context, sync int) error {
	for _, side := range merge.Sides {
		for _, e := range r.hosts.Facts[side].Snapshots {
			if e.Sync != sync {
				continue
			}
			if err := r.hosts.Side[side].Prune(ctx, []string{e.Name}); err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
		}
	}
	return r.pruneMirrors([]string{snapshot.Name(snapshot.Online, sync)})
}

func storeID(s config.Store, f *host.Frozen) state.StoreID {
	layout := s.Layout.String()
	if s.Layout.UTF8 {
		layout += ", utf-8"
	}
	return state.StoreID{Live: f.Live.UUID.String(), Snapshot: f.Snapshot.UUID.String(), Layout: layout}
}

// decisions returns all answers that are in force.
func (r *run) decisions() map[string]merge.Decision {
	out := map[string]merge.Decision{}
	for id, d := range r.allDecided() {
		out[id] = d.Decision
	}
	return out
}

func (r *run) allDecided() map[string]state.Decided {
	out := map[string]state.Decided{}
	maps.Copy(out, r.last.Decisions)
	maps.Copy(out, r.decided)
	return out
}
