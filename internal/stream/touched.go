package stream

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"snapmerge/snapshot"
)

// A touched is what changed in a subvolume since a transaction. Whatever is done
// to a file – linked, unlinked, renamed, written to, given another time – puts the
// transaction into its inode item, and what is done to its names into that of the
// directory too. What is gone is not there to be found; its directory is.
type touched struct {
	dirs  map[uint64]bool // directories, by inode number
	bytes int64           // their sizes: twice the lengths of the names in them
	files int             // inodes that are no directories
	names []touchedName   // all their names now, changed or not
	items int             // looked at: they shared a leaf with a change
}

// A touchedName is a name of a file in the directory of that inode number.
type touchedName struct {
	dir  uint64
	name string
	ino  *snapshot.Inode
}

// A toucher looks for what was touched.
type toucher struct {
	touched
	from uint64
	ino  *snapshot.Inode  // the touched file whose names come now, or nil
	had  int              // len(names) before them
	refs *snapshot.Search // for names that are in a leaf of their own
	add  func(dir uint64, name []byte) error
}

// touchedSince searches the snapshot now for what changed in the transaction
// from, or later.
func touchedSince(ctx context.Context, now *os.File, from uint64) (*touched, error) {
	t := &toucher{
		touched: touched{dirs: map[uint64]bool{}},
		from:    from,
		refs:    snapshot.NewSearch(now, snapshot.Key{}, snapshot.Key{}, 0),
	}
	t.add = t.addName
	search := snapshot.NewSearch(now, snapshot.Key{}, snapshot.MaxKey, from)
	for {
		item, err := search.Next()
		if err == io.EOF {
			return &t.touched, t.finish()
		}
		if err == nil {
			err = t.take(search, item)
		}
		if err == nil && t.items%1024 == 0 {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (t *toucher) take(search *snapshot.Search, item snapshot.Item) (err error) {
	t.items++
	if t.ino != nil && item.Object != t.ino.Ino {
		if err := t.finish(); err != nil {
			return err
		}
	}
	switch item.Type {
	case snapshot.InodeItemType:
		ino, err := item.Inode()
		if err != nil || ino.Transid < t.from {
			return err
		}
		if ino.Mode&unix.S_IFMT == unix.S_IFDIR {
			t.dirs[ino.Ino] = true
			t.bytes += ino.Size
			return nil
		}
		t.ino, t.had = &ino, len(t.names)
		t.files++
	case snapshot.InodeRefType, snapshot.ExtRefType:
		if t.ino != nil {
			return item.Refs(t.add)
		}
	case snapshot.DirItemType, snapshot.DirIndexType:
		search.Seek(afterEntries(item))
	}
	return nil
}

func (t *toucher) addName(dir uint64, name []byte) error {
	t.names = append(t.names, touchedName{dir, string(name), t.ino})
	return nil
}

// finish makes sure that all names of a file have been seen. Those in another
// leaf than its inode item are not, if nothing in that leaf changed.
func (t *toucher) finish() error {
	defer func() { t.ino = nil }()
	if t.ino == nil || len(t.names)-t.had == int(t.ino.Nlink) {
		return nil
	}
	t.names = t.names[:t.had]
	t.refs.Restart(snapshot.Key{Object: t.ino.Ino, Type: snapshot.InodeRefType},
		snapshot.Key{Object: t.ino.Ino, Type: snapshot.ExtRefType, Offset: snapshot.MaxKey.Offset})
	for {
		item, err := t.refs.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = item.Refs(t.add)
		}
		if err != nil {
			return err
		}
	}
}
