package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"snapmerge/reflink"
	"snapmerge/tree"
)

// subdirs make a directory a Maildir, maildir(5).
var subdirs = []string{"cur", "new", "tmp"}

// makeFolder makes a folder: under a temporary name first, so that neither a
// client nor a crash finds half a folder. One that is there is completed.
func (s *Store) makeFolder(op *Op) (Result, error) {
	dir, err := s.layout.Dir(op.Folder)
	if err != nil {
		return Result{}, err
	}
	err = s.complete(dir)
	if errors.Is(err, unix.ENOENT) {
		if err = s.build(op.Folder, dir); errors.Is(err, reflink.ErrExist) {
			err = s.complete(dir) // a client made it meanwhile
		}
	}
	if err != nil {
		return Result{}, err
	}
	return s.folderResult(op.Folder, dir)
}

// folderResult looks at a folder's directory; raceGone if there is none.
func (s *Store) folderResult(name, dir string) (Result, error) {
	d, err := openDir(s.root, dir)
	if errors.Is(err, unix.ENOENT) {
		return Result{}, raceGone
	}
	if err != nil {
		return Result{}, err
	}
	defer d.Close()
	st, err := fstat(d)
	return Result{File: tree.File{Folder: name, Ino: st.Ino}}, err
}

// complete makes what a folder's directory lacks; ENOENT if there is none.
func (s *Store) complete(dir string) error {
	d, err := openDir(s.root, dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := makeSubdirs(d); err != nil {
		return err
	}
	if s.layout.FS || dir == "." {
		return nil
	}
	return markFolder(d)
}

// build makes the folder in tmp/ and renames it into place.
func (s *Store) build(folder, dir string) error {
	like, err := s.parent(folder)
	if err != nil {
		return err
	}
	defer like.Close()
	above, err := s.above(dir, like)
	if err != nil {
		return err
	}
	defer above.Close()
	tmp, err := s.temp()
	if err != nil {
		return err
	}
	defer tmp.Close()
	name := s.tempName()
	err = s.fillFolder(tmp, name, like)
	if err == nil {
		err = reflink.Rename(tmp, name, above, path.Base(dir))
	}
	if err != nil {
		return errors.Join(err, removeTemp(tmp, name))
	}
	return nil
}

func (s *Store) fillFolder(tmp *os.File, name string, like *os.File) error {
	if err := makeDir(tmp, name, like); err != nil {
		return err
	}
	d, err := openDir(tmp, name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := makeSubdirs(d); err != nil {
		return err
	}
	if s.layout.FS {
		return nil
	}
	return markFolder(d)
}

// parent opens the directory of the nearest folder above that exists, at last
// the root: owner and mode come from there, as with Dovecot's own folders.
func (s *Store) parent(folder string) (*os.File, error) {
	for {
		i := strings.LastIndexByte(folder, '/')
		if i < 0 {
			return openDir(s.root, ".")
		}
		folder = folder[:i]
		dir, err := s.layout.Dir(folder)
		if err != nil {
			return nil, err
		}
		d, err := openDir(s.root, dir)
		if !errors.Is(err, unix.ENOENT) {
			return d, err
		}
	}
}

// above opens the directory that holds a folder's directory, and in the fs layout
// makes what is missing of it, as plain directories: those are no folders.
func (s *Store) above(dir string, like *os.File) (*os.File, error) {
	return aboveIn(s.root, dir, like)
}

func aboveIn(root *os.File, dir string, like *os.File) (*os.File, error) {
	d, err := openDir(root, ".")
	for part := range strings.SplitSeq(path.Dir(dir), "/") {
		if err != nil {
			return nil, err
		}
		if part == "." {
			break
		}
		var next *os.File
		if err = makeDir(d, part, like); err == nil {
			next, err = openDir(d, part)
		}
		d.Close()
		d = next
	}
	return d, err
}

// makeSubdirs makes cur/, new/ and tmp/ where they are missing, with the owner
// and mode of the directory they are in.
func makeSubdirs(d *os.File) error {
	for _, sub := range subdirs {
		if err := makeDir(d, sub, d); err != nil {
			return err
		}
	}
	return nil
}

// markFolder makes the empty file maildirfolder. Dovecot makes it and does not
// need it; Courier's maildrop does (maildirquota(7)).
func markFolder(d *os.File) error {
	const name = "maildirfolder"
	if _, err := lstat(d, name); !errors.Is(err, unix.ENOENT) {
		return err
	}
	f, err := nameless(d, d, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := linkNameless(f, d, name); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// makeDir makes a directory with the owner and mode of like; one that exists is
// left as it is.
func makeDir(dir *os.File, name string, like *os.File) error {
	err := unix.Mkdirat(int(dir.Fd()), name, 0o700)
	if err == unix.EEXIST {
		st, err := lstat(dir, name)
		if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			err = fmt.Errorf("%q is no directory", name)
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("make directory %q: %w", name, err)
	}
	want, err := fstat(like)
	if err != nil {
		return err
	}
	d, err := openDir(dir, name)
	if err != nil {
		return err
	}
	defer d.Close()
	// The directory around it is the user's, who may have put another one in
	// its place: that one is nobody's to be given away.
	st, err := fstat(d)
	if err != nil {
		return err
	}
	names, err := list(d)
	if err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() || len(names) > 0 {
		return raceChanged
	}
	if err = unix.Fchown(int(d.Fd()), int(want.Uid), int(want.Gid)); err == nil {
		err = unix.Fchmod(int(d.Fd()), want.Mode&0o2777)
	}
	if err != nil {
		return fmt.Errorf("make directory %q: %w", name, err)
	}
	return nil
}
