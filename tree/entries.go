package tree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Entries are the names in a cur/ or new/, mail's and others, each with its inode
// number, or 0 for a directory: the number that a nested subvolume's entry has is
// that of the subvolume, and can be a file's too. Reading them stats nothing;
// whether an entry is mail they do not tell. Names that a scan passes over are left out.
type Entries struct {
	dir  *os.File
	buf  []byte
	rest []byte
}

var errDirent = errors.New("a directory entry that is cut off")

// Entries opens the names in cur/ or new/ of a folder; nil if there is no such
// directory. They come in the kernel's order: on btrfs that in which they were
// made, which a snapshot keeps.
func (r *Reader) Entries(folder string, isNew bool) (*Entries, error) {
	dir, err := r.layout.Dir(folder)
	if err != nil {
		return nil, err
	}
	d, err := r.openIfDir(path.Join(dir, File{New: isNew}.Dir()))
	if d == nil || err != nil {
		return nil, err
	}
	return &Entries{dir: d, buf: make([]byte, 64<<10)}, nil
}

// Next returns the next name, which is there until the next call; io.EOF after
// the last.
func (e *Entries) Next() (ino uint64, name []byte, err error) {
	for {
		if len(e.rest) == 0 {
			if err := e.fill(); err != nil {
				return 0, nil, err
			}
		}
		// struct linux_dirent64: d_ino, d_off, d_reclen, d_type, d_name with its NUL.
		const head = 8 + 8 + 2 + 1
		d := e.rest
		if len(d) < head {
			return 0, nil, errDirent
		}
		n := int(binary.NativeEndian.Uint16(d[16:]))
		if n < head || n > len(d) {
			return 0, nil, errDirent
		}
		e.rest = d[n:]
		name, _, _ := bytes.Cut(d[head:n], []byte{0})
		if len(name) > 0 && name[0] == '.' {
			continue // also "." and ".."
		}
		if d[18] == unix.DT_DIR {
			return 0, name, nil
		}
		return binary.NativeEndian.Uint64(d), name, nil
	}
}

func (e *Entries) fill() error {
	for {
		n, err := unix.Getdents(int(e.dir.Fd()), e.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("read %q: %w", e.dir.Name(), err)
		case n == 0:
			return io.EOF
		}
		e.rest = e.buf[:n]
		return nil
	}
}

// Close closes the directory.
func (e *Entries) Close() error { return e.dir.Close() }
