package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/lock"
	"snapmerge/internal/report"
	"snapmerge/internal/review"
	"snapmerge/merge"
)

const reviewUsage = `Usage:
    snapmerge review [MAILBOX...] [SELECTION] [--editor] [--now] [OPTIONS]

Go through what waits for a decision, of all mailboxes if none is named: a list
on the screen, each mail below it, and what the next sync does if you take one
side or the other. Nothing is recorded before the last question, and then all
of it at once. It needs a terminal of 40 x 14, and is made for 80 x 24. Run it
as root.

        --editor          the list in $VISUAL or $EDITOR instead (else vi), a line
                          each: change "keep" to "online" or "offline"
        --now             act on the answers at once, with a sync of these mailboxes

  SELECTION
        --kind KIND       only conflicts of that kind
        --folder PATTERN  only of folders that match, as listed: lists/**
        --older-than AGE  only what waits for longer: "2 weeks", 30d, 8w, 6m, 1y

    -c, --config FILE     the configuration (default /etc/snapmerge/snapmerge.toml)
        --json            print the answers as one JSON document at the end
    -q, --quiet           print nothing but what needs attention
        --color WHEN      auto, always or never

Keys:
    o  online is right      m  mark this line      up, down, j, k   move
    h  home is right        f  mark the folder     PgUp, PgDn       read the mail
    w  it goes on waiting   t  mark the kind       ?                help
    u  undo                 Esc  no marks          q                finish, or leave

EXIT STATUS
    0    done, also if you left without an answer
    1    something could not be read, or changed while you looked at it
    2    wrong usage or configuration, no terminal, a list that can not be
         understood: nothing was recorded
    3    a sync is at work and holds the lock
    With --now also those of sync: the answers are recorded in any case.

Example:
    $ sudo snapmerge review chris --folder 'lists/**'
`

func setupReview(fs *pflag.FlagSet) runner {
	var o conflictOptions
	editor := fs.Bool("editor", false, "")
	fs.StringVar(&o.kind, "kind", "", "")
	fs.StringVar(&o.folder, "folder", "", "")
	fs.StringVar(&o.older, "older-than", "", "")
	fs.BoolVar(&o.now, "now", false, "")
	return func(ctx context.Context, a *app, args []string) error {
		var err error
		if o.pick, err = o.selection(time.Now()); err != nil {
			return err
		}
		if !*editor && !(isTerminal(a.in) && isTerminal(a.out)) {
			return noTerminal(errors.New("review: this is no terminal"))
		}
		cfg, list, err := a.mailboxes(args)
		if err == nil && o.now {
			err = a.hooksAllowed(list)
		}
		if err != nil {
			return err
		}
		return a.review(ctx, cfg, list, o, *editor)
	}
}

func noTerminal(err error) error {
	return &statusError{err, 2, `decide with "snapmerge conflicts resolve", or in an editor with "snapmerge review --editor"`}
}

// review asks, records, and with --now syncs.
func (a *app) review(ctx context.Context, cfg *config.Config, list []config.Mailbox, o conflictOptions, editor bool) error {
	items, readErr := a.items(list)
	items = slices.DeleteFunc(items, func(it report.Item) bool { return !o.pick(it) })
	nothing := func(text string) error {
		a.show(text)
		if a.json {
			a.print(report.ConflictsJSON(nil))
		}
		return readErr
	}
	if len(items) == 0 {
		return nothing("nothing waits for a decision\n")
	}
	answers, err := a.ask(ctx, list, items, editor)
	if errors.Is(err, review.ErrQuit) {
		return nothing("nothing was decided\n")
	}
	if err != nil {
		return err
	}
	answers, changed, err := a.recordReviewed(ctx, decidedIn(list, answers), answers)
	if err != nil {
		return err
	}
	a.show(report.ResolvedText(answers, a.style))
	for _, it := range changed {
		a.note(fmt.Sprintf("conflict %s:%s: it has changed since you saw it: not recorded", it.Mailbox, it.ID))
		readErr = silent(1)
	}
	var synced []report.Sync
	if o.now && len(answers) > 0 {
		if synced, err = a.syncAll(ctx, decidedIn(list, answers), cfg.StateDir, engine.Options{}); err != nil {
			readErr = err
		}
	}
	if a.json {
		a.print(report.ConflictsJSON(answers, synced...))
	}
	return readErr
}

// ask lets the person decide.
func (a *app) ask(ctx context.Context, list []config.Mailbox, items []report.Item, editor bool) ([]report.Item, error) {
	if !editor {
		answers, err := review.Run(ctx, items, openOf(list), a.style)
		if errors.Is(err, review.ErrNoTerminal) {
			err = noTerminal(fmt.Errorf("review: %w", err))
		}
		return answers, err
	}
	editing.Store(true)
	answers, err := review.Edit(ctx, items, a.again)
	editing.Store(false)
	if errors.Is(err, review.ErrList) {
		err = &statusError{fmt.Errorf("review: %w", err), 2, "nothing was recorded"}
	}
	return answers, err
}

// again offers to open the list once more, where there is somebody to answer.
func (a *app) again(err error) bool {
	if !isTerminal(a.in) || !isTerminal(a.errs) {
		return false
	}
	a.note(err.Error())
	fmt.Fprint(a.errs, "open it again? [Y/n] ")
	line, readErr := bufio.NewReader(a.in).ReadString('\n')
	line = strings.ToLower(strings.TrimSpace(line))
	return readErr == nil && (line == "" || strings.HasPrefix(line, "y"))
}

// openOf opens a side's copy of a mail, in a snapshot that is here.
func openOf(list []config.Mailbox) review.Open {
	return func(it report.Item, side merge.Side) (io.ReadCloser, error) {
		i := slices.IndexFunc(list, func(mb config.Mailbox) bool { return mb.Name == it.Mailbox })
		return engine.OpenCopy(list[i], *it.Copies()[side])
	}
}

// awaitHistories waits for a run that is at work, and then locks the mailboxes: a
// person has just given all these answers.
func (a *app) awaitHistories(ctx context.Context, list []config.Mailbox) (histories []*history, release func(), err error) {
	for said := false; ; said = true {
		histories, release, err = a.lockHistories(list)
		if !errors.Is(err, lock.ErrLocked) {
			return histories, release, err
		}
		release()
		if !said {
			a.note(err.Error() + ": the answers are recorded when it has ended; Ctrl-C gives them up")
		}
		select {
		case <-ctx.Done():
			return nil, func() {}, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// recordReviewed records answers to questions that are still the same; a sync may
// have come in between. It returns those that it recorded, and the others.
func (a *app) recordReviewed(ctx context.Context, list []config.Mailbox, answers []report.Item) (same, changed []report.Item, err error) {
	histories, release, err := a.awaitHistories(ctx, list)
	defer release()
	if err != nil {
		return nil, nil, err
	}
	type question struct{ mailbox, id, state string }
	asked := map[question]bool{}
	for _, h := range histories {
		items, err := h.items()
		if err != nil {
			return nil, nil, fmt.Errorf("mailbox %s: %w", h.mb.Name, err)
		}
		for _, it := range items {
			asked[question{it.Mailbox, it.ID, it.State}] = true
		}
	}
	for _, it := range answers {
		if asked[question{it.Mailbox, it.ID, it.State}] {
			same = append(same, it)
		} else {
			changed = append(changed, it)
		}
	}
	return same, changed, decideAll(histories, same)
}
