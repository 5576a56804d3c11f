package engine

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"snapmerge/internal/host"
	"snapmerge/reflink"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// A frozen is one side's snapshot, open for reading.
type frozen struct {
	name   string // of the snapshot
	root   *os.File
	layout tree.Layout
}

func openFrozen(s host.Store, name string) (*frozen, error) {
	path := filepath.Join(s.Snapshots, name)
	if info, err := snapshot.Read(path); err != nil {
		return nil, err
	} else if !info.ReadOnly {
		return nil, fmt.Errorf("snapshot %q: %w", path, snapshot.ErrNotSnapshot)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %q: %w", path, err)
	}
	return &frozen{name, os.NewFile(uintptr(fd), path), s.Layout}, nil
}

// exists tells whether there is anything at a path below the root. What can not
// be looked at exists.
func (z *frozen) exists(path string) bool {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(int(z.root.Fd()), path, &how)
	if err == nil {
		unix.Close(fd)
	}
	return err != unix.ENOENT
}

// A source is a mail in a snapshot.
type source struct {
	in   *frozen
	path string // below the snapshot's root
	file tree.File
}

func (z *frozen) file(f tree.File) (*source, error) {
	dir, err := z.layout.Dir(f.Folder)
	if err != nil {
		return nil, err
	}
	return &source{z, filepath.Join(dir, f.Dir(), f.Name), f}, nil
}

// open opens the mail for reading. What is in a snapshot came from outside: no
// symlink is followed, and it must be the regular file that was seen.
func (s *source) open() (*os.File, error) {
	how := unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS |
			unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(int(s.in.root.Fd()), s.path, &how)
	if err != nil {
		return nil, fmt.Errorf("open %q in snapshot %q: %w", s.path, s.in.name, err)
	}
	f := os.NewFile(uintptr(fd), s.path)
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("open %q in snapshot %q: not a regular file", s.path, s.in.name)
	}
	return f, nil
}

func equalBytes(a, b *source) (bool, error) { return compareBytes(a, b, reflink.SameBytes) }

// shareBytes is equalBytes, and lets a have the extents of b if they are equal.
func shareBytes(a, b *source) (bool, error) { return compareBytes(a, b, reflink.Share) }

func compareBytes(a, b *source, compare func(a, b *os.File) (bool, error)) (bool, error) {
	if a.file.Size != b.file.Size {
		return false, nil
	}
	fa, err := a.open()
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := b.open()
	if err != nil {
		return false, err
	}
	defer fb.Close()
	return compare(fa, fb)
}
