package stream

import (
	"errors"
	"fmt"
	"strings"

	"snapmerge/tree"
)

// A Tracker follows the paths of a stream. The paths of a command are those of
// its moment: a directory's rename changes all that begin with it, and what is
// in the way of a name, or has no place yet, has for a while a name like
// o257-9-0 in the root (fs/btrfs/send.c:gen_unique_name). A file can be called so
// too: only following tells.
//
// A renamed file is "link new, unlink old"; rename commands are for directories
// and for names of that kind.
//
// The tree is lazy: an entry of the parent snapshot comes into being when a
// command names it, so time and memory go with the commands, not with the size of
// the mailbox. Whether such an entry was there at all, the Tracker does not
// know. What it does know it holds the stream to: a path must not be one
// that the stream took away, nor a new name one that it gave.
//
// A Tracker that has returned an error is of no further use.
type Tracker struct {
	limits  Limits
	root    *node
	names   int
	unnamed int

	dirs  bool     // a directory was made or removed, or something that is no regular file was made
	moved []*inode // entries of the parent that a rename command moved: most are directories
}

// A node is a name in the tree as it is now.
type node struct {
	up      *node // nil: the root, or no longer there
	name    string
	kids    map[string]*node // what was named in this directory; nil: no longer there
	inode   *inode
	unnamed bool // still under the name that it was made with
}

// An inode is a file or directory; after "link" several nodes have it.
type inode struct {
	kind    kind
	made    uint64 // its number if the stream made it, else 0
	in      *inode // if it is of the parent snapshot: the directory there,
	as      string // and the name in it that it was first called by
	touched bool   // a command spoke of its contents or attributes
	written bool   // of its contents
	marked  bool   // of what makes a file a placeholder, or no longer one
}

// A kind is what the commands have shown of an inode.
type kind uint8

const (
	unknown kind = iota
	directory
	file // anything else
)

var (
	errGone   = errors.New("the stream has taken it away, or never made it")
	errExists = errors.New("there is something of that name")
)

// NewTracker returns a Tracker that knows nothing of the parent snapshot.
func NewTracker(l Limits) *Tracker {
	return &Tracker{limits: l.orDefault(), root: &node{inode: &inode{kind: directory}}}
}

// Apply follows one command. The error names it: a path that does not fit what
// went before, a file used as a directory or the other way round, or a limit.
func (t *Tracker) Apply(c Command) error {
	if err := t.apply(c); err != nil {
		return fmt.Errorf("stream: %s %q: %w", c.Op, c.Path, err)
	}
	return nil
}

func (t *Tracker) apply(c Command) error {
	switch c.Op {
	case Subvol:
		t.root.inode.made = rootIno // nothing is there but what the stream makes
		return nil
	case Snapshot:
		return nil
	case Mkfile, Mkdir, Mknod, Mkfifo, Mksock, Symlink:
		return t.make(c)
	case Rename:
		return t.rename(c.Path, c.To)
	case Link:
		n, err := t.find(c.To)
		if err != nil {
			return err
		}
		if err := n.inode.become(file); err != nil {
			return err
		}
		return t.place(c.Path, &node{inode: n.inode})
	case Unlink:
		return t.remove(c.Path, file)
	case Rmdir:
		return t.remove(c.Path, directory)
	}
	return t.touch(c)
}

// rootIno is the inode number of every subvolume's root directory
// (BTRFS_FIRST_FREE_OBJECTID).
const rootIno = 256

func (t *Tracker) make(c Command) error {
	if c.Ino <= rootIno {
		return fmt.Errorf("inode number %d", c.Ino)
	}
	n := &node{inode: &inode{kind: file, made: c.Ino}, unnamed: true}
	if c.Op == Mkdir {
		n.inode.kind = directory
	}
	if c.Op != Mkfile {
		t.dirs = true
	}
	if t.unnamed++; t.unnamed > t.limits.Unnamed {
		return overLimit("", "more than %d files and directories at a time without their final name", t.limits.Unnamed)
	}
	return t.place(c.Path, n)
}

