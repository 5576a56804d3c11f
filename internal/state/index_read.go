package state

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"snapmerge/internal/codec"
	"snapmerge/merge"
	"snapmerge/tree"
)

// An Entry is a file of a base snapshot and its message.
type Entry struct {
	Side    merge.Side
	File    tree.File
	Message string
}

// Meta returns the sync that the index was last brought up to; zero if none.
func (x *Index) Meta() (Meta, error) { return readHead[Meta](x, "sync") }

// Pending returns what was pending after that sync. The cost does not depend on
// the size of the mailbox.
func (x *Index) Pending() (Pending, error) {
	p, err := x.parts()
	if err != nil {
		return Pending{}, err
	}
	folders, err := x.folders()
	if err != nil {
		return Pending{}, err
	}
	p.Pairs, err = x.pairs(folders)
	return p, err
}

func (x *Index) parts() (p Pending, err error) {
	first := true
	err = sqlitex.Execute(x.conn, "SELECT value FROM pending ORDER BY part", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			var part Pending
			if err := codec.Decode([]byte(s.ColumnText(0)), &part); err != nil {
				return fmt.Errorf("%w: %w", ErrRebuild, err)
			}
			if first {
				p, first = part, false
			} else {
				p.add(part)
			}
			return nil
		}})
	return p, x.readError(err)
}

// readHead returns what a row of the table meta holds; zero if there is none.
func readHead[T any](x *Index, key string) (v T, err error) {
	err = sqlitex.Execute(x.conn, "SELECT value FROM meta WHERE key = ?", &sqlitex.ExecOptions{
		Args: []any{key},
		ResultFunc: func(s *sqlite.Stmt) error {
			if err := codec.Decode([]byte(s.ColumnText(0)), &v); err != nil {
				return fmt.Errorf("%w: %w", ErrRebuild, err)
			}
			return nil
		}})
	return v, x.readError(err)
}

func (x *Index) readError(err error) error {
	if err != nil {
		return fmt.Errorf("read index %q: %w", x.path, asRebuild(err))
	}
	return nil
}

