package engine

import (
	"context"
	"errors"
	"fmt"

	"snapmerge/internal/apply"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// intend writes the journal: from then on the stores may be changed.
func (r *run) intend() (*state.Journal, error) {
	in := &state.Intent{Meta: r.meta, Started: r.now0, Outcomes: r.plan.Outcomes, Earlier: r.recovered}
	for _, s := range r.list {
		in.Steps = append(in.Steps, s.intent())
	}
	// The journal of an interrupted sync has been read, and what it did is part
	// of this one's outcomes: every message that it was about is among them.
	if r.interrupted != nil {
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
	var steps []int
	for i, s := range r.list {
		if s.side == side {
			steps = append(steps, i)
		}
	}
	if len(steps) == 0 {
		return nil
	}
	store, err := apply.Open(r.store(side).Path, r.store(side).Layout)
	if err != nil {
		return err
	}
	defer store.Close()
	runErr := r.runSteps(ctx, store, steps)
	// Also after an error: what was done is made durable and acknowledged, so
	// that the next run need not guess.
	if err := store.Sync(); err != nil {
		return errors.Join(runErr, err)
	}
	var ack state.Ack
	for _, i := range steps {
		if res := r.list[i].result; res != nil {
			ack.Results = append(ack.Results, *res)
		}
	}
	return errors.Join(runErr, j.Ack(ack))
}

// runSteps runs the steps in their order. Copies of mail that comes home in this
// sync can be aimed only when it is there.
func (r *run) runSteps(ctx context.Context, store *apply.Store, steps []int) error {
	placed := map[string]tree.File{}
	for len(steps) > 0 {
		n := 0
		var ops []apply.Op
		var of []int
		for ; n < len(steps); n++ {
			i := steps[n]
			s := r.list[i]
			if s.op.Kind == apply.Copy && s.before == nil {
				f, ok := placed[s.action.Message]
				if !ok && n > 0 {
					break
				}
				if !ok {
					s.result = &state.StepResult{Step: i, Effect: state.Raced, Why: "the message itself was not placed"}
					continue
				}
				s.op.From, s.before = f, &f
			}
			if why := r.unsafe(s); why != "" {
				s.result = &state.StepResult{Step: i, Effect: state.Raced, Why: why}
				continue
			}
			ops, of = append(ops, s.op), append(of, i)
		}
		stage := StageHome
		if r.list[steps[0]].side == merge.Online {
			stage = StageOnline
		}
		var fatal error
		err := store.Run(ctx, ops, func(k int, res apply.Result) {
			i := of[k]
			s := r.list[i]
			s.result = stepResult(i, res)
			if s.op.Kind == apply.Place && res.Outcome == apply.Done {
				placed[s.action.Message] = res.File
			}
			if s.op.Kind == apply.RenameFolder && res.Outcome != apply.Done {
				fatal = fmt.Errorf("rename folder %q to %q: %s", s.op.Folder, s.op.NewFolder, s.result.Why)
			}
			r.opt.Progress(stage, i+1, len(r.list))
		})
		if err = errors.Join(err, fatal); err != nil {
			return err
		}
		steps = steps[n:]
	}
	return nil
}

// unsafe says why a step must not be done although it was planned: mail is
// expired online only when it is at home.
func (r *run) unsafe(s *step) string {
	if s.action == nil || s.action.Op != merge.Expire {
		return ""
	}
	for _, t := range r.byMessage[s.action.Message] {
		if t.side == merge.Offline && t.action.Slot == s.action.Slot && (t.result == nil || t.result.Effect != state.Done) {
			return "not yet at home"
		}
	}
	return ""
}

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
