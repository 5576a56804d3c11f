package merge

import (
	"slices"
	"strings"

	"snapmerge/tree"
)

// A folderMerge decides about folders: what is renamed before messages are
// looked at, what must be made for them, what is left empty.
type folderMerge struct {
	p        *Policy
	archives bool
	bases    map[string]string // see family
	agreed   map[string]bool
	folders  [2]map[string]Folder // by present name, as after the planned renames
	renames  []FolderAction
	// names maps what a folder is called in the base to what it is called after
	// this sync; sides is the same for Now of the side that is to rename it.
	names map[string]string
	sides [2]map[string]string
}

func newFolderMerge(in Input, p Policy) *folderMerge {
	fm := &folderMerge{p: &p, archives: p.archives(), bases: map[string]string{}, agreed: map[string]bool{}, names: map[string]string{}}
	var from [2]map[string]string // agreed name → present name, renamed only
	for _, side := range Sides {
		fm.folders[side], fm.sides[side], from[side] = map[string]Folder{}, map[string]string{}, map[string]string{}
		for _, f := range in.Folders[side] {
			fm.folders[side][f.Name] = f
			if f.From != "" && f.From != f.Name {
				from[side][f.From] = f.Name
			}
		}
	}
	for _, side := range Sides {
		for _, old := range sortedKeys(from[side]) {
			fm.rename(side, old, from)
		}
	}
	slices.SortFunc(fm.renames, func(a, b FolderAction) int { return strings.Compare(a.From, b.From) })
	for _, name := range in.Agreed {
		if to, ok := fm.names[name]; ok {
			name = to
		}
		fm.agreed[name] = true
	}
	return fm
}

// rename lets a folder's renaming on a side travel as a renaming, where the
// other side still has the folder under the old name and the new one is free.
// Else the messages move one by one.
func (fm *folderMerge) rename(side Side, old string, from [2]map[string]string) {
	to, other := from[side][old], side.Other()
	if fm.p.For(old).Skip || fm.p.For(to).Skip || !fm.renamesAlike(old, to) {
		return
	}
	if there, ok := from[other][old]; ok {
		if there == to {
			fm.names[old] = to
		}
		return
	}
	f, has := fm.folders[other][old]
	if _, taken := fm.folders[other][to]; !has || taken {
		return
	}
	if _, reused := fm.folders[side][old]; reused {
		return // the old name is another folder now: its mail must not follow
	}
	fm.names[old], fm.sides[other][old] = to, to
	delete(fm.folders[other], old)
	f.Name = to
	fm.folders[other][to] = f
	fm.renames = append(fm.renames, FolderAction{Side: other, Op: RenameFolder, From: old, To: to})
}

// renamesAlike tells whether a renaming means the same to both sides. That of an
// archive subfolder does only if it follows its base: the sides file differently.
func (fm *folderMerge) renamesAlike(old, to string) bool {
	if !fm.member(old) && !fm.member(to) {
		return true
	}
	a, _ := fm.family(old)
	b, _ := fm.family(to)
	return strings.TrimPrefix(old, a) == strings.TrimPrefix(to, b)
}

// renamed returns the message as it would be had both sides renamed the folder.
func (fm *folderMerge) renamed(m Message) Message {
	if len(fm.names) == 0 {
		return m
	}
	for _, side := range Sides {
		m.Base[side] = rename(m.Base[side], fm.names)
		m.Now[side] = rename(m.Now[side], fm.sides[side])
	}
	return m
}

func rename(ps []tree.Placement, names map[string]string) []tree.Placement {
	out := slices.Clone(ps)
	for i := range out {
		if to, ok := names[out[i].Folder]; ok {
			out[i].Folder = to
		}
	}
	return out
}

// fit splits keywords into those that the folder can hold and those for which
// it has no letter left.
func (fm *folderMerge) fit(side Side, folder string, keywords []string) (fits, left []string) {
	t := fm.folders[side][folder].Keywords
	if slices.Contains(t[:], "") {
		return keywords, nil
	}
	have := keywordSet(&tree.Placement{Keywords: t[:]})
	for _, k := range keywords {
		if _, ok := have[tree.KeywordKey(k)]; ok {
			fits = append(fits, k)
		} else {
			left = append(left, k)
		}
	}
	return fits, left
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
