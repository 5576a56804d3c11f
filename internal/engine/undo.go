package engine

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// deletions are what a plan takes to say of each deletion where the mail can be
// read afterwards, and what was lost with it.
type deletions struct {
	meta     state.Meta           // of the sync that deletes
	was      [2]map[string]string // what the snapshots call the folders that the plan renames
	outcomes []merge.Outcome      // in the order of their messages
}

// newDeletions orders the plan's outcomes, unless they are in order: a merge and a
// journal have them so.
func newDeletions(in *state.Intent) deletions {
	slices.SortFunc(in.Outcomes, func(a, b merge.Outcome) int { return strings.Compare(a.Message, b.Message) })
	d := deletions{in.Meta, [2]map[string]string{{}, {}}, in.Outcomes}
	for _, s := range in.Steps {
		if f := s.Folder; f != nil && f.Op == merge.RenameFolder {
			d.was[f.Side][f.To] = f.From
		}
	}
	return d
}

func (d deletions) outcome(message string) merge.Outcome {
	i, ok := slices.BinarySearchFunc(d.outcomes, message, func(o merge.Outcome, m string) int { return strings.Compare(o.Message, m) })
	if !ok {
		return merge.Outcome{}
	}
	return d.outcomes[i]
}

// describe completes the report of a step: keywords by their names, as letters
// mean something in one folder only, and for a deletion the copy that is left.
func (r *run) describe(a *state.ReportAction, s state.Step, d deletions) {
	if s.Action == nil || a.Before == nil {
		return
	}
	slots := d.outcome(s.Action.Message).Slots
	if i := s.Action.Slot; i < len(slots) && slots[i].Now[a.Side] != nil {
		a.Before.Keywords = slots[i].Now[a.Side].Keywords
	}
	if s.Action.Op == merge.Delete && a.Effect == state.Done {
		a.Copy = r.copyOf(s, d)
	}
}

// copyOf finds where a mail can be read once a step has deleted it. What goes at
// home is in the snapshot of that sync. What goes online went at home before, so
// the last snapshot of home that had it is the one; if it never was in one, as it
// came and went between two syncs, online's is left.
func (r *run) copyOf(s state.Step, d deletions) *state.SnapshotFile {
	if s.Action.Side == merge.Online {
		if src, err := r.homeSource(s.Action.Message); src != nil && err == nil {
			return &state.SnapshotFile{Snapshot: src.in.name, Path: src.path}
		}
	}
	dir, err := r.store(s.Action.Side).Layout.Dir(rename(d.was[s.Action.Side], s.Before.Folder))
	if err != nil {
		return nil
	}
	return &state.SnapshotFile{Snapshot: d.meta.Snapshots[s.Action.Side], Path: filepath.Join(dir, s.Before.Dir(), s.Before.Name)}
}

// undo returns the snapshots that deletions need which are not older than
// preserve_min: those of this sync, and those that the last one knew of.
func (r *run) undo(actions []state.ReportAction) ([]state.Undo, error) {
	schedule, err := snapshot.ParseSchedule(r.mb.Rotate.PreserveMin, r.mb.Rotate.Preserve)
	if err != nil {
		return nil, err
	}
	latest := map[string]state.Undo{}
	for _, u := range r.last.Undo {
		if schedule.Within(u.At, r.now0.Local()) {
			latest[u.Snapshot] = u
		}
	}
	for _, a := range actions {
		if a.Copy != nil {
			latest[a.Copy.Snapshot] = state.Undo{Snapshot: a.Copy.Snapshot, Sync: r.n, At: r.now0}
		}
	}
	var out []state.Undo
	for _, u := range latest {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b state.Undo) int {
		return cmp.Or(cmp.Compare(a.Sync, b.Sync), strings.Compare(a.Snapshot, b.Snapshot))
	})
	return out, nil
}

// intentOf is what the journal says of this run.
func (r *run) intentOf() *state.Intent {
	in := &state.Intent{Meta: r.meta, Started: r.now0, Outcomes: r.plan.Outcomes, Earlier: r.recovered}
	in.Steps = make([]state.Step, 0, len(r.list))
	for _, s := range r.list {
		in.Steps = append(in.Steps, s.intent())
	}
	return in
}

// ownOfRestores adds the files that were restored since the last sync: they are
// the message that they were, also where the name alone does not tell. If that
// message is there, or has come back, its bytes must be the same.
func (r *run) ownOfRestores(own *[2]map[uint64]string) error {
	ids, err := state.ListRestores(r.dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id.Sync != r.last.Sync {
			continue
		}
		rest, err := state.ReadRestore(r.dir, id)
		if errors.Is(err, state.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			r.notes = append(r.notes, err.Error()) // the mail is known by its name then
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range rest.Mails {
			if m.File == nil {
				continue
			}
			if same, err := r.stillThat(m); err != nil {
				return err
			} else if same {
				own[m.Side][m.File.Ino] = m.Message
			}
		}
	}
	return nil
}

// stillThat tells whether a restored file is not another mail than what has the
// message's name now.
func (r *run) stillThat(m state.Restored) (bool, error) {
	i := slices.IndexFunc(r.now[m.Side].added, func(f tree.File) bool { return f.Ino == m.File.Ino })
	if i < 0 {
		return false, nil // gone again
	}
	for _, side := range merge.Sides {
		if have := r.now[side].all(m.Message); len(have) > 0 {
			return r.sameBytes(side, have[0], m.Side, r.now[m.Side].added[i])
		}
	}
	return true, nil
}
