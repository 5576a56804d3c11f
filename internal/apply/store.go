package apply

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/reflink"
	"snapmerge/tree"
)

// A Store is a live Maildir store. One process has at most one Store open for
// a Maildir: as Dovecot does, it takes a lock file with its own process id that
// it does not know of for the remains of an earlier process.
type Store struct {
	// LockTimeout is how long Run waits for a folder's lock; [Open] sets 30 s.
	// Dovecot's own is 122 s (maildir-uidlist.c).
	LockTimeout time.Duration

	root    *os.File
	control *os.File // of Dovecot's control files; nil: they are beside the mail
	layout  tree.Layout
	host    string // as Dovecot knows it: gethostname(2)
	temps   int    // names used up in tmp/

	now     func() time.Time // the tests' clocks
	uptime  func() time.Duration
	maxHold time.Duration // how long locks are kept at a stretch
}

// Open opens the store whose root directory (the INBOX) is path, and removes
// from its tmp/ what a killed run left there. control is the directory of
// Dovecot's control files if they are elsewhere, else "". The last component of
// either path must not be a symlink.
func Open(path, control string, l tree.Layout) (*Store, error) {
	root, err := openRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	s := &Store{
		LockTimeout: 30 * time.Second,
		root:        root,
		layout:      l,
		now:         time.Now,
		uptime:      uptime,
		maxHold:     2 * time.Second,
	}
	if control != "" {
		s.control, err = openControl(root, control)
	}
	if err == nil {
		s.host, err = os.Hostname()
	}
	if err == nil {
		err = s.cleanTemps()
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	return s, nil
}

func openRoot(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openControl opens the directory of the control files. It must belong to whom the
// mail belongs to: a path that leads through another user's directories could be
// made to lead to a third one's files.
func openControl(root *os.File, path string) (*os.File, error) {
	d, err := openRoot(path)
	if err != nil {
		return nil, err
	}
	mail, err := fstat(root)
	st, err2 := fstat(d)
	if err = errors.Join(err, err2); err == nil && st.Uid != mail.Uid {
		err = fmt.Errorf("%q belongs to user %d, the mail to user %d", path, st.Uid, mail.Uid)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close closes the store's handles.
func (s *Store) Close() error {
	if s.control != nil {
		s.control.Close()
	}
	return s.root.Close()
}

// Sync makes everything done so far durable, by syncfs(2). Control files can be on
// another file system, and go first: a keyword's letter in a name means nothing
// without its table.
func (s *Store) Sync() error {
	if s.control != nil {
		if err := reflink.Syncfs(s.control); err != nil {
			return err
		}
	}
	return reflink.Syncfs(s.root)
}

// beneath opens a path below dir, by openat2(2).
func beneath(dir *os.File, path string, flags int) (*os.File, error) {
	how := unix.OpenHow{
		Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS |
			unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), path, &how)
		// EAGAIN: the kernel could not rule out a race with a rename (openat2(2)).
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", path, err)
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

// openDir opens a directory below dir.
func openDir(dir *os.File, path string) (*os.File, error) {
	return beneath(dir, path, unix.O_RDONLY|unix.O_DIRECTORY)
}

// lstat is fstatat(2) without following.
func lstat(dir *os.File, name string) (st unix.Stat_t, err error) {
	if err = unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		err = fmt.Errorf("stat %q: %w", name, err)
	}
	return st, err
}

func fstat(f *os.File) (st unix.Stat_t, err error) {
	if err = unix.Fstat(int(f.Fd()), &st); err != nil {
		err = fmt.Errorf("stat %q: %w", f.Name(), err)
	}
	return st, err
}

func isRegular(st unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }

// list returns the names in a directory. It opens the directory anew: on btrfs a
// handle sees entries up to where the directory ended when it was opened.
func list(dir *os.File) ([]string, error) {
	d, err := openDir(dir, ".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// remove unlinks a file, or a directory if flags is AT_REMOVEDIR. What is gone
// already is fine.
func remove(dir *os.File, name string, flags int) error {
	err := unix.Unlinkat(int(dir.Fd()), name, flags)
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("remove %q: %w", name, err)
	}
	return nil
}

// Temporary names are made in the root's tmp/ only, where no mail reader lists
// folders or mail in either layout, and where Dovecot itself removes what is
// older than 36 hours (maildir_check_tmp).
const tempPrefix = "snapmerge."

func (s *Store) tempName() string {
	s.temps++
	return fmt.Sprintf("%s%d.%d", tempPrefix, os.Getpid(), s.temps)
}

// temp opens the root's tmp/, and makes it if it is missing.
func (s *Store) temp() (*os.File, error) {
	if err := makeDir(s.root, "tmp", s.root); err != nil {
		return nil, err
	}
	return openDir(s.root, "tmp")
}

// cleanTemps removes the temporary names of dead runs. It knows what such a
// directory can hold and removes nothing else: rmdir(2) protects the rest.
func (s *Store) cleanTemps() error {
	tmp, err := openDir(s.root, "tmp")
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer tmp.Close()
	names, err := list(tmp)
	if err != nil {
		return err
	}
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, tempPrefix)
		pid, _, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(pid)
		if !ok || err != nil || n <= 0 || n != os.Getpid() && alive(n) {
			continue
		}
		if err := removeTemp(tmp, name); err != nil {
			return err
		}
	}
	return nil
}

// removeTemp removes one temporary name. That something else keeps it alive is
// no error: tmp/ is the user's too.
func removeTemp(tmp *os.File, name string) error {
	d, err := openDir(tmp, name)
	if err != nil {
		err := remove(tmp, name, 0)
		if hopeless(err) {
			return err
		}
		return nil
	}
	defer d.Close()
	_ = remove(d, "maildirfolder", 0)
	for _, sub := range subdirs {
		_ = remove(d, sub, unix.AT_REMOVEDIR)
	}
	if err := remove(tmp, name, unix.AT_REMOVEDIR); hopeless(err) {
		return err
	}
	return nil
}
