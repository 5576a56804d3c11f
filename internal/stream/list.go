package stream

import (
	"bytes"
	"io"
	"os"

	"snapmerge/snapshot"
	"snapmerge/tree"
)

// A lister finds the changes without a stream, of two snapshots for which [since]
// has a bound. What was touched since then has been searched for (touchedSince).
// What is gone was not there to be found, but the directory that it was in was
// touched: so the names in those cur/ and new/ are read in both snapshots, without
// a stat, and compared.
//
// No directory need be where it was: all folders are looked at, and told by their
// inode numbers.
type lister struct {
	*differ
	was  *tree.Reader // of base
	seen *touched
	is   map[lookup]*snapshot.Inode // the touched names in pairs of directories
	here map[lookup]bool            // new names that are not among them: of directories and nested subvolumes
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
	n := &lister{
		differ: d, was: was, seen: seen,
		is:   make(map[lookup]*snapshot.Inode, len(seen.names)),
		here: map[lookup]bool{},
	}
	if err := n.run(); err != nil {
		return tree.Changes{}, Stats{}, err
	}
	c, stats := d.result()
	return c, stats, nil
}

// run compares the folders, as allFolders does, and the names in the cur/ and new/
// of those that are in both. The others are listed, each side for itself.
func (n *lister) run() (err error) {
	var dirs []tree.MailDir
	if n.before.Folders, err = n.known.Folders(); err != nil {
		return err
	}
	if n.after.Folders, dirs, err = n.now.Dirs(); err != nil {
		return err
	}
	same := n.pairDirs(dirs)
	for _, t := range n.seen.names {
		if m, ok := same[t.dir]; ok {
			n.is[lookup{m, t.name}] = t.ino
			n.add(m, t.name)
		}
	}
	for _, dir := range dirs {
		m, ok := same[dir.Ino]
		if !ok {
			err = n.listNow(dir.Folder, dir.New)
		} else if n.seen.dirs[dir.Ino] {
			err = n.compare(m, dir.Folder)
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
	return n.lookUp()
}

// pairDirs pairs all cur/ and new/ of folders that were in base, and returns by
// inode number what they were there. One that has come there from elsewhere was
// touched by that, so its names will be compared with what was there before.
func (n *lister) pairDirs(dirs []tree.MailDir) map[uint64]mailDir {
	was := make(map[uint64]string, len(n.before.Folders))
	for _, f := range n.before.Folders {
		was[f.Ino] = f.Name
	}
	is := make(map[string]uint64, len(n.after.Folders))
	for _, f := range n.after.Folders {
		is[f.Name] = f.Ino
	}
	same := make(map[uint64]mailDir, len(dirs))
	for _, dir := range dirs {
		if folder, ok := was[is[dir.Folder]]; ok {
			same[dir.Ino] = mailDir{folder, dir.New}
			n.pair(same[dir.Ino], dir.Folder, nil)
		}
	}
	return same
}

// lookUp works the queue off. The search has what is there now.
func (n *lister) lookUp() error {
	for _, q := range n.queue {
		n.stats.Names++
		old, ok, err := n.known.Lookup(q.folder, q.isNew, q.name)
		if err != nil {
			return err
		}
		if ok {
			n.before.Files = append(n.before.Files, old)
		}
		f, ok, err := n.lookUpNow(q)
		if err != nil {
			return err
		}
		if ok {
			n.after.Files = append(n.after.Files, f)
		}
	}
	return nil
}

func (n *lister) lookUpNow(q lookup) (f tree.File, ok bool, err error) {
	to := n.pairs[q.mailDir].to
	if ino := n.is[q]; ino != nil {
		st := statOf(*ino)
		return n.now.FileOf(to, q.isNew, q.name, &st)
	}
	if !n.here[q] {
		return tree.File{}, false, nil
	}
	f, links, err := n.now.File(to, q.isNew, q.name)
	return f, links > 0, err
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
			q := lookup{m, string(is.name)}
			if ino, ok := gone[q.name]; ok && ino == is.ino {
				delete(gone, q.name)
			} else if n.is[q] == nil {
				n.here[q] = true
				n.add(m, q.name)
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
