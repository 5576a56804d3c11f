package engine

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// record puts together what this sync leaves: its report, and the complete
// difference between what both sides agreed on and what the snapshots show.
// Before a dry run ends, it is what the sync would have left.
func (r *run) record(finished time.Time) (*state.Record, error) {
	rec := &state.Record{Meta: r.meta, Previous: r.last.Sync, Started: r.now0, Finished: finished}
	rec.Pending = state.Pending{
		Agreed: r.settled(), Folders: r.agreedFolders(), Held: r.held(), Own: r.own(), OwnFolders: r.ownFolders(), Renamed: r.ownRenames(),
		Rules: r.rules(), Refused: r.refused, RefusedMore: r.refusedMore, Limit: r.mb.Limits.Message,
		LastSync: r.now0, Made: r.madeFolders(), Unfiled: r.unfiled(),
		Subscribed: r.agreedSubscriptions,
	}
	if r.clockBack() {
		rec.Pending.Rules = "" // nothing was filed: the next sync looks at all
	}
	rec.Pending.Decisions = r.keptDecisions()
	for _, m := range r.in.Messages {
		if m.Differ {
			rec.Pending.Differs = append(rec.Pending.Differs, m.ID)
		}
	}
	rec.Report = r.report(rec)
	rec.Report.Seconds = finished.Sub(r.now0).Seconds()
	var err error
	if rec.Pending.Undo, err = r.undo(rec.Report.Actions); err != nil {
		return nil, err
	}
	rec.Pending.Pairs, err = state.NextPairs(r.last.Pairs, r.changed(), r.messageOf)
	return rec, errors.Join(err, r.answered())
}

func (r *run) changed() [2]tree.Changes {
	return [2]tree.Changes{r.now[merge.Online].changes, r.now[merge.Offline].changes}
}

// results returns the results of the steps of an action.
func (r *run) results(message string) func(side merge.Side, slot int) ([]state.StepResult, bool) {
	return func(side merge.Side, slot int) ([]state.StepResult, bool) {
		var out []state.StepResult
		for _, s := range r.byMessage[message] {
			if s.side == side && s.action.Slot == slot {
				out = append(out, s.effect(r.opt.DryRun))
			}
		}
		return out, len(out) > 0
	}
}

// effect is what became of a step; before a dry run ends, what would have.
func (s *step) effect(dry bool) state.StepResult {
	switch {
	case dry:
		return state.StepResult{Effect: state.Done}
	case s.result == nil:
		return state.StepResult{Effect: state.Failed, Why: "not begun"}
	}
	return *s.result
}

// settled returns the messages whose agreed state is not what the snapshots show.
func (r *run) settled() []state.AgreedMessage {
	var out []state.AgreedMessage
	add := func(message string, base [2][]tree.Placement) {
		for _, side := range merge.Sides {
			if !samePlacements(base[side], r.now[side].placements(message)) {
				out = append(out, state.AgreedMessage{Message: message, Base: base})
				return
			}
		}
	}
	for _, o := range r.plan.Outcomes {
		add(o.Message, o.Settle(haves(o, r.results(o.Message))))
	}
	for _, m := range slices.Concat(r.waiting, r.tooLate) {
		add(m, [2][]tree.Placement{})
	}
	slices.SortFunc(out, func(a, b state.AgreedMessage) int { return strings.Compare(a.Message, b.Message) })
	return out
}

// ownRenames are the folders that this sync has renamed.
func (r *run) ownRenames() (out [2]map[string]string) {
	for _, s := range r.list {
		if s.folder == nil || s.folder.Op != merge.RenameFolder || s.effect(r.opt.DryRun).Effect != state.Done {
			continue
		}
		if out[s.side] == nil {
			out[s.side] = map[string]string{}
		}
		out[s.side][s.folder.From] = s.folder.To
	}
	return out
}

func samePlacements(a, b []tree.Placement) bool { return slices.EqualFunc(a, b, samePlacement) }

// samePlacement compares what is agreed on: folder, flags, keywords, and when its
// time online began anew, which no snapshot shows.
func samePlacement(a, b tree.Placement) bool {
	return a.Folder == b.Folder && a.Flags == b.Flags && a.Since.Equal(b.Since) && slices.EqualFunc(a.Keywords, b.Keywords, func(x, y string) bool {
		return tree.KeywordKey(x) == tree.KeywordKey(y)
	})
}

