package apply

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"snapmerge/reflink"
	"snapmerge/tree"
)

// place clones a file of a snapshot into a folder.
func (r *runner) place(i int) (Result, error) {
	op := &r.ops[i]
	if err := r.need(r.ctx, op.To.Folder); err != nil {
		return Result{}, err
	}
	to := r.folders[op.To.Folder]
	name, missing, err := r.target(i, to, true)
	if err != nil {
		return Result{}, err
	}
	if err := r.clone(op.Source, to, name, op.Size, op.Mtime); err != nil {
		return Result{}, err
	}
	return r.placed(to, name, missing)
}

// clone makes the new file, with the folder's owner and mode: Dovecot runs as
// the user (maildir-save.c takes them from the mailbox directory too).
func (r *runner) clone(source func() (*os.File, error), to *folder, name string, size, mtime int64) error {
	st, err := fstat(to.cur)
	if err != nil {
		return err
	}
	src, err := source()
	if err != nil {
		return err
	}
	defer src.Close()
	if err := r.resized(); err != nil {
		return err
	}
	_, err = reflink.Place(src, to.cur, name, reflink.Meta{
		UID: int(st.Uid), GID: int(st.Gid), Mode: fs.FileMode(st.Mode & 0o666),
		Mtime: mtime, Size: size,
	})
	return taken(err)
}

// copy gives a file another name in another folder. Where the two folders differ
// in owner or mode, a link would carry the wrong ones with it, and Dovecot makes
// a new file too (mail_storage_copy_can_use_hardlink).
func (r *runner) copy(i int) (Result, error) {
	op := &r.ops[i]
	from, to, err := r.pair(op)
	if err != nil {
		return Result{}, err
	}
	st, err := r.expect(from, op)
	if err != nil {
		return Result{}, err
	}
	name, missing, err := r.target(i, to, true)
	if err != nil {
		return Result{}, err
	}
	alike, err := sameOwner(from, to)
	if err != nil {
		return Result{}, err
	}
	if !alike {
		source := func() (*os.File, error) { return from.openMail(op.From) }
		err = r.clone(source, to, name, st.Size, st.Mtim.Nano())
	} else if err = r.resized(); err == nil {
		err = taken(reflink.Link(from.sub(op.From.New), op.From.Name, to.cur, name))
	}
	if err != nil {
		return Result{}, gone(err)
	}
	res, err := r.placed(to, name, missing)
	if err == nil && alike && res.File.Ino != op.From.Ino {
		// Not the file that was looked at: a name that changed owner in between.
		return Result{}, cmp.Or(remove(to.cur, name, 0), error(raceChanged))
	}
	return res, err
}

// rename changes flags, or moves a file, or both, in one rename(2).
func (r *runner) rename(i int) (Result, error) {
	op := &r.ops[i]
	from, to, err := r.pair(op)
	if err != nil {
		return Result{}, err
	}
	if _, err := r.expect(from, op); err != nil {
		return Result{}, err
	}
	// The same unique name in the same folder was there before, so listing the
	// folder tells nothing; a flag change must not cost that.
	same := from == to && unique(op.From.Name) == op.To.Unique
	name, missing, err := r.target(i, to, !same)
	if err != nil {
		return Result{}, err
	}
	dir := from.sub(op.From.New)
	if dir == to.cur && name == op.From.Name {
		return r.placed(to, name, missing)
	}
	if err := taken(reflink.Rename(dir, op.From.Name, to.cur, name)); err != nil {
		return Result{}, gone(err)
	}
	from.removed(op.From)
	res, err := r.placed(to, name, missing)
	if err == nil && res.File.Ino != op.From.Ino {
		to.removed(tree.File{Name: name})
		return Result{}, cmp.Or(reflink.Rename(to.cur, name, dir, op.From.Name), error(raceChanged))
	}
	return res, err
}

// unlink removes a file. Between the look at its inode number and unlink(2) only
// somebody who renames without the lock could give its name, unique and exact
// flags, to another file.
func (r *runner) unlink(op *Op) (Result, error) {
	if err := r.need(r.ctx, op.From.Folder); err != nil {
		return Result{}, err
	}
	from := r.folders[op.From.Folder]
	if _, err := r.expect(from, op); err != nil {
		return Result{}, err
	}
	if err := r.resized(); err != nil {
		return Result{}, err
	}
	dir := from.sub(op.From.New)
	if err := unix.Unlinkat(int(dir.Fd()), op.From.Name, 0); err != nil {
		return Result{}, gone(err)
	}
	from.removed(op.From)
	return Result{}, nil
}

// pair locks the folders of an operation with a source and a target.
func (r *runner) pair(op *Op) (from, to *folder, err error) {
	if err := r.need(r.ctx, op.From.Folder, op.To.Folder); err != nil {
		return nil, nil, err
	}
	return r.folders[op.From.Folder], r.folders[op.To.Folder], nil
}

// expect looks whether the source file still is what the snapshot showed.
func (r *runner) expect(from *folder, op *Op) (unix.Stat_t, error) {
	if err := plain(op.From.Name); err != nil {
		return unix.Stat_t{}, err
	}
	st, err := lstat(from.sub(op.From.New), op.From.Name)
	switch {
	case err != nil:
		return st, gone(err)
	case !isRegular(st) || st.Ino != op.From.Ino:
		return st, raceChanged
	case op.Links > 0 && uint64(st.Nlink) > op.Links:
		return st, raceLinked
	case op.Kind == Unlink && op.NotLast && st.Nlink == 1:
		// It was to lose one of several names and this is the last. A client's MOVE
		// onto it looks like that: rename(2) of one name over another of the same
		// file does nothing, and then the other goes.
		return st, raceLast
	}
	return st, nil
}

// target finds the file's new name, and makes the keywords that it needs. With
// check the name must be free in the whole folder.
func (r *runner) target(i int, to *folder, check bool) (name string, missing []string, err error) {
	t := &r.ops[i].To
	if t.Letters != 0 && r.ops[i].From.Folder != t.Folder {
		return "", nil, errors.New("keyword letters mean something in their own folder only")
	}
	if check {
		if err := to.free(t.Unique); err != nil {
			return "", nil, err
		}
	}
	letters, missing, err := r.letters(i, to)
	if err != nil {
		return "", nil, err
	}
	n := tree.Name{Unique: t.Unique, Flags: t.Flags, Letters: letters | t.Letters, Extra: t.Extra}
	name = n.String()
	if back, err := tree.ParseName(name); err != nil {
		return "", nil, err
	} else if back != n {
		return "", nil, fmt.Errorf("%q is no name of a mail", name)
	}
	return name, missing, nil
}

// placed looks at a file under its new name.
func (r *runner) placed(to *folder, name string, missing []string) (Result, error) {
	to.added(name)
	st, err := lstat(to.cur, name)
	if err != nil {
		return Result{}, gone(err) // renamed by somebody who takes no lock
	}
	return Result{Missing: missing, File: tree.File{
		Folder: to.name, Name: name, Ino: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano(),
	}}, nil
}
