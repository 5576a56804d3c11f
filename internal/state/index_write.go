package state

import (
	"cmp"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"snapmerge/internal/codec"
	"snapmerge/merge"
	"snapmerge/tree"
)

// Next is what a sync makes of the index.
type Next struct {
	Meta
	Changes   [2]tree.Changes // from the old base snapshots to the new ones
	MessageOf MessageOf       // of the files in Changes.Added
	Pending   Pending         // its Pairs must be those of [NextPairs]; the index finds them itself
	Messages  [2]int          // how many each side's new base snapshot has
}

// Commit brings the index up to a sync in one transaction: when it returns, all
// of it is durable; after an error nothing has changed. Its cost goes with the
// changes. [ErrRebuild] if the changes do not fit what the index holds.
func (x *Index) Commit(n Next) error {
	return x.write(n.Sync, func() error {
		rows, err := x.integer("SELECT count(*) FROM (SELECT 1 FROM file LIMIT 1)")
		if err != nil {
			return err
		}
		empty := rows == 0 && len(n.Changes[merge.Online].Removed)+len(n.Changes[merge.Offline].Removed) == 0
		if empty { // sorting each index once is quicker than keeping them through a million inserts
			err = sqlitex.ExecuteScript(x.conn, dropIndexes, nil)
		}
		for _, side := range merge.Sides {
			if err == nil {
				if err = x.apply(side, n.Changes[side], n.MessageOf); err != nil {
					err = fmt.Errorf("%s: %w", side, err)
				}
			}
		}
		if empty && err == nil {
			err = sqlitex.ExecuteScript(x.conn, makeIndexes, nil)
		}
		if err != nil {
			return err
		}
		return x.setHead(n.Meta, n.Pending, n.Messages)
	})
}

// Replace makes the index hold that state and nothing else, in one transaction.
func (x *Index) Replace(s *State) error {
	return x.write(s.Sync, func() error {
		if err := sqlitex.ExecuteScript(x.conn, dropIndexes+"DELETE FROM file; DELETE FROM folder;", nil); err != nil {
			return err
		}
		for _, side := range merge.Sides {
			if err := x.addTree(side, s.Trees[side], s.Messages[side]); err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
		}
		if err := sqlitex.ExecuteScript(x.conn, makeIndexes, nil); err != nil {
			return err
		}
		return x.setHead(s.Meta, s.Pending, countMessages(s))
	})
}

func countMessages(s *State) (n [2]int) {
	for _, side := range merge.Sides {
		seen := make(map[string]bool, len(s.Messages[side]))
		for _, m := range s.Messages[side] {
			seen[m] = true
		}
		n[side] = len(seen)
	}
	return n
}

func (x *Index) write(sync int, f func() error) error {
	x.rows = nil
	if err := x.transact(f); err != nil {
		return fmt.Errorf("write sync %d into index %q: %w", sync, x.path, asRebuild(err))
	}
	return nil
}

func (x *Index) setHead(m Meta, p Pending, messages [2]int) error {
	if err := cmp.Or(writeHead(x, "sync", m), writeHead(x, "messages", messages), x.exec("DELETE FROM pending")); err != nil {
		return err
	}
	p.Pairs = nil // they are in the table file
	for i, part := range p.parts(partLen) {
		text, err := codec.Encode(part)
		if err != nil {
			return err
		}
		if err := x.exec("INSERT INTO pending (part, value) VALUES (?, ?)", i, string(text)); err != nil {
			return err
		}
	}
	return nil
}

