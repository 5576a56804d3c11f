package engine

import (
	"fmt"
	"maps"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A killed sync has changed things, and in the new snapshots that looks like the
// user's work: a mail that was placed and then deleted by the user would come
// back, an expired one would be a deletion. So before anything is compared, what
// the journal planned and what was acknowledged, or can be seen, becomes part of
// the base, exactly as if the sync had come to its end there.

// recover takes the interrupted sync's work into the agreed bases.
func (r *run) recover() {
	if r.interrupted == nil {
		return
	}
	r.recovered = r.interrupted.Earlier
	acked := map[int]state.StepResult{}
	for _, a := range r.acks {
		for _, s := range a.Results {
			acked[s.Step] = s
		}
	}
	type slot struct {
		side    merge.Side
		message string
		slot    int
	}
	effects := map[slot][]state.StepResult{} // of the steps of one action
	byMessage := map[string][]state.StepResult{}
	d := newDeletions(r.interrupted)
	for i, s := range r.interrupted.Steps {
		res, ok := acked[i]
		if !ok {
			res = r.seen(i, s, d)
		}
		if s.Action != nil {
			at := slot{s.Action.Side, s.Action.Message, s.Action.Slot}
			effects[at] = append(effects[at], res)
			byMessage[at.message] = append(byMessage[at.message], res)
		}
		if res.Effect == state.Done && s.Folder != nil {
			r.madeBy(*s.Folder)
		}
		if res.Effect == state.Done {
			a := reportStep(s, res)
			r.describe(&a, s, d)
			a.Why = fmt.Sprintf("done by sync %d, which was interrupted", r.interrupted.Sync)
			r.recovered = append(r.recovered, a)
		}
	}
	r.spend(byMessage)
	for _, o := range r.interrupted.Outcomes {
		r.agreed[o.Message] = o.Settle(haves(o, func(side merge.Side, i int) ([]state.StepResult, bool) {
			res, ok := effects[slot{side, o.Message, i}]
			return res, ok
		}))
	}
}

// spend forgets the answers that the interrupted sync has carried out, as its end
// would have done. The user may since have brought about the same question again:
// a mail that was put back at home and is deleted there once more.
func (r *run) spend(results map[string][]state.StepResult) {
	for _, answers := range []map[string]state.Decided{r.decided, r.last.Decisions} {
		maps.DeleteFunc(answers, func(_ string, d state.Decided) bool {
			return allDone(results[d.Message]) && d.At.Before(r.interrupted.Started)
		})
	}
}

// haves says what each side has in each slot, given the results of its steps.
func haves(o merge.Outcome, results func(side merge.Side, slot int) ([]state.StepResult, bool)) [][2]*tree.Placement {
	have := make([][2]*tree.Placement, len(o.Slots))
	for i, s := range o.Slots {
		for _, side := range merge.Sides {
			have[i][side] = s.Now[side]
			if res, ok := results(side, i); ok && allDone(res) {
				have[i][side] = without(s.Result[side], missing(res))
			}
		}
	}
	return have
}

func allDone(results []state.StepResult) bool {
	for _, s := range results {
		if s.Effect != state.Done {
			return false
		}
	}
	return len(results) > 0
}

func missing(results []state.StepResult) map[string]bool {
	out := map[string]bool{}
	for _, s := range results {
		for _, k := range s.Missing {
			out[tree.KeywordKey(k)] = true
		}
	}
	return out
}

// without returns a placement without those keywords.
func without(p *tree.Placement, missing map[string]bool) *tree.Placement {
	if p == nil || len(missing) == 0 {
		return p
	}
	c := *p
	c.Keywords = nil
	for _, k := range p.Keywords {
		if !missing[tree.KeywordKey(k)] {
			c.Keywords = append(c.Keywords, k)
		}
	}
	return &c
}

// seen tells whether the new snapshot shows a step's effect. Where the user has
// gone on from it, the effect counts as long as it can be told from what was
// there before.
func (r *run) seen(i int, s state.Step, d deletions) state.StepResult {
	res := state.StepResult{Step: i, Effect: state.Raced, Why: "not found"}
	if s.Action == nil {
		if r.folderSeen(*s.Folder) {
			res.Effect, res.Why = state.Done, ""
		}
		return res
	}
	a := *s.Action
	now := r.now[a.Side]
	in := func(folder string) bool { return len(now.in(a.Message, folder)) > 0 }
	done := false
	switch a.Op {
	case merge.Place:
		done = len(now.all(a.Message)) > 0
	case merge.Copy:
		done = in(a.To)
	case merge.Move:
		done = in(a.To) && !in(a.From)
	case merge.Delete, merge.Expire:
		done = !in(a.From) && !r.movedOn(s, d)
	case merge.Flag:
		for _, p := range now.placements(a.Message) {
			done = done || p.Folder == a.To && samePlacement(p, tree.Placement{Folder: a.To, Flags: a.Flags, Keywords: a.Keywords})
		}
	}
	if done {
		res.Effect, res.Why = state.Done, ""
		if fs := now.in(a.Message, a.To); len(fs) > 0 {
			res.File = &fs[0]
		}
	}
	return res
}

// movedOn tells whether a file that was to be removed is where that side did not
// have the message: then it was moved there, not removed.
func (r *run) movedOn(s state.Step, d deletions) bool {
	had := map[string]bool{}
	for _, slot := range d.outcome(s.Action.Message).Slots {
		if p := slot.Now[s.Action.Side]; p != nil {
			had[p.Folder] = true
		}
	}
	for _, f := range r.now[s.Action.Side].all(s.Action.Message) {
		if s.Before != nil && f.Ino == s.Before.Ino && !had[f.Folder] {
			return true
		}
	}
	return false
}

func (r *run) folderSeen(f merge.FolderAction) bool {
	from, to := r.now[f.Side].folder(f.From) != nil, r.now[f.Side].folder(f.To) != nil
	switch f.Op {
	case merge.MakeFolder:
		return to
	case merge.RenameFolder:
		return to && !from
	}
	return !from
}

// ownOfInterrupted adds the files that the interrupted sync is known to have made.
func (r *run) ownOfInterrupted(own *[2]map[uint64]string) {
	for _, ack := range r.acks {
		for _, res := range ack.Results {
			a := r.interrupted.Steps[res.Step].Action
			if a != nil && a.Op == merge.Place && res.File != nil {
				own[a.Side][res.File.Ino] = a.Message
			}
		}
	}
}

// plannedByInterrupted says which message is where, for mails that share a key:
// without that, what the interrupted sync placed of them could be confused. What
// it placed under another key (see [run.freeName]) would be a mail of its own.
func (r *run) plannedByInterrupted() (out [2]map[place]string) {
	if r.interrupted == nil {
		return out
	}
	shared, twice := map[string]int{}, [2]map[place]bool{}
	keyOf := func(message string) string {
		k, _, _ := strings.Cut(message, ",")
		return k
	}
	for _, o := range r.interrupted.Outcomes {
		shared[keyOf(o.Message)]++
	}
	for _, side := range merge.Sides {
		out[side], twice[side] = map[place]string{}, map[place]bool{}
	}
	for _, o := range r.interrupted.Outcomes {
		k := keyOf(o.Message)
		if shared[k] < 2 {
			continue
		}
		for _, s := range o.Slots {
			for _, side := range merge.Sides {
				for _, p := range []*tree.Placement{s.Result[side], s.Now[side]} {
					if p != nil {
						at := place{p.Folder, k}
						if m, ok := out[side][at]; ok && m != o.Message {
							twice[side][at] = true // the place does not tell these two apart
						}
						out[side][at] = o.Message
					}
				}
			}
		}
	}
	for _, side := range merge.Sides {
		for at := range twice[side] {
			delete(out[side], at)
		}
	}
	for _, s := range r.interrupted.Steps {
		if s.Action != nil && s.Before == nil && s.After != nil && key(*s.After) != keyOf(s.Action.Message) {
			out[s.Action.Side][place{s.After.Folder, key(*s.After)}] = s.Action.Message
		}
	}
	return out
}
