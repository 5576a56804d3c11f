// Package reflink puts message files into a Maildir: it clones a file of a
// snapshot and gives the clone its name in one step, never replacing anything.
//
// A Maildir belongs to an ordinary user, so nothing here follows a path in it.
// Every function takes a handle of the directory (opened by the caller with
// openat2 and RESOLVE_BENEATH) and a bare file name.
//
// What a power cut leaves, measured on Linux 6.18: clones, links and renames
// of one thread survive as a prefix of their order, every published clone is
// whole. So nothing here is synced one by one; the caller does one [Syncfs] for
// all, and must not count on any of it before that.
package reflink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Meta is what a published file gets, and the size it must have.
type Meta struct {
	UID, GID int
	Mode     fs.FileMode // permission bits only
	Mtime    int64       // nanoseconds since the epoch; atime is set to the same
	Size     int64       // bytes the source is expected to have
}

// Placed is a published file.
type Placed struct {
	Ino    uint64 // inode number in the target's subvolume
	Shared bool   // cloned; false: its bytes were copied, see [Place]
}

// Place makes a clone of src in the directory dir under name. The file becomes
// visible with its content, owner, mode and times complete, or not at all.
//
// Where the kernel can not clone (EXDEV: another file system; EINVAL: one of
// the two is nodatacow; EOPNOTSUPP: no reflinks), the bytes are copied. On btrfs
// a clone of less than 2 KB is stored inline, so Shared says how the file was
// made, not that an extent is in common.
//
// If name exists, in whatever form, the error is [ErrExist]. After any error
// nothing is left behind: until its link the file has no name, and the kernel
// frees such an inode, after a power cut at the next mount.
func Place(src, dir *os.File, name string, m Meta) (Placed, error) {
	p, err := place(src, dir, name, m)
	if err != nil {
		return Placed{}, fmt.Errorf("place %q: %w", name, err)
	}
	return p, nil
}

func place(src, dir *os.File, name string, m Meta) (Placed, error) {
	if err := checkName(name); err != nil {
		return Placed{}, err
	}
	if st, err := src.Stat(); err != nil {
		return Placed{}, err
	} else if !st.Mode().IsRegular() {
		return Placed{}, fmt.Errorf("source is no regular file (%v)", st.Mode().Type())
	}
	tmp, err := tempFile(dir)
	if err != nil {
		return Placed{}, err
	}
	defer tmp.Close()
	shared, err := fill(tmp, src, m.Size)
	if err != nil {
		return Placed{}, err
	}
	ino, err := finish(tmp, m)
	if err != nil {
		return Placed{}, err
	}
	if !shared {
		// write()n data is not ordered with the file's name: without this a
		// power cut leaves whole runs of empty mails (delayed allocation).
		// A clone needs none, it is part of the same transaction log.
		if err := tmp.Sync(); err != nil {
			return Placed{}, err
		}
	}
	// AT_EMPTY_PATH wants CAP_DAC_READ_SEARCH, but no /proc.
	if err := unix.Linkat(int(tmp.Fd()), "", int(dir.Fd()), name, unix.AT_EMPTY_PATH); err != nil {
		return Placed{}, fmt.Errorf("link: %w", err)
	}
	return Placed{Ino: ino, Shared: shared}, nil
}

// tempFile opens a nameless file in dir: open(2), O_TMPFILE.
func tempFile(dir *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a nameless file: %w", err)
	}
	return os.NewFile(uintptr(fd), "(nameless)"), nil
}

// fill gives the empty file tmp the content of src.
func fill(tmp, src *os.File, size int64) (shared bool, err error) {
	err = unix.IoctlFileClone(int(tmp.Fd()), int(src.Fd()))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return false, copyBytes(tmp, src, size)
	}
	return false, fmt.Errorf("clone: %w", err)
}

// finish sets owner, mode and times, in this order (chown(2) clears mode bits,
// both change no mtime), and checks the size.
func finish(tmp *os.File, m Meta) (ino uint64, err error) {
	fd := int(tmp.Fd())
	if err := unix.Fchown(fd, m.UID, m.GID); err != nil {
		return 0, fmt.Errorf("chown: %w", err)
	}
	if err := unix.Fchmod(fd, uint32(m.Mode.Perm())); err != nil {
		return 0, fmt.Errorf("chmod: %w", err)
	}
	t := unix.NsecToTimespec(m.Mtime)
	if err := unix.UtimesNanoAt(fd, "", []unix.Timespec{t, t}, unix.AT_EMPTY_PATH); err != nil {
		return 0, fmt.Errorf("set times: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, fmt.Errorf("stat: %w", err)
	}
	if st.Size != m.Size {
		return 0, fmt.Errorf("source has %d bytes, expected %d", st.Size, m.Size)
	}
	return st.Ino, nil
}
