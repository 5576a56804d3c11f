package stream

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"snapmerge/tree"
)

// Stats tell what finding the changes took.
type Stats struct {
	Way        Way   // of [Best]
	Failed     error // why [Best] could not go another way, for a log
	Bytes      int64 // of the stream
	Commands   int   // of the stream, without its end
	Items      int   // of metadata, searched through
	Entries    int   // names read of directories that changed
	Names      int   // file names looked up on both sides
	Listed     int   // files listed, because their directory was not where it is now
	AllFolders bool  // every folder was looked at, see [Changes]

	// Refused is what was met in the later snapshot that can not be mail, sorted, and
	// RefusedMore counts what it has no room for: as in a [tree.Tree].
	Refused     []tree.Refused
	RefusedMore int
}

// Changes returns the changes of a store between the parent of a stream and now,
// the root directory of what the stream leads to. t must have followed the whole
// stream. The result is that of [tree.Diff] of a scan of both, but for one thing:
// a removed file has the Ctime that the Base knows.
//
// Each name that the stream speaks of in a folder's cur/ or new/ is looked up in
// both; no other mail is. Directories are another matter. In a directory that
// was moved nothing is named, and what it was before may have been no folder. So
// if any directory of the store was made, moved or removed, all folders of both
// snapshots are listed, and those cur/ and new/ that are not the ones the folder
// had; this costs time for every folder, as little as a directory read and a
// file read, but not for their mail.
func Changes(t *Tracker, now *os.File, known Base, l tree.Layout) (tree.Changes, Stats, error) {
	r, err := tree.NewReader(now, l)
	if err != nil {
		return tree.Changes{}, Stats{}, fmt.Errorf("changes: %w", err)
	}
	defer r.Close()
	d := &differ{track: t, now: r, known: known, layout: l}
	if err := d.run(); err != nil {
		return tree.Changes{}, Stats{}, fmt.Errorf("changes: %w", err)
	}
	c, stats := d.result()
	return c, stats, nil
}

// result compares what has been collected.
func (d *differ) result() (tree.Changes, Stats) {
	d.stats.Refused, d.stats.RefusedMore = d.now.Refused()
	slices.SortFunc(d.stats.Refused, func(a, b tree.Refused) int { return strings.Compare(a.Path, b.Path) })
	d.stats.Refused = slices.Compact(d.stats.Refused)
	d.before.Sort()
	d.after.Sort()
	return tree.Diff(&d.before, &d.after), d.stats
}

// A differ collects those parts of both trees in which they can differ, and
// leaves the comparison to tree.Diff. That is right as long as what is left out
// is the same in both, so an entry goes into both parts or into none.
type differ struct {
	track  *Tracker
	now    *tree.Reader
	known  Base
	layout tree.Layout

	before, after tree.Tree // the parts
	pairs         map[mailDir]*pair
	paired        map[*node]bool // the directories of pairs
	queue         []lookup
	linked        map[uint64]bool // inodes whose other names have been looked for
	shared        bool            // a file that was written to has several names, or one is a placeholder
	stats         Stats
}

// A mailDir is cur/ or new/ of a folder of the base.
type mailDir struct {
	folder string
	isNew  bool
}

func (m mailDir) path(l tree.Layout) (string, error) { return pathOf(l, m.folder, m.isNew) }

func pathOf(l tree.Layout, folder string, isNew bool) (string, error) {
	dir, err := l.Dir(folder)
	if err != nil {
		return "", err
	}
	sub := tree.File{New: isNew}.Dir()
	if dir == "." {
		return sub, nil
	}
	return join(dir, sub), nil
}

// A pair is a mailDir that is the same directory in both snapshots.
type pair struct {
	to    string          // the folder's name now
	names map[string]bool // those looked up, or waiting in the queue
}

// A lookup is a file name that may be another file, or none, in either snapshot.
type lookup struct {
	mailDir
	name string
}

