package stream

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// An openFile is the file that the stream speaks of: it tells all of one file,
// then all of the next.
type openFile struct {
	inode   *inode // nil: none
	fd      int    // for writing; -1 for one that was refused before
	size    uint64
	refused bool
}

func (r *receiver) closeFile() {
	if r.file.fd >= 0 {
		unix.Close(r.file.fd)
	}
	r.file = openFile{fd: -1}
}

// open makes r.file the one that has this path.
func (r *receiver) open(path string) error {
	n, err := r.track.find(path)
	if err != nil || r.file.inode == n.inode {
		return err
	}
	r.closeFile()
	st, err := r.stat(path) // before it is opened: opening a device can have effects
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return r.onDisk(fmt.Errorf("no regular file in the mirror: %w", unix.ENOTDIR))
	}
	if isRefused(&st) {
		r.file = openFile{inode: n.inode, fd: -1, refused: true}
		return nil
	}
	dir, name, err := r.parent(path)
	if err != nil {
		return err
	}
	fd, err := beneath(dir, name, unix.O_WRONLY)
	if err != nil {
		return r.onDisk(err)
	}
	r.file = openFile{inode: n.inode, fd: fd, size: uint64(st.Size)}
	return nil
}

// change does what changes a file's contents.
func (r *receiver) change(c Command) error {
	if err := r.track.apply(c); err != nil {
		return err
	}
	if err := r.open(c.Path); err != nil {
		return err
	}
	switch c.Op {
	case Write:
		if ok, err := r.room(c.Offset, uint64(len(c.Data))); !ok {
			return err
		}
		return r.onDisk(pwrite(r.file.fd, c.Data, int64(c.Offset)))
	case Truncate:
		if ok, err := r.room(c.Size, 0); !ok {
			return err
		}
		r.file.size = c.Size
		return r.onDisk(unix.Ftruncate(r.file.fd, int64(c.Size)))
	}
	return r.clone(c)
}

// room prepares the open file for n bytes at an offset. It returns false if they
// are not to be written, as the file is refused, or on an error: of these only a
// limit on the whole stream.
func (r *receiver) room(offset, n uint64) (bool, error) {
	f := &r.file
	if f.refused {
		return false, nil
	}
	end := offset + n
	if end < offset || end > uint64(r.limits.Message) {
		return false, r.refuseFile(fmt.Sprintf("larger than the limit of %d bytes", r.limits.Message))
	}
	cost := n
	if end > f.size {
		cost = max(n, end-f.size)
		f.size = end
	}
	// Neither sum can overflow: cost is a file's size at most.
	if r.stats.Data += int64(cost); r.stats.Data > r.limits.Receive {
		return false, overLimit("receive", "more than %d bytes of files' data in one stream", r.limits.Receive)
	}
	return true, nil
}

func pwrite(fd int, b []byte, offset int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, offset)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}

// clone shares, or copies, a part of another file: of the mirror as it is now, or
// of its parent. A stream could name any subvolume.
func (r *receiver) clone(c Command) error {
	from := r.root
	switch {
	case c.ParentUUID == r.UUID:
	case r.Parent != nil && c.ParentUUID == r.ParentUUID:
		from = int(r.Parent.Fd())
	default:
		return fmt.Errorf("clone from subvolume %s, which is neither the snapshot nor its parent", c.ParentUUID)
	}
	if r.file.refused || c.Size == 0 {
		return nil
	}
	src, err := beneath(from, c.To, unix.O_PATH)
	if err != nil {
		return r.onDisk(fmt.Errorf("source %q: %w", c.To, err))
	}
	defer unix.Close(src)
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return r.onDisk(err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("source %q is no regular file", c.To)
	case isRefused(&st):
		return r.refuseFile("made from a file that was refused")
	case c.FromOffset > uint64(st.Size) || c.Size > uint64(st.Size)-c.FromOffset:
		return fmt.Errorf("source %q has %d bytes, %d at %d are wanted", c.To, st.Size, c.Size, c.FromOffset)
	}
	if ok, err := r.room(c.Offset, c.Size); !ok {
		return err
	}
	return r.cloneFrom(from, c)
}

func (r *receiver) cloneFrom(from int, c Command) error {
	// Not to be touched by reading: the atime is online's ctime here.
	src, err := beneath(from, c.To, unix.O_RDONLY|unix.O_NOATIME)
	if err != nil {
		return r.onDisk(fmt.Errorf("source %q: %w", c.To, err))
	}
	f := os.NewFile(uintptr(src), c.To)
	defer f.Close()
	err = unix.IoctlFileCloneRange(r.file.fd, &unix.FileCloneRange{Src_fd: int64(src), Src_offset: c.FromOffset, Src_length: c.Size, Dest_offset: c.Offset})
	switch err {
	case unix.EINVAL, unix.EOPNOTSUPP, unix.EXDEV: // not at block boundaries, or nodatacow on one side only
		err = copyRange(r.file.fd, int64(c.Offset), f, int64(c.FromOffset), int64(c.Size))
	}
	return r.onDisk(err)
}

func copyRange(to int, offset int64, from *os.File, at, n int64) error {
	buf := make([]byte, min(n, 128<<10))
	for n > 0 {
		part := buf[:min(n, int64(len(buf)))]
		if _, err := from.ReadAt(part, at); err == io.EOF {
			return errors.New("the source has become shorter")
		} else if err != nil {
			return err
		}
		if err := pwrite(to, part, offset); err != nil {
			return err
		}
		done := int64(len(part))
		at, offset, n = at+done, offset+done, n-done
	}
	return nil
}
