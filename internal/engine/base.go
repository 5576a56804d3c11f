package engine

import (
	"slices"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A base is one side's snapshot of the last sync, as the index has it. It answers
// questions and is never read as a whole, so its cost goes with what is asked.
//
// The first error is kept, and from then on nothing is found: whoever asks must
// look at err before anything is done with the answers.
type base struct {
	index   *state.Index
	side    merge.Side
	folders []tree.Folder      // sorted by name
	seen    map[string][]owned // answers by message
	err     error
}

// An owned file is one with its message.
type owned struct {
	tree.File
	message string
}

func newBase(x *state.Index, side merge.Side) *base {
	b := &base{index: x, side: side, seen: map[string][]owned{}}
	b.folders, b.err = x.Folders(side)
	return b
}

// ask turns an answer of the index into files of this side. An index without
// folders, before the first sync, need not be asked.
func (b *base) ask(question func() ([]state.Entry, error)) (out []owned) {
	if b.err != nil || len(b.folders) == 0 {
		return nil
	}
	entries, err := question()
	b.err = err
	for _, e := range entries {
		if e.Side == b.side {
			out = append(out, owned{e.File, e.Message})
		}
	}
	return out
}

// of returns the files of a message, in their order.
func (b *base) of(message string) []owned {
	out, ok := b.seen[message]
	if !ok {
		out = b.ask(func() ([]state.Entry, error) { return b.index.ByMessage(message) })
		if len(b.folders) > 0 {
			b.seen[message] = out
		}
	}
	return out
}

func (b *base) all(message string) []tree.File { return filesOf(b.of(message)) }

func filesOf(list []owned) (out []tree.File) {
	for _, f := range list {
		out = append(out, f.File)
	}
	return out
}

func (b *base) has(message string) bool { return len(b.of(message)) > 0 }

// ofIno returns the files with that inode.
func (b *base) ofIno(ino uint64) []owned {
	return b.ask(func() ([]state.Entry, error) { return b.index.ByIno(b.side, ino) })
}

// ofKey returns the files with that key in their names.
func (b *base) ofKey(key string) []owned {
	return b.ask(func() ([]state.Entry, error) { return b.index.ByKey(key) })
}

// in returns the files of a folder.
func (b *base) in(folder string) []owned {
	return b.ask(func() ([]state.Entry, error) { return b.index.ByFolder(b.side, folder) })
}

// count returns how many files a folder has.
func (b *base) count(folder string) (n int) {
	b.ask(func() (_ []state.Entry, err error) {
		n, err = b.index.Count(b.side, folder)
		return nil, err
	})
	return n
}

// each calls f for every file: for the rare case that all of them must be looked at.
func (b *base) each(f func(owned)) {
	if b.err != nil {
		return
	}
	for e, err := range b.index.Files(b.side) {
		if err != nil {
			b.err = err
			return
		}
		f(owned{e.File, e.Message})
	}
}

// oldest calls f for the files of a folder, the oldest first, until it says no.
func (b *base) oldest(folder string, f func(owned) bool) {
	if b.err != nil {
		return
	}
	for e, err := range b.index.Oldest(b.side, folder) {
		if err != nil {
			b.err = err
			return
		}
		if !f(owned{e.File, e.Message}) {
			return
		}
	}
}

// tree returns all of it.
func (b *base) tree() *tree.Tree {
	t := &tree.Tree{Folders: b.folders}
	b.each(func(f owned) { t.Files = append(t.Files, f.File) })
	t.Sort()
	return t
}

func (b *base) placements(message string) []tree.Placement {
	return placements(b.all(message), b.folders)
}

// Folders implements [stream.Base].
func (b *base) Folders() ([]tree.Folder, error) { return b.folders, b.err }

// Folder implements [stream.Base].
func (b *base) Folder(name string) (tree.Folder, bool, error) {
	if f := folderOf(b.folders, name); f != nil {
		return *f, true, b.err
	}
	return tree.Folder{}, false, b.err
}

// FilesIn implements [stream.Base].
func (b *base) FilesIn(folder string) ([]tree.File, error) {
	files := filesOf(b.in(folder))
	return files, b.err
}

// Lookup implements [stream.Base].
func (b *base) Lookup(folder string, isNew bool, name string) (tree.File, bool, error) {
	e, err := b.index.File(b.side, folder, isNew, name)
	if err == nil {
		err = b.err
	}
	if e == nil || err != nil {
		return tree.File{}, false, err
	}
	return e.File, true, nil
}

// FilesOf implements [stream.Base].
func (b *base) FilesOf(ino uint64) ([]tree.File, error) {
	files := filesOf(b.ofIno(ino))
	return files, b.err
}

func folderOf(folders []tree.Folder, name string) *tree.Folder {
	i, ok := slices.BinarySearchFunc(folders, name, func(f tree.Folder, n string) int {
		return strings.Compare(f.Name, n)
	})
	if !ok {
		return nil
	}
	return &folders[i]
}
