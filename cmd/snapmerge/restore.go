package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/report"
)

const restoreUsage = `Usage:
    snapmerge restore MAILBOX --sync N            all that sync N deleted
    snapmerge restore MAILBOX --id KEY...         these mails
    snapmerge restore MAILBOX --folder FOLDER and/or --since TIME
                                                  what snapshots have and home has not

Bring mail back home from the snapshots that are kept: into the folder where it
was, with its flags and date, as a file of its own that shares its content with
the snapshot. Nothing is replaced; what is there already stays as it is. The
next sync takes it for your wish. Run it as root. A KEY is what "log N" calls
the mail, or the beginning of its file name.

        --sync N        what the sync of that number deleted, on either side
        --id KEY        the mail of that key, as it was last; can be repeated
        --folder FOLDER only what was in that folder when it was last seen
        --since TIME    only what was there since then: 2026-02-01, or with a
                        time of day, 2026-02-01T12:00
        --into FOLDER   put all of it there instead
        --online        put it back online as well
    -n, --dry-run       show what would be brought back and from where

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
        --color WHEN    auto, always or never

A mail that went online as well stays at home only, unless --online is given.
Restores are in the log.

EXIT STATUS
    0    everything that was asked for is there
    1    something is not, the message says what and why
    2    wrong usage or configuration, no such sync, or a sync was interrupted:
         nothing was touched
    3    another run holds the lock
    75   online cannot be reached, nothing was touched (with --online)

Example:
    $ sudo snapmerge restore chris --sync 7
    chris: restore 7.1 brought back 2 mails
      home    restore 1450677467.M20046P2137.mx INBOX  S  from offline.7
      home    restore 1450670001.M7P2137.mx work  FS [todo]  from offline.6
`

func setupRestore(fl *pflag.FlagSet) runner {
	var o engine.RestoreOptions
	var since string
	fl.IntVar(&o.Sync, "sync", 0, "")
	fl.StringArrayVar(&o.IDs, "id", nil, "")
	fl.StringVar(&o.Folder, "folder", "", "")
	fl.StringVar(&since, "since", "", "")
	fl.StringVar(&o.Into, "into", "", "")
	fl.BoolVar(&o.Online, "online", false, "")
	fl.BoolVarP(&o.DryRun, "dry-run", "n", false, "")
	return func(ctx context.Context, a *app, args []string) error {
		mb, err := a.restoreMailbox(fl, args, &o, since)
		if err != nil {
			return err
		}
		o.Who, o.Asked, o.Connect = who(), askedFor(fl), connect
		r := report.Restored{Mailbox: mb.Name}
		r.Restoration, r.Err = engine.Restore(ctx, mb, o)
		if errors.Is(r.Err, fs.ErrNotExist) && o.Sync > 0 && r.Restoration == nil {
			r.Err = usageError(fmt.Sprintf("restore: sync %d: there is no record of it", o.Sync), `see "snapmerge log"`)
		}
		a.show(report.RestoreText(r, a.style))
		if a.json {
			a.print(report.RestoreJSON(r))
		} else if r.Restoration != nil {
			for _, n := range r.Notes {
				a.note("mailbox " + mb.Name + ": " + n)
			}
		}
		a.tellOf(mb.Name, r.Err)
		switch {
		case r.Err != nil:
			return silent(exitStatus(r.Err))
		case r.Missed() > 0:
			return silent(1)
		}
		return nil
	}
}

// restoreMailbox checks what was asked for.
func (a *app) restoreMailbox(fl *pflag.FlagSet, args []string, o *engine.RestoreOptions, since string) (config.Mailbox, error) {
	fail := func(text string) (config.Mailbox, error) {
		return config.Mailbox{}, usageError("restore: "+text, `see "snapmerge restore --help"`)
	}
	if len(args) == 0 {
		return fail("which mailbox?")
	}
	if len(o.IDs) > 0 { // the other keys of a list
		o.IDs = append(o.IDs, args[1:]...)
	} else if len(args) > 1 {
		return fail("one mailbox at a time")
	}
	bySearch := o.Folder != "" || since != ""
	switch {
	case fl.Changed("sync") && o.Sync < 1:
		return fail(fmt.Sprintf("sync %d: the first one is 1", o.Sync))
	case o.Sync > 0 && len(o.IDs) > 0 || bySearch && (o.Sync > 0 || len(o.IDs) > 0):
		return fail("one of --sync, --id, and --folder with --since")
	case o.Sync == 0 && len(o.IDs) == 0 && !bySearch:
		return fail("what? --sync, --id, --folder or --since")
	}
	if since != "" {
		var err error
		if o.Since, err = parseSince(since); err != nil {
			return fail(err.Error())
		}
	}
	_, list, err := a.mailboxes(args[:1])
	if err != nil {
		return config.Mailbox{}, err
	}
	if o.Into != "" {
		if _, err := list[0].Offline.Layout.Dir(o.Into); err != nil {
			return fail("--into: " + err.Error())
		}
	}
	return list[0], nil
}

func parseSince(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q: not like 2026-02-01 or 2026-02-01T12:00", s)
}

// askedFor are the options that say what was wanted, for the log.
func askedFor(fl *pflag.FlagSet) string {
	var out []string
	for _, name := range []string{"sync", "id", "folder", "since", "into", "online"} {
		if f := fl.Lookup(name); f.Changed {
			out = append(out, "--"+name+" "+strings.Trim(f.Value.String(), "[]"))
		}
	}
	return strings.TrimSuffix(strings.Join(out, " "), " true")
}
