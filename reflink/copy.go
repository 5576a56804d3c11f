package reflink

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const bufSize = 128 << 10

// copyBytes writes the content of src to tmp. It stops one byte after size: the
// check of the size then sees a source that is too long, without the disk
// being filled by one that never ends.
func copyBytes(tmp, src *os.File, size int64) error {
	// The section reader reads at offsets, so src's own position does not
	// count, and hides src from io.Copy, which would try copy_file_range(2).
	r := io.NewSectionReader(src, 0, max(size, 0)+1)
	if _, err := io.CopyBuffer(struct{ io.Writer }{tmp}, r, make([]byte, bufSize)); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}

// SameBytes reports whether two regular files hold the same bytes. It compares
// sizes first, knows a file and its hard link for the same, and reads both from
// their beginning whatever their position is. Neither may change meanwhile: a
// file that turns out shorter than its size is an error.
func SameBytes(a, b *os.File) (bool, error) {
	var sa, sb unix.Stat_t
	if err := errors.Join(statRegular(a, &sa), statRegular(b, &sb)); err != nil {
		return false, err
	}
	if sa.Size != sb.Size {
		return false, nil
	}
	if sa.Dev == sb.Dev && sa.Ino == sb.Ino {
		return true, nil
	}
	buf := make([]byte, 2*bufSize)
	for off := int64(0); off < sa.Size; off += bufSize {
		n := min(bufSize, sa.Size-off)
		pa, pb := buf[:n], buf[bufSize:bufSize+n]
		if err := errors.Join(readAt(a, pa, off), readAt(b, pb, off)); err != nil {
			return false, err
		}
		if string(pa) != string(pb) {
			return false, nil
		}
	}
	return true, nil
}

func statRegular(f *os.File, st *unix.Stat_t) error {
	if err := unix.Fstat(int(f.Fd()), st); err != nil {
		return fmt.Errorf("compare %q: %w", f.Name(), err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("compare %q: no regular file", f.Name())
	}
	return nil
}

func readAt(f *os.File, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("compare %q: ends at byte %d, shorter than its size", f.Name(), off+int64(n))
	}
	return fmt.Errorf("compare %q: %w", f.Name(), err)
}
