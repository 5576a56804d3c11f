package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// What subscriptions are reported as.
const (
	opSubscribe   = "subscribe"
	opUnsubscribe = "unsubscribe"
)

// subscribe brings the lists of subscribed folders in step, once the folders are.
// It needs no journal: done twice it does nothing more, and what a killed sync has
// done is what both sides agree on already. What goes wrong is reported, and does
// not keep the sync from its record: the mail is in step.
func (r *run) subscribe(ctx context.Context) error {
	have := r.foldersAfter()
	s := merge.Subscriptions{Base: r.last.Subscribed, Renamed: r.renamedFolders(),
		Has: func(side merge.Side, folder string) bool { return have[side][folder] }}
	for _, side := range merge.Sides {
		if r.lost[side] {
			s.Base = nil
		}
		names, known, err := r.subscribed(side)
		if err != nil { // of the disk
			r.notes = append(r.notes, fmt.Sprintf("%s: %v: no subscription was changed", side, err))
			r.agreedSubscriptions = r.last.Subscribed
			return nil
		}
		if known {
			s.Now[side] = names
		}
	}
	do := merge.MergeSubscriptions(s, r.policy)
	after := s.Now
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		if n := len(do[side].Kept); n > 0 {
			r.notes = append(r.notes, fmt.Sprintf("the list of subscriptions has lost %d of %d folders %s: all stay subscribed on the other side; if that is right, unsubscribe there, too",
				n, len(s.Base), where[side.Other()]))
		}
		done := r.subscribeSide(ctx, side, do[side])
		if err := ctx.Err(); err != nil {
			return err
		}
		after[side] = slices.DeleteFunc(slices.Clone(after[side]), func(f string) bool { return slices.Contains(done.Remove, f) })
		after[side] = append(after[side], done.Add...)
	}
	r.agreedSubscriptions = s.Agreed(after)
	return nil
}

// where says where a side is.
var where = [2]string{merge.Online: "online", merge.Offline: "at home"}

func (r *run) subscribed(side merge.Side) (names []string, known bool, err error) {
	reader, err := tree.NewReader(r.frozen[side].root, r.frozen[side].layout)
	if err != nil {
		return nil, false, err
	}
	defer reader.Close()
	return reader.Subscriptions()
}

// renamedFolders returns the new names of the folders that users have renamed.
func (r *run) renamedFolders() map[string]string {
	names := map[string]string{}
	for _, side := range merge.Sides {
		for _, f := range r.in.Folders[side] {
			if f.From != "" && f.From != f.Name {
				names[f.From] = f.Name
			}
		}
	}
	return names
}

// subscribeSide changes one side's list, and returns what was done.
func (r *run) subscribeSide(ctx context.Context, side merge.Side, do merge.Subscribe) (done merge.Subscribe) {
	parts := portions(do)
	if len(parts) == 0 {
		return done
	}
	b := host.Batch{Snapshot: r.meta.Snapshots[side], Sync: true}
	for _, p := range parts {
		b.Steps = append(b.Steps, host.Step{Op: apply.Op{Kind: apply.Subscribe, Add: p.Add, Remove: p.Remove}})
	}
	told := make([]bool, len(parts))
	ended := func(i int, res apply.Result) {
		told[i] = true
		out := stepResult(0, res)
		r.reportSubscribed(side, parts[i], out)
		if out.Effect == state.Done {
			done.Add, done.Remove = append(done.Add, parts[i].Add...), append(done.Remove, parts[i].Remove...)
		}
	}
	var err error
	if !r.opt.DryRun {
		err = r.hosts.Side[side].Apply(ctx, b, ended)
	}
	for i := range parts {
		switch {
		case told[i]:
		case r.opt.DryRun:
			ended(i, apply.Result{})
		default:
			ended(i, apply.Result{Outcome: apply.Failed, Err: cmp.Or(err, errNotTold)})
		}
	}
	if err != nil {
		return merge.Subscribe{} // not agreed on: what was done may not be on disk
	}
	return done
}

var errNotTold = errors.New("its host does not say what became of it")

func (r *run) reportSubscribed(side merge.Side, do merge.Subscribe, out *state.StepResult) {
	for _, f := range do.Add {
		r.subscriptions = append(r.subscriptions, state.ReportAction{Side: side, Op: opSubscribe, To: f, Effect: out.Effect, Why: out.Why})
	}
	for _, f := range do.Remove {
		r.subscriptions = append(r.subscriptions, state.ReportAction{Side: side, Op: opUnsubscribe, From: f, Effect: out.Effect, Why: out.Why})
	}
}

// maxPortion is how many bytes of names one operation has: it must fit into a
// message to another machine.
const maxPortion = 8 << 10

// portions cuts a long list of changes into several.
func portions(do merge.Subscribe) (out []merge.Subscribe) {
	size := maxPortion
	next := func(name string) *merge.Subscribe {
		if size += len(name); size > maxPortion {
			out, size = append(out, merge.Subscribe{}), len(name)
		}
		return &out[len(out)-1]
	}
	for _, name := range do.Add {
		p := next(name)
		p.Add = append(p.Add, name)
	}
	for _, name := range do.Remove {
		p := next(name)
		p.Remove = append(p.Remove, name)
	}
	return out
}
