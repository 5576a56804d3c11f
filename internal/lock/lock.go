// Package lock lets one run at a time work on a mailbox.
package lock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked: another run works on this mailbox.
var ErrLocked = errors.New("another run holds the lock")

// Take makes this the only run on the mailbox whose snapshots directory dir is,
// until release is called or the process ends, or returns [ErrLocked]. It is
// flock(2) on the directory itself: nothing is made that could be left behind
// or be removed under somebody who waits.
func Take(dir *os.File) (release func(), err error) {
	// An open file description of its own: a flock is shared by all users of one.
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("lock %q: %w", dir.Name(), err)
	}
	err = retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		unix.Close(fd)
		if err == unix.EWOULDBLOCK {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %q: %w", dir.Name(), err)
	}
	f := os.NewFile(uintptr(fd), dir.Name())
	return func() {
		// Close alone would not do while a child that is being started still has a
		// copy of the handle.
		unix.Flock(fd, unix.LOCK_UN)
		f.Close()
	}, nil
}

// retry calls f again when a signal came in between (the Go runtime sends some).
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
