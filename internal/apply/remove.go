package apply

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/tree"
)

// removeFolder removes a folder that holds nothing but Dovecot's own files. In
// the fs layout a folder with children becomes a plain directory.
//
// rmdir(2) of cur/ and new/ is the compare-and-swap: a mail that comes in at any
// time before makes it fail, and the folder is made whole again. It is taken apart
// where it is; renamed away first, it could take a late mail out of sight. What
// a crash leaves of it is removed when the operation is run again.
func (r *runner) removeFolder(op *Op) (Result, error) {
	s := r.store
	if op.Folder == tree.Inbox {
		return Result{}, errors.New("INBOX can not be removed")
	}
	dir, err := s.layout.Dir(op.Folder)
	if err != nil {
		return Result{}, err
	}
	if err := s.isDir(dir, op.From.Ino); err == raceGone {
		return Result{}, s.removeControl(dir)
	} else if err != nil {
		return Result{}, err
	}
	// Without cur/ and new/ (fs layout) there is nothing that a lock protects.
	if err := r.need(r.ctx, op.Folder); err != nil && err != raceGone {
		return Result{}, err
	}
	d, err := openDir(s.root, dir)
	if err != nil {
		return Result{}, err
	}
	defer d.Close()
	children, err := s.empty(d)
	if err != nil {
		return Result{}, err
	}
	if err := r.releaseAll(); err != nil { // its file is in the directory
		return Result{}, err
	}
	if !children {
		err = s.removeDir(d, dir)
	}
	if err != nil {
		return Result{}, err
	}
	return Result{}, s.removeControl(dir)
}

// empty removes all that belongs to the folder from its directory d.
func (s *Store) empty(d *os.File) (children bool, err error) {
	control, children, err := s.survey(d)
	if err != nil {
		return false, err
	}
	for _, sub := range subdirs {
		err := remove(d, sub, unix.AT_REMOVEDIR)
		if errors.Is(err, unix.ENOTEMPTY) {
			err = race(fmt.Sprintf("folder holds something in %s", sub))
		}
		if err != nil {
			return false, cmp.Or(makeSubdirs(d), err)
		}
	}
	for _, name := range control {
		if err := remove(d, name, 0); err != nil {
			return false, err
		}
	}
	return children, nil
}

// survey tells whether there is anything in a folder's directory that keeps it,
// before anything is touched: a race says what. Mail is found out by rmdir(2).
func (s *Store) survey(d *os.File) (control []string, children bool, err error) {
	names, err := list(d)
	if err != nil {
		return nil, false, err
	}
	for _, name := range names {
		if name == lockName || slices.Contains(subdirs, name) {
			continue
		}
		st, err := lstat(d, name)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, false, err
		}
		switch {
		case isRegular(st) && isControl(name):
			control = append(control, name)
		case s.layout.FS && st.Mode&unix.S_IFMT == unix.S_IFDIR:
			children = true
		default:
			return nil, false, race(fmt.Sprintf("folder holds %q", name))
		}
	}
	return control, children, s.emptyTmp(d)
}

// emptyTmp removes what Dovecot would remove from tmp/ as well. Anything younger
// may be a delivery that is under way.
func (s *Store) emptyTmp(d *os.File) error {
	tmp, err := openDir(d, "tmp")
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer tmp.Close()
	names, err := list(tmp)
	if err != nil {
		return err
	}
	for _, name := range names {
		st, err := lstat(tmp, name)
		if err != nil {
			continue // published or removed meanwhile
		}
		if !isRegular(st) || s.now().Sub(timeOf(st.Ctim)) < tmpAge {
			return race("folder holds something in tmp")
		}
		if err := remove(tmp, name, 0); err != nil {
			return err
		}
	}
	return nil
}

// tmpAge is the age at which Dovecot removes files from tmp/ (maildir_check_tmp).
const tmpAge = 36 * time.Hour

// isControl reports whether a file beside a folder's mail is Dovecot's: index,
// list of UIDs, keywords and so on. They go with the folder on IMAP DELETE too.
func isControl(name string) bool {
	switch name {
	case "maildirfolder", "maildirsize", "subscriptions", "dovecot-shared", "dovecot-acl", "dovecot-acl-list",
		"dovecot.mailbox.log", "snapmerge-keywords", keywordsName, keywordsName + ".lock", uidlist, uidlist + ".tmp":
		return true
	}
	for _, p := range []string{"dovecot.index", "dovecot.list.index", "dovecot-uidvalidity", ".dovecot."} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// removeDir removes the emptied directory. A delivery may have made the Maildir
// again by now: then it stays, whole.
func (s *Store) removeDir(d *os.File, dir string) error {
	above, err := openDir(s.root, path.Dir(dir))
	if err != nil {
		return err
	}
	defer above.Close()
	err = remove(above, path.Base(dir), unix.AT_REMOVEDIR)
	if errors.Is(err, unix.ENOTEMPTY) {
		return cmp.Or(makeSubdirs(d), error(race("folder is in use")))
	}
	return err
}
