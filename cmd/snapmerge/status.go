package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"snapmerge/internal/config"
	"snapmerge/internal/lock"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

const statusUsage = `Usage:
    snapmerge status [MAILBOX...] [--exit-code] [OPTIONS]

Show how the mailboxes stand, all of the configuration if none is named: the
last sync, whether a side has changed since the snapshot that it took (its own
changes count too), what waits, snapshots, and free space. Run it as root.

        --exit-code     exit with 1 if anything waits for a decision

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
        --color WHEN    auto, always or never

EXIT STATUS
    0    done
    1    something could not be read, or with --exit-code: something waits
    2    wrong usage or configuration

Example:
    $ sudo snapmerge status
    chris: sync 7, 2026-03-01 04:00, in 0.4 s
      home    5 placed, 1 moved
      deleted-online: 1 waits for a decision
      home    changed since (by sync 7 at least); 21 snapshots, the oldest of 2025-01-01 04:00; 1.2 TiB free
      online  unchanged since; 1 snapshot, the oldest of 2026-03-01 04:00; 3.1 GiB free
`

func setupStatus(fs *pflag.FlagSet) runner {
	code := fs.Bool("exit-code", false, "")
	return func(_ context.Context, a *app, args []string) error {
		_, list, err := a.mailboxes(args)
		if err != nil {
			return err
		}
		var all []report.Status
		status, waits := 0, 0
		for _, mb := range list {
			s := a.status(mb)
			if s.Err != nil {
				a.complain("mailbox "+mb.Name+": ", s.Err)
				status = 1
			}
			waits += report.Undecided(s.Items)
			all = append(all, s)
			a.show(report.StatusText(s, a.style))
		}
		if a.json {
			a.print(report.StatusJSON(all))
		}
		if status != 0 || *code && waits > 0 {
			return silent(1)
		}
		return nil
	}
}

// status collects what is known of a mailbox; what can not be read is left out
// and said in Err.
func (a *app) status(mb config.Mailbox) report.Status {
	s := report.Status{Mailbox: mb.Name}
	var errs []error
	check := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	h, err := a.openHistory(mb)
	if err != nil {
		s.Err = err
		return s
	}
	defer h.close()
	s.Last = h.newest
	s.Items, err = h.items()
	check(err)
	s.Stale, err = h.stale(time.Now())
	check(err)
	s.Interrupted, s.Running, err = h.journal()
	check(err)
	for _, side := range merge.Sides {
		s.Sides[side], err = h.side(side)
		check(err)
	}
	s.Err = errors.Join(errs...)
	return s
}

// journal returns the sync that has a journal but no record, and whether it is
// at work. Only then the lock is tried, for a moment: a sync that begins just
// now must not find it taken.
func (h *history) journal() (sync int, running bool, err error) {
	if h.dir == nil {
		return 0, false, nil
	}
	in, _, err := state.ReadJournal(h.dir)
	if errors.Is(err, state.ErrNoIntent) {
		return 0, false, nil
	}
	if err != nil || h.newest != nil && h.newest.Sync >= in.Sync {
		return 0, false, err
	}
	release, err := lock.Take(h.dir)
	if errors.Is(err, lock.ErrLocked) {
		return in.Sync, true, nil
	}
	if err == nil {
		release()
	}
	return in.Sync, false, err
}

// side looks at one store.
func (h *history) side(side merge.Side) (report.SideStatus, error) {
	s := h.mb.Online
	if side == merge.Offline {
		s = h.mb.Offline
	}
	var out report.SideStatus
	live, err := readLive(s.Path)
	if err != nil {
		return out, err
	}
	var fsInfo unix.Statfs_t
	if err := unix.Statfs(s.Path, &fsInfo); err == nil {
		out.Free = fsInfo.Bavail * uint64(fsInfo.Bsize)
	}
	if h.newest != nil {
		base, err := snapshot.Read(filepath.Join(s.Snapshots, h.newest.Snapshots[side]))
		if err == nil {
			changed := live.Generation != base.Generation
			out.Changed = &changed
		} else if !errors.Is(err, snapshot.ErrNotExist) {
			return out, err
		}
	}
	list, err := snapshot.List(s.Snapshots)
	if err != nil && !errors.Is(err, snapshot.ErrNotExist) {
		return out, err
	}
	for _, e := range list {
		if e.Side != side.String() {
			continue
		}
		if out.Snapshots == 0 || e.Info.Otime.Before(out.Oldest) {
			out.Oldest = e.Info.Otime
		}
		out.Snapshots++
	}
	return out, nil
}

// readLive reads a store as it is now: the generation that the kernel tells is
// that of the last commit, up to 30 s ago (btrfs(5), commit=), and a change
// since then would be passed over.
func readLive(path string) (snapshot.Info, error) {
	d, err := os.Open(path)
	if err != nil {
		return snapshot.Info{}, err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return snapshot.Info{}, fmt.Errorf("syncfs %q: %w", path, err)
	}
	return snapshot.Read(path)
}
