package report

import (
	"fmt"
	"strings"

	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// A Sync is what became of the sync of one mailbox.
type Sync struct {
	Mailbox string
	Record  *state.Record // nil: it did not come to its end, Err says why
	DryRun  bool
	Notes   []string
	// Stale has, by folder, how many mails have been in online's new/ for more
	// than a week.
	Stale       map[string]int
	Interrupted int // the sync whose work this one finished, or 0
	Stages      []engine.Stage
	Hook        string // what became of the hook: "" if none was run, HookDone, or why it failed
	Err         error
}

// HookDone is [Sync.Hook] where it ended well.
const HookDone = "done"

// HookFailed reports whether a hook was run and failed.
func (s Sync) HookFailed() bool { return s.Hook != "" && s.Hook != HookDone }

// Failed counts the actions that ended with an error: the next sync tries again.
func (s Sync) Failed() int {
	n := 0
	if s.Record != nil {
		for _, a := range s.Record.Report.Actions {
			if a.Effect == state.Failed {
				n++
			}
		}
	}
	return n
}

// SyncText says what a sync did, the counts first; verbose adds a line for each
// action and conflict. It is "" for a sync without a record.
func SyncText(s Sync, verbose bool, st Style) string {
	if s.Record == nil {
		return ""
	}
	head := fmt.Sprintf(": sync %d in %s", s.Record.Sync, seconds(s.Record.Report.Seconds))
	if s.DryRun {
		head = fmt.Sprintf(": sync %d would do (nothing was changed)", s.Record.Sync)
	}
	return st.paint(bold, Word(s.Mailbox)) + head + s.body(verbose, st)
}

// body is all that follows the first line's beginning.
func (s Sync) body(verbose bool, st Style) string {
	var b strings.Builder
	t := s.Record.Report.Totals
	if t.Offline == (state.Counts{}) && t.Online == (state.Counts{}) && t.Raced == 0 && s.Failed() == 0 {
		b.WriteString(": nothing to do")
	}
	b.WriteString("\n")
	for _, side := range homeFirst {
		if c := counts(countsOf(t, side)); c != "" {
			b.WriteString(sideLine(side, c))
		}
	}
	b.WriteString(s.expiry(st))
	line := func(code string, n int, one, many string) {
		if n > 0 {
			b.WriteString("  " + st.paint(code, plural(n, one, many)) + "\n")
		}
	}
	line(yellow, t.Held, "waits for a decision (snapmerge conflicts)", "wait for a decision (snapmerge conflicts)")
	line("", moveMoves(s.Record.Report.Met), `moved on both sides, decided by "prefer"`, `moved on both sides, decided by "prefer"`)
	line(yellow, t.Raced, "left alone: a mail client was faster", "left alone: mail clients were faster")
	line(red, s.Failed(), "not done, tried again next time", "not done, tried again next time")
	line("", t.Refused, "entry of online's store refused", "entries of online's store refused")
	line("", t.WaitingInNew, "waits in online's new/ for a mail client", "wait in online's new/ for a mail client")
	if n := s.Record.Report.MaxDeletions; n != nil {
		fmt.Fprintf(&b, "  --max-deletions %d, for this sync only\n", *n)
	}
	if verbose {
		b.WriteString(s.decided(st))
		b.WriteString(s.actions())
		b.WriteString(s.stages())
	}
	return b.String()
}

// expiry says by folder what has gone, and how far back the mail left there goes.
func (s Sync) expiry(st Style) string {
	var b strings.Builder
	for _, e := range s.Record.Report.Expiry {
		verb, left := "expired", "none is left"
		if s.DryRun {
			verb = "would expire"
		}
		if !e.Oldest.IsZero() {
			left = "the oldest left is of " + st.time(e.Oldest)
		}
		b.WriteString(sideLine(merge.Online, fmt.Sprintf("%s in %s: %s, %s; %s", verb, Word(e.Folder), plural(e.Mails, "mail", "mails"), Bytes(uint64(e.Bytes)), left)))
	}
	return b.String()
}

// decided has a line for each answer that the sync acted on.
func (s Sync) decided(st Style) string {
	var b strings.Builder
	all := s.Record.Report.Decided
	for _, id := range ordered(all) {
		d := all[id]
		fmt.Fprintf(&b, "  decided %s %s: take %s, by %s, %s\n", id, Word(d.Message), d.Take, Word(d.Who), st.time(d.At))
	}
	return b.String()
}

// stages tells where the time went.
func (s Sync) stages() string {
	if len(s.Stages) == 0 {
		return ""
	}
	var parts []string
	for _, st := range s.Stages {
		parts = append(parts, fmt.Sprintf("%s %d ms", st.Name, st.Took.Milliseconds()))
	}
	return "  time    " + strings.Join(parts, ", ") + "\n"
}

func moveMoves(met []merge.Conflict) int {
	n := 0
	for _, c := range met {
		if c.Kind == merge.MoveMove {
			n++
		}
	}
	return n
}

// SyncNotes are the lines about a sync that a person has to see even if he did
// not ask: every action that was not done and, with all, what the engine noted
// and what has been lying in new/ for too long.
func SyncNotes(s Sync, all bool) []string {
	var out []string
	if all {
		out = s.notes()
	}
	if s.Record == nil {
		return out
	}
	if s.HookFailed() {
		out = append(out, "hook after: "+Clean(s.Hook))
	}
	for _, a := range s.Record.Report.Actions {
		if a.Effect != state.Done {
			out = append(out, fmt.Sprintf("%s: %s: %s: %s", sideName(a.Side), subject(a), effect(a.Effect), Clean(a.Why)))
		}
	}
	return out
}

func (s Sync) notes() []string {
	var out []string
	switch {
	case s.Interrupted > 0 && s.DryRun:
		out = append(out, fmt.Sprintf("sync %d was interrupted: the next sync finishes its work", s.Interrupted))
	case s.Interrupted > 0:
		out = append(out, fmt.Sprintf("sync %d had been interrupted: its work is finished now", s.Interrupted))
	}
	for _, n := range s.Notes {
		out = append(out, Clean(n))
	}
	for _, f := range ordered(s.Stale) {
		out = append(out, staleLine(f, s.Stale[f]))
	}
	return out
}

func staleLine(folder string, n int) string {
	return fmt.Sprintf("online: new/ of %s: %s for more than 7 days", Word(folder), plural(n, "mail has been waiting", "mails have been waiting"))
}

func effect(e state.Effect) string {
	if e == state.Raced {
		return "left alone"
	}
	return "not done"
}

// subject is "move 1.M2P3.host INBOX -> work".
func subject(a state.ReportAction) string {
	s := a.Op
	if a.Message != "" {
		s += " " + Word(a.Message)
	}
	if f := fromTo(a.From, a.To); f != "" {
		s += " " + f
	}
	return s
}

// fromTo is "INBOX -> work", or the only folder there is.
func fromTo(from, to string) string {
	switch {
	case from == "" && to == "":
		return ""
	case from == "" || from == to:
		return Word(to)
	case to == "":
		return Word(from)
	}
	return Word(from) + " -> " + Word(to)
}

// actions has a line for each action of a sync, and each conflict met.
func (s Sync) actions() string {
	var b strings.Builder
	for _, a := range s.Record.Report.Actions {
		text := subject(a) + changes(a)
		if s.DryRun && a.Why == "" { // with a reason it was done already, by an interrupted sync
			text = "would " + text
		}
		if w := ruleWords(a.Rule); w != "" {
			text += "  (" + w + ")"
		}
		if a.Effect != state.Done {
			text += "  " + effect(a.Effect)
		}
		if a.Why != "" {
			text += ": " + Clean(a.Why)
		}
		b.WriteString(sideLine(a.Side, text))
	}
	for _, c := range s.Record.Report.Met {
		b.WriteString("  " + conflictLine(c) + "\n")
	}
	return b.String()
}

// changes is what becomes of flags and keywords: "  S -> FS [work]".
func changes(a state.ReportAction) string {
	switch {
	case a.After == nil && a.Before == nil:
		return ""
	case a.After == nil:
		return "  " + marks(a.Before)
	}
	after := marks(a.After)
	if a.Before == nil || marks(a.Before) == after {
		return "  " + after
	}
	return "  " + marks(a.Before) + " -> " + after
}

// marks are "FS [work]".
func marks(n *state.Named) string {
	s := flags(n.Flags)
	if len(n.Keywords) > 0 {
		s += " [" + words(n.Keywords) + "]"
	}
	return s
}

// conflictLine is "conflict  deleted-online  KEY  note".
func conflictLine(c merge.Conflict) string {
	s := fmt.Sprintf("conflict  %s  %s", c.Kind, Word(c.Message))
	if c.Note != "" {
		s += "  (" + Clean(c.Note) + ")"
	}
	return s
}
