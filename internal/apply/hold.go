package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// maxFolders is how many folders are locked at a time. More than two save
// listing a big folder again and again while mail goes from one folder to many.
const maxFolders = 8

// lockPause is how long every lock is let go after a stretch, so that clients
// that wait for one get it. They wake up by inotify (file-dotlock.c:dotlock_wait).
const lockPause = 20 * time.Millisecond

// holds are the folders that a run has locked.
type holds struct {
	store   *Store
	folders map[string]*folder
	since   time.Time       // when the oldest lock was taken
	stuck   map[string]bool // folders that a wait has failed for: not waited for again in this run
}

// need makes sure that exactly these folders, and perhaps others, are locked. A
// race says that a folder is gone, or stays locked by somebody else.
func (h *holds) need(ctx context.Context, names ...string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	if err := h.freshen(names); err != nil {
		return err
	}
	deadline := time.Now().Add(h.store.LockTimeout)
	gap := lockWait
	for {
		at, err := h.tryAll(names)
		who, ok := errors.AsType[busy](err)
		if !ok {
			return err
		}
		// Never wait for one lock while holding another: Dovecot's processes,
		// or a second run, may want them the other way round.
		if err := h.releaseAll(); err != nil {
			return err
		}
		if h.stuck[at] || !time.Now().Before(deadline) {
			h.stuck[at] = true
			return race(who)
		}
		if err := pause(ctx, gap/2+rand.N(gap/2)); err != nil {
			return err
		}
		gap = min(gap*3/2, lockMaxGap)
	}
}

// freshen lets go of everything where what is held can not be kept: for too
// long, too many, or no longer ours.
func (h *holds) freshen(names []string) error {
	if len(h.folders) == 0 {
		return nil
	}
	if time.Since(h.since) >= h.store.maxHold {
		err := h.releaseAll()
		time.Sleep(lockPause)
		return err
	}
	missing := 0
	for _, n := range names {
		f := h.folders[n]
		if f == nil {
			missing++
		} else if !h.store.ours(f) {
			return h.releaseAll()
		}
	}
	if missing > 0 && len(h.folders)+missing > maxFolders {
		return h.releaseAll()
	}
	for _, f := range h.folders {
		if err := f.lock.touch(); err != nil {
			return err
		}
	}
	return nil
}

// tryAll locks what is missing, in the order of the names, without waiting. With
// an error it returns the folder that it is about.
func (h *holds) tryAll(names []string) (at string, err error) {
	for _, n := range names {
		if h.folders[n] != nil {
			continue
		}
		f, err := h.store.openFolder(n)
		if err != nil {
			return n, err
		}
		if f.lock, err = h.store.tryLock(f.control); err != nil {
			f.close()
			return n, err
		}
		if len(h.folders) == 0 {
			h.since = time.Now()
		}
		h.folders[n] = f
		if !h.store.ours(f) {
			// Renamed or removed between open and lock.
			return n, cmp.Or(h.releaseAll(), error(raceGone))
		}
	}
	return "", nil
}

// releaseAll unlocks every folder.
func (h *holds) releaseAll() error {
	var errs []error
	for _, f := range h.folders {
		if err := f.lock.release(f.control); err != nil {
			errs = append(errs, fmt.Errorf("unlock folder %q: %w", f.name, err))
		}
		f.close()
	}
	clear(h.folders)
	return errors.Join(errs...)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
