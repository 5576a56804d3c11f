package stream

import (
	"bytes"
	"io"
	"os"

	"snapmerge/tree"
)

// A lister finds the changes without a stream, of two snapshots for which [since]
// has a bound. What was touched since then has been searched for (touchedSince).
// What is gone was not there to be found, but the directory that it was in was
// touched: so the names in those cur/ and new/ are read in both snapshots, without
// a stat, and compared.
//
// No directory need be where it was: all folders of both are looked at, and cur/
// and new/ of one folder are told by their inode numbers.
type lister struct {
	*differ
	was   *tree.Reader // of base
	seen  *touched
	bases map[uint64]mailDir // cur/ and new/ of base that are in now as well, by inode number
}

// list returns what [Diff] returns.
func list(base, now *os.File, seen *touched, known Base, l tree.Layout) (tree.Changes, Stats, error) {
	was, err := tree.NewReader(base, l)
	if err != nil {
		return tree.Changes{}, Stats{}, err
	}
	defer was.Close()
	is, err := tree.NewReader(now, l)
	if err != nil {
		return tree.Changes{}, Stats{}, err
	}
	defer is.Close()
	d := &differ{now: is, known: known, layout: l}
	d.reset()
	d.stats.AllFolders, d.stats.Items = true, seen.items
	n := &lister{differ: d, was: was, seen: seen, bases: map[uint64]mailDir{}}
	if err := n.run(); err != nil {
		return tree.Changes{}, Stats{}, err
	}
	c, stats := d.result()
	return c, stats, nil
}

func (n *lister) run() error {
	if err := n.folders(); err != nil {
		return err
	}
	for _, e := range n.seen.names {
		if m, ok := n.bases[e.dir]; ok {
			n.add(m, e.name)
		}
	}
	return n.lookUp()
}

// folders compares the folders, as allFolders does, and the names in their cur/
// and new/ if they are the same directories. The others are listed.
func (n *lister) folders() (err error) {
	var dirs []tree.MailDir
	if n.before.Folders, err = n.known.Folders(); err != nil {
		return err
	}
	if n.after.Folders, dirs, err = n.now.Dirs(); err != nil {
		return err
	}
	was, err := n.sameDirs(dirs)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		m, ok := was[dir.Ino]
		if !ok {
			err = n.listNow(dir.Folder, dir.New)
		} else {
			n.pair(m, dir.Folder, nil)
			n.bases[dir.Ino] = m
			if n.seen.dirs[dir.Ino] {
				err = n.compare(m, dir.Folder)
			}
		}
		if err != nil {
			return err
		}
	}
	for _, f := range n.before.Folders {
		if err := n.listBefore(f.Name); err != nil {
			return err
		}
	}
	return nil
}

// sameDirs returns, by inode number, those cur/ and new/ of base that are that of
// the same folder now, dirs.
func (n *lister) sameDirs(dirs []tree.MailDir) (map[uint64]mailDir, error) {
	_, before, err := n.was.Dirs()
	if err != nil {
		return nil, err
	}
	wasFolder, isFolder := inos(n.before.Folders), inos(n.after.Folders)
	is := make(map[uint64]tree.MailDir, len(dirs))
	for _, d := range dirs {
		is[d.Ino] = d
	}
	same := make(map[uint64]mailDir, len(dirs))
	for _, d := range before {
		now, ok := is[d.Ino]
		if ok && now.New == d.New && isFolder[now.Folder] == wasFolder[d.Folder] {
			same[d.Ino] = mailDir{d.Folder, d.New}
		}
	}
	return same, nil
}

// inos returns the inode numbers of folders by name.
func inos(folders []tree.Folder) map[string]uint64 {
	m := make(map[string]uint64, len(folders))
	for _, f := range folders {
		m[f.Name] = f.Ino
	}
	return m
}

// compare queues the names that are in one of a directory's two snapshots only, or
// are another inode's now.
//
// btrfs lists names in the order in which they were made, so what both have comes
// in one order, and what is new comes last. That saves a table of all names;
// names that come in another order cost one, and the result does not change.
func (n *lister) compare(m mailDir, to string) error {
	was, err := openCursor(n.was, m.folder, m.isNew)
	if err != nil {
		return err
	}
	defer was.close()
	is, err := openCursor(n.now, to, m.isNew)
	if err != nil {
		return err
	}
	defer is.close()
	gone := map[string]uint64{}
	for err == nil && (!was.end || !is.end) {
		n.stats.Entries++
		switch {
		case was.end:
			name := string(is.name)
			if ino, ok := gone[name]; ok && ino == is.ino {
				delete(gone, name)
			} else {
				n.add(m, name)
			}
			err = is.next()
		case !is.end && was.ino == is.ino && bytes.Equal(was.name, is.name):
			if err = was.next(); err == nil {
				err = is.next()
			}
		default:
			gone[string(was.name)] = was.ino
			err = was.next()
		}
	}
	for name := range gone {
		n.add(m, name)
	}
	return err
}

// A cursor stands at one name of a directory, or behind the last.
type cursor struct {
	entries *tree.Entries // nil: no such directory
	ino     uint64
	name    []byte
	end     bool
}

func openCursor(r *tree.Reader, folder string, isNew bool) (*cursor, error) {
	e, err := r.Entries(folder, isNew)
	if err != nil {
		return nil, err
	}
	c := &cursor{entries: e, end: e == nil}
	if !c.end {
		err = c.next()
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *cursor) next() (err error) {
	c.ino, c.name, err = c.entries.Next()
	if err == io.EOF {
		c.end, err = true, nil
	}
	return err
}

func (c *cursor) close() {
	if c.entries != nil {
		c.entries.Close()
	}
}
