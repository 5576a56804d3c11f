package engine

import (
	"cmp"
	"slices"
	"time"

	"snapmerge/tree"
)

// now is one side as its new snapshot shows it: the base and what has changed
// since. The files that the base has keep their message; those that it has not
// belong to none until [identities] assigns one.
type now struct {
	base    *base
	changes tree.Changes
	folders []tree.Folder // sorted by name
	renamed map[string]string
	gone    map[fileID]bool // files of the base, under their folders' new names

	added     []tree.File // sorted
	of        []string    // message of added[i]; "" not yet known
	byMessage map[string][]int
}

// A fileID is all by which tree.Diff tells files apart.
type fileID struct {
	folder, name string
	isNew        bool
	ino          uint64
	size, mtime  int64
}

func idOf(f tree.File) fileID {
	return fileID{f.Folder, f.Name, f.New, f.Ino, f.Size, f.Mtime}
}

// newNow lays changes over a base. all are the folders of the new snapshot.
func newNow(b *base, c tree.Changes) (*now, error) {
	n := &now{base: b, changes: c, renamed: map[string]string{}, gone: make(map[fileID]bool, len(c.Removed)),
		added: c.Added, of: make([]string, len(c.Added)), byMessage: make(map[string][]int, len(c.Added))}
	for _, r := range c.RenamedFolders {
		n.renamed[r.From] = r.To
	}
	for _, f := range c.Removed {
		n.gone[idOf(f)] = true
	}
	folders := c
	folders.Removed, folders.Added = nil, nil
	t, err := (&tree.Tree{Folders: b.folders}).Apply(folders)
	if err != nil {
		return nil, err
	}
	n.folders = t.Folders
	return n, nil
}

// kept returns the file as it is now; false if it is gone.
func (n *now) kept(f tree.File) (tree.File, bool) {
	f.Folder = rename(n.renamed, f.Folder)
	return f, len(n.gone) == 0 || !n.gone[idOf(f)]
}

// assign gives an added file its message.
func (n *now) assign(i int, message string) {
	n.of[i] = message
	n.byMessage[message] = append(n.byMessage[message], i)
}

// reassign gives all added files of one message to another.
func (n *now) reassign(from, to string) {
	for _, i := range n.byMessage[from] {
		n.assign(i, to)
	}
	delete(n.byMessage, from)
}

// all returns the files of a message, by folder; cur before new.
func (n *now) all(message string) []tree.File {
	var out []tree.File
	for _, f := range n.base.of(message) {
		if f, ok := n.kept(f.File); ok {
			out = append(out, f)
		}
	}
	for _, i := range n.byMessage[message] {
		out = append(out, n.added[i])
	}
	slices.SortFunc(out, tree.File.Compare)
	return out
}

func (n *now) has(message string) bool {
	return len(n.byMessage[message]) > 0 || len(n.all(message)) > 0
}

// in returns the files of a message in one folder.
func (n *now) in(message, folder string) []tree.File {
	return slices.DeleteFunc(n.all(message), func(x tree.File) bool { return x.Folder != folder })
}

func (n *now) placements(message string) []tree.Placement {
	return placements(n.all(message), n.folders)
}

func (n *now) folder(name string) *tree.Folder { return folderOf(n.folders, name) }

// was returns what the base calls a folder; false if it has none.
func (n *now) was(folder string) (string, bool) {
	for from, to := range n.renamed {
		if to == folder {
			return from, true
		}
	}
	if _, moved := n.renamed[folder]; moved || slices.Contains(n.changes.RemovedFolders, folder) || folderOf(n.base.folders, folder) == nil {
		return "", false
	}
	return folder, true
}

// messagesIn returns the messages of the files in a folder, some more than once.
func (n *now) messagesIn(folder string) (out []string) {
	for _, was := range n.base.folders {
		if rename(n.renamed, was.Name) != folder {
			continue
		}
		for _, f := range n.base.in(was.Name) {
			if _, ok := n.kept(f.File); ok {
				out = append(out, f.message)
			}
		}
	}
	for i, f := range n.added {
		if f.Folder == folder {
			out = append(out, n.of[i])
		}
	}
	return out
}

// count returns how many files a folder has.
func (n *now) count(folder string) (sum int) {
	for _, was := range n.base.folders {
		if rename(n.renamed, was.Name) == folder {
			sum += n.base.count(was.Name)
		}
	}
	for _, f := range n.changes.Removed {
		if f.Folder == folder {
			sum--
		}
	}
	for _, f := range n.added {
		if f.Folder == folder {
			sum++
		}
	}
	return sum
}

// each calls f for every message that has a file, some more than once.
func (n *now) each(f func(message string)) {
	n.base.each(func(o owned) {
		if _, ok := n.kept(o.File); ok {
			f(o.message)
		}
	})
	for _, m := range n.of {
		f(m)
	}
}

// messageOf returns the message of an added file.
func (n *now) messageOf(f tree.File) string {
	i, ok := slices.BinarySearchFunc(n.added, f, tree.File.Compare)
	if !ok {
		return ""
	}
	return n.of[i]
}

// placements returns where files of one message are, one placement a folder. Of
// several files in a folder the first speaks for all.
func placements(files []tree.File, folders []tree.Folder) []tree.Placement {
	var out []tree.Placement
	for _, file := range files {
		if n := len(out); n > 0 && out[n-1].Folder == file.Folder {
			continue
		}
		name, err := tree.ParseName(file.Name)
		if err != nil {
			continue
		}
		p := tree.Placement{
			Folder: file.Folder, Flags: name.Flags, New: file.New,
			Received: time.Unix(0, file.Mtime).UTC(), Ctime: time.Unix(0, file.Ctime).UTC(),
		}
		if folder := folderOf(folders, file.Folder); folder != nil {
			var unnamed tree.Letters
			p.Keywords, unnamed = folder.Keywords.Names(name.Letters)
			p.Unnamed = unnamed != 0
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b tree.Placement) int { return cmp.Compare(a.Folder, b.Folder) })
	return out
}

func rename(names map[string]string, folder string) string {
	if to, ok := names[folder]; ok {
		return to
	}
	return folder
}

// key returns the stable part of a file's name, or "" if it has none.
func key(f tree.File) string {
	n, err := tree.ParseName(f.Name)
	if err != nil {
		return ""
	}
	return n.Key()
}
