package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/report"
)

const conflictsUsage = `Usage:
    snapmerge conflicts [list] [MAILBOX...] [SELECTION] [--exit-code]
    snapmerge conflicts show ID...
    snapmerge conflicts resolve ID... --take online|offline [-n|--now]
    snapmerge conflicts resolve --all [MAILBOX...] [SELECTION] --take online|offline [-n|--now]

Show and decide what waits since the last sync. An ID may be cut to its first
characters as long as they are those of one conflict only; CHRIS:ID is one of
the mailbox chris. An answer is recorded at once, with who gave it and when, and
acted upon by the next sync, unless the message was changed in the meantime:
then it waits again. "snapmerge review" goes through all of it in the terminal.

        --take SIDE       the side that is right
        --all             everything that waits, in the mailboxes named or in all
    -n, --dry-run         resolve: show what would be recorded, record nothing
        --now             resolve: act at once, with a sync of these mailboxes
        --exit-code       list: exit with 1 if anything waits

  SELECTION
        --kind KIND       only conflicts of that kind
        --folder PATTERN  only of folders that match, as listed: lists/**
        --older-than AGE  only what waits for longer: "2 weeks", 30d, 8w, 6m, 1y

    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
        --color WHEN    auto, always or never

Kinds, and what the next sync does:
    deleted-online      online: deletes it at home
                        offline: keeps it at home, as archive only
    deleted-offline     online: puts it back at home from its snapshot
                        offline: deletes it online
    delete-modify       deleted on one side, changed on the other: the state of
                        the side that is taken
    content-changed, name-taken, duplicate, refused, keyword-full
                        either: closed until the facts change. Nothing of
                        online's replaces anything at home.

EXIT STATUS
    0    done
    1    something could not be read, or with --exit-code: something waits
    2    wrong usage or configuration, no such conflict: nothing was recorded
    3    a sync is at work and holds the lock
    With --now also those of sync: the answers are recorded in any case.

Example:
    $ sudo snapmerge conflicts
    deleted-online  chris  INBOX  (1)
      4f1c2a9b8c7d  1450677467.M20046P2137.mx  since sync 7, 2015-12-22 04:00
        "Re: btrfs" from "Ann <ann@example.org>" of "Mon, 21 Dec 2015 03:31:17 +0100"
    $ sudo snapmerge conflicts resolve 4f1c --take offline
`

// conflictOptions are the options of all three.
type conflictOptions struct {
	take   string
	kind   string
	folder string
	older  string
	all    bool
	code   bool
	dry    bool
	now    bool
	pick   func(report.Item) bool // what kind, folder and older leave
}

func setupConflicts(fs *pflag.FlagSet) runner {
	var o conflictOptions
	fs.StringVar(&o.take, "take", "", "")
	fs.StringVar(&o.kind, "kind", "", "")
	fs.BoolVar(&o.all, "all", false, "")
	fs.BoolVar(&o.code, "exit-code", false, "")
	fs.StringVar(&o.folder, "folder", "", "")
	fs.StringVar(&o.older, "older-than", "", "")
	fs.BoolVarP(&o.dry, "dry-run", "n", false, "")
	fs.BoolVar(&o.now, "now", false, "")
	return func(ctx context.Context, a *app, args []string) error {
		what := "list"
		if len(args) > 0 && slices.Contains([]string{"list", "show", "resolve"}, args[0]) {
			what, args = args[0], args[1:]
		}
		err := o.check(what, args)
		if err == nil {
			o.pick, err = o.selection(time.Now())
		}
		if err != nil {
			return err
		}
		switch what {
		case "show":
			return a.showConflicts(args)
		case "resolve":
			return a.resolve(ctx, args, o)
		}
		return a.listConflicts(args, o)
	}
}

