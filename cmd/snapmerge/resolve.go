package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/lock"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// resolve records answers, and with --now syncs.
func (a *app) resolve(ctx context.Context, args []string, o conflictOptions) error {
	names := args
	if !o.all {
		names = nil // they are IDs
	}
	cfg, list, err := a.mailboxes(names)
	if err == nil && o.now {
		err = a.hooksAllowed(list)
	}
	if err != nil {
		return err
	}
	items, err := a.recordAnswers(list, args, o)
	if err != nil {
		return err
	}
	switch {
	case len(items) == 0:
		a.show("nothing waits for a decision\n")
	case o.dry:
		a.show("would be recorded (nothing was changed):\n")
	}
	a.show(report.ResolvedText(items, a.style))
	var synced []report.Sync
	if o.now {
		synced, err = a.syncAll(ctx, decidedIn(list, items), cfg.StateDir, engine.Options{})
	}
	if a.json {
		a.print(report.ConflictsJSON(items, synced...))
	}
	return err
}

// recordAnswers gives all of the chosen conflicts the same answer. Nothing is
// recorded before all of them are known to be good, and the locks are held from
// reading on: a sync in between would change what the IDs mean.
func (a *app) recordAnswers(list []config.Mailbox, args []string, o conflictOptions) ([]report.Item, error) {
	take := merge.Online
	if o.take == "offline" {
		take = merge.Offline
	}
	histories, release, err := a.lockHistories(list)
	defer release()
	if err != nil {
		return nil, err
	}
	items, err := chosen(histories, args, o)
	if err != nil {
		return nil, err
	}
	for i := range items {
		items[i].Decided = &take
	}
	if o.dry {
		return items, nil
	}
	return items, decideAll(histories, items)
}

// decideAll records the answers that the items have.
func decideAll(histories []*history, items []report.Item) error {
	for _, h := range histories {
		if err := h.decide(items); err != nil {
			return fmt.Errorf("mailbox %s: %w", h.mb.Name, err)
		}
	}
	return nil
}

// decidedIn returns the mailboxes of the items.
func decidedIn(list []config.Mailbox, items []report.Item) (out []config.Mailbox) {
	for _, mb := range list {
		if slices.ContainsFunc(items, func(it report.Item) bool { return it.Mailbox == mb.Name }) {
			out = append(out, mb)
		}
	}
	return out
}

// chosen returns the items that are to be decided.
func chosen(histories []*history, args []string, o conflictOptions) ([]report.Item, error) {
	var items []report.Item
	for _, h := range histories {
		own, err := h.items()
		if err != nil {
			return nil, fmt.Errorf("mailbox %s: %w", h.mb.Name, err)
		}
		items = append(items, own...)
	}
	report.SortItems(items)
	if o.all {
		return slices.DeleteFunc(items, func(it report.Item) bool { return it.Decided != nil || !o.pick(it) }), nil
	}
	return choose(items, args)
}

// lockHistories locks and reads the mailboxes that were synced once. release
// is never nil.
func (a *app) lockHistories(list []config.Mailbox) (histories []*history, release func(), err error) {
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	for _, mb := range list {
		h, err := a.lockHistory(mb, &releases)
		if err != nil {
			return nil, release, fmt.Errorf("mailbox %s: %w", mb.Name, err)
		}
		if h != nil {
			histories = append(histories, h)
		}
	}
	return histories, release, nil
}

func (a *app) lockHistory(mb config.Mailbox, releases *[]func()) (*history, error) {
	dir, err := os.Open(mb.Offline.Snapshots)
	if os.IsNotExist(err) {
		// Never synced; but if the mailbox is not there either, nobody knows what waits.
		_, err = os.Stat(mb.Offline.Path)
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	unlock, err := lock.Take(dir)
	if err != nil {
		return nil, err
	}
	*releases = append(*releases, unlock)
	h, err := a.openHistory(mb)
	if err == nil {
		*releases = append(*releases, h.close)
	}
	return h, err
}

// decide records the answers to the mailbox's own items.
func (h *history) decide(items []report.Item) error {
	answers := map[string]state.Decided{}
	for _, it := range items {
		if it.Mailbox != h.mb.Name {
			continue
		}
		d := state.Decided{Message: it.Message, Who: who(), At: time.Now().UTC()}
		if it.Decided != nil { // else one that answers no question replaces the one that did
			d.Decision = merge.Decision{State: it.State, Take: *it.Decided}
		}
		answers[it.ID] = d
	}
	if len(answers) == 0 {
		return nil
	}
	return state.Decide(h.dir, answers)
}

// who is the person at the keyboard, for the record: not root, if it is sudo.
func who() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}
