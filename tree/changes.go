package tree

import (
	"cmp"
	"fmt"
	"slices"
)

// A FolderRename is a folder whose directory has another name. In the fs layout
// a folder's subfolders are renamed with it, each with a FolderRename of its own.
type FolderRename struct {
	From, To string // logical names
	Ino      uint64 // of the directory
}

// Changes lead from one tree of a store, the base, to a later one.
//
// They are carried out in the order of the fields: first the folders, where
// RemovedFolders has names of the base and everything after RenamedFolders has
// names of the later tree; all renames happen at once, so A can become B and B
// become A. Then the files. A folder's removal removes no file: each is in
// Removed, under its folder's name after the renames, all else as in the base.
//
// A file that was renamed or moved is one Removed and one Added with the same Ino.
type Changes struct {
	RemovedFolders []string // names in the base
	RenamedFolders []FolderRename
	AddedFolders   []Folder
	Keywords       []Folder // folders of both trees whose table is another one: as they are now
	Removed        []File
	Added          []File
}

// Empty reports whether nothing changed.
func (c Changes) Empty() bool {
	return len(c.RemovedFolders)+len(c.RenamedFolders)+len(c.AddedFolders)+
		len(c.Keywords)+len(c.Removed)+len(c.Added) == 0
}

// Diff returns the changes from base to now, two trees of one store: inode
// numbers are compared. Both must be sorted.
//
// A folder with the Ino of a base's folder is that folder, whatever its name;
// INBOX is never renamed. A file is unchanged if folder, New, Name, Ino, Size
// and Mtime are equal. Ctime alone is no change: a COPY elsewhere moves it. What
// is Refused is not compared.
func Diff(base, now *Tree) Changes {
	var c Changes
	c.RenamedFolders = renamedFolders(base.Folders, now.Folders)
	renamed := renames(c.RenamedFolders)
	before := make(map[string]Folder, len(base.Folders)) // by name after the renames
	var gone []Folder
	for _, f := range base.Folders {
		g := now.Folder(renamed.name(f.Name))
		if g == nil || g.Ino != f.Ino {
			gone = append(gone, f)
			continue
		}
		before[g.Name] = f
	}
	for _, f := range gone {
		c.RemovedFolders = append(c.RemovedFolders, f.Name)
	}
	for _, f := range now.Folders {
		old, ok := before[f.Name]
		if !ok {
			c.AddedFolders = append(c.AddedFolders, f)
		} else if old.Keywords != f.Keywords {
			c.Keywords = append(c.Keywords, f)
		}
	}
	c.Removed, c.Added = diffFiles(renamed.files(base.Files), now.Files)
	return c
}

// renamedFolders pairs folders by inode. A number that is 0 or there twice, as
// only a tree made by hand has it, pairs nothing.
func renamedFolders(base, now []Folder) []FolderRename {
	count := func(folders []Folder) map[uint64]int {
		n := map[uint64]int{0: 2}
		for _, f := range folders {
			n[f.Ino]++
		}
		return n
	}
	inBase, inNow := count(base), count(now)
	from := make(map[uint64]string, len(base))
	for _, f := range base {
		if f.Name != Inbox && inBase[f.Ino] == 1 {
			from[f.Ino] = f.Name
		}
	}
	var out []FolderRename
	for _, f := range now {
		old, ok := from[f.Ino]
		if ok && inNow[f.Ino] == 1 && f.Name != Inbox && f.Name != old {
			out = append(out, FolderRename{From: old, To: f.Name, Ino: f.Ino})
		}
	}
	return out
}

// diffFiles compares two sorted lists as multisets: after its folder took the
// name of one that is gone, a file can have the name of a file that is gone.
func diffFiles(base, now []File) (removed, added []File) {
	for len(base) > 0 && len(now) > 0 {
		switch c := compareExactly(base[0], now[0]); {
		case c < 0:
			removed, base = append(removed, base[0]), base[1:]
		case c > 0:
			added, now = append(added, now[0]), now[1:]
		default:
			base, now = base[1:], now[1:]
		}
	}
	return append(removed, base...), append(added, now...)
}

