package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// intend writes the journal: from then on the stores may be changed.
func (r *run) intend() (*state.Journal, error) {
	in := r.intentOf()
	// The journal of an interrupted sync has been read, and what it did is part
	// of this one's outcomes: every message that it was about is among them.
	if r.interrupted != nil {
		// Before the journal that knows which answers it has carried out.
		if err := state.WriteDecisions(r.dir, r.decided); err != nil {
			return nil, err
		}
		return state.Replace(r.dir, in)
	}
	return state.Begin(r.dir, in)
}

func (s *step) intent() state.Step {
	return state.Step{Folder: s.folder, Action: s.action, Before: s.before, After: s.after}
}

// apply changes both stores, home first: what online loses must be at home.
func (r *run) apply(ctx context.Context, j *state.Journal) error {
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		if err := r.applySide(ctx, side, j); err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
	}
	return nil
}

func (r *run) applySide(ctx context.Context, side merge.Side, j *state.Journal) error {
	if r.interrupted != nil {
		// Killed, it may have left locks also where nothing is to be done now.
		b := host.Batch{}
		for _, f := range r.now[side].folders {
			b.Unlock = append(b.Unlock, f.Name)
		}
		if err := r.hosts.Side[side].Apply(ctx, b, nil); err != nil {
			return err
		}
	}
	var steps []int
	for i, s := range r.list {
		if s.side == side {
			steps = append(steps, i)
		}
	}
	if len(steps) == 0 {
		return nil
	}
	stage := map[merge.Side]string{merge.Offline: StageHome, merge.Online: StageOnline}[side]
	begun := time.Now()
	err := r.runSteps(ctx, r.hosts.Side[side], j, steps)
	r.stages = append(r.stages, Stage{stage, time.Since(begun)})
	return err
}

// acknowledge makes what was done durable, in one syncfs, and says so in the
// journal, so that the next run need not guess.
func (r *run) acknowledge(ctx context.Context, h host.Host, j *state.Journal, batch []int) error {
	if err := h.Apply(context.WithoutCancel(ctx), host.Batch{Sync: true}, nil); err != nil {
		return err
	}
	var ack state.Ack
	for _, i := range batch {
		if res := r.list[i].result; res != nil {
			ack.Results = append(ack.Results, *res)
		}
	}
	return j.Ack(ack)
}

// runSteps runs the steps in their order, in batches: a step that depends on how
// earlier ones ended begins a new one. What a kill finds done but not yet
// acknowledged, the next run must recognise by its traces.
func (r *run) runSteps(ctx context.Context, h host.Host, j *state.Journal, steps []int) error {
	placed := map[string]tree.File{}
	var done []int // not yet acknowledged
	for len(steps) > 0 {
		n := 1
		for n < len(steps) && n < r.opt.Batch && r.phase(steps[n]) == r.phase(steps[n-1]) {
			n++
		}
		var ready []int
		for _, i := range steps[:n] {
			why, err := r.aim(r.list[i], placed)
			if err != nil {
				return err
			}
			if why != "" {
				r.list[i].result = &state.StepResult{Step: i, Effect: state.Raced, Why: why}
			} else {
				ready = append(ready, i)
			}
		}
		err := r.runBatch(ctx, h, ready, placed)
		done, steps = append(done, steps[:n]...), steps[n:]
		if err == nil && len(steps) > 0 && len(done) < r.opt.Batch {
			continue
		}
		// Also after an error what was done counts; of two errors the first says
		// why, the other follows from it.
		if err := cmp.Or(err, r.acknowledge(ctx, h, j, done)); err != nil {
			return err
		}
		done = nil
	}
	return nil
}

// phase tells apart the batches of a side's steps: folders must be there before
// mail, a mail that is placed before its copies, all else be done before anything
// is removed, and what became of a file known before its second name goes.
func (r *run) phase(i int) int {
	switch s := r.list[i]; {
	case s.folder != nil && s.folder.Op == merge.RemoveFolder:
		return 5
	case s.folder != nil:
		return 0
	case s.op.Kind == apply.Place:
		return 1
	case s.again:
		return 3
	case removes(s):
		return 4
	}
	return 2
}

