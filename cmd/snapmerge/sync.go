package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/report"
)

const syncUsage = `Usage:
    snapmerge sync [MAILBOX...] [-n] [OPTIONS]

Bring both sides of the mailboxes in step, of all mailboxes of the
configuration if none is named. Run it as root. Mailboxes are independent: one
that fails does not stop the others.

    -n, --dry-run           show what would be done and change nothing
        --max-deletions N   in this sync alone, delete up to N mails a side where
                            the policy is to delete: in place of max_deletions,
                            and also if it is more than half of the mail. With
                            one more all are held; 0 holds every one. What waits
                            already is for "snapmerge conflicts resolve"

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document; with -v it has every action and
                        the time of every stage
    -q, --quiet         print nothing but what needs attention
    -v, --verbose       print every action: where, what, which message, and why;
                        and the time of every stage
        --color WHEN    auto, always or never

What a mail client changed while the sync was at work is left alone, named, and
merged by the next sync. What waits for a decision is shown by
"snapmerge conflicts". An interrupted sync is finished by the next one.

EXIT STATUS
    0    done, also if something waits for a decision
    1    something was not done, the message says what
    2    wrong usage or configuration, or a store is not fit: nothing was touched
    3    another run holds the lock
    75   online cannot be reached, nothing was touched
    130  interrupted

Example:
    $ sudo snapmerge sync chris
    chris: sync 7 in 0.4 s
      home    5 placed, 1 moved, 2 flags changed
      online  1 moved, 1 flags changed
      1 waits for a decision (snapmerge conflicts)
`

func setupSync(fs *pflag.FlagSet) runner {
	dry := fs.BoolP("dry-run", "n", false, "")
	most := fs.Int("max-deletions", -1, "")
	return func(ctx context.Context, a *app, args []string) error {
		opt := engine.Options{DryRun: *dry}
		if fs.Changed("max-deletions") {
			if opt.MaxDeletions = most; *most < 0 {
				return usageError(fmt.Sprintf("sync: --max-deletions %d: less than none", *most), `see "snapmerge sync --help"`)
			}
		}
		cfg, list, err := a.mailboxes(args)
		if err != nil {
			return err
		}
		if err := a.hooksAllowed(list); err != nil {
			return err
		}
		done, err := a.syncAll(ctx, list, cfg.StateDir, opt)
		if a.json {
			a.print(report.SyncJSON(done, a.verbose))
		}
		return err
	}
}

// syncAll syncs one mailbox after the other and shows what becomes of each. The
// error is only a status.
func (a *app) syncAll(ctx context.Context, list []config.Mailbox, stateDir string, opt engine.Options) ([]report.Sync, error) {
	var done []report.Sync
	var statuses []int
	for _, mb := range list {
		s := a.sync(ctx, mb, stateDir, opt)
		a.after(ctx, mb, &s)
		a.show(report.SyncText(s, a.verbose, a.style))
		a.tell(s)
		done, statuses = append(done, s), append(statuses, syncStatus(s))
	}
	if st := combine(statuses); st != 0 {
		return done, silent(st)
	}
	return done, nil
}

// sync runs the sync of one mailbox.
func (a *app) sync(ctx context.Context, mb config.Mailbox, stateDir string, opt engine.Options) report.Sync {
	s := report.Sync{Mailbox: mb.Name, DryRun: opt.DryRun}
	if err := ctx.Err(); err != nil {
		s.Err = fmt.Errorf("sync: not begun: %w", err)
		return s
	}
	p := a.progress(mb.Name)
	opt.Progress, opt.Connect = p.update, connect
	res, err := engine.Sync(ctx, mb, stateDir, opt)
	p.stop()
	s.Err = err
	if res != nil {
		s.Record, s.Notes, s.Stale, s.Interrupted, s.Stages = res.Record, res.Notes, res.Stale, res.Interrupted, res.Stages
	}
	return s
}

// tell prints on standard error what needs attention.
func (a *app) tell(s report.Sync) {
	// In the JSON document they are fields, but for what was not done: that is
	// named in any case.
	for _, line := range report.SyncNotes(s, !a.json) {
		a.note("mailbox " + s.Mailbox + ": " + line)
	}
	a.tellOf(s.Mailbox, s.Err)
}

func syncStatus(s report.Sync) int {
	if s.Err == nil && (s.Failed() > 0 || s.HookFailed()) {
		return 1
	}
	return exitStatus(s.Err)
}