// check refuses options that the subcommand has not, one by one.
func (o conflictOptions) check(what string, args []string) error {
	const hint = `see "snapmerge conflicts --help"`
	bad := func(text string) error { return usageError("conflicts "+what+": "+text, hint) }
	switch {
	case what != "resolve" && o.take != "":
		return bad("--take is for resolve only")
	case what != "resolve" && o.all:
		return bad("--all is for resolve only")
	case what != "list" && o.code:
		return bad("--exit-code is for list only")
	case what != "resolve" && o.dry:
		return bad("--dry-run is for resolve only")
	case what != "resolve" && o.now:
		return bad("--now is for resolve only")
	case o.dry && o.now:
		return bad("--now and --dry-run exclude each other")
	case what == "show" && o.selective():
		return bad("--kind, --folder and --older-than are for list and resolve --all only")
	case what == "show" && len(args) == 0:
		return bad("which one? give an ID")
	case what != "resolve":
		return nil
	case o.take != "online" && o.take != "offline":
		return bad("which side is right? --take online or --take offline")
	case !o.all && o.selective():
		return bad("--kind, --folder and --older-than go with --all only")
	case !o.all && len(args) == 0:
		return bad("which one? give an ID, or --all")
	}
	return nil
}

func (a *app) listConflicts(mailboxes []string, o conflictOptions) error {
	_, list, err := a.mailboxes(mailboxes)
	if err != nil {
		return err
	}
	items, readErr := a.items(list)
	items = slices.DeleteFunc(items, func(it report.Item) bool { return !o.pick(it) })
	a.show(report.ConflictsText(items, a.style))
	if a.json {
		a.print(report.ConflictsJSON(items))
	}
	if readErr != nil || o.code && report.Undecided(items) > 0 {
		return silent(1)
	}
	return nil
}

// items collects the conflicts of the mailboxes. What can not be read has been
// said; the error only tells that something was left out.
func (a *app) items(list []config.Mailbox) (items []report.Item, failed error) {
	for _, mb := range list {
		h, err := a.openHistory(mb)
		if err == nil {
			var own []report.Item
			own, err = h.items()
			items = append(items, own...)
			h.close()
		}
		if err != nil {
			a.complain("mailbox "+mb.Name+": ", err)
			failed = silent(1)
		}
	}
	report.SortItems(items)
	return items, failed
}

func (a *app) showConflicts(ids []string) error {
	_, list, err := a.mailboxes(nil)
	if err != nil {
		return err
	}
	items, readErr := a.items(list)
	found, err := choose(items, ids)
	if err != nil {
		return err
	}
	for _, it := range found {
		a.show(report.ConflictText(it, a.style))
	}
	if a.json {
		a.print(report.ConflictsJSON(found))
	}
	return readErr
}

// choose finds the items of those IDs, each once, in the order of the list.
func choose(items []report.Item, ids []string) ([]report.Item, error) {
	chosen := map[int]bool{}
	for _, id := range ids {
		mailbox, prefix, ok := strings.Cut(id, ":")
		if !ok {
			mailbox, prefix = "", id
		}
		var hits []int
		for i, it := range items {
			if prefix != "" && strings.HasPrefix(it.ID, prefix) && (mailbox == "" || mailbox == it.Mailbox) {
				hits = append(hits, i)
			}
		}
		switch n := len(hits); {
		case n == 0:
			return nil, usageError(fmt.Sprintf("conflict %q: nothing of that ID waits", id), `see "snapmerge conflicts"`)
		case n > 1:
			hint := "it may be"
			if len(hits) > 8 {
				hint, hits = "among them are", hits[:8]
			}
			for _, i := range hits {
				hint += " " + items[i].Mailbox + ":" + items[i].ID
			}
			return nil, usageError(fmt.Sprintf("conflict %q: there are %d of that ID", id, n), hint)
		}
		chosen[hits[0]] = true
	}
	var out []report.Item
	for i, it := range items {
		if chosen[i] {
			out = append(out, it)
		}
	}
	return out, nil
}
