package merge

import (
	"slices"
	"strings"

	"snapmerge/tree"
)

// A tally is what the actions of a plan make of a side's folders.
type tally struct {
	mails map[string]int
	need  map[string]bool // there must be such a folder
}

func (fm *folderMerge) tally(side Side, todo []Action) tally {
	t := tally{map[string]int{}, map[string]bool{}}
	for name, f := range fm.folders[side] {
		t.mails[name] = f.Mails
	}
	for _, a := range todo {
		if a.Side != side {
			continue
		}
		for _, from := range append([]string{a.From}, a.Also...) {
			if from != "" {
				t.mails[from]--
			}
		}
		if a.To != "" {
			t.mails[a.To]++
			t.need[a.To] = true
		}
	}
	return t
}

// actions returns what is to be done to folders so that the actions can be
// carried out and both sides have the same folders.
func (fm *folderMerge) actions(todo []Action) []FolderAction {
	out := slices.Clone(fm.renames)
	all := [2]tally{fm.tally(Online, todo), fm.tally(Offline, todo)}
	for _, name := range sortedKeys(fm.folders[Online]) {
		if !fm.agreed[name] && !fm.p.For(name).Skip && !fm.member(name) {
			all[Offline].need[name] = true // it has appeared online
		}
	}
	for _, side := range Sides {
		for _, name := range sortedKeys(all[side].need) {
			if _, ok := fm.folders[side][name]; !ok {
				out = append(out, FolderAction{Side: side, Op: MakeFolder, To: name})
			}
		}
	}
	var remove []FolderAction
	for _, side := range Sides {
		there := all[side.Other()]
		for _, name := range sortedKeys(fm.folders[side]) {
			if fm.emptied(side, name, all[side]) || fm.removed(side, name, all[side], there) {
				remove = append(remove, FolderAction{Side: side, Op: RemoveFolder, From: name})
			}
		}
	}
	// What is inside goes first.
	slices.SortStableFunc(remove, func(a, b FolderAction) int { return strings.Compare(b.From, a.From) })
	return append(out, remove...)
}

// removed tells whether a folder goes because the other side has removed it.
func (fm *folderMerge) removed(side Side, name string, here, there tally) bool {
	if _, ok := fm.folders[side.Other()][name]; ok || there.need[name] || !fm.agreed[name] {
		return false
	}
	return here.mails[name] <= 0 && name != tree.Inbox && !fm.p.For(name).Skip && !fm.member(name) && !fm.hasMembers(side, name, here)
}

// hasMembers tells whether there will be archive subfolders of that base.
func (fm *folderMerge) hasMembers(side Side, base string, here tally) bool {
	member := func(name string) bool { home, _ := fm.family(name); return home == base && name != base }
	for name := range here.need {
		if member(name) {
			return true
		}
	}
	for name := range fm.folders[side] {
		if member(name) && !fm.emptied(side, name, here) {
			return true
		}
	}
	return false
}

// emptied tells whether an archive subfolder goes because nothing is left in it,
// no folder either: one that an earlier plan made. A pattern that was "%Y" and is
// "%Y/%m" now puts folders into those that it empties.
func (fm *folderMerge) emptied(side Side, name string, here tally) bool {
	f := fm.folders[side][name]
	if !f.Made || !fm.member(name) || here.need[name] || here.mails[name] > 0 || fm.p.For(name).Skip {
		return false
	}
	for inside := range here.need {
		if strings.HasPrefix(inside, name+"/") {
			return false
		}
	}
	for inside := range fm.folders[side] {
		if strings.HasPrefix(inside, name+"/") && !fm.emptied(side, inside, here) {
			return false
		}
	}
	return true
}
