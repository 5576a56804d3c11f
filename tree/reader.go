package tree

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// A Reader looks at single folders and files of a store, for whoever knows
// already where something changed. It goes by the rules of [Scan]: what it
// returns is what Scan would have for that name, and what Scan refuses or
// passes over is not there. It is for one goroutine.
type Reader struct {
	scanner
	dir     *os.File // the cur/ or new/ that was last looked into, or nil
	dirName string   // its path
}

// NewReader returns a Reader of the store below root, a directory handle of a
// read-only snapshot, which it only reads and does not close.
func NewReader(root *os.File, l Layout) (*Reader, error) {
	st, err := openStore(root)
	if err != nil {
		return nil, fmt.Errorf("look at store: %w", err)
	}
	return &Reader{scanner: scanner{store: st, layout: l}}, nil
}

// Close closes the Reader's own handles.
func (r *Reader) Close() error {
	if r.dir == nil {
		return nil
	}
	return r.dir.Close()
}

// Refused returns what was met that can not be mail, the first 10,000 of it in
// the order in which it was met, and how many more there were.
func (r *Reader) Refused() (list []Refused, more int) { return r.refused.list, r.refused.more }

// Folders returns all folders, sorted. It reads the directories that are or
// hold folders and their tables of keywords, but no cur/ and no new/.
func (r *Reader) Folders() ([]Folder, error) {
	s := &scanner{store: r.store, layout: r.layout}
	if err := s.findFolders(); err != nil {
		return nil, fmt.Errorf("look at folders: %w", err)
	}
	t := &Tree{}
	for _, f := range s.found {
		folder, err := r.readFolder(s.scanOf(f))
		if err != nil {
			return nil, fmt.Errorf("look at folders: %w", err)
		}
		t.Folders = append(t.Folders, folder)
	}
	r.refuse(s.refused)
	t.Sort()
	return t.Folders, nil
}

// Dirs returns all folders as Folders does, and their cur/ and new/, in no order.
func (r *Reader) Dirs() ([]Folder, []MailDir, error) {
	b := &Builder{scanner: scanner{store: r.store, layout: r.layout}}
	if err := b.lookAll(); err != nil {
		return nil, nil, fmt.Errorf("look at folders: %w", err)
	}
	t := &Tree{}
	for _, f := range b.folders {
		t.Folders = append(t.Folders, f.folder)
		r.refuse(f.refused)
	}
	r.refuse(b.refused)
	t.Sort()
	return t.Folders, b.dirs, nil
}

// Folder returns the folder of that logical name; ok is false if there is none.
func (r *Reader) Folder(name string) (f Folder, ok bool, err error) {
	dir, err := r.layout.Dir(name)
	if err != nil {
		return Folder{}, false, nil // no folder of this layout has that name
	}
	s := &scanner{store: r.store, layout: r.layout}
	above, err := r.openIfDir(path.Dir(dir))
	if above == nil || err != nil {
		return Folder{}, false, err
	}
	defer above.Close()
	if dir == "." {
		err = s.findInbox(above)
	} else {
		_, err = s.find(above, dir)
	}
	r.refuse(s.refused)
	if err != nil || len(s.found) == 0 {
		return Folder{}, false, err
	}
	f, err = r.readFolder(s.scanOf(s.found[0]))
	return f, err == nil, err
}

func (r *Reader) readFolder(one *folderScan) (Folder, error) {
	d, err := one.readFolder()
	if err != nil {
		return Folder{}, err
	}
	r.refuse(one.refused)
	return one.folder, d.Close()
}

// Files returns the files in cur/ or new/ of a folder, in no order: none if
// there is no such directory. The folder's name is not looked at otherwise.
func (r *Reader) Files(folder string, isNew bool) ([]File, error) {
	m, err := r.mailDir(folder, isNew)
	if m == nil || err != nil {
		return nil, err
	}
	one := r.scanOf(found{name: folder})
	if err := one.readNames(m, isNew); err != nil {
		return nil, err
	}
	// The directory has been read to its end.
	r.dir, r.dirName = nil, ""
	r.refuse(one.refused)
	return one.files, m.Close()
}

// File returns the file of that name in cur/ or new/ of a folder, and how many
// names the inode has in the store, others than mail's included; 0 if there is
// no such file. Files of one directory are best asked for one after the other.
func (r *Reader) File(folder string, isNew bool, name string) (f File, links int, err error) {
	m, err := r.mailDir(folder, isNew)
	if m == nil || err != nil {
		return File{}, 0, err
	}
	one := r.scanOf(found{name: folder})
	links, err = one.readName(m, isNew, name)
	r.refuse(one.refused)
	switch {
	case errors.Is(err, unix.ENOENT):
		return File{}, 0, nil
	case err != nil || links == 0:
		return File{}, 0, err
	}
	return one.files[0], links, nil
}

// FileOf is File for who has read the entry already: of st it looks at Ino, Mode,
// Size and the three times. ok is false if it is no mail.
func (r *Reader) FileOf(folder string, isNew bool, name string, st *unix.Stat_t) (f File, ok bool, err error) {
	dir, err := r.layout.Dir(folder)
	if err != nil || passedOver(name) {
		return File{}, false, err
	}
	one := r.scanOf(found{name: folder})
	ok, err = one.add(path.Join(dir, File{New: isNew}.Dir()), isNew, name, st)
	r.refuse(one.refused)
	if !ok || err != nil {
		return File{}, false, err
	}
	return one.files[0], true, nil
}

// mailDir opens cur/ or new/ of a folder, nil if there is none.
func (r *Reader) mailDir(folder string, isNew bool) (*os.File, error) {
	dir, err := r.layout.Dir(folder)
	if err != nil {
		return nil, err
	}
	dir = path.Join(dir, File{New: isNew}.Dir())
	if r.dir != nil && r.dirName == dir {
		return r.dir, nil
	}
	if r.dir != nil {
		r.dir.Close()
	}
	r.dirName = dir
	r.dir, err = r.openIfDir(dir)
	return r.dir, err
}

// openIfDir opens a directory of this store, and nothing if the path leads to
// none: it is not there, or something on the way is no directory, a symbolic
// link, or another file system or subvolume.
func (r *Reader) openIfDir(dir string) (*os.File, error) {
	d, err := r.openDir(dir)
	for _, no := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV} {
		if errors.Is(err, no) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &st); err != nil {
		d.Close()
		return nil, fmt.Errorf("stat %q: %w", dir, err)
	}
	if st.Dev != r.dev {
		d.Close()
		return nil, nil
	}
	return d, nil
}

// Links returns the inode number of the regular file at a path below the root,
// mail or not, and how many names it has: 0 if there is no such file.
func (r *Reader) Links(file string) (ino uint64, links int, err error) {
	d, err := r.openIfDir(path.Dir(file))
	if d == nil || err != nil {
		return 0, 0, err
	}
	defer d.Close()
	st, err := lstat(d, path.Base(file))
	if errors.Is(err, unix.ENOENT) || err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, 0, nil
	}
	return st.Ino, int(st.Nlink), err
}

func (r *Reader) refuse(more refusals) {
	for _, no := range more.list {
		r.refused.add(no.Path, no.Why)
	}
	r.refused.more += more.more
}