// Load returns everything. Time and memory go with the size of the mailbox.
func (x *Index) Load() (*State, error) {
	s := &State{}
	var err error
	if s.Meta, err = x.Meta(); err != nil {
		return nil, err
	}
	if s.Pending, err = x.Pending(); err != nil {
		return nil, err
	}
	for _, side := range merge.Sides {
		if s.Trees[side], s.Messages[side], err = x.Tree(side); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Tree returns the tree of that side's base snapshot, without Refused, and the
// message of each of its files. A file's Ctime is that of the sync in which it
// was last seen to change otherwise ([tree.Diff]).
func (x *Index) Tree(side merge.Side) (*tree.Tree, []string, error) {
	rows, err := x.folders()
	if err != nil {
		return nil, nil, err
	}
	t := &tree.Tree{Folders: foldersOf(rows, side)}
	var entries []Entry
	for e, err := range x.Files(side) {
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, Entry.compare)
	messages := make([]string, len(entries))
	t.Files = make([]tree.File, len(entries))
	for i, e := range entries {
		t.Files[i], messages[i] = e.File, e.Message
	}
	t.Sort()
	return t, messages, nil
}

func foldersOf(rows map[int64]*folderRow, side merge.Side) (out []tree.Folder) {
	for _, r := range rows {
		if r.side == side {
			out = append(out, r.Folder)
		}
	}
	slices.SortFunc(out, func(a, b tree.Folder) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Folders returns the folders of that side's base snapshot, sorted.
func (x *Index) Folders(side merge.Side) ([]tree.Folder, error) {
	rows, err := x.folders()
	return foldersOf(rows, side), err
}

// Messages returns how many messages each side's base snapshot has.
func (x *Index) Messages() ([2]int, error) { return readHead[[2]int](x, "messages") }

func (e Entry) compare(f Entry) int {
	if c := int(e.Side) - int(f.Side); c != 0 {
		return c
	}
	return e.File.Compare(f.File)
}

// Files yields the files of that side's base snapshot in no order, one row at a
// time. After an error it ends. The index must not be used for anything else
// meanwhile.
func (x *Index) Files(side merge.Side) iter.Seq2[Entry, error] {
	return x.rowsOf("side = ?", int64(side))
}

func (x *Index) rowsOf(where string, args ...any) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		folders, err := x.folders()
		if err != nil {
			yield(Entry{}, err)
			return
		}
		stopped := false
		err = x.each(folders, where, args, func(e Entry) error {
			if !yield(e, nil) {
				stopped = true
				return errStop
			}
			return nil
		})
		if err != nil && !stopped {
			yield(Entry{}, err)
		}
	}
}

var errStop = errors.New("stopped by the caller")

// ByMessage returns the files of a message, both sides', in order.
func (x *Index) ByMessage(message string) ([]Entry, error) {
	return x.find("message = ?", message)
}

// ByKey returns the files of both sides with that key in their names, in order.
func (x *Index) ByKey(key string) ([]Entry, error) {
	return x.find("(message = ?1 AND key IS NULL OR key = ?1)", key)
}

// ByIno returns the files of one side with that inode number, in order. There
// are several after a COPY, which makes hard links.
func (x *Index) ByIno(side merge.Side, ino uint64) ([]Entry, error) {
	return x.find("side = ? AND ino = ?", int64(side), int64(ino))
}

// ByFolder returns the files of a folder of one side, in order.
func (x *Index) ByFolder(side merge.Side, folder string) ([]Entry, error) {
	return x.find("folder = (SELECT id FROM folder WHERE side = ? AND name = ?)", int64(side), folder)
}

// File returns the file of that place, nil if there is none.
func (x *Index) File(side merge.Side, folder string, isNew bool, name string) (*Entry, error) {
	n, err := tree.ParseName(name)
	if err != nil {
		return nil, nil // the index holds no such name
	}
	found, err := x.find(byName, n.Key(), name, isNew, int64(side), folder)
	if len(found) == 0 {
		return nil, err
	}
	return &found[0], err
}

// Oldest yields the files of a folder of one side, those received first first,
// one row at a time: whoever looks for old ones stops at the first that is not.
func (x *Index) Oldest(side merge.Side, folder string) iter.Seq2[Entry, error] {
	return x.rowsOf("folder = (SELECT id FROM folder WHERE side = ? AND name = ?) ORDER BY mtime", int64(side), folder)
}

// Count returns the number of files in a folder of one side.
func (x *Index) Count(side merge.Side, folder string) (n int, err error) {
	err = sqlitex.Execute(x.conn, "SELECT count(*) FROM file WHERE folder = (SELECT id FROM folder WHERE side = ? AND name = ?)",
		&sqlitex.ExecOptions{Args: []any{int64(side), folder}, ResultFunc: func(s *sqlite.Stmt) error {
			n = s.ColumnInt(0)
			return nil
		}})
	return n, x.readError(err)
}

// byName is the place of one file. The + keeps SQLite from the index of folders: it
// would look at each mail of the folder, and a large one has 100,000.
const byName = `(message = ?1 AND key IS NULL OR key = ?1) AND name = ?2 AND isnew = ?3
	AND +folder = (SELECT id FROM folder WHERE side = ?4 AND name = ?5)`

func (x *Index) find(where string, args ...any) (out []Entry, err error) {
	folders, err := x.folders()
	if err != nil {
		return nil, err
	}
	err = x.each(folders, where, args, func(e Entry) error {
		out = append(out, e)
		return nil
	})
	slices.SortFunc(out, Entry.compare)
	return out, err
}

// each calls f for every file for which the condition holds.
func (x *Index) each(folders map[int64]*folderRow, where string, args []any, f func(Entry) error) error {
	return x.readError(sqlitex.Execute(x.conn,
		"SELECT folder, isnew, name, ino, size, mtime, ctime, message FROM file WHERE "+where,
		&sqlitex.ExecOptions{Args: args, ResultFunc: func(s *sqlite.Stmt) error {
			row := folders[s.ColumnInt64(0)]
			if row == nil {
				return fmt.Errorf("%w: a file without a folder", ErrRebuild)
			}
			e := Entry{Side: row.side, Message: s.ColumnText(7), File: tree.File{
				Folder: row.Name,
				New:    s.ColumnBool(1),
				Name:   s.ColumnText(2),
				Ino:    uint64(s.ColumnInt64(3)),
				Size:   s.ColumnInt64(4),
				Mtime:  s.ColumnInt64(5),
				Ctime:  s.ColumnInt64(6),
			}}
			if strings.HasPrefix(e.File.Name, e.Message) {
				e.Message = e.File.Name[:len(e.Message)] // one string in memory, not two
			}
			return f(e)
		}}))
}

// A folderRow is a row of the table folder.
type folderRow struct {
	tree.Folder
	id   int64
	side merge.Side
}

func (x *Index) folders() (map[int64]*folderRow, error) {
	if x.rows != nil {
		return x.rows, nil
	}
	rows := map[int64]*folderRow{}
	err := sqlitex.Execute(x.conn, "SELECT id, side, name, ino, keywords FROM folder", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			r := &folderRow{id: s.ColumnInt64(0)}
			if n := s.ColumnInt64(1); n == int64(merge.Offline) {
				r.side = merge.Offline
			}
			r.Name, r.Ino = s.ColumnText(2), uint64(s.ColumnInt64(3))
			if err := codec.Decode([]byte(s.ColumnText(4)), &r.Keywords); err != nil {
				return fmt.Errorf("%w: keywords of folder %q: %w", ErrRebuild, r.Name, err)
			}
			rows[r.id] = r
			return nil
		}})
	if err == nil {
		x.rows = rows
	}
	return rows, x.readError(err)
}

func (x *Index) pairs(folders map[int64]*folderRow) (pairs []Pair, err error) {
	err = x.each(folders, "key IS NOT NULL", nil, func(e Entry) error {
		p := pairOf(e.Side, e.File)
		p.Message = e.Message
		pairs = append(pairs, p)
		return nil
	})
	slices.SortFunc(pairs, Pair.compare)
	return pairs, err
}
