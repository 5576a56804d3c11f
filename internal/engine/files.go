package engine

import (
	"cmp"
	"slices"
	"time"

	"snapmerge/tree"
)

// files is one side's tree together with the message that each file belongs to.
type files struct {
	*tree.Tree
	of        []string         // message of Files[i]; "" not yet known
	byMessage map[string][]int // indexes into Files, in their order
}

// newFiles pairs a tree with nothing yet.
func newFiles(t *tree.Tree) *files {
	return &files{Tree: t, of: make([]string, len(t.Files)), byMessage: make(map[string][]int, len(t.Files))}
}

// knownFiles pairs a tree with the messages of its files.
func knownFiles(t *tree.Tree, messages []string) *files {
	f := newFiles(t)
	for i, m := range messages {
		f.assign(i, m)
	}
	return f
}

func (f *files) assign(i int, message string) {
	f.of[i] = message
	f.byMessage[message] = append(f.byMessage[message], i)
	slices.Sort(f.byMessage[message])
}

// reassign gives all files of one message to another.
func (f *files) reassign(from, to string) {
	for _, i := range f.byMessage[from] {
		f.assign(i, to)
	}
	delete(f.byMessage, from)
}

// all returns the files of a message, by folder; cur before new.
func (f *files) all(message string) []tree.File {
	var out []tree.File
	for _, i := range f.byMessage[message] {
		out = append(out, f.Files[i])
	}
	return out
}

// in returns the files of a message in one folder.
func (f *files) in(message, folder string) []tree.File {
	return slices.DeleteFunc(f.all(message), func(x tree.File) bool { return x.Folder != folder })
}

// placements returns where a side has the message, one placement a folder. Of
// several files in a folder the first speaks for all.
func (f *files) placements(message string) []tree.Placement {
	var out []tree.Placement
	for _, i := range f.byMessage[message] {
		file := f.Files[i]
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
		if folder := f.Folder(file.Folder); folder != nil {
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