func (d *differ) run() error {
	inPlace := d.track.inPlace()
	if inPlace {
		d.reset()
		w := walk{differ: d}
		err := w.directory(d.track.root, "")
		if err == nil && !w.moved {
			err = d.otherwiseTouched(d.track.root, "")
		}
		if err != nil {
			return err
		}
		inPlace = !w.moved && !d.shared
	}
	if !inPlace {
		d.reset()
		d.stats.AllFolders = true
		if err := d.allFolders(); err != nil {
			return err
		}
		if err := d.otherwiseTouched(d.track.root, ""); err != nil {
			return err
		}
	}
	return d.lookUp()
}

func (d *differ) reset() {
	*d = differ{track: d.track, now: d.now, known: d.known, layout: d.layout,
		pairs: map[mailDir]*pair{}, paired: map[*node]bool{}, linked: map[uint64]bool{}}
}

// pair notes that a mailDir is in both snapshots, in the later one under the
// folder name to, and queues what the stream names in it. n can be nil.
func (d *differ) pair(m mailDir, to string, n *node) {
	d.pairs[m] = &pair{to: to, names: map[string]bool{}}
	if n != nil {
		d.paired[n] = true
		for name := range n.kids {
			d.add(m, name)
		}
	}
}

func (d *differ) add(m mailDir, name string) {
	p := d.pairs[m]
	if p == nil && d.stats.AllFolders {
		return // it is listed
	}
	if p == nil {
		p = &pair{to: m.folder, names: map[string]bool{}}
		d.pairs[m] = p
	}
	if !p.names[name] {
		p.names[name] = true
		d.queue = append(d.queue, lookup{m, name})
	}
}

// lookUp works the queue off, which grows meanwhile.
func (d *differ) lookUp() error {
	for len(d.queue) > 0 {
		q := d.queue[0]
		d.queue = d.queue[1:]
		d.stats.Names++
		old, ok, err := d.known.Lookup(q.folder, q.isNew, q.name)
		if err != nil {
			return err
		}
		if ok {
			d.before.Files = append(d.before.Files, old)
		}
		f, links, err := d.now.File(d.pairs[q.mailDir].to, q.isNew, q.name)
		if err != nil {
			return err
		}
		if links > 0 {
			d.after.Files = append(d.after.Files, f)
		}
		if links > 1 {
			if err := d.otherNames(f.Ino); err != nil {
				return err
			}
		}
	}
	return nil
}

// otherNames queues the other names of an inode: a stream tells of a change of
// size or time by one name only.
func (d *differ) otherNames(ino uint64) error {
	if d.linked[ino] {
		return nil
	}
	d.linked[ino] = true
	files, err := d.known.FilesOf(ino)
	if err != nil {
		return err
	}
	for _, f := range files {
		d.add(mailDir{f.Folder, f.New}, f.Name)
	}
	return nil
}

// otherwiseTouched looks at the files below n that changed otherwise than by
// name. They can have a second name that is mail, or, when written to, even one
// that is a folder's table of keywords; then all folders must be looked at. What
// the stream made has no name that the stream does not know; a placeholder has
// one name.
func (d *differ) otherwiseTouched(n *node, path string) error {
	if err := bounded(path); err != nil {
		return err
	}
	for name, kid := range n.kids {
		if kid == nil {
			continue
		}
		p := join(path, name)
		// A mail's name in a paired directory is looked up anyway, and its other names then.
		_, notMail := tree.ParseName(name)
		lookedUp := d.paired[n] && notMail == nil
		// But not if it is mail no longer. In another place a placeholder can make a folder.
		d.shared = d.shared || kid.inode.marked && kid.inode.kind != directory && kid.inode.made == 0 && !d.paired[n]
		if i := kid.inode; i.touched && i.made == 0 && i.kind != directory && (i.written || i.marked || !lookedUp) {
			ino, links, err := d.now.Links(p)
			if err != nil {
				return err
			}
			if links > 1 {
				d.shared = d.shared || i.written
				if err := d.otherNames(ino); err != nil {
					return err
				}
			}
		}
		if err := d.otherwiseTouched(kid, p); err != nil {
			return err
		}
	}
	return nil
}
