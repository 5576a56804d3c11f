package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
)

const logUsage = `Usage:
    snapmerge log [MAILBOX...] [OPTIONS]
    snapmerge log N [MAILBOX...] [OPTIONS]

List the past syncs of the mailboxes, the newest last, of all mailboxes of the
configuration if none is named; with a number, show everything that the sync of
that number did. Run it as root.

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
        --color WHEN    auto, always or never

EXIT STATUS
    0    done
    1    something could not be read, the message says what
    2    wrong usage or configuration, or there is no sync of that number

Example:
    $ sudo snapmerge log 7
    chris: sync 7, 2026-03-01 04:00, in 0.4 s
      home    1 placed
      online  1 moved
      home    place 1450677467.M20046P2137.mx INBOX  S  (new online)
      online  move 1450670001.M7P2137.mx INBOX -> work  S -> FS  (changed on both sides)
`

func setupLog(*pflag.FlagSet) runner {
	return func(_ context.Context, a *app, args []string) error {
		one := 0
		if len(args) > 0 {
			if n, err := strconv.Atoi(args[0]); err == nil {
				if one, args = n, args[1:]; one < 1 {
					return usageError(fmt.Sprintf("log: sync %d: the first one is 1", one), "")
				}
			}
		}
		_, list, err := a.mailboxes(args)
		if err != nil {
			return err
		}
		if one > 0 {
			return a.logOne(list, one)
		}
		return a.logAll(list)
	}
}

func (a *app) logAll(list []config.Mailbox) error {
	var logs []report.Log
	status := 0
	for _, mb := range list {
		l, err := a.summaries(mb)
		if err != nil {
			a.complain("mailbox "+mb.Name+": ", err)
			status = 1
		}
		logs = append(logs, l)
		a.show(report.LogText(l, a.style))
	}
	if a.json {
		a.print(report.LogJSON(logs))
	}
	if status != 0 {
		return silent(status)
	}
	return nil
}

// summaries reads all of a mailbox's past syncs that can be read; the error
// joins those that can not.
func (a *app) summaries(mb config.Mailbox) (report.Log, error) {
	l := report.Log{Mailbox: mb.Name}
	h, err := a.openHistory(mb)
	if err != nil {
		return l, err
	}
	defer h.close()
	if h.dir == nil {
		return l, nil
	}
	syncs, err := state.ListRecords(h.dir)
	if err != nil {
		return l, err
	}
	var errs []error
	for _, n := range syncs {
		s, err := state.ReadSummary(h.dir, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.Syncs = append(l.Syncs, *s)
	}
	l.Restores, err = h.restores(0)
	return l, errors.Join(append(errs, err)...)
}

// restores reads the restores that came after a sync, all for 0; the error joins
// those of what can not be read.
func (h *history) restores(after int) (out []*state.Restore, err error) {
	ids, err := state.ListRestores(h.dir)
	errs := []error{err}
	for _, id := range ids {
		if after > 0 && id.Sync != after {
			continue
		}
		r, err := state.ReadRestore(h.dir, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, r)
	}
	return out, errors.Join(errs...)
}

// logOne shows the sync of that number in each of the mailboxes that has one.
func (a *app) logOne(list []config.Mailbox, n int) error {
	var records []*state.Record
	var restores [][]*state.Restore
	status := 0
	for _, mb := range list {
		r, rest, err := a.record(mb, n)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.complain("mailbox "+mb.Name+": ", err)
			status = 1
		}
		if r != nil {
			records, restores = append(records, r), append(restores, rest)
			a.show(report.LogOneText(mb.Name, r, rest, a.style))
		}
	}
	if len(records) == 0 && status == 0 {
		return usageError(fmt.Sprintf("log: sync %d: there is none of that number", n), `see "snapmerge log"`)
	}
	if a.json {
		a.print(report.LogOneJSON(records, restores))
	}
	if status != 0 {
		return silent(status)
	}
	return nil
}

// record reads a sync's record and the restores after it. An error about these
// comes with the record.
func (a *app) record(mb config.Mailbox, n int) (*state.Record, []*state.Restore, error) {
	h, err := a.openHistory(mb)
	if err != nil {
		return nil, nil, err
	}
	defer h.close()
	if h.dir == nil {
		return nil, nil, fs.ErrNotExist
	}
	r, err := state.ReadRecord(h.dir, n)
	if err != nil {
		return nil, nil, err
	}
	restores, err := h.restores(n)
	return r, restores, err
}
