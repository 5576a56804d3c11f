package tree

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// beneath is how a scan opens: nothing in a store may lead out of it, neither
// ".." nor a symbolic link nor a mount.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// Elsewhere is why a directory is refused that is a subvolume of its own, or a
// mount point.
const Elsewhere = "another file system or subvolume"

// A store is the root directory of a scan.
type store struct {
	root *os.File
	dev  uint64
}

func openStore(root *os.File) (store, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(root.Fd()), &st); err != nil {
		return store{}, fmt.Errorf("stat root: %w", err)
	}
	return store{root: root, dev: st.Dev}, nil
}

// open opens a path below the root for reading.
func (s store) open(name string, flags uint64) (*os.File, error) { return openAt(s.root, name, flags) }

// openAt opens a path below a directory for reading.
func openAt(dir *os.File, name string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | flags, Resolve: beneath}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), name, &how)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", name, err)
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

func (s store) openDir(name string) (*os.File, error) {
	return s.open(name, unix.O_DIRECTORY)
}

// lstat looks at one entry of d and follows nothing.
func lstat(d *os.File, name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return st, fmt.Errorf("stat %q: %w", path.Join(d.Name(), name), err)
		}
		return st, nil
	}
}

// dirIno returns the inode number of an entry of d that is a directory of this
// store, 0 if it is none. why tells what is wrong with one that is there and ought
// to be a directory, but that a scan must not enter, or that it is the placeholder
// of.
func (s store) dirIno(d *os.File, name string) (ino uint64, why string, err error) {
	st, err := lstat(d, name)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			return 0, "", nil
		}
		return 0, "", err
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return 0, "symbolic link", nil
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		why, err := placeholder(d, name, st.Mode)
		return 0, why, err
	case st.Dev != s.dev:
		// RESOLVE_NO_XDEV stops at mounts only. A nested subvolume is none, and in
		// a snapshot an empty directory stands for it, with a device number of its
		// own (fs/btrfs/inode.c:new_simple_dir). Taken for a folder, that would look
		// as if all its mail had been deleted.
		return 0, Elsewhere, nil
	}
	return st.Ino, "", nil
}

// isDir is dirIno for whom the number is of no interest.
func (s store) isDir(d *os.File, name string) (ok bool, why string, err error) {
	ino, why, err := s.dirIno(d, name)
	return ino != 0, why, err
}

// fileType names what a mode stands for, if it is no regular file.
func fileType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFIFO:
		return "FIFO"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// nanoseconds returns t as nanoseconds since the epoch. A time outside of years
// 1678 to 2262 comes from a hostile store and is cut off there.
func nanoseconds(t unix.Timespec) int64 {
	const limit = math.MaxInt64/1_000_000_000 - 1
	return min(max(t.Sec, -limit), limit)*1_000_000_000 + t.Nsec
}
