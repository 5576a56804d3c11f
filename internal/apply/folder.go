package apply

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"snapmerge/tree"
)

// A folder is a mail folder that we have locked.
type folder struct {
	name     string // logical
	path     string // of its directory, below the root
	dir      *os.File
	control  *os.File // of its control files; dir itself if they are not elsewhere
	cur, new *os.File
	lock     *dotlock

	// What was read under the lock; nil: not yet.
	curNames map[string]bool // unique names in cur/
	newNames map[string]bool // unique names in new/
	newTime  unix.Timespec   // new/'s mtime before it was listed
	keywords *keywordFile
}

// openFolder opens a folder's directories. A race says that it is gone.
func (s *Store) openFolder(name string) (*folder, error) {
	path, err := s.layout.Dir(name)
	if err != nil {
		return nil, err
	}
	f := &folder{name: name, path: path}
	if f.dir, err = openDir(s.root, path); err == nil {
		err = s.isHere(f.dir)
	}
	if err == nil {
		err = f.openSubs(s.layout)
	}
	if err == nil {
		err = s.isHere(f.cur, f.new)
	}
	if err == nil {
		f.control, err = s.controlOf(f)
	}
	if err != nil {
		f.close()
		if errors.Is(err, unix.ENOENT) {
			return nil, raceGone
		}
		return nil, fmt.Errorf("folder %q: %w", name, err)
	}
	return f, nil
}

// isHere is a race if directories are not in the store's own subvolume: no snapshot
// would show what is done there, and no mail can be moved there.
func (s *Store) isHere(dirs ...*os.File) error {
	root, err := fstat(s.root)
	for _, d := range dirs {
		var st unix.Stat_t
		if err == nil {
			st, err = fstat(d)
		}
		if err == nil && st.Dev != root.Dev {
			err = raceElsewhere
		}
	}
	return err
}

// openSubs opens cur/ and new/. A Maildir++ folder may be a bare directory until
// a client selects it; in the fs layout such a directory is no folder, but the
// parent of some (maildir_list_get_mailbox_flags).
func (f *folder) openSubs(l tree.Layout) error {
	if !l.FS {
		if err := makeSubdirs(f.dir); err != nil {
			return err
		}
	}
	var err error
	if f.cur, err = openDir(f.dir, "cur"); err != nil {
		return err
	}
	f.new, err = openDir(f.dir, "new")
	return err
}

func (f *folder) close() {
	for _, d := range []*os.File{f.dir, f.cur, f.new} {
		if d != nil {
			d.Close()
		}
	}
	if f.control != nil && f.control != f.dir {
		f.control.Close()
	}
}

// sub returns the handle of cur/ or new/.
func (f *folder) sub(isNew bool) *os.File {
	if isNew {
		return f.new
	}
	return f.cur
}

// ours reports whether the lock is still held and the folder still is where its
// name says: one look at the lock file by its path from the root tells both. A
// folder that a client renamed or deleted has taken the lock file with it. Where
// the lock is elsewhere, the folder is looked at by itself.
func (s *Store) ours(f *folder) bool {
	if s.control == nil {
		return isAt(s.root, f.path+"/"+lockName, f.lock.ino)
	}
	st, err := fstat(f.dir)
	return err == nil && isAt(s.root, f.path, st.Ino) &&
		isAt(s.control, s.controlPath(f.path)+"/"+lockName, f.lock.ino)
}

// isAt reports whether a path below dir leads to that inode.
func isAt(dir *os.File, path string, ino uint64) bool {
	h, err := beneath(dir, path, unix.O_PATH)
	if err != nil {
		return false
	}
	defer h.Close()
	st, err := fstat(h)
	return err == nil && st.Ino == ino
}

// openMail opens a mail of the folder for reading, the expected one.
func (f *folder) openMail(file tree.File) (*os.File, error) {
	m, err := beneath(f.sub(file.New), file.Name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if st, err := fstat(m); err != nil || st.Ino != file.Ino {
		m.Close()
		return nil, cmp.Or(err, error(raceChanged))
	}
	return m, nil
}

// sameOwner reports whether mail of the two folders has the same owner and mode.
func sameOwner(a, b *folder) (bool, error) {
	sa, err := fstat(a.cur)
	if err != nil {
		return false, err
	}
	sb, err := fstat(b.cur)
	return sa.Uid == sb.Uid && sa.Gid == sb.Gid && sa.Mode&0o666 == sb.Mode&0o666, err
}

// free is nil if no file of that unique name is in cur/ or new/. A file of one
// name in both is what Dovecot destroys: it renames new/X to cur/X:2, with plain
// rename(2). Under the lock nothing is renamed in cur/; deliveries into new/ go
// on, so that is listed again whenever it has changed.
func (f *folder) free(unique string) error {
	if f.curNames == nil {
		names, err := uniques(f.cur)
		if err != nil {
			return err
		}
		f.curNames = names
	}
	// The time is read before the list: what comes in between is listed twice.
	st, err := fstat(f.new)
	if err != nil {
		return err
	}
	if f.newNames == nil || st.Mtim != f.newTime {
		if f.newNames, err = uniques(f.new); err != nil {
			return err
		}
		f.newTime = st.Mtim
	}
	if f.curNames[unique] || f.newNames[unique] {
		return raceTaken
	}
	return nil
}

// added and removed keep the list of cur/ in step with what we do there. new/
// sees to itself.
func (f *folder) added(name string) {
	if f.curNames != nil {
		f.curNames[unique(name)] = true
	}
}

func (f *folder) removed(from tree.File) {
	if f.curNames != nil && !from.New {
		delete(f.curNames, unique(from.Name))
	}
}

// uniques lists the unique names in a directory.
func uniques(dir *os.File) (map[string]bool, error) {
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[unique(n)] = true
	}
	return set, nil
}

// unique is the part of a file name by which Dovecot tells files of a folder
// apart (maildir_filename_base_cmp). It takes any name, also one that
// [tree.ParseName] refuses.
func unique(name string) string {
	u, _, _ := strings.Cut(name, ":")
	return u
}
