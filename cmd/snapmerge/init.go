package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/dovecot"
	"snapmerge/internal/engine"
	"snapmerge/internal/report"
)

const initUsage = `Usage:
    snapmerge init [MAILBOX...] [OPTIONS]

Check everything that a sync of the mailboxes needs, of all mailboxes of the
configuration if none is named; say all that is wrong at once, and how to mend
it. Folders for snapshots and state are made, with mode 0700. A mailbox that is
ready is measured, and what its next sync would do is shown. The settings of
this machine's Dovecot (doveconf -n) that would get in the way are named. No mail is
changed. Run it as root, as often as you like.

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
        --color WHEN    auto, always or never

EXIT STATUS
    0    all of them are ready
    1    something could not be checked, the message says what
    2    wrong usage or configuration, or a mailbox is not ready
    3    another run holds the lock
    75   online cannot be reached, nothing was touched
    130  interrupted

Example:
    $ sudo snapmerge init
    chris: ready
      home    38122 mails in 61 folders
      online  2114 mails in 58 folders
    chris: sync 1 would do (nothing was changed)
      home    2114 placed
`

func setupInit(*pflag.FlagSet) runner {
	return func(ctx context.Context, a *app, args []string) error {
		cfg, list, err := a.mailboxes(args)
		if err != nil {
			return err
		}
		if os.Geteuid() == 0 {
			if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
				return &statusError{fmt.Errorf("state directory: %w", err), 2, ""}
			}
		}
		var ready []report.Ready
		var statuses []int
		for _, mb := range list {
			r, err := a.initMailbox(ctx, mb, cfg.StateDir)
			statuses = append(statuses, exitStatus(err))
			if err != nil {
				continue
			}
			ready = append(ready, r)
			a.show(report.ReadyText(r, a.style))
			if advice := r.Advice(); advice != "" {
				a.note("mailbox " + mb.Name + ": " + advice)
			}
			for _, text := range r.Dovecot {
				a.note("mailbox " + mb.Name + ": Dovecot: " + text)
			}
		}
		if a.json {
			a.print(report.ReadyJSON(ready))
		}
		if st := combineInit(statuses); st != 0 {
			return silent(st)
		}
		return nil
	}
}

// combineInit: a mailbox that is not ready makes it 2 whatever the others are,
// for init touches no mail in any of them.
func combineInit(statuses []int) int {
	worst := combine(statuses)
	for _, s := range statuses {
		if s == 2 && worst == 1 {
			return 2
		}
	}
	return worst
}

// initMailbox checks and measures one mailbox. It has said what is wrong.
func (a *app) initMailbox(ctx context.Context, mb config.Mailbox, stateDir string) (report.Ready, error) {
	r := report.Ready{Mailbox: mb.Name, MaxDeletions: mb.Merge.MaxDeletions}
	about := "mailbox " + mb.Name + ": "
	if err := ctx.Err(); err != nil {
		return r, err
	}
	err := makeFolders(mb)
	if err == nil {
		r.Sides, err = measure(ctx, mb)
	}
	if err != nil {
		var problem *engine.Problem
		if errors.As(err, &problem) {
			about = "" // it names the mailbox itself
		}
		a.complain(about, err)
		return r, err
	}
	r.Dovecot = a.askDovecot(ctx, mb)
	r.Sync = a.sync(ctx, mb, stateDir, engine.Options{DryRun: true})
	a.tell(r.Sync)
	return r, r.Sync.Err
}

// askDovecot returns what this machine's Dovecot should have set otherwise. It
// serves home, and online if that is a path here; nobody asks one elsewhere.
func (a *app) askDovecot(ctx context.Context, mb config.Mailbox) (out []string) {
	settings, err := dovecot.Ask(ctx)
	if err != nil {
		return []string{"its settings are not known: " + err.Error()}
	}
	return settings.Advice(dovecot.Store{Layout: mb.Offline.Layout, Control: mb.Offline.Control, Both: mb.Online.Host == ""})
}

// measure checks both stores and counts what they hold.
func measure(ctx context.Context, mb config.Mailbox) (figures [2]report.Figures, err error) {
	h, err := engine.OpenHosts(ctx, mb, connect, true)
	if err != nil {
		return figures, err
	}
	defer h.Close()
	for side, f := range h.Facts {
		figures[side] = report.Figures{Mails: f.Mails, Folders: f.Folders}
	}
	return figures, nil
}
