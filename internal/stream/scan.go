package stream

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"snapmerge/snapshot"
	"snapmerge/tree"
)

// errNotReadOnly: of a subvolume that is being changed a search does not see what
// the kernel has not put into the tree yet (fs/btrfs/delayed-inode.c).
var errNotReadOnly = errors.New("not read-only")

// Scan is [tree.Scan] for a read-only snapshot on btrfs, without its stat of every
// mail: a search through the metadata has names, sizes and times in the order in
// which they are stored. A stat in a snapshot that was never looked at costs the
// kernel seven times that. It needs CAP_SYS_ADMIN; where the search can not be
// made (another file system, no such right) it falls back to tree.Scan.
//
// Both return the same, but for which are kept of more than 10,000 refused names.
func Scan(root *os.File, l tree.Layout) (*tree.Tree, error) {
	if t, err := searchScan(root, l); err == nil {
		return t, nil
	}
	return tree.Scan(root, l)
}

func searchScan(root *os.File, l tree.Layout) (*tree.Tree, error) {
	info, err := snapshot.ReadOpen(root)
	if err != nil {
		return nil, err
	}
	if !info.ReadOnly {
		return nil, fmt.Errorf("scan %q: %w", root.Name(), errNotReadOnly)
	}
	b, err := tree.NewBuilder(root, l)
	if err != nil {
		return nil, err
	}
	s := &scanner{Builder: b, dirs: map[uint64]int{}}
	s.addName = s.name
	for i, d := range b.Dirs() {
		s.dirs[d.Ino] = i
	}
	if err := s.run(snapshot.NewSearch(root, snapshot.Key{}, snapshot.MaxKey, 0)); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	return b.Tree(), nil
}

// A scanner gives a Builder the entries of its directories, by their inodes: an
// inode's item comes first, its names after it.
type scanner struct {
	*tree.Builder
	dirs map[uint64]int // index in Dirs by inode number
	ino  snapshot.Inode // the one whose item came last

	addName func(dir uint64, name []byte) error // name, made into a value once
}

func (s *scanner) run(search *snapshot.Search) error {
	for {
		item, err := search.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = s.take(search, item)
		}
		if err != nil {
			return err
		}
	}
}

func (s *scanner) take(search *snapshot.Search, item snapshot.Item) (err error) {
	switch item.Type {
	case snapshot.InodeItemType:
		s.ino, err = item.Inode()
		return err
	case snapshot.InodeRefType, snapshot.ExtRefType:
		if s.ino.Ino != item.Object {
			return fmt.Errorf("inode %d has names and no item", item.Object)
		}
		return item.Refs(s.addName)
	case snapshot.DirItemType:
		search.Seek(afterHashes(item))
	case snapshot.DirIndexType:
		i, ok := s.dirs[item.Object]
		if !ok {
			search.Seek(afterEntries(item))
			return nil
		}
		return s.entry(i, item)
	}
	return nil
}

// afterHashes returns the key behind the entries of a directory by hash.
func afterHashes(item snapshot.Item) snapshot.Key {
	return snapshot.Key{Object: item.Object, Type: snapshot.DirItemType + 1}
}

// afterEntries returns the key behind all entries of a directory.
func afterEntries(item snapshot.Item) snapshot.Key {
	return snapshot.Key{Object: item.Object, Type: snapshot.DirIndexType + 1}
}

func (s *scanner) name(dir uint64, name []byte) error {
	i, ok := s.dirs[dir]
	if !ok {
		return nil
	}
	st := statOf(s.ino)
	return s.Add(i, string(name), &st)
}

// entry looks at a directory's own list of what is in it for one thing only: a
// nested subvolume has no inode here.
func (s *scanner) entry(dir int, item snapshot.Item) error {
	e, err := item.DirEntry()
	if err != nil || e.Target.Type != snapshot.RootItemType {
		return err
	}
	return s.Add(dir, string(e.Name), &unix.Stat_t{Mode: unix.S_IFDIR})
}

// statOf returns what tree looks at.
func statOf(i snapshot.Inode) unix.Stat_t {
	return unix.Stat_t{Ino: i.Ino, Mode: i.Mode, Size: i.Size, Atim: i.Atime, Mtim: i.Mtime, Ctim: i.Ctime}
}
