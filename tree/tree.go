// Package tree knows how a Maildir store looks on disk: file names, folders,
// flags and keywords. It reads snapshots of stores into trees, compares two
// trees of one store, and reads and writes them as tables of text.
//
// It knows nothing of btrfs, of the other side, or of merging.
package tree

import (
	"cmp"
	"slices"
	"strings"
)

// Inbox is the logical name of a store's root folder.
const Inbox = "INBOX"

// A File is one message file as a snapshot shows it.
type File struct {
	Folder string // logical name: UTF-8, "/" between levels, "INBOX" for the root
	New    bool   `json:",omitempty"` // in new/, not in cur/
	Name   string // file name on disk, bytes
	Ino    uint64 // stable within a store and its snapshots; btrfs never reuses one
	Size   int64  // bytes
	Mtime  int64  // nanoseconds since the epoch: the received date (INTERNALDATE)
	Ctime  int64  `json:",omitempty"` // nanoseconds since the epoch; means something on its own host only
}

// Dir returns the directory inside the folder that holds the file.
func (f File) Dir() string {
	if f.New {
		return "new"
	}
	return "cur"
}

// Compare orders files by folder, directory (cur before new) and name.
func (f File) Compare(g File) int {
	if c := strings.Compare(f.Folder, g.Folder); c != 0 {
		return c
	}
	if f.New != g.New {
		if g.New {
			return -1
		}
		return 1
	}
	return strings.Compare(f.Name, g.Name)
}

// A Folder is one mail folder of a store.
type Folder struct {
	Name     string       // logical name
	Ino      uint64       // inode of the folder's directory: the same after a rename
	Keywords KeywordTable // the folder's dovecot-keywords
}

// A Refused is an entry of a store that can not be mail: a name that no
// Maildir reader accepts, something else than a regular file, a directory
// whose name is no folder name; in a mirror, a placeholder (see [RefusedXattr]).
type Refused struct {
	Path string // below the store's root
	Why  string
}

// A Tree is what one snapshot of a store holds.
type Tree struct {
	Folders []Folder  // by name
	Files   []File    // by Compare
	Refused []Refused // by path, at most maxRefused
	// RefusedMore counts what Refused had no room for: a hostile store can hold
	// any number of bad names.
	RefusedMore int
}

// Sort puts folders and files into their order.
func (t *Tree) Sort() {
	slices.SortFunc(t.Folders, func(a, b Folder) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(t.Files, File.Compare)
	slices.SortFunc(t.Refused, func(a, b Refused) int { return strings.Compare(a.Path, b.Path) })
}

// Folder returns the folder of that logical name, or nil.
func (t *Tree) Folder(name string) *Folder {
	i, ok := slices.BinarySearchFunc(t.Folders, name, func(f Folder, n string) int { return cmp.Compare(f.Name, n) })
	if !ok {
		return nil
	}
	return &t.Folders[i]
}
