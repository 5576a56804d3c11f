package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Dovecot renames, removes and lists mail of a folder, and writes its keywords,
// under the folder's dovecot-uidlist.lock (maildir-uidlist.c). Who renames mail
// without it costs clients their UIDs: a readdir(3) of Dovecot's that runs at
// the same time misses what is renamed ahead of it, and takes it for expunged.
const (
	uidlist  = "dovecot-uidlist"
	lockName = uidlist + ".lock"

	lockStale  = 120 * time.Second // MAILDIR_UIDLIST_LOCK_STALE_TIMEOUT
	lockYoung  = 2 * time.Second   // STALE_PID_CHECK_SECS of file-dotlock.c
	lockTouch  = 5 * time.Second   // of 120: who can not see our process goes by the age
	lockWait   = 5 * time.Millisecond
	lockMaxGap = 200 * time.Millisecond
)

// A dotlock is a dovecot-uidlist.lock that we hold.
type dotlock struct {
	file    *os.File
	ino     uint64
	touched time.Time
}

// A busy is the error of a lock that somebody else holds: its text says who.
type busy string

func (b busy) Error() string { return string(b) }

// tryLock takes the lock of a folder, or says busy. A stale lock it removes, as
// file-dotlock.c:check_lock does, and then says busy once more.
func (s *Store) tryLock(dir *os.File) (*dotlock, error) {
	st, err := lstat(dir, lockName)
	switch {
	case errors.Is(err, unix.ENOENT):
		return s.createLock(dir)
	case err != nil:
		return nil, err
	}
	holder, stale := s.judge(dir, st)
	if !stale {
		return nil, busy("folder locked by " + holder)
	}
	// Looked at once more: it may have been released and taken again meanwhile.
	if now, err := lstat(dir, lockName); err != nil || now.Ino != st.Ino || now.Ctim != st.Ctim {
		return nil, busy("folder locked by somebody")
	}
	if err := remove(dir, lockName, 0); err != nil {
		return nil, err
	}
	// Others may have judged the same lock stale and be about to remove what
	// they believe is it: give them time, as dotlock_override does.
	time.Sleep(100*time.Millisecond + rand.N(100*time.Millisecond))
	return nil, busy("folder locked by " + holder + ", stale")
}

// createLock makes the lock file. It is born with its owner and content, for
// Dovecot, not root, puts an inotify watch on it and reads the process id; so
// it gets its name last. EEXIST of link(2) is what makes it a lock.
func (s *Store) createLock(dir *os.File) (*dotlock, error) {
	f, err := nameless(dir, dir, 0o666)
	if err != nil {
		return nil, err
	}
	l := &dotlock{file: f, touched: time.Now()}
	if _, err = fmt.Fprintf(f, "%d:%s", os.Getpid(), s.host); err == nil {
		err = linkNameless(f, dir, lockName)
	}
	if errors.Is(err, unix.EEXIST) {
		err = busy("folder locked by somebody")
	}
	st, serr := fstat(f)
	if err = errors.Join(err, serr); err != nil {
		f.Close()
		return nil, err
	}
	l.ino = st.Ino
	return l, nil
}

// judge says who holds a lock and whether it is stale, by the rules of
// file-dotlock.c:check_lock. A process of this host that lives is never
// overridden. A lock of a dead one is stale; so is ours, since the caller does not
// hold it: an earlier process had our number. Of any other holder nothing is
// known: its lock is stale if nobody has touched it or dovecot-uidlist for 120 s.
// What is younger than 2 s is left alone in any case, and what is older than the
// last boot is stale in any case: Dovecot would wait for it.
func (s *Store) judge(dir *os.File, st unix.Stat_t) (holder string, stale bool) {
	now := s.now()
	changed := lastChange(st, now)
	content := readLock(dir)
	// From before the last boot: nobody holds it, whoever has the number now, and
	// it may be empty, for its content was not synced.
	if changed.Before(now.Add(-s.uptime())) {
		return fmt.Sprintf("%q", content), true
	}
	if pid := localPid(content, s.host); pid > 0 {
		return fmt.Sprintf("process %d", pid), dead(pid) && now.Sub(changed) > lockYoung
	}
	if list, err := lstat(dir, uidlist); err == nil {
		changed = later(changed, lastChange(list, now))
	}
	return fmt.Sprintf("%q", content), now.Sub(changed) > lockStale
}

// uptime is how long this host has been up; for ever if it can not be told.
func uptime() time.Duration {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return math.MaxInt64
	}
	return time.Duration(up.Nano())
}

// lastChange is the time that file-dotlock.c:update_change_info starts from: the
// mtime if it is the later one and not in the future (dovecot-uidlist's can be),
// else the ctime.
func lastChange(st unix.Stat_t, now time.Time) time.Time {
	m, c := timeOf(st.Mtim), timeOf(st.Ctim)
	if m.After(c) && !m.After(now) {
		return m
	}
	return c
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func timeOf(ts unix.Timespec) time.Time { return time.Unix(ts.Unix()) }

// readLock returns the content of the lock file, empty if it can not be read:
// it may be anything, a FIFO for instance.
func readLock(dir *os.File) []byte {
	f, err := beneath(dir, lockName, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil
	}
	defer f.Close()
	if st, err := fstat(f); err != nil || !isRegular(st) {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(f, 511))
	return b
}

// localPid returns the process id of "pid:host" if the host is ours, else 0.
func localPid(content []byte, host string) int {
	pid, h, ok := bytes.Cut(bytes.TrimSuffix(content, []byte("\n")), []byte(":"))
	if !ok || string(h) != host {
		return 0
	}
	n, err := strconv.ParseInt(string(pid), 10, 32)
	if err != nil || n <= 0 {
		return 0
	}
	return int(n)
}

// dead reports whether a lock of that process of this host is a left-over.
func dead(pid int) bool { return pid == os.Getpid() || !alive(pid) }

// alive reports whether a process exists. EPERM means that it does.
func alive(pid int) bool { return unix.Kill(pid, 0) != unix.ESRCH }

// touch tells those who can not see our process that the lock is in use.
func (l *dotlock) touch() error {
	if time.Since(l.touched) < lockTouch {
		return nil
	}
	l.touched = time.Now()
	return touch(l.file, unix.Timespec{Nsec: unix.UTIME_NOW})
}

// release removes the lock file if it is still ours: somebody may have taken it
// for stale and made a lock of their own.
func (l *dotlock) release(dir *os.File) error {
	defer l.file.Close()
	if st, err := lstat(dir, lockName); err != nil || st.Ino != l.ino {
		return nil
	}
	return remove(dir, lockName, 0)
}

// nameless makes a file without a name in dir, to be published by
// [linkNameless]. Its owner and mode are those of the directory like.
func nameless(dir, like *os.File, mask uint32) (*os.File, error) {
	st, err := fstat(like)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a nameless file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "(nameless)")
	if err = unix.Fchown(fd, int(st.Uid), int(st.Gid)); err == nil {
		err = unix.Fchmod(fd, st.Mode&mask)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make a nameless file: %w", err)
	}
	return f, nil
}

// linkNameless gives the file its first name; EEXIST if that is taken.
func linkNameless(f, dir *os.File, name string) error {
	if err := unix.Linkat(int(f.Fd()), "", int(dir.Fd()), name, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("link %q: %w", name, err)
	}
	return nil
}

// touch sets atime and mtime of an open file.
func touch(f *os.File, t unix.Timespec) error {
	if err := unix.UtimesNanoAt(int(f.Fd()), "", []unix.Timespec{t, t}, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("set times of %q: %w", f.Name(), err)
	}
	return nil
}