// removes tells whether a step belongs to an action that takes a placement away.
func removes(s *step) bool {
	return s.action != nil && (s.action.Op == merge.Delete || s.action.Op == merge.Expire)
}

// aim makes a step ready, or says why it must not be done although it was planned.
func (r *run) aim(s *step, placed map[string]tree.File) (why string, err error) {
	if s.op.Kind == apply.Copy && s.before == nil {
		f, ok := placed[s.action.Message]
		if !ok {
			return "the message itself was not placed", nil
		}
		s.op.From, s.before = f, &f
	}
	if s.again && !r.firstDone(s) {
		// Dovecot may just have removed that one, as it takes the two for one
		// mail (maildir_fix_duplicate): then this is the only one left.
		return "its other name could not be changed", nil
	}
	if !removes(s) {
		return "", nil
	}
	// Or the removal could take the last placement.
	for _, t := range r.byMessage[s.action.Message] {
		if (t.side != s.side || !removes(t)) && (t.result == nil || t.result.Effect != state.Done) && r.before(t, s) {
			return "another change of this message was not made", nil
		}
	}
	if s.action.Op == merge.Expire {
		return r.notAtHome(s)
	}
	return "", nil
}

// firstDone tells whether the action of a second name moved or removed the file
// under its first.
func (r *run) firstDone(again *step) bool {
	return slices.ContainsFunc(r.byMessage[again.action.Message], func(t *step) bool {
		return t.side == again.side && t.action.Slot == again.action.Slot && !t.again && t.op.From.Ino == again.op.From.Ino &&
			t.result != nil && t.result.Effect == state.Done
	})
}

// notAtHome says why mail must not be expired online: home's file is not equal to
// it. A file that was placed by this run is a clone of it.
func (r *run) notAtHome(s *step) (why string, err error) {
	if err := r.answered(); err != nil {
		return "", err // no file at home would mean nothing
	}
	home := r.now[merge.Offline].all(s.action.Message)
	if len(home) == 0 {
		return "", nil
	}
	f := s.op.From
	f.Folder = r.nowName(merge.Online, f.Folder)
	same, err := r.sameBytes(merge.Online, f, merge.Offline, home[0])
	if err == nil && !same {
		why = "home has other bytes under this name"
	}
	return why, err
}

// before tells whether t is carried out before s: offline is first.
func (r *run) before(t, s *step) bool { return t.side == s.side || t.side == merge.Offline }

func (r *run) runBatch(ctx context.Context, h host.Host, batch []int, placed map[string]tree.File) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := host.Batch{Snapshot: r.meta.Snapshots[r.list[batch[0]].side]}
	for _, i := range batch {
		b.Steps = append(b.Steps, r.list[i].step())
	}
	err := h.Apply(ctx, b, func(k int, res apply.Result) {
		i := batch[k]
		s := r.list[i]
		s.result = stepResult(i, res)
		stage := StageHome
		if s.side == merge.Online {
			stage = StageOnline
		}
		r.opt.Progress(stage, i+1, len(r.list))
		if res.Outcome != apply.Done && s.op.Kind == apply.RenameFolder {
			// The plan has the new name everywhere: without it nothing else fits.
			cancel(fmt.Errorf("rename folder %q to %q: %s", s.op.Folder, s.op.NewFolder, s.result.Why))
		} else if res.Outcome == apply.Done && s.op.Kind == apply.Place {
			placed[s.action.Message] = res.File
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// stepResult is the journal's word for what became of a step.
func stepResult(i int, res apply.Result) *state.StepResult {
	out := &state.StepResult{Step: i, Why: res.Why, Missing: res.Missing}
	switch res.Outcome {
	case apply.Done:
		out.Effect = state.Done
		if res.File != (tree.File{}) {
			f := res.File
			out.File = &f
		}
	case apply.Raced:
		out.Effect = state.Raced
	default:
		out.Effect, out.Why = state.Failed, res.Err.Error()
	}
	return out
}
