package engine

import (
	"time"

	"snapmerge/internal/apply"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// expiry sums up by folder what was expired, and finds the oldest mail that is left.
func (r *run) expiry(actions []state.ReportAction) (out []state.Expiry) {
	sums := map[string]*state.Expiry{}
	for a := range distinct(actions) {
		if a.Op != merge.Expire.String() || a.Effect != state.Done {
			continue
		}
		base, _ := r.policy.Family(a.From)
		if sums[base] == nil {
			sums[base] = &state.Expiry{Folder: base}
		}
		sums[base].Mails++
		sums[base].Bytes += a.Freed
	}
	if len(sums) == 0 {
		return nil
	}
	left := r.oldestLeft(sums)
	for _, base := range sortedKeys(sums) {
		sums[base].Oldest = left[base]
		out = append(out, *sums[base])
	}
	return out
}

// oldestLeft returns when the oldest mail of each of these families online was
// received. What this sync has done to mail is in its steps; all else is as the
// snapshot shows it, in the order of the index: what is passed over there has
// changed.
func (r *run) oldestLeft(bases map[string]*state.Expiry) map[string]time.Time {
	now, left := r.now[merge.Online], map[string]time.Time{}
	see := func(folder string, f tree.File) {
		if base, _ := r.policy.Family(folder); bases[base] != nil {
			if at := received(f); left[base].IsZero() || at.Before(left[base]) {
				left[base] = at
			}
		}
	}
	names, moved := map[string]string{}, map[fileID]bool{}
	for _, f := range r.plan.Folders {
		if f.Side == merge.Online && f.Op == merge.RenameFolder {
			names[f.From] = f.To
		}
	}
	for _, s := range r.list {
		if s.side != merge.Online || s.before == nil || s.effect(r.opt.DryRun).Effect != state.Done {
			continue
		}
		if s.op.Kind != apply.Copy { // what was copied is still there
			moved[idOf(*s.before)] = true
		}
		if s.action.To != "" {
			see(s.action.To, *s.before)
		}
	}
	for _, folder := range now.folders {
		was, ok := now.was(folder.Name)
		if base, _ := r.policy.Family(rename(names, folder.Name)); bases[base] == nil || !ok {
			continue
		}
		now.base.oldest(was, func(f owned) bool {
			file, ok := now.kept(f.File)
			file.Folder = rename(names, file.Folder)
			if !ok || moved[idOf(file)] {
				return true
			}
			see(file.Folder, file)
			return false
		})
	}
	for _, f := range now.added {
		f.Folder = rename(names, f.Folder)
		if !moved[idOf(f)] {
			see(f.Folder, f)
		}
	}
	return left
}
