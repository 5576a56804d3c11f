package btrfstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// prefix begins the name of every directory that this package makes in the
// temporary directory.
const prefix = "snapmerge-btrfstest-"

// A mount is one directory in the temporary directory: the image, and the
// mount point. The process that made it holds a flock on it, so a directory
// whose lock is free belongs to a test that was killed.
type mount struct {
	dir  string
	lock *os.File
}

func (m *mount) path() string  { return filepath.Join(m.dir, "mnt") }
func (m *mount) image() string { return filepath.Join(m.dir, "img") }

// newMount makes and mounts a file system of size bytes.
func newMount(size int64) (*mount, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New(`btrfstest: only root can mount a loop device (run: sudo make test)`)
	}
	for _, tool := range []string{"mkfs.btrfs", "btrfs", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("btrfstest: no %s here (is /usr/sbin in PATH?); run: sudo scripts/install-deps.sh", tool)
		}
	}
	m, err := claim()
	if err != nil {
		return nil, fmt.Errorf("btrfstest: %w", err)
	}
	if err := m.mkfs(size); err != nil {
		return nil, errors.Join(fmt.Errorf("btrfstest: %w", err), m.remove())
	}
	return m, nil
}

// claim removes what killed tests left behind, then makes and locks a
// directory. The temporary directory itself is locked meanwhile, or another
// test binary could take the new directory for a left-over before it is locked.
func claim() (*mount, error) {
	all, err := lockDir(os.TempDir(), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	sweep()
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return &mount{dir, lock}, nil
}

// sweep removes the directories that nobody holds. One that can not be
// removed (a daemon of the killed test still lives in it) stays for the next time.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		if lock, err := lockDir(dir, unix.LOCK_EX|unix.LOCK_NB); err == nil {
			(&mount{dir, lock}).remove()
		}
	}
}

func lockDir(dir string, how int) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %q: %w", dir, err)
	}
	return f, nil
}

func (m *mount) mkfs(size int64) error {
	if err := os.Mkdir(m.path(), 0o755); err != nil {
		return err
	}
	// A test may act as an ordinary user on the file system.
	if err := os.Chmod(m.dir, 0o755); err != nil {
		return err
	}
	img, err := os.OpenFile(m.image(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(img.Truncate(size), img.Close())
	if err != nil {
		return err
	}
	args := []string{"-q", m.image()}
	if size < mixedBelow {
		args = append([]string{"--mixed"}, args...)
	}
	if err := command("mkfs.btrfs", args...); err != nil {
		return err
	}
	// mount(8) sets the loop device to autoclear: umount detaches it.
	return command("mount", "-o", "loop", m.image(), m.path())
}

// remove unmounts and deletes everything, then lets the lock go.
func (m *mount) remove() error {
	defer m.lock.Close()
	if err := m.unmount(); err != nil {
		return fmt.Errorf("btrfstest: %w", err)
	}
	// Never RemoveAll: should the mount still be there, it would empty it.
	for _, f := range []string{m.image(), m.path(), m.dir} {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("btrfstest: %w", err)
		}
	}
	return nil
}

// unmount tries for two seconds (a process that was just killed may still be
// leaving), then reports who is to blame: a busy mount is a test that has left
// a file open or a child running.
func (m *mount) unmount() error {
	var err error
	for range 20 {
		if err = unix.Unmount(m.path(), unix.UMOUNT_NOFOLLOW); err != unix.EBUSY {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err == nil || err == unix.EINVAL || err == unix.ENOENT { // EINVAL: not mounted
		return nil
	}
	return fmt.Errorf("unmount %q: %w; in use by process %v", m.path(), err, users(m.path()))
}

// users returns the processes that have a file open or work below dir.
func users(dir string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	cwds, _ := filepath.Glob("/proc/[0-9]*/cwd")
	seen := map[int]bool{}
	for _, l := range append(links, cwds...) {
		at, err := os.Readlink(l)
		if rel, e := filepath.Rel(dir, at); err != nil || e != nil || !filepath.IsLocal(rel) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(l)))
		if pid == 0 {
			pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(l))))
		}
		if !seen[pid] {
			seen[pid] = true
			pids = append(pids, pid)
		}
	}
	return pids
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return nil
}