// agreedFolders returns the folders that both sides have now, and those that
// one side has removed and the other could not yet.
func (r *run) agreedFolders() []string {
	have, names := r.foldersAfter(), r.renamedFolders()
	out := map[string]bool{}
	for f := range have[merge.Online] {
		if have[merge.Offline][f] {
			out[f] = true
		}
	}
	for _, f := range r.in.Agreed {
		f = rename(names, f)
		if r.keptByOthers(f) {
			continue
		}
		if have[merge.Online][f] || have[merge.Offline][f] {
			out[f] = true
		}
	}
	return sortedKeys(out)
}

// foldersAfter returns the folders that each side has after the sync.
func (r *run) foldersAfter() (have [2]map[string]bool) {
	for _, side := range merge.Sides {
		have[side] = map[string]bool{}
		for _, f := range r.now[side].folders {
			have[side][f.Name] = true
		}
	}
	for _, s := range r.list {
		if s.folder == nil || s.effect(r.opt.DryRun).Effect != state.Done {
			continue
		}
		delete(have[s.side], s.folder.From)
		if s.folder.To != "" {
			have[s.side][s.folder.To] = true
		}
	}
	return have
}

// keptByOthers tells whether a folder was to go but holds something that is not
// mail: it is that side's own from now on, and not tried again by every sync.
func (r *run) keptByOthers(folder string) bool {
	for _, s := range r.list {
		if s.folder != nil && s.folder.Op == merge.RemoveFolder && s.folder.From == folder &&
			s.result != nil && strings.HasPrefix(s.result.Why, holdsMore) {
			return true
		}
	}
	return false
}

// own returns the files that this sync made at home. The next snapshot shows
// them, and their inode tells then which message they are even if a client has
// moved them and Dovecot has given them another name.
func (r *run) own() []state.OwnFile {
	var out []state.OwnFile
	for _, s := range r.list {
		if s.action == nil || s.result == nil || s.result.File == nil {
			continue
		}
		if s.side == merge.Online && r.hosts.Mirrored {
			continue // the next snapshot is read from a received copy, whose inodes have other numbers
		}
		if s.before == nil || s.before.Ino != s.result.File.Ino { // also a copy can be a new file
			out = append(out, state.OwnFile{Side: s.side, Message: s.action.Message, File: *s.result.File})
		}
	}
	return out
}

// keptDecisions returns the answers that go on counting: those that closed
// something for as long as it is so, and those that could not be carried out.
func (r *run) keptDecisions() map[string]state.Decided {
	all := r.allDecided()
	if len(all) == 0 {
		return nil
	}
	out := map[string]state.Decided{}
	for _, c := range r.plan.Closed {
		out[c.ID] = all[c.ID]
	}
	for _, m := range r.in.Messages {
		id := merge.ConflictID(m.ID, m.Base)
		if d, ok := all[id]; ok && r.unfinished(m.ID) {
			out[id] = d
		}
	}
	for _, ref := range r.refused[merge.Online] {
		c := refusal(ref)
		if d, ok := all[c.ID]; ok && d.State == c.State {
			out[c.ID] = d
		}
	}
	maps.DeleteFunc(out, func(_ string, d state.Decided) bool { return d.State == "" })
	return out
}

func (r *run) unfinished(message string) bool {
	for _, s := range r.byMessage[message] {
		if s.effect(r.opt.DryRun).Effect != state.Done {
			return true
		}
	}
	return false
}

// commit brings the index up to the record. It is a cache: if it does not fit,
// the next run makes it again.
func (r *run) commit(rec *state.Record) error {
	next := state.Next{Meta: rec.Meta, Changes: r.changed(), MessageOf: r.messageOf, Pending: rec.Pending}
	for _, side := range merge.Sides {
		next.Messages[side] = r.messagesNow(side)
	}
	err := r.index.Commit(next)
	if errors.Is(err, state.ErrRebuild) {
		r.index.Close() // of a damaged file: it may well complain
		r.index = nil
		return state.Discard(r.indexPath)
	}
	return err
}

func (r *run) messageOf(side merge.Side, f tree.File) string { return r.now[side].messageOf(f) }
