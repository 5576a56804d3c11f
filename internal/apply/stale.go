package apply

import (
	"context"
	"errors"
	"os"
	"time"

	"snapmerge/tree"
)

// Unlock removes the locks that dead processes of this host have left in the
// folders, as a killed run does. Dovecot would get over them by itself, but only
// when it wants such a folder the next time, and then after waiting. A lock that
// is younger than two seconds is waited for; other locks are let alone.
func (s *Store) Unlock(ctx context.Context, folders []tree.Folder) error {
	for _, f := range folders {
		if err := s.unlock(ctx, f.Name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) unlock(ctx context.Context, folder string) error {
	path, err := s.layout.Dir(folder)
	if err != nil {
		return err
	}
	dir, err := s.openControl(path)
	if err != nil {
		return nil // gone, or no folder any more
	}
	defer dir.Close()
	deadline := time.Now().Add(s.LockTimeout)
	for s.abandoned(dir) && time.Now().Before(deadline) {
		l, err := s.tryLock(dir)
		if err == nil {
			return l.release(dir)
		}
		if _, ok := errors.AsType[busy](err); !ok {
			return err
		}
		if err := pause(ctx, lockMaxGap/4); err != nil {
			return err
		}
	}
	return nil
}

// abandoned reports whether a folder's lock is that of a dead process.
func (s *Store) abandoned(dir *os.File) bool {
	pid := localPid(readLock(dir), s.host)
	return pid > 0 && dead(pid)
}
