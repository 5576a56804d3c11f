package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/host"
	"snapmerge/internal/lock"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

const statusUsage = `Usage:
    snapmerge status [MAILBOX...] [--exit-code] [--prometheus] [OPTIONS]
    snapmerge status --rules [MAILBOX...] [OPTIONS]

Show how the mailboxes stand, all of the configuration if none is named: the
last sync, how much mail it left on each side, whether a side has changed since
the snapshot that it took (its own changes count too), what waits, snapshots,
and free space. Where btrfs counts it (btrfs quota enable), also what each
snapshot holds that nothing else holds, added up: deleting several frees more,
as what only they share goes too. Else nobody knows. Run it as root.

        --exit-code     exit with 1 if anything waits for a decision
        --prometheus    print metrics for node_exporter's textfile collector; a
                        sync that fails leaves last_sync_timestamp_seconds as it
                        is, so that is what to watch
        --rules         show for every folder the rule that it has in the
                        configuration, what a sync would expire online now, and
                        when something is due next: as of the last sync, so online
                        is not asked

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
        --color WHEN    auto, always or never

EXIT STATUS
    0    done
    1    something could not be read, or with --exit-code: something waits
    2    wrong usage or configuration
    75   online cannot be reached; what home knows is shown

Example:
    $ sudo snapmerge status
    chris: sync 7, 2026-03-01 04:00, in 0.4 s
      home    5 placed, 1 moved
      deleted-online: 1 waits for a decision
      home    104211 mails, 7.3 GiB; changed since (by sync 7 at least)
              21 snapshots, the oldest of 2025-01-01 04:00; 1.2 TiB free
      online  9120 mails, 641.0 MiB; unchanged since
              1 snapshot, the oldest of 2026-03-01 04:00; 3.1 GiB free
    # crontab: a file that changes at once or not at all
    */15 * * * * cd /var/lib/node_exporter && /usr/local/sbin/snapmerge status --prometheus >snapmerge.new; [ -s snapmerge.new ] && mv snapmerge.new snapmerge.prom
`

func setupStatus(fs *pflag.FlagSet) runner {
	code, rules := fs.Bool("exit-code", false, ""), fs.Bool("rules", false, "")
	prometheus := fs.Bool("prometheus", false, "")
	return func(ctx context.Context, a *app, args []string) error {
		if *prometheus && (a.json || *rules) {
			return usageError("status: --prometheus goes with neither --json nor --rules", `see "snapmerge status --help"`)
		}
		cfg, list, err := a.mailboxes(args)
		if err != nil {
			return err
		}
		if *rules {
			return a.showRules(cfg, list)
		}
		var all []report.Status
		status, waits := 0, 0
		for _, mb := range list {
			s := a.status(ctx, mb, cfg.StateDir)
			if s.Err != nil {
				a.complain("mailbox "+mb.Name+": ", s.Err)
				status = max(status, exitStatus(s.Err))
			}
			waits += report.Undecided(s.Items)
			all = append(all, s)
			if !*prometheus {
				a.show(report.StatusText(s, a.style))
			}
		}
		if *prometheus {
			a.print(report.StatusPrometheus(all))
		}
		if a.json {
			a.print(report.StatusJSON(all))
		}
		if status == 0 && *code && waits > 0 {
			status = 1
		}
		if status != 0 {
			return silent(status)
		}
		return nil
	}
}

// status collects what is known of a mailbox; what can not be read is left out
// and said in Err.
func (a *app) status(ctx context.Context, mb config.Mailbox, stateDir string) report.Status {
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
	var waiting error
	s.Items, waiting = h.items()
	check(waiting)
	s.Stale, err = h.stale(time.Now())
	check(err)
	s.Interrupted, s.Running, err = h.journal()
	check(err)
	s.Known = waiting == nil && err == nil
	for _, side := range merge.Sides {
		s.Sides[side], err = h.side(ctx, side)
		check(err)
	}
	if h.newest != nil {
		if stored, ok := engine.Stored(stateDir, mb, h.newest); ok {
			for _, side := range merge.Sides {
				s.Sides[side].Stored = &stored[side]
			}
		}
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

// pathOf is where a side's store is on this machine, "" if it is on another one.
func pathOf(mb config.Mailbox, side merge.Side) string {
	switch {
	case side == merge.Offline:
		return mb.Offline.Path
	case mb.Online.Host == "":
		return mb.Online.Path
	}
	return ""
}

// side looks at one store.
func (h *history) side(ctx context.Context, side merge.Side) (out report.SideStatus, err error) {
	var store host.Host
	if side == merge.Offline {
		store, err = engine.LookHome(h.mb)
	} else {
		store, err = look(ctx, h.mb)
	}
	if err != nil {
		return out, err
	}
	defer store.Close()
	facts, err := store.Look(ctx, false)
	if err != nil {
		return out, err
	}
	for i := range facts.Problems {
		if p := &facts.Problems[i]; p.Gone {
			return out, fmt.Errorf("%s: %w", side, p)
		}
	}
	out.Free = &facts.Free
	used, err := snapshot.Exclusive(pathOf(h.mb, side)) // an error: nobody knows
	known := err == nil
	for _, e := range facts.Snapshots {
		if h.newest != nil && e.Name == h.newest.Snapshots[side] {
			// Not by the generation: that grows with every snapshot that is taken, also
			// by sync -n and verify.
			changed := facts.Live.Ctransid > e.Info.Otransid
			out.Changed = &changed
		}
		if out.Snapshots == 0 || e.Info.Otime.Before(out.Oldest) {
			out.Oldest = e.Info.Otime
		}
		out.Snapshots++
		n, ok := used[e.Info.ID]
		out.Alone, known = out.Alone+n, known && ok
	}
	out.AloneKnown = known
	return out, nil
}
