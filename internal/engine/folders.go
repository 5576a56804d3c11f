package engine

import (
	"slices"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// folders returns a side's folders with the names that they have in the base.
func (r *run) folders(side merge.Side) []merge.Folder {
	renames, old := r.renames(side), map[string]string{}
	for _, f := range renames {
		if r.renameTravels(side, f, renames) {
			old[f.To] = f.From
		}
	}
	other := r.now[side.Other()]
	var out []merge.Folder
	for _, f := range r.now[side].folders {
		m := merge.Folder{Name: f.Name, From: old[f.Name], Keywords: f.Keywords, Made: r.made[side][f.Name]}
		if m.Made || other.folder(f.Name) == nil {
			m.Mails = r.now[side].count(f.Name)
		}
		out = append(out, m)
	}
	return out
}

// renames returns the folders that have another name than in the base. What the
// last sync did to folders came after its snapshots, and is part of the base:
// those that it renamed have their new names there, and those that it made are
// there although the snapshots do not show them.
func (r *run) renames(side merge.Side) []tree.FolderRename {
	var out []tree.FolderRename
	for _, f := range r.now[side].changes.RenamedFolders {
		f.From = rename(r.ownNames[side], f.From)
		out = append(out, f)
	}
	for _, own := range r.last.OwnFolders {
		for _, f := range r.now[side].changes.AddedFolders {
			if own.Side == side && own.Ino == f.Ino && own.Name != f.Name {
				out = append(out, tree.FolderRename{From: own.Name, To: f.Name, Ino: f.Ino})
			}
		}
	}
	return out
}

// ownFolders returns the folders that this sync made, where their inodes are known.
func (r *run) ownFolders() (out []state.OwnFolder) {
	for _, s := range r.list {
		if s.folder != nil && s.folder.Op == merge.MakeFolder && s.result != nil && s.result.File != nil && s.result.File.Ino != 0 {
			out = append(out, state.OwnFolder{Side: s.side, Name: s.folder.To, Ino: s.result.File.Ino})
		}
	}
	return out
}

// renameTravels tells whether a folder that has another name than in the base
// was renamed by the user and can be renamed on the other side. Else its mail is
// moved one by one. renames are all of this side.
func (r *run) renameTravels(side merge.Side, f tree.FolderRename, renames []tree.FolderRename) bool {
	if r.lost[side] || !slices.Contains(r.last.Folders, f.From) {
		return false // or the last sync has renamed it, after the base snapshot
	}
	other := side.Other()
	dir, err := r.store(other).Layout.Dir(f.To)
	if err != nil {
		return false
	}
	if there := r.now[other].folder(f.To) == nil && r.frozen[other].exists(dir); there {
		return false // taken by something that is no folder
	}
	if !r.store(other).Layout.FS {
		return true
	}
	// There the directories below go with it, so they must be meant to.
	for _, below := range r.now[other].folders {
		if rest, ok := strings.CutPrefix(below.Name, f.From+"/"); ok &&
			!slices.ContainsFunc(renames, func(g tree.FolderRename) bool {
				return g.From == below.Name && g.To == f.To+"/"+rest
			}) {
			return false
		}
	}
	return true
}