func (t *Tracker) rename(from, to string) error {
	n, err := t.find(from)
	if err != nil {
		return err
	}
	t.take(n)
	if n.inode.made == 0 {
		t.moved = append(t.moved, n.inode)
	}
	// The new path is looked up in the tree without n, so it can not be below n.
	if err := t.place(to, n); err != nil {
		return fmt.Errorf("to %q: %w", to, err)
	}
	return nil
}

func (t *Tracker) remove(path string, k kind) error {
	n, err := t.find(path)
	if err != nil {
		return err
	}
	if err := n.inode.become(k); err != nil {
		return err
	}
	for name, kid := range n.kids {
		if kid != nil {
			return fmt.Errorf("not empty, it holds %q", name)
		}
	}
	if k == directory {
		t.dirs = true
	}
	t.take(n)
	return nil
}

// touch follows the commands that leave all names as they are.
func (t *Tracker) touch(c Command) error {
	n, err := t.find(c.Path)
	if err != nil {
		return err
	}
	n.inode.touched = true
	switch c.Op {
	case Write, Clone, Truncate, UpdateExtent:
		n.inode.written = true
		return n.inode.become(file)
	case Chmod:
		n.inode.marked = true
	case SetXattr, RemoveXattr:
		n.inode.marked = n.inode.marked || c.Xattr == tree.RefusedXattr
	}
	return nil
}

// take removes n from its directory, where its name stays as one that is known
// to be free.
func (t *Tracker) take(n *node) {
	n.up.kids[n.name] = nil
	n.up = nil
	if n.unnamed {
		n.unnamed = false
		t.unnamed--
	}
}

// place gives n a path. A name of the parent snapshot that no command has called
// yet is taken for free: the stream does not tell.
func (t *Tracker) place(path string, n *node) error {
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	d, err := t.find(dir)
	if err != nil {
		return err
	}
	if err := d.inode.become(directory); err != nil {
		return err
	}
	if d.kids[name] != nil {
		return errExists
	}
	return t.put(d, name, n)
}

func (t *Tracker) put(d *node, name string, n *node) error {
	if t.names++; t.names > t.limits.Names {
		return overLimit("messages", "more than %d names in one stream", t.limits.Names)
	}
	if d.kids == nil {
		d.kids = map[string]*node{}
	}
	n.up, n.name = d, name
	d.kids[name] = n
	return nil
}

// find returns what has that path now.
func (t *Tracker) find(path string) (*node, error) {
	n := t.root
	if path == "" {
		return n, nil
	}
	for name := range strings.SplitSeq(path, "/") {
		if err := n.inode.become(directory); err != nil {
			return nil, err
		}
		kid, ok := n.kids[name]
		if !ok && n.inode.made == 0 {
			kid = &node{inode: &inode{in: n.inode, as: name}}
			if err := t.put(n, name, kid); err != nil {
				return nil, err
			}
		}
		if kid == nil {
			return nil, errGone
		}
		n = kid
	}
	return n, nil
}

// become takes in that an inode is used as a k.
func (i *inode) become(k kind) error {
	if i.kind == unknown {
		i.kind = k
	}
	if i.kind == k {
		return nil
	}
	if k == directory {
		return errors.New("a file is used as a directory")
	}
	return errors.New("a directory is used as a file")
}

// inPlace reports whether every directory of the parent snapshot is where it was,
// and there is no other one. It can be false although it is so: of an entry that
// got another name for a while the stream may not show that it is a file.
func (t *Tracker) inPlace() bool {
	for _, i := range t.moved {
		if i.kind != file {
			return false
		}
	}
	return !t.dirs
}

// origin returns where in the parent snapshot the entry was that has this path
// now. ok is false if the stream made it, or took it away.
func (t *Tracker) origin(path string) (was string, n *node, ok bool) {
	n = t.root
	rest := path
	for rest != "" {
		name, after, _ := strings.Cut(rest, "/")
		kid, named := n.kids[name]
		if !named {
			break
		}
		if kid == nil {
			return "", nil, false
		}
		n, rest = kid, after
	}
	if n.inode.made != 0 {
		return "", n, false
	}
	if rest == "" {
		return n.inode.origin(), n, true
	}
	return join(n.inode.origin(), rest), nil, true
}

// origin returns the path of an inode of the parent snapshot there.
func (i *inode) origin() string {
	if i.in == nil {
		return ""
	}
	return join(i.in.origin(), i.as)
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
