package apply

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"snapmerge/reflink"
	"snapmerge/tree"
)

// renameFolder renames a folder's directory, as IMAP RENAME does. Maildir++
// child folders are directories, and operations, of their own. Dovecot takes no
// lock for it either (maildir_list_rename_mailbox), and a client that has the
// folder selected is told to log in again.
func (s *Store) renameFolder(op *Op) (Result, error) {
	if op.Folder == tree.Inbox || op.NewFolder == tree.Inbox {
		return Result{}, errors.New("INBOX can not be renamed")
	}
	from, err := s.layout.Dir(op.Folder)
	if err != nil {
		return Result{}, err
	}
	to, err := s.layout.Dir(op.NewFolder)
	if err != nil {
		return Result{}, err
	}
	switch err := s.isDir(from, op.From.Ino); {
	case err == raceGone && s.isDir(to, op.From.Ino) == nil: // done by an earlier run, or by a client
		if err := s.renameControl(from, to); err != nil {
			return Result{}, err
		}
		return s.folderResult(op.NewFolder, to)
	case err != nil:
		return Result{}, err
	}
	if s.isDir(to, 0) == raceGone {
		// Left over from an earlier folder of that name: its letters mean something else.
		if err := s.removeControl(to); err != nil {
			return Result{}, err
		}
	}
	if err := s.renameDir(from, to, op.NewFolder); err != nil {
		return Result{}, err
	}
	if err := s.renameControl(from, to); err != nil {
		return Result{}, err
	}
	return s.folderResult(op.NewFolder, to)
}

func (s *Store) renameDir(from, to, folder string) error {
	src, err := openDir(s.root, path.Dir(from))
	if err != nil {
		return err
	}
	defer src.Close()
	like, err := s.parent(folder)
	if err != nil {
		return err
	}
	defer like.Close()
	dst, err := s.above(to, like)
	if err != nil {
		return err
	}
	defer dst.Close()
	err = taken(reflink.Rename(src, path.Base(from), dst, path.Base(to)))
	if errors.Is(err, unix.ENOENT) {
		return raceGone
	}
	return err
}

// isDir is nil if the directory exists and, ino being given, is the one.
func (s *Store) isDir(dir string, ino uint64) error {
	res, err := s.folderResult("", dir)
	if err == nil && ino != 0 && res.File.Ino != ino {
		return race("another folder has this name now")
	}
	return err
}
