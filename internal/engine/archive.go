package engine

import (
	"slices"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

// Archive families: which mail has to be filed although nothing of it has changed,
// and which subfolders this program has made.

// addMisfiled adds the mail whose period has ended since the last sync. The index
// has it by folder and date, so that what stays where it is is not looked at. Mail
// that came, or that is in a renamed folder, has changed anyway.
func (r *run) addMisfiled(set map[string]bool) {
	for _, side := range merge.Sides {
		now := r.now[side]
		var names []string
		for _, f := range now.folders {
			names = append(names, f.Name)
		}
		for _, folder := range r.policy.Outdated(side, names, r.policy.LastSync) {
			was, ok := now.was(folder)
			if !ok {
				continue
			}
			now.base.oldest(was, func(f owned) bool {
				old := r.policy.Misfiled(side, folder, received(f.File))
				if old {
					set[f.message] = true
				}
				return old
			})
		}
	}
}

// findMade finds under their present names the subfolders that earlier syncs have
// made: users rename and remove folders.
func (r *run) findMade() {
	for _, side := range merge.Sides {
		now := r.now[side]
		names := map[string]string{}
		for _, f := range now.changes.RenamedFolders {
			names[rename(r.ownNames[side], f.From)] = f.To
		}
		r.made[side] = map[string]bool{}
		for _, name := range r.last.Made[side] {
			if name = rename(names, name); now.folder(name) != nil {
				r.made[side][name] = true
			}
		}
	}
}

// madeBy takes a step on a folder into account that was carried out.
func (r *run) madeBy(f merge.FolderAction) {
	made := r.made[f.Side]
	switch was := made[f.From]; f.Op {
	case merge.MakeFolder:
		if r.policy.Archived(f.To) {
			made[f.To] = true
		}
	case merge.RenameFolder:
		delete(made, f.From)
		if was {
			made[f.To] = true
		}
	case merge.RemoveFolder:
		delete(made, f.From)
	}
}

// madeFolders returns the subfolders to be removed when they have become empty.
// One that holds something else than mail is a person's from now on.
func (r *run) madeFolders() (out [2][]string) {
	for _, s := range r.list {
		if s.folder == nil {
			continue
		}
		if res := s.effect(r.opt.DryRun); res.Effect == state.Done || strings.HasPrefix(res.Why, holdsMore) {
			r.madeBy(*s.folder)
		}
	}
	for _, side := range merge.Sides {
		out[side] = sortedKeys(r.made[side])
	}
	return out
}

// holdsMore begins what package apply says of a folder that it does not remove.
const holdsMore = "folder holds"

// unfiled returns the messages that were to be moved and were not. If nothing of
// them changes, no other reason brings them before the next sync: a period that
// has ended is told once.
func (r *run) unfiled() (out []string) {
	for _, s := range r.list {
		if s.action != nil && s.action.Op == merge.Move && s.effect(r.opt.DryRun).Effect != state.Done {
			out = append(out, s.action.Message)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
