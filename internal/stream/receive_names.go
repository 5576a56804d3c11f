package stream

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// count counts something that is made.
func (r *receiver) count() error {
	if r.made++; r.made > r.limits.Messages {
		return overLimit("messages", "more than %d files and directories made in one stream", r.limits.Messages)
	}
	return nil
}

func (r *receiver) make(c Command) error {
	if err := r.count(); err != nil {
		return err
	}
	if err := r.track.apply(c); err != nil {
		return err
	}
	if c.Op == Mkfile {
		n, err := r.track.find(c.Path)
		if err != nil {
			return err
		}
		r.pending, r.pendingPath = n.inode, c.Path
		return nil
	}
	dir, name, err := r.parent(c.Path)
	if err != nil {
		return err
	}
	return r.onDisk(unix.Mkdirat(dir, name, 0o700))
}

// settle makes the pending file under the name that it has.
func (r *receiver) settle() error { return r.create(r.pendingPath) }

// create makes the pending file, and keeps it open.
func (r *receiver) create(path string) error {
	i := r.pending
	r.pending = nil
	dir, name, err := r.parent(path)
	if err != nil {
		return err
	}
	r.closeFile()
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return r.onDisk(err)
	}
	r.file = openFile{inode: i, fd: fd}
	return nil
}

func (r *receiver) rename(c Command) error {
	if r.pending != nil {
		if err := r.track.apply(c); err != nil {
			return err
		}
		return r.create(c.To)
	}
	from, name, err := r.parent(c.Path)
	if err != nil {
		return err
	}
	if err := r.track.apply(c); err != nil {
		return err
	}
	to, newName, err := r.parent(c.To)
	if err != nil {
		return err
	}
	return r.onDisk(unix.Renameat2(from, name, to, newName, unix.RENAME_NOREPLACE))
}

func (r *receiver) link(c Command) error {
	if err := r.track.apply(c); err != nil {
		return err
	}
	from, name, err := r.parent(c.To)
	if err != nil {
		return err
	}
	to, newName, err := r.parent(c.Path)
	if err != nil {
		return err
	}
	err = unix.Linkat(from, name, to, newName, 0)
	if err == unix.EPERM { // a directory of the parent mirror, or so it thinks
		err = unix.EISDIR
	}
	return r.onDisk(err)
}

func (r *receiver) remove(c Command) error {
	dir, name, err := r.parent(c.Path)
	if err != nil {
		return err
	}
	n, err := r.track.find(c.Path)
	if err != nil {
		return err
	}
	if err := r.track.apply(c); err != nil {
		return err
	}
	flags := 0
	if c.Op == Rmdir {
		r.dirs.drop(n.inode)
		delete(r.times, n)
		flags = unix.AT_REMOVEDIR
	}
	return r.onDisk(unix.Unlinkat(dir, name, flags))
}

// utimes sets a file's times at once: it is told last of a file.
func (r *receiver) utimes(c Command) error {
	if err := r.track.apply(c); err != nil {
		return err
	}
	n, err := r.track.find(c.Path)
	if err != nil {
		return err
	}
	k, err := r.kind(n, c.Path)
	if err != nil {
		return err
	}
	if k == directory {
		r.times[n] = &[2]unix.Timespec{timespec(c.Atime), timespec(c.Mtime)}
		return nil
	}
	times := [2]unix.Timespec{timespec(c.Ctime), timespec(c.Mtime)}
	if r.file.inode == n.inode && r.file.fd >= 0 {
		return r.onDisk(futimens(r.file.fd, &times))
	}
	dir, name, err := r.parent(c.Path)
	if err != nil {
		return err
	}
	return r.onDisk(unix.UtimesNanoAt(dir, name, times[:], unix.AT_SYMLINK_NOFOLLOW))
}

// kind tells what a node is, and asks the mirror if the stream did not tell.
func (r *receiver) kind(n *node, path string) (kind, error) {
	if n.inode.kind != unknown {
		return n.inode.kind, nil
	}
	st, err := r.stat(path)
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return directory, nil
	}
	return file, err
}

func (r *receiver) stat(path string) (st unix.Stat_t, err error) {
	dir, name, err := r.parent(path)
	if err != nil {
		return st, err
	}
	return st, r.onDisk(unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW))
}

func (r *receiver) setDirTimes(n *node, times *[2]unix.Timespec) error {
	fd, err := r.dir(n, n.path())
	if err != nil {
		return err
	}
	return r.onDisk(futimens(fd, times))
}

func timespec(t Time) unix.Timespec { return unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)} }

// futimens is futimens(3); package unix has the call for paths only.
func futimens(fd int, times *[2]unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(times)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("set times: %w", errno)
	}
	return nil
}
