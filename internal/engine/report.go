package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// report says what was done, from the results of the steps.
func (r *run) report(rec *state.Record) state.Report {
	rep := state.Report{Met: r.plan.Conflicts, Actions: r.recovered}
	in := r.intentOf()
	d := newDeletions(in)
	for i, s := range r.list {
		res := s.effect(r.opt.DryRun)
		res.Step = i
		a := reportStep(in.Steps[i], res)
		r.describe(&a, in.Steps[i], d)
		rep.Actions = append(rep.Actions, a)
	}
	rep.Actions = append(rep.Actions, r.subscriptions...)
	count(&rep)
	for _, h := range rec.Pending.Held {
		rep.Held++
		if h.Kind == merge.Refused && h.Since == r.n {
			rep.Refused++
		}
	}
	for _, c := range rep.Met {
		if c.Kind != merge.DeletedOnline && c.Kind != merge.DeletedOffline {
			rep.Conflicts++
		}
	}
	rep.WaitingInNew, rep.ReceivedBytes = len(r.waiting), r.received
	rep.Expiry = r.expiry(rep.Actions)
	rep.Decided, rep.MaxDeletions = r.actedOn(rec.Pending.Held), r.opt.MaxDeletions
	for _, n := range r.plan.Notes {
		rep.Notes = append(rep.Notes, n.String())
	}
	return rep
}

