package main

import (
	"context"

	"github.com/spf13/pflag"

	"snapmerge/internal/report"
	"snapmerge/internal/verify"
)

const verifyUsage = `Usage:
    snapmerge verify [MAILBOX...] [--digest] [--rebuild] [OPTIONS]

Look whether everything is as it should be: the records of all syncs, the
snapshots, the index, and home's mail, each against the others; and that no old
mail at home was written to since its first snapshot. Nothing is changed. All
mailboxes of the configuration are looked at if none is named. Run it as root.

        --digest        read every mail at home, note its SHA-256, and compare it
                        with the one noted first; if it is interrupted, the next
                        run goes on from there
        --rebuild       make the index anew; a sync that needs it does so itself

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
        --color WHEN    auto, always or never

Each finding has a name, tells where, and how to mend it; doc/verify.md lists
them all. What a mail client may do, moving or deleting mail for one, is none.

EXIT STATUS
    0    nothing was found
    1    something could not be looked at, the message says what
    2    wrong usage or configuration, or a store is not fit
    3    another run holds the lock
    5    something was found
    75   online cannot be reached, nothing was looked at
    130  interrupted

Example:
    $ sudo snapmerge verify chris
    chris: 1 finding (212 records, 31 snapshots, 38122 mails)
    mail-empty: mail at home is empty
      /srv/mail/chris/cur/1450677467.M20046P2137.mx:2,S: it has no byte
      mend: compare it with the snapshots, and if they are right: move it away, then snapmerge restore
`

func setupVerify(fl *pflag.FlagSet) runner {
	digest := fl.Bool("digest", false, "")
	rebuild := fl.Bool("rebuild", false, "")
	return func(ctx context.Context, a *app, args []string) error {
		cfg, list, err := a.mailboxes(args)
		if err != nil {
			return err
		}
		var all []report.Verified
		var statuses []int
		damaged := false
		for _, mb := range list {
			p := a.progress(mb.Name)
			v := report.Verified{Mailbox: mb.Name}
			v.Result, v.Err = verify.Run(ctx, mb, cfg.StateDir, verify.Options{Digest: *digest, Rebuild: *rebuild, Progress: p.update, Connect: connect})
			p.stop()
			status := exitStatus(v.Err)
			if v.Result != nil && len(v.Findings) > 0 {
				damaged = true
				if !a.json {
					a.print(report.VerifyText(v, a.style)) // needs attention, so also if quiet
				}
			} else {
				a.show(report.VerifyText(v, a.style))
			}
			if v.Result != nil && !a.json {
				for _, n := range v.Notes {
					a.note("mailbox " + mb.Name + ": " + n)
				}
			}
			a.tellOf(mb.Name, v.Err)
			all, statuses = append(all, v), append(statuses, status)
		}
		if a.json {
			a.print(report.VerifyJSON(all))
		}
		switch st := combine(statuses); {
		case st == 0 && damaged:
			return silent(5)
		case st != 0:
			return silent(st)
		}
		return nil
	}
}