func writeHead[T any](x *Index, key string, v T) error {
	text, err := codec.Encode(v)
	if err != nil {
		return err
	}
	return x.exec("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, string(text))
}

func (x *Index) addTree(side merge.Side, t *tree.Tree, messages []string) error {
	ids := map[string]int64{}
	for _, f := range t.Folders {
		id, err := x.addFolder(side, f)
		if err != nil {
			return err
		}
		ids[f.Name] = id
	}
	for i, f := range t.Files {
		if err := x.addFile(side, ids, f, messages[i]); err != nil {
			return err
		}
	}
	return nil
}

// apply carries changes out in the order that [tree.Changes] describes.
func (x *Index) apply(side merge.Side, c tree.Changes, messageOf MessageOf) error {
	ids, gone, err := x.applyFolders(side, c)
	if err != nil {
		return err
	}
	for _, f := range c.Removed {
		if err := x.removeFile(side, ids, f); err != nil {
			return err
		}
	}
	for _, id := range gone {
		// A file that is left refers to it: a constraint error, so ErrRebuild.
		if err := x.exec("DELETE FROM folder WHERE id = ?", id); err != nil {
			return err
		}
	}
	for _, f := range c.Added {
		if err := x.addFile(side, ids, f, messageOf(side, f)); err != nil {
			return err
		}
	}
	return nil
}

// applyFolders returns the rows of the folders by their new names, and those
// to be removed when their files are gone.
func (x *Index) applyFolders(side merge.Side, c tree.Changes) (ids map[string]int64, gone []int64, err error) {
	old, err := x.folderIDs(side)
	if err != nil {
		return nil, nil, err
	}
	removed := map[string]int64{}
	for _, name := range c.RemovedFolders {
		id, ok := old[name]
		if !ok {
			return nil, nil, fmt.Errorf("%w: no folder %q to remove", ErrRebuild, name)
		}
		removed[name] = id
		delete(old, name)
	}
	if ids, err = x.renameFolders(old, c.RenamedFolders); err != nil {
		return nil, nil, err
	}
	for _, f := range c.AddedFolders {
		if ids[f.Name], err = x.addFolder(side, f); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range c.Keywords {
		if err := x.setKeywords(ids, f); err != nil {
			return nil, nil, err
		}
	}
	for name, id := range removed {
		gone = append(gone, id)
		next, ok := ids[name]
		if !ok {
			ids[name] = id // until its files are gone
			continue
		}
		// Another folder took the name: a file that is at the same place in both is
		// no change to tree.Diff, so the files go over before any is removed.
		if err := x.exec("UPDATE file SET folder = ? WHERE folder = ?", next, id); err != nil {
			return nil, nil, err
		}
	}
	return ids, gone, nil
}

// renameFolders renames all at once, so names can be swapped.
func (x *Index) renameFolders(old map[string]int64, renames []tree.FolderRename) (map[string]int64, error) {
	moved := map[string]int64{}
	for _, r := range renames {
		id, ok := old[r.From]
		if !ok {
			return nil, fmt.Errorf("%w: no folder %q to rename", ErrRebuild, r.From)
		}
		delete(old, r.From)
		moved[r.To] = id
		if err := x.exec("UPDATE folder SET name = ? WHERE id = ?", r.To, id); err != nil {
			return nil, err
		}
	}
	for name, id := range old {
		moved[name] = id
	}
	return moved, nil
}

func (x *Index) folderIDs(side merge.Side) (map[string]int64, error) {
	ids := map[string]int64{}
	err := sqlitex.Execute(x.conn, "SELECT id, name FROM folder WHERE side = ?", &sqlitex.ExecOptions{
		Args: []any{int64(side)},
		ResultFunc: func(s *sqlite.Stmt) error {
			ids[s.ColumnText(1)] = s.ColumnInt64(0)
			return nil
		}})
	return ids, err
}

func (x *Index) addFolder(side merge.Side, f tree.Folder) (int64, error) {
	keywords, err := codec.Encode(f.Keywords)
	if err != nil {
		return 0, err
	}
	err = x.exec("INSERT INTO folder (side, name, ino, keywords) VALUES (?, ?, ?, ?)",
		int64(side), f.Name, int64(f.Ino), string(keywords))
	return x.conn.LastInsertRowID(), err
}

func (x *Index) setKeywords(ids map[string]int64, f tree.Folder) error {
	id, ok := ids[f.Name]
	if !ok {
		return fmt.Errorf("%w: no folder %q for its keywords", ErrRebuild, f.Name)
	}
	keywords, err := codec.Encode(f.Keywords)
	if err != nil {
		return err
	}
	return x.exec("UPDATE folder SET keywords = ? WHERE id = ?", string(keywords), id)
}

func (x *Index) addFile(side merge.Side, ids map[string]int64, f tree.File, message string) error {
	folder, ok := ids[f.Folder]
	if !ok {
		return fmt.Errorf("%w: no folder %q for %q", ErrRebuild, f.Folder, f.Name)
	}
	key, err := keyOf(f)
	if err != nil {
		return err
	}
	var pairedKey any // NULL
	if key != message {
		pairedKey = key
	}
	return x.exec(`INSERT INTO file (side, folder, isnew, name, ino, size, mtime, ctime, message, key)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(side), folder, f.New, f.Name, int64(f.Ino), f.Size, f.Mtime, f.Ctime, message, pairedKey)
}

// removeFile removes one row that is the file in everything but Ctime. Two can
// be, for a moment: see applyFolders.
func (x *Index) removeFile(side merge.Side, ids map[string]int64, f tree.File) error {
	err := x.exec(`DELETE FROM file WHERE rowid = (SELECT rowid FROM file INDEXED BY file_ino
		WHERE side = ? AND ino = ? AND folder = ? AND isnew = ? AND name = ? AND size = ? AND mtime = ? LIMIT 1)`,
		int64(side), int64(f.Ino), ids[f.Folder], f.New, f.Name, f.Size, f.Mtime)
	if err == nil && x.conn.Changes() != 1 {
		err = fmt.Errorf("%w: no file %q in folder %q to remove", ErrRebuild, f.Name, f.Folder)
	}
	return err
}

// exec runs a statement that is prepared once.
func (x *Index) exec(query string, args ...any) error {
	return sqlitex.Execute(x.conn, query, &sqlitex.ExecOptions{Args: args})
}
