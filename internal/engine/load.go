package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"snapmerge/internal/config"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// load reads what the last sync left, and what an interrupted one was doing.
func (r *run) load(stateDir string) error {
	rec, damaged, err := state.NewestRecord(r.dir)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		r.notes = append(r.notes, d.Error())
	}
	if r.decided, err = state.ReadDecisions(r.dir); err != nil {
		return err
	}
	if err := r.loadJournal(rec); err != nil {
		return err
	}
	if err := r.openIndex(stateDir); err != nil {
		return err
	}
	if err := r.loadState(rec, len(damaged) > 0); err != nil {
		return err
	}
	for _, h := range r.last.Held {
		r.heldSource[h.Message] = h.Source
	}
	r.findOwnNames(rec)
	return r.clean()
}

// findOwnNames reads which folders the last sync has renamed. Its snapshots show
// their old names; what both sides agreed on are the new ones.
func (r *run) findOwnNames(rec *state.Record) {
	if rec == nil {
		return
	}
	for _, a := range rec.Report.Actions {
		if a.Op != merge.RenameFolder.String() || a.Effect != state.Done {
			continue
		}
		if r.ownNames[a.Side] == nil {
			r.ownNames[a.Side] = map[string]string{}
		}
		r.ownNames[a.Side][a.From] = a.To
	}
}

// loadJournal reads the journal of a sync that did not get as far as its record.
func (r *run) loadJournal(rec *state.Record) error {
	in, acks, err := state.ReadJournal(r.dir)
	if errors.Is(err, state.ErrNoIntent) {
		return nil
	}
	if err != nil {
		return err
	}
	if rec != nil && rec.Sync >= in.Sync {
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

// loadState takes the state from the index if that is of the newest record, else
// makes it from the two base snapshots.
func (r *run) loadState(rec *state.Record, damaged bool) error {
	r.last = &state.State{Trees: [2]*tree.Tree{{}, {}}}
	meta, err := r.index.Meta()
	if err == nil && damaged && meta.Sync > 0 && (rec == nil || meta.Sync > rec.Sync) {
		// The record of the last sync is damaged, but the index is of that sync.
		if r.last, err = r.index.Load(); err == nil {
			return nil
		}
	}
	if rec == nil {
		return nil
	}
	if err == nil && meta == rec.Meta {
		if r.last, err = r.index.Load(); err == nil {
			return nil
		}
	}
	if err != nil && !errors.Is(err, state.ErrRebuild) {
		return err
	}
	trees, err := r.baseTrees(rec)
	if errors.Is(err, fs.ErrNotExist) {
		r.last = &state.State{Trees: [2]*tree.Tree{{}, {}}}
		r.notes = append(r.notes, fmt.Sprintf("the index and a snapshot of sync %d are both gone: compared as in a first sync, so nothing counts as deleted", rec.Sync))
		return nil
	}
	if err != nil {
		return err
	}
	if r.last, err = state.Rebuild(trees, rec); err != nil {
		return err
	}
	return r.fillIndex(r.last)
}

func (r *run) baseTrees(rec *state.Record) (trees [2]*tree.Tree, err error) {
	for _, side := range merge.Sides {
		r.opt.Progress("rebuild index", int(side), 2)
		z, err := openFrozen(r.store(side), rec.Snapshots[side])
		if err != nil {
			return trees, fmt.Errorf("rebuild index: %w", err)
		}
		trees[side], err = tree.Scan(z.root, r.store(side).Layout)
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
func (r *run) clean() error {
	newest := r.last.Sync
	if recs, err := state.ListRecords(r.dir); err != nil {
		return err
	} else if len(recs) > 0 {
		newest = max(newest, recs[len(recs)-1])
	}
	if r.interrupted != nil {
		newest = max(newest, r.interrupted.Sync)
	}
	var all []snapshot.Entry
	orphan := newest + 1
	for _, side := range merge.Sides {
		list, err := snapshot.List(r.store(side).Snapshots)
		if err != nil {
			return err
		}
		for _, e := range list {
			if e.Side == side.String() {
				all = append(all, e)
				newest = max(newest, e.Sync)
			}
		}
	}
	if newest == orphan && !r.opt.DryRun {
		newest--
		for _, e := range all {
			if e.Sync != orphan {
				continue
			}
			if err := snapshot.Delete(r.storeOf(e.Side).Snapshots, e.Name); err != nil {
				return err
			}
		}
	} else if newest > orphan {
		r.notes = append(r.notes, fmt.Sprintf("there are snapshots up to sync %d, but no record of it: they stay", newest))
	}
	r.n = newest + 1
	return nil
}

func (r *run) storeOf(side string) config.Store {
	if side == snapshot.Online {
		return r.mb.Online
	}
	return r.mb.Offline
}

// findLost looks whether both stores are the ones of the last sync, with their
// base snapshots. If not, what is absent there was not deleted by anybody.
//
// Read by another layout or encoding, the same directories are other folders,
// and everything would look moved or deleted: that is an error.
func (r *run) findLost() error {
	if r.last.Sync == 0 {
		return nil
	}
	for _, side := range merge.Sides {
		was, is := r.last.Stores[side], r.meta.Stores[side]
		if was.Layout != is.Layout {
			return fmt.Errorf("%s: layout is %s in the configuration but was %s at sync %d: change it back", side, is.Layout, was.Layout, r.last.Sync)
		}
		base, err := storeID(r.store(side), r.last.Snapshots[side])
		switch {
		case was.Live != is.Live:
			r.notes = append(r.notes, fmt.Sprintf("%s is another subvolume than at sync %d (restored, or a new disk): nothing that is missing there counts as deleted", side, r.last.Sync))
		case err != nil || base.Snapshot != was.Snapshot:
			r.notes = append(r.notes, fmt.Sprintf("%s has lost its snapshot of sync %d: nothing that is missing there counts as deleted", side, r.last.Sync))
		default:
			continue
		}
		r.lost[side] = true
	}
	return nil
}

func storeID(s config.Store, snapshotName string) (state.StoreID, error) {
	live, err := snapshot.Read(s.Path)
	if err != nil {
		return state.StoreID{}, err
	}
	snap, err := snapshot.Read(filepath.Join(s.Snapshots, snapshotName))
	if err != nil {
		return state.StoreID{}, err
	}
	layout := s.Layout.String()
	if s.Layout.UTF8 {
		layout += ", utf-8"
	}
	return state.StoreID{Live: live.UUID.String(), Snapshot: snap.UUID.String(), Layout: layout}, nil
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