// actedOn returns the answers since the last sync that answered what waited then,
// but for those whose question is asked again.
func (r *run) actedOn(held []state.Held) map[string]state.Decided {
	out := map[string]state.Decided{}
	for _, h := range r.last.Held {
		if d, ok := r.decided[h.ID]; ok && d.State == h.State {
			out[h.ID] = d
		}
	}
	for _, h := range held {
		delete(out, h.ID)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// distinct yields actions, not files: several files of one message in a folder are
// one action.
func distinct(all []state.ReportAction) iter.Seq[state.ReportAction] {
	type once struct {
		side                  merge.Side
		op, message, from, to string
	}
	return func(yield func(state.ReportAction) bool) {
		seen := map[once]bool{}
		for _, a := range all {
			id := once{a.Side, a.Op, a.Message, a.From, a.To}
			if !seen[id] && !yield(a) {
				return
			}
			seen[id] = true
		}
	}
}

func count(rep *state.Report) {
	for a := range distinct(rep.Actions) {
		if a.Effect == state.Raced {
			rep.Raced++
		}
		if a.Effect != state.Done {
			continue
		}
		c := &rep.Offline
		if a.Side == merge.Online {
			c = &rep.Online
		}
		switch a.Op {
		case merge.Place.String():
			c.Placed++
		case merge.Copy.String():
			c.Copied++
		case merge.Move.String():
			c.Moved++
		case merge.Flag.String():
			c.Flagged++
		case merge.Delete.String():
			c.Deleted++
		case merge.Expire.String():
			c.Expired++
			c.ExpiredBytes += a.Freed
		case opSubscribe, opUnsubscribe:
			c.Subscriptions++
		default:
			c.Folders++
		}
	}
}

func reportStep(s state.Step, res state.StepResult) state.ReportAction {
	a := state.ReportAction{Effect: res.Effect, Why: res.Why}
	if s.Folder != nil {
		a.Side, a.Op, a.From, a.To = s.Folder.Side, s.Folder.Op.String(), s.Folder.From, s.Folder.To
		return a
	}
	a.Side, a.Op, a.Message, a.Rule = s.Action.Side, s.Action.Op.String(), s.Action.Message, s.Action.Rule
	a.From, a.To = s.Action.From, s.Action.To
	if s.Before != nil && s.Action.From != "" {
		a.Before = named(s.Before.Name, nil)
	}
	if s.Before != nil && s.Action.Op == merge.Expire {
		a.Freed = s.Before.Size
	}
	if f := cmpFile(res.File, s.After); f != nil {
		a.After = named(f.Name, s.Action.Keywords)
	}
	return a
}

func cmpFile(done, planned *tree.File) *tree.File {
	if done != nil {
		return done
	}
	return planned
}

func named(name string, keywords []string) *state.Named {
	n, _ := tree.ParseName(name)
	return &state.Named{Name: name, Flags: n.Flags, Keywords: keywords}
}

// held returns what waits for a person after this sync.
func (r *run) held() []state.Held {
	before := map[string]state.Held{}
	for _, h := range r.last.Held {
		before[h.ID] = h
	}
	var out []state.Held
	for _, c := range r.plan.Conflicts {
		if !c.Kind.Waits() {
			continue
		}
		old, known := before[c.ID]
		h := state.Held{Conflict: c, Since: r.n, Source: r.homeCopy(c.Message, old.Source)}
		if h.Source == nil || c.Kind == merge.NameTaken || c.Kind == merge.ContentChanged {
			h.Theirs = r.onlineCopy(c.Message)
		}
		if known {
			h.Since, h.From, h.Subject, h.Date = old.Since, old.From, old.Subject, old.Date
		} else {
			h.From, h.Subject, h.Date = r.headers(cmp.Or(h.Source, h.Theirs))
		}
		out = append(out, h)
	}
	decided := r.decisions()
	for _, ref := range r.refused[merge.Online] {
		c := refusal(ref)
		if d, ok := decided[c.ID]; ok && d.State == c.State {
			continue
		}
		h := state.Held{Conflict: c, Since: r.n, Theirs: r.refusedCopy(ref)}
		old, known := before[c.ID]
		if known {
			h.Since = old.Since
		}
		if h.Theirs != nil && old.Theirs != nil {
			h.From, h.Subject, h.Date = old.From, old.Subject, old.Date
		} else {
			h.From, h.Subject, h.Date = r.headers(h.Theirs)
		}
		out = append(out, h)
	}
	return out
}

// refusal is the conflict about an entry of online's store that is no mail.
func refusal(ref tree.Refused) merge.Conflict {
	id := merge.ConflictID("refused\x00"+ref.Path, [2][]tree.Placement{})
	return merge.Conflict{ID: id, Kind: merge.Refused, Message: ref.Path, State: ref.Why, Note: ref.Why}
}

// result is what the caller gets.
func (r *run) result(rec *state.Record) *Result {
	res := &Result{Record: rec, DryRun: r.opt.DryRun, Notes: slices.Concat(r.notes, rec.Report.Notes), Stale: map[string]int{}, Stages: r.stages}
	if r.interrupted != nil {
		res.Interrupted = r.interrupted.Sync
	}
	week := r.now0.Add(-7 * 24 * time.Hour)
	for _, m := range r.waiting {
		for _, f := range r.now[merge.Online].all(m) {
			if received(f).Before(week) {
				res.Stale[f.Folder]++
			}
		}
	}
	return res
}

func received(f tree.File) time.Time { return time.Unix(0, f.Mtime).UTC() }

// rules is a fingerprint of what the configuration says about folders. When it
// is another one, every message is looked at once more.
func (r *run) rules() string {
	var b bytes.Buffer
	for _, rule := range r.policy.Rules {
		if rule.Skip {
			b.WriteString(rule.Match + "\n")
		} else {
			b.WriteString("!" + rule.Match + "\n")
		}
		if rule.Archive != [2]merge.Pattern{} {
			fmt.Fprintf(&b, "%s %q %q\n", r.calendar(), rule.Archive[merge.Online], rule.Archive[merge.Offline])
		}
	}
	return b.String()
}

// calendar names the time zone in which mail is filed.
func (r *run) calendar() string {
	if r.policy.Location != nil {
		return r.policy.Location.String()
	}
	return r.now0.Location().String()
}

// clockBack tells whether the plan says that the clock is behind that of the last sync.
func (r *run) clockBack() bool {
	return slices.ContainsFunc(r.plan.Notes, func(n merge.Note) bool { return n.Kind == merge.ClockBack })
}
