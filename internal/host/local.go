package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/apply"
	"snapmerge/internal/lock"
	"snapmerge/internal/pipe"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// A Local is a store on this machine.
type Local struct {
	store   Store
	side    string // of its snapshots' names
	release func()
	live    *apply.Store // open from the first Apply on
}

// Open returns the store, which is one side of a mailbox ([snapshot.Online],
// [snapshot.Offline]). It looks at nothing yet, and locks nothing.
func Open(s Store, side string) *Local { return &Local{store: s, side: side} }

// Lock makes this the only session that changes the store, until Close. It waits
// for another one to end, at most that long: an agent whose connection was cut
// ends after the operation that it is at. Errors: [lock.ErrLocked].
func (l *Local) Lock(ctx context.Context, wait time.Duration) error {
	dir, err := os.Open(l.store.Snapshots)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer dir.Close()
	for end := time.Now().Add(wait); ; {
		l.release, err = lock.Take(dir)
		if !errors.Is(err, lock.ErrLocked) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close implements [Host].
func (l *Local) Close() error {
	var err error
	if l.live != nil {
		err = l.live.Close()
		l.live = nil
	}
	if l.release != nil {
		l.release()
		l.release = nil
	}
	return err
}

// Freeze implements [Host].
func (l *Local) Freeze(_ context.Context, name string) (*Frozen, error) {
	if err := l.checkName(name); err != nil {
		return nil, err
	}
	if l.store.Control != "" {
		if err := l.openLive(); err != nil {
			return nil, err
		}
		if err := l.live.BringControl(); err != nil {
			return nil, err
		}
	}
	// Not the coarse clock: it can be a tick behind a ctime that is there already,
	// since Linux 6.13 takes some of them from the fine one.
	begun, err := tickAfter(time.Now())
	if err != nil {
		return nil, err
	}
	before, err := l.store.nested()
	if err != nil {
		return nil, err
	}
	if err := snapshot.Take(l.store.Path, l.store.Snapshots, name); err != nil {
		return nil, err
	}
	f := &Frozen{Begun: begun, Done: time.Now()}
	if f.Live, err = snapshot.Read(l.store.Path); err == nil {
		f.Snapshot, err = snapshot.Read(filepath.Join(l.store.Snapshots, name))
	}
	if err == nil {
		// Before and after the snapshot: what was nested when it was taken is in one of
		// the two, but for what came and went in between.
		var after []string
		after, err = l.store.nested()
		f.Nested = slices.Compact(slices.Sorted(slices.Values(append(before, after...))))
	}
	if err != nil {
		return nil, errors.Join(err, snapshot.Delete(l.store.Snapshots, name))
	}
	return f, nil
}

// tickAfter returns the clock that the kernel takes ctimes from when it is past
// t: up to two ticks later. It goes in ticks and lags behind, but what is changed
// from now on has no earlier ctime; and what was changed before t, a time of the
// clock that runs smoothly, has an earlier one.
//
// A snapshot of btrfs holds every name of the moment when it is committed, but
// of the data only what was written before it was begun: it is flushed first, and
// only then the writers are kept out (btrfs_mksnapshot). Mail that is delivered in
// between without fsync(2) is in it as an empty file; by [Frozen] it can be told.
func tickAfter(t time.Time) (time.Time, error) {
	for {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts); err != nil {
			return time.Time{}, fmt.Errorf("read the clock: %w", err)
		}
		if now := time.Unix(ts.Unix()); now.After(t) {
			return now, nil
		}
		time.Sleep(time.Millisecond)
	}
}

// Prune implements [Host].
func (l *Local) Prune(_ context.Context, names []string) error {
	var errs []error
	for _, name := range names {
		if err := l.checkName(name); err != nil {
			return err
		}
		if err := snapshot.Delete(l.store.Snapshots, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Send implements [Host]. The kernel writes into a pipe; closing the stream ends
// it at its next write.
func (l *Local) Send(_ context.Context, name, parent string) (io.ReadCloser, error) {
	if err := l.checkName(name); err != nil {
		return nil, err
	}
	snap, err := openSnapshot(l.store.Snapshots, name)
	if err != nil {
		return nil, err
	}
	var from *os.File
	if parent != "" {
		if err = l.checkName(parent); err == nil {
			from, err = openSnapshot(l.store.Snapshots, parent)
		}
		if err != nil {
			snap.Close()
			return nil, err
		}
	}
	r, w, err := pipe.Wide()
	if err != nil {
		snap.Close()
		from.Close()
		return nil, fmt.Errorf("send %q: %w", name, err)
	}
	s := &sending{File: r, done: make(chan error, 1)}
	go func() {
		stop := func() {}
		if from == nil {
			stop = snapshot.Prefetch(snap, &s.sent)
		}
		err := snapshot.Send(snap, from, snapshot.SendFlags{}, w)
		stop()
		w.Close()
		snap.Close()
		from.Close()
		s.done <- err
	}()
	return s, nil
}

// sending is a stream that the kernel is writing.
type sending struct {
	*os.File
	done chan error
	sent atomic.Int64
}

// Read reports at the end why the kernel ended.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	s.sent.Add(int64(max(n, 0)))
	if err == io.EOF && s.done != nil {
		if sent := <-s.done; sent != nil {
			err = sent
		}
		s.done = nil
	}
	return n, err
}

// Close waits until the kernel has ended.
func (s *sending) Close() error {
	err := s.File.Close()
	if s.done != nil {
		<-s.done
		s.done = nil
	}
	return err
}

func openSnapshot(dir, name string) (*os.File, error) {
	path := filepath.Join(dir, name)
	if info, err := snapshot.Read(path); err != nil {
		return nil, err
	} else if !info.ReadOnly {
		return nil, fmt.Errorf("snapshot %q: %w", path, snapshot.ErrNotSnapshot)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %q: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// count counts what the store holds, in a snapshot, since mail clients are at
// work in it. It is named like that of a sync to come, so if this is killed, the
// next sync takes it for its own left-over.
func (l *Local) count(f *Facts) (err error) {
	n := 0
	for _, e := range f.Snapshots {
		n = max(n, e.Sync)
	}
	name := snapshot.Name(l.side, n+1)
	if err := snapshot.Take(l.store.Path, l.store.Snapshots, name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Delete(l.store.Snapshots, name)) }()
	root, err := openSnapshot(l.store.Snapshots, name)
	if err != nil {
		return err
	}
	defer root.Close()
	t, err := tree.Scan(root, l.store.Layout)
	if err != nil {
		return err
	}
	f.Mails, f.Folders = len(t.Files), len(t.Folders)
	for _, file := range t.Files {
		f.Bytes += file.Size
	}
	return nil
}
