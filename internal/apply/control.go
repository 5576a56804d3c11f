package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"snapmerge/reflink"
	"snapmerge/tree"
)

// With CONTROL= in its mail location Dovecot keeps what is beside the mail in a
// folder otherwise, its list of UIDs and its keywords, in a tree of its own. The
// directories there are named as those of the mail, but INBOX has one too
// (mailbox_list_get_path, MAILBOX_LIST_PATH_TYPE_CONTROL). It can be on another
// file system, and it belongs to the user as well.

// controlPath returns the control directory, below the control root, of the
// folder whose directory that is.
func (s *Store) controlPath(dir string) string {
	switch {
	case s.control == nil || dir != ".":
		return dir
	case s.layout.FS:
		return tree.Inbox
	}
	return "." + tree.Inbox
}

// openControl opens the directory with the lock and the keywords of a folder.
func (s *Store) openControl(dir string) (*os.File, error) {
	if s.control == nil {
		return openDir(s.root, dir)
	}
	return openDir(s.control, s.controlPath(dir))
}

// controlOf opens an open folder's control directory. Dovecot makes it when it
// selects the folder first; until then it is made here, as the mail's directory is.
func (s *Store) controlOf(f *folder) (*os.File, error) {
	if s.control == nil {
		return f.dir, nil
	}
	dir := s.controlPath(f.path)
	d, err := openDir(s.control, dir)
	if !errors.Is(err, unix.ENOENT) {
		return d, err
	}
	above, err := aboveIn(s.control, dir, f.dir)
	if err != nil {
		return nil, err
	}
	defer above.Close()
	if err := makeDir(above, path.Base(dir), f.dir); err != nil {
		return nil, err
	}
	return openDir(s.control, dir)
}

// replaceControl replaces the keywords where they are elsewhere. The temporary
// name is Dovecot's own, who removes it unasked before it writes, and uses it under
// the lock that we hold (maildir_keywords_commit).
func (s *Store) replaceControl(f *folder, content []byte) (st unix.Stat_t, err error) {
	const temp = keywordsName + ".lock"
	if err := remove(f.control, temp, 0); err != nil {
		return st, err
	}
	return publish(f.control, temp, f.control, keywordsName, content, f.keywords.old, s.now())
}

// renameControl lets a folder's control directory follow its renamed mail. One
// that Dovecot has made there meanwhile stays: the folder is selected.
func (s *Store) renameControl(from, to string) error {
	if s.control == nil {
		return nil
	}
	src, err := openDir(s.control, path.Dir(from))
	if skippable(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := aboveIn(s.control, to, s.control)
	if skippable(err) {
		return nil // the mail is renamed: something odd here must not undo that
	}
	if err != nil {
		return err
	}
	defer dst.Close()
	err = reflink.Rename(src, path.Base(from), dst, path.Base(to))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, reflink.ErrExist) {
		return nil
	}
	return err
}

// removeControl removes the control directory of a folder that is gone, as far as
// it holds nothing but what Dovecot put there.
func (s *Store) removeControl(dir string) error {
	if s.control == nil {
		return nil
	}
	d, err := openDir(s.control, dir)
	if skippable(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := list(d)
	if err != nil {
		return err
	}
	for _, name := range names {
		if st, err := lstat(d, name); err != nil || !isRegular(st) || !isControl(name) {
			continue
		}
		if err := remove(d, name, 0); err != nil {
			return err
		}
	}
	above, err := openDir(s.control, path.Dir(dir))
	if err != nil {
		return err
	}
	defer above.Close()
	if err := remove(above, path.Base(dir), unix.AT_REMOVEDIR); !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	return nil
}

// BringControl copies the keywords of every folder from the control directories to
// where a snapshot of the mail holds them, under the name of
// [tree.Layout.Keywords], and the list of subscriptions likewise. Dovecot reads
// neither copy. A letter that a client gives a name after that has none in the
// snapshot, which means unknown: the next one has it.
func (s *Store) BringControl() error {
	if s.control == nil {
		return nil
	}
	for todo := []string{"."}; len(todo) > 0; {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		below, err := s.bringFrom(dir)
		if err != nil {
			return fmt.Errorf("bring control files of %q: %w", dir, err)
		}
		todo = append(todo, below...)
	}
	return nil
}

// bringFrom copies from one directory of the control tree, and returns those below
// it that can be folders'. What disappears meanwhile is passed over.
func (s *Store) bringFrom(dir string) (below []string, err error) {
	d, err := openDir(s.control, dir)
	if skippable(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if dir == "." {
		if err := s.bringFile(d, "subscriptions", ".", s.layout.Subscriptions()); err != nil {
			return nil, err
		}
	} else if mail, ok := s.mailOf(dir); ok {
		if err := s.bringFile(d, keywordsName, mail, s.layout.Keywords()); err != nil {
			return nil, err
		}
	}
	if dir != "." && !s.layout.FS {
		return nil, nil
	}
	names, err := list(d)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if st, err := lstat(d, name); err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			below = append(below, path.Join(dir, name))
		}
	}
	return below, nil
}

// mailOf returns the mail's directory of a control directory.
func (s *Store) mailOf(dir string) (string, bool) {
	if dir == s.controlPath(".") {
		return ".", true
	}
	_, err := s.layout.Folder(dir)
	return dir, err == nil
}

// maxControl bounds a control file that is copied: a list of 10,000 subscriptions,
// and more than a table of keywords can have.
const maxControl = 1 << 20

// bringFile copies one file, if it is another one than the copy is.
func (s *Store) bringFile(d *os.File, name, mail, as string) error {
	content, err := readSmall(d, name)
	if content == nil || err != nil {
		return err
	}
	to, err := openDir(s.root, mail)
	if skippable(err) {
		return nil // no mail is there: nothing to be told about it
	}
	if err != nil {
		return err
	}
	defer to.Close()
	if old, err := readSmall(to, as); err != nil || old != nil && bytes.Equal(old, content) {
		return err
	}
	if _, err = s.replace(to, as, content, nil); errors.Is(err, unix.EISDIR) {
		return nil // the user's own: keywords have no names there
	}
	return err
}

// readSmall returns the content of a file; nil if there is none, or something else.
func readSmall(d *os.File, name string) ([]byte, error) {
	f, err := beneath(d, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if skippable(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// A file of several names can be another user's, linked here.
	if st, err := fstat(f); err != nil || !isRegular(st) || st.Nlink != 1 || st.Size > maxControl {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxControl))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	return append([]byte{}, b...), nil
}

// skippable: there is nothing at that path that could be read: it is gone, or the
// user has put something else in its place.
func skippable(err error) bool {
	return err != nil && slices.ContainsFunc([]unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.ENXIO, unix.ENAMETOOLONG}, func(e unix.Errno) bool {
		return errors.Is(err, e)
	})
}
