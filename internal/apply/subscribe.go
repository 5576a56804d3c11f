package apply

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/tree"
)

// Dovecot's lock of the list of subscriptions is at the same time its next
// content: subscriptions.lock is written, and renamed over the list
// (subsfile_set_subscribed). Whoever finds one that nobody has changed for 30 s
// takes it for a dead process's.
const (
	subscriptions     = "subscriptions"
	subscriptionsLock = subscriptions + ".lock"
	subscriptionsAge  = 30 * time.Second // SUBSCRIPTION_FILE_CHANGE_TIMEOUT
)

// subscribe changes the list of subscribed folders, under its lock.
func (s *Store) subscribe(ctx context.Context, op *Op) error {
	dir := s.control
	if dir == nil {
		dir = s.root
	}
	lock, err := s.lockSubscriptions(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	err = s.rewrite(dir, lock, op)
	if isLock(dir, lock) { // renamed, it is the list, and no lock any more
		err = errors.Join(err, remove(dir, subscriptionsLock, 0))
	}
	return err
}

// isLock reports whether the lock still is that file.
func isLock(dir, lock *os.File) bool {
	st, err := fstat(lock)
	return err == nil && isAt(dir, subscriptionsLock, st.Ino)
}

// rewrite writes the changed list into the lock file, and renames it, if anything
// is to be changed.
func (s *Store) rewrite(dir, lock *os.File, op *Op) error {
	old, mode, err := readList(dir)
	if err != nil {
		return err
	}
	list, err := tree.ChangeSubscriptions(old, s.layout, op.Add, op.Remove)
	if err != nil || string(list) == string(old) {
		return err
	}
	if _, err := lock.Write(list); err != nil {
		return fmt.Errorf("write %q: %w", subscriptionsLock, err)
	}
	if mode != 0 {
		if err := unix.Fchmod(int(lock.Fd()), mode); err != nil {
			return fmt.Errorf("write %q: %w", subscriptionsLock, err)
		}
	}
	if err := lock.Sync(); err != nil { // data is not ordered with the rename
		return err
	}
	if !isLock(dir, lock) {
		return race("somebody has taken the lock of the subscriptions")
	}
	if err := unix.Renameat(int(dir.Fd()), subscriptionsLock, int(dir.Fd()), subscriptions); err != nil {
		return fmt.Errorf("replace %q: %w", subscriptions, err)
	}
	return nil
}

// readList returns the list, nil if there is none yet. One that can not be a list
// is nobody's to be replaced.
func readList(dir *os.File) (list []byte, mode uint32, err error) {
	st, err := lstat(dir, subscriptions)
	if errors.Is(err, unix.ENOENT) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	list, err = readSmall(dir, subscriptions)
	if err == nil && list == nil {
		err = race("the list of subscriptions is no file, or too long")
	}
	return list, st.Mode & 0o666, err
}

// lockSubscriptions makes the lock file, empty and with its owner, or says race.
func (s *Store) lockSubscriptions(ctx context.Context, dir *os.File) (*os.File, error) {
	f, err := nameless(dir, dir, 0o666)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(s.LockTimeout + subscriptionsAge)
	for gap := lockWait; ; gap = min(gap*3/2, lockMaxGap) {
		err = linkNameless(f, dir, subscriptionsLock)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EEXIST):
		case s.oldSubscriptionsLock(dir):
			if err = remove(dir, subscriptionsLock, 0); err == nil {
				err = pause(ctx, 100*time.Millisecond+rand.N(100*time.Millisecond)) // see tryLock
			}
		case time.Now().After(deadline):
			err = race("the list of subscriptions is locked by somebody")
		default:
			err = pause(ctx, gap/2+rand.N(gap/2))
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
}

// oldSubscriptionsLock: nobody has changed it for so long that its owner must be dead.
func (s *Store) oldSubscriptionsLock(dir *os.File) bool {
	st, err := lstat(dir, subscriptionsLock)
	return err == nil && isRegular(st) && s.now().Sub(lastChange(st, s.now())) > subscriptionsAge
}
