package tree

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"
)

// StillRefused reports whether an entry that was refused in an earlier snapshot
// of the store is there and still of that kind, for whoever reads only what has
// changed. A name that was bad stays bad.
func (r *Reader) StillRefused(ref Refused) (bool, error) {
	d, err := r.openIfDir(path.Dir(ref.Path))
	if d == nil || err != nil {
		return false, err
	}
	defer d.Close()
	st, err := lstat(d, path.Base(ref.Path))
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if ref.Why == Elsewhere {
		return st.Dev != r.dev, nil
	}
	// In a mirror, the refused entry itself is not there but its placeholder, which is
	// a regular file whatever it stands for.
	why, err := placeholder(d, path.Base(ref.Path), st.Mode)
	if err != nil || why != "" {
		return why != "", err
	}
	for _, mode := range []uint32{unix.S_IFDIR, unix.S_IFLNK, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR} {
		if ref.Why == fileType(mode) {
			return fileType(st.Mode) == ref.Why && st.Mode&unix.S_IFMT != unix.S_IFREG, nil
		}
	}
	if dir := path.Base(path.Dir(ref.Path)); st.Mode&unix.S_IFMT == unix.S_IFREG && (dir == "cur" || dir == "new") {
		return nameFault(path.Base(ref.Path)) != "", nil // a mail that was too long, replaced by another
	}
	return true, nil
}
