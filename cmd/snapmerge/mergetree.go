package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/report"
	"snapmerge/merge"
	"snapmerge/tree"
)

const mergeTreeUsage = `Usage:
    snapmerge merge-tree ONLINE-BASE ONLINE OFFLINE-BASE OFFLINE [OPTIONS]

Show what a sync would do with four tables: each side at the last sync, and
now. It is the planner that "snapmerge sync" has. It needs no root and touches
nothing but the tables and the configuration, so it is good for trying a
configuration, and for bug reports: tables have no contents of mails. One of
the tables may be "-", standard input.

        --mailbox NAME  the mailbox of the configuration whose policy counts
        --now TIME      the clock, as in 2026-03-01T04:00:00+01:00
        --last-sync TIME
                        the clock of the last sync; without it there was none
        --from KEY=ADDRESS
                        a mail's sender, for keep_from; any number of times.
                        Other mail's sender counts as unreadable

    -c, --config FILE   where the policy comes from; without it and --mailbox it
                        is that of a mailbox that configures nothing
        --json          print one JSON document instead of text
    -q, --quiet         print nothing, only the exit status counts
        --color WHEN    auto, always or never

A line of a table is a placement, "#" begins a comment:
    FOLDER<TAB>KEY<TAB>FLAGS[<TAB>KEYWORDS[<TAB>RECEIVED[<TAB>CTIME]]]
with "-" for none, commas between keywords, and times as above. A folder is
there if a table of its side names it, now or at the last sync.

EXIT STATUS
    0    done
    1    done, and there are conflicts
    2    wrong usage, configuration or table

Example:
    $ printf 'INBOX\ta\tS\n' >base
    $ printf 'INBOX\ta\tFS\n' >online
    $ printf 'work\ta\tS\n' >offline
    $ snapmerge merge-tree base online base offline
    online  make-folder  work
    offline  flag  a  work  FS
    online  move  a  INBOX -> work  FS
    ...
`

func setupMergeTree(fs *pflag.FlagSet) runner {
	mailbox := fs.String("mailbox", "", "")
	now := fs.String("now", "", "")
	last := fs.String("last-sync", "", "")
	from := fs.StringArray("from", nil, "")
	return func(_ context.Context, a *app, args []string) error {
		if len(args) != 4 {
			return usageError(fmt.Sprintf("merge-tree: %d tables, it takes 4: ONLINE-BASE ONLINE OFFLINE-BASE OFFLINE", len(args)),
				`see "snapmerge merge-tree --help"`)
		}
		clock, err := timeOption("--now", *now, time.Now())
		if err != nil {
			return err
		}
		policy, err := a.policy(*mailbox, clock)
		if err != nil {
			return err
		}
		if policy.LastSync, err = timeOption("--last-sync", *last, time.Time{}); err != nil {
			return err
		}
		tables, err := a.readTables(args)
		if err != nil {
			return err
		}
		in := mergeInput(tables)
		if err := addSenders(in.Messages, *from); err != nil {
			return err
		}
		plan := merge.Merge(in, policy)
		p := report.Plan{Plan: plan, Result: resultTables(in, plan)}
		a.show(report.PlanText(p, a.style))
		if a.json {
			a.print(report.PlanJSON(p))
		}
		if len(plan.Conflicts) > 0 {
			return silent(1)
		}
		return nil
	}
}

// timeOption reads a time, or returns what counts without the option.
func timeOption(option, value string, without time.Time) (time.Time, error) {
	if value == "" {
		return without, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, usageError(fmt.Sprintf("%s %q: no time like 2026-03-01T04:00:00+01:00", option, value), "")
	}
	return t, nil
}

// addSenders gives messages the senders that the command line names.
func addSenders(ms []merge.Message, senders []string) error {
	for _, s := range senders {
		// A key may have a "=", what is behind it rarely.
		cut := strings.LastIndexByte(s, '=')
		i := slices.IndexFunc(ms, func(m merge.Message) bool { return cut >= 0 && m.ID == s[:cut] })
		if i < 0 {
			return usageError(fmt.Sprintf("--from %q: no KEY=ADDRESS of a mail in the tables", s), "")
		}
		ms[i].From = append(ms[i].From, s[cut+1:])
	}
	return nil
}

// policy is that of a mailbox of the configuration, or the default one.
func (a *app) policy(mailbox string, now time.Time) (merge.Policy, error) {
	if a.config == "" && mailbox == "" {
		p := merge.DefaultPolicy()
		p.Now, p.Location = now, now.Location()
		return p, nil
	}
	cfg, err := config.LoadPolicies(a.configFile())
	if err != nil {
		return merge.Policy{}, configError(err)
	}
	if mailbox == "" {
		if len(cfg.Mailboxes) > 1 {
			return merge.Policy{}, usageError("merge-tree: the configuration has several mailboxes", "say which with --mailbox")
		}
		return cfg.Mailboxes[0].Policy(now), nil
	}
	mb := cfg.Mailbox(mailbox)
	if mb == nil {
		return merge.Policy{}, unknownMailbox(a.configFile(), mailbox, cfg)
	}
	return mb.Policy(now), nil
}

// readTables reads the four tables in the order of the arguments.
func (a *app) readTables(args []string) (tables [4][]tree.Row, err error) {
	stdin := 0
	for i, name := range args {
		if name == "-" {
			stdin++
		}
		if stdin > 1 {
			return tables, usageError("merge-tree: standard input can be one of the tables only", "")
		}
		if tables[i], err = a.readTable(name); err != nil {
			return tables, &statusError{err, 2, ""}
		}
	}
	return tables, nil
}

func (a *app) readTable(name string) ([]tree.Row, error) {
	var r io.Reader = a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			var path *os.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			return nil, fmt.Errorf("table %q: %w", name, err)
		}
		defer f.Close()
		r = f
	}
	rows, err := tree.ReadTable(r)
	if err != nil {
		return nil, fmt.Errorf("table %q: %s", name, strings.TrimPrefix(err.Error(), "table: "))
	}
	return rows, nil
}
