package stream

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// maxHandles is how many directories are kept open.
const maxHandles = 64

// handles are open directories. They are known by their inode, not by a path: one
// that is moved stays open as what it is.
type handles struct {
	open map[*inode]*handle
	now  uint64 // counts uses
}

type handle struct {
	fd   int
	used uint64
}

func (h *handles) get(i *inode) (fd int, ok bool) {
	d := h.open[i]
	if d == nil {
		return -1, false
	}
	h.now++
	d.used = h.now
	return d.fd, true
}

// put takes over an open directory, and closes the one that was not used for
// longest if there are too many. The last one that was used is never closed.
func (h *handles) put(i *inode, fd int) {
	if h.open == nil {
		h.open = map[*inode]*handle{}
	}
	if len(h.open) >= maxHandles {
		var oldest *inode
		for k, d := range h.open {
			if oldest == nil || d.used < h.open[oldest].used {
				oldest = k
			}
		}
		h.drop(oldest)
	}
	h.now++
	h.open[i] = &handle{fd, h.now}
}

func (h *handles) drop(i *inode) {
	if d := h.open[i]; d != nil {
		unix.Close(d.fd)
		delete(h.open, i)
	}
}

func (h *handles) close() {
	for i := range h.open {
		h.drop(i)
	}
}

// beneath opens a path below the directory dir, never leaving it or its
// subvolume and following no link of any kind.
func beneath(dir int, path string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(dir, path, &how)
		// EAGAIN: something was renamed meanwhile, as far as the kernel can tell.
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// parent returns the directory that a path leads to, and the name in it. The
// handle is valid until the next but one call.
func (r *receiver) parent(path string) (dir int, name string, err error) {
	above := ""
	name = path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		above, name = path[:i], path[i+1:]
	}
	n, err := r.track.find(above)
	if err == nil {
		err = n.inode.become(directory)
	}
	if err != nil {
		return -1, "", err
	}
	dir, err = r.dir(n, above)
	return dir, name, err
}

// dir returns an open directory, that has this path.
func (r *receiver) dir(n *node, path string) (int, error) {
	if n == r.track.root {
		return r.root, nil
	}
	if fd, ok := r.dirs.get(n.inode); ok {
		return fd, nil
	}
	fd, err := beneath(r.root, path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, r.onDisk(fmt.Errorf("open directory %q: %w", path, err))
	}
	r.dirs.put(n.inode, fd)
	return fd, nil
}

// path returns where a node is now.
func (n *node) path() string {
	if n.up == nil {
		return ""
	}
	return join(n.up.path(), n.name)
}
