package main

import (
	"context"
	"errors"

	"github.com/spf13/pflag"

	"snapmerge/internal/engine"
	"snapmerge/internal/report"
)

const rotateUsage = `Usage:
    snapmerge rotate [MAILBOX...] [-n] [OPTIONS]

Delete the old snapshots of the mailboxes that preserve_min and preserve let go,
of all mailboxes of the configuration if none is named, and what interrupted
runs have left. Every sync does that at its end. What the next sync compares
with, what an open question is about, and what mail was deleted from within
preserve_min stays in any case. Online keeps no old snapshots. Run it as root.

    -n, --dry-run   show for every snapshot why it stays or goes, change nothing

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document; it has every snapshot
    -q, --quiet         print nothing but what needs attention
    -v, --verbose       print every snapshot, as -n does
        --color WHEN    auto, always or never

A line is: where (home; copies of online's snapshots at home; online), what
becomes of it, the snapshot, when it was taken, what it holds that nothing else
holds (if quota groups are on: btrfs quota enable), and why.

EXIT STATUS
    0    done
    1    something was not done, the message says what
    2    wrong usage or configuration, or a store is not fit: nothing was touched
    3    another run holds the lock
    75   online cannot be reached, nothing was touched

Example:
    $ sudo snapmerge rotate -n chris
    chris: 3 snapshots stay, 1 would go (nothing was changed)
      home    delete  offline.5  2026-02-11 04:00  1.2 MiB   kept neither by preserve_min 2d nor by preserve 14d 8w
      home    keep    offline.6  2026-02-28 04:00  40.0 KiB  first of its day, 1 day ago
      home    keep    offline.7  2026-03-01 04:00  16.0 KiB  the next sync compares with it
      online  keep    online.7   2026-03-01 04:00  16.0 KiB  the next sync compares with it
`

func setupRotate(fs *pflag.FlagSet) runner {
	dry := fs.BoolP("dry-run", "n", false, "")
	return func(ctx context.Context, a *app, args []string) error {
		_, list, err := a.mailboxes(args)
		if err != nil {
			return err
		}
		var all []report.Rotated
		var statuses []int
		for _, mb := range list {
			r := report.Rotated{Mailbox: mb.Name}
			r.Rotation, r.Err = engine.Rotate(ctx, mb, engine.Options{DryRun: *dry, Connect: connect})
			a.show(report.RotateText(r, *dry || a.verbose, a.style))
			a.tellOf(mb.Name, r.Err)
			if r.Rotation != nil && !a.json {
				for _, n := range r.Notes {
					a.note("mailbox " + mb.Name + ": " + n)
				}
			}
			all, statuses = append(all, r), append(statuses, exitStatus(r.Err))
		}
		if a.json {
			a.print(report.RotateJSON(all))
		}
		if st := combine(statuses); st != 0 {
			return silent(st)
		}
		return nil
	}
}

// tellOf complains about a mailbox. A problem of a store names it itself.
func (a *app) tellOf(mailbox string, err error) {
	about := "mailbox " + mailbox + ": "
	var problem *engine.Problem
	if errors.As(err, &problem) {
		about = ""
	}
	a.complain(about, err)
}
