package stream

import (
	"cmp"
	"slices"
	"strings"

	"snapmerge/tree"
)

// A Base is what is known of the parent snapshot: what [tree.Scan] found there.
// [Changes] asks it about what the stream names only.
type Base interface {
	// Folders returns all folders, in any order.
	Folders() ([]tree.Folder, error)
	// Folder returns the folder of that logical name.
	Folder(name string) (f tree.Folder, ok bool, err error)
	// FilesIn returns the files of a folder, in any order.
	FilesIn(folder string) ([]tree.File, error)
	// Lookup returns one file of cur/ or new/ of a folder.
	Lookup(folder string, isNew bool, name string) (f tree.File, ok bool, err error)
	// FilesOf returns the files that are names of an inode, in any order.
	FilesOf(ino uint64) ([]tree.File, error)
}

// InMemory returns t, which must be sorted and stay as it is, as a Base.
func InMemory(t *tree.Tree) Base {
	byIno := slices.Clone(t.Files)
	slices.SortFunc(byIno, func(f, g tree.File) int { return cmp.Compare(f.Ino, g.Ino) })
	return &inMemory{t, byIno}
}

type inMemory struct {
	*tree.Tree
	byIno []tree.File
}

// Folders implements [Base].
func (m *inMemory) Folders() ([]tree.Folder, error) { return m.Tree.Folders, nil }

// Folder implements [Base].
func (m *inMemory) Folder(name string) (tree.Folder, bool, error) {
	f := m.Tree.Folder(name)
	if f == nil {
		return tree.Folder{}, false, nil
	}
	return *f, true, nil
}

// FilesIn implements [Base].
func (m *inMemory) FilesIn(folder string) ([]tree.File, error) {
	first, _ := slices.BinarySearchFunc(m.Files, folder, func(f tree.File, name string) int {
		return strings.Compare(f.Folder, name)
	})
	n := first
	for n < len(m.Files) && m.Files[n].Folder == folder {
		n++
	}
	return m.Files[first:n], nil
}

// Lookup implements [Base].
func (m *inMemory) Lookup(folder string, isNew bool, name string) (tree.File, bool, error) {
	want := tree.File{Folder: folder, New: isNew, Name: name}
	i, ok := slices.BinarySearchFunc(m.Files, want, tree.File.Compare)
	if !ok {
		return tree.File{}, false, nil
	}
	return m.Files[i], true, nil
}

// FilesOf implements [Base].
func (m *inMemory) FilesOf(ino uint64) ([]tree.File, error) {
	i, _ := slices.BinarySearchFunc(m.byIno, ino, func(f tree.File, ino uint64) int { return cmp.Compare(f.Ino, ino) })
	n := i
	for n < len(m.byIno) && m.byIno[n].Ino == ino {
		n++
	}
	return m.byIno[i:n], nil
}