// compareExactly orders files by all that makes them the same file to Diff.
func compareExactly(f, g File) int {
	return cmp.Or(f.Compare(g), cmp.Compare(f.Ino, g.Ino), cmp.Compare(f.Size, g.Size), cmp.Compare(f.Mtime, g.Mtime))
}

// Apply returns t ⊕ c and leaves t as it is. It fails if c does not fit: it
// removes or renames what t lacks, or the result has a folder or a file twice.
//
// base.Apply(Diff(base, now)) is now, but for two things that changes do not
// tell: files that did not change keep the Ctime of base, and the result has no
// Refused.
func (t *Tree) Apply(c Changes) (*Tree, error) {
	out := &Tree{}
	var err error
	if out.Folders, err = applyFolders(t.Folders, c); err != nil {
		return nil, fmt.Errorf("apply changes: %w", err)
	}
	if out.Files, err = applyFiles(renames(c.RenamedFolders).files(t.Files), c); err != nil {
		return nil, fmt.Errorf("apply changes: %w", err)
	}
	out.Sort()
	for i := 1; i < len(out.Folders); i++ {
		if out.Folders[i].Name == out.Folders[i-1].Name {
			return nil, fmt.Errorf("apply changes: folder %q is there twice", out.Folders[i].Name)
		}
	}
	for i := 1; i < len(out.Files); i++ {
		if out.Files[i].Compare(out.Files[i-1]) == 0 {
			return nil, fmt.Errorf("apply changes: file %s is there twice", out.Files[i].where())
		}
	}
	return out, nil
}

func applyFolders(folders []Folder, c Changes) ([]Folder, error) {
	gone := make(map[string]bool, len(c.RemovedFolders))
	for _, name := range c.RemovedFolders {
		gone[name] = true
	}
	to := renames(c.RenamedFolders)
	tables := make(map[string]KeywordTable, len(c.Keywords))
	for _, f := range c.Keywords {
		tables[f.Name] = f.Keywords
	}
	var out []Folder
	for _, f := range folders {
		if gone[f.Name] {
			delete(gone, f.Name)
			continue
		}
		if name, ok := to[f.Name]; ok {
			delete(to, f.Name)
			f.Name = name
		}
		if table, ok := tables[f.Name]; ok {
			delete(tables, f.Name)
			f.Keywords = table
		}
		out = append(out, f)
	}
	for name := range gone {
		return nil, fmt.Errorf("remove folder %q: no such folder", name)
	}
	for name := range to {
		return nil, fmt.Errorf("rename folder %q: no such folder", name)
	}
	for name := range tables {
		return nil, fmt.Errorf("keywords of folder %q: no such folder", name)
	}
	return append(out, c.AddedFolders...), nil
}

// applyFiles takes c.Removed from the sorted files and adds c.Added at the end.
func applyFiles(files []File, c Changes) ([]File, error) {
	removed := slices.SortedFunc(slices.Values(c.Removed), compareExactly)
	out := make([]File, 0, max(0, len(files)-len(removed))+len(c.Added))
	for _, f := range files {
		if len(removed) > 0 && compareExactly(removed[0], f) == 0 {
			removed = removed[1:]
			continue
		}
		out = append(out, f)
	}
	if len(removed) > 0 {
		return nil, fmt.Errorf("remove %s, inode %d: no such file", removed[0].where(), removed[0].Ino)
	}
	return append(out, c.Added...), nil
}

func (f File) where() string {
	return fmt.Sprintf("%q in %s of %q", f.Name, f.Dir(), f.Folder)
}

// folderNames leads from names in the base to later ones.
type folderNames map[string]string

func renames(list []FolderRename) folderNames {
	m := make(folderNames, len(list))
	for _, r := range list {
		m[r.From] = r.To
	}
	return m
}

func (m folderNames) name(folder string) string {
	if to, ok := m[folder]; ok {
		return to
	}
	return folder
}

// files returns the files under their folders' later names, sorted. The slice
// given is left as it is; without renames it is the result.
func (m folderNames) files(files []File) []File {
	if len(m) == 0 {
		return files
	}
	out := slices.Clone(files)
	for i := range out {
		out[i].Folder = m.name(out[i].Folder)
	}
	slices.SortFunc(out, compareExactly)
	return out
}
