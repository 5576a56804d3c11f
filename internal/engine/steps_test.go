package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/apply"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// TestLate: mail that is new online and has come while its snapshot was taken is
// left for the next sync; nothing else is.
func TestLate(t *testing.T) {
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &run{begun: begun, taken: begun.Add(10 * time.Millisecond)}
	at := func(d time.Duration) []tree.Placement {
		return []tree.Placement{{Folder: "INBOX", Ctime: begun.Add(d)}}
	}
	old := at(-time.Hour)
	for _, tt := range []struct {
		name string
		m    merge.Message
		want bool
	}{
		{"before", merge.Message{Now: [2][]tree.Placement{at(-1)}}, false},
		{"as it was begun", merge.Message{Now: [2][]tree.Placement{at(0)}}, true},
		{"meanwhile", merge.Message{Now: [2][]tree.Placement{at(time.Millisecond)}}, true},
		{"as it was ready", merge.Message{Now: [2][]tree.Placement{at(10 * time.Millisecond)}}, true},
		{"later: the clock was wrong", merge.Message{Now: [2][]tree.Placement{at(10*time.Millisecond + 1)}}, false},
		{"one of two places meanwhile", merge.Message{Now: [2][]tree.Placement{append(at(-time.Hour), at(1)...)}}, true},
		{"known online", merge.Message{Base: [2][]tree.Placement{old}, Now: [2][]tree.Placement{at(1)}}, false},
		{"known at home", merge.Message{Base: [2][]tree.Placement{nil, old}, Now: [2][]tree.Placement{at(1)}}, false},
		{"home has it", merge.Message{Now: [2][]tree.Placement{at(1), old}}, false},
		{"new at home only", merge.Message{Now: [2][]tree.Placement{nil, at(1)}}, false},
		{"nowhere", merge.Message{}, false},
	} {
		if got := r.late(tt.m); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestPhases: what must have been done before something else is in a phase before
// it.
func TestPhases(t *testing.T) {
	folder := func(op merge.FolderOp) *step { return &step{folder: &merge.FolderAction{Op: op}} }
	mail := func(op merge.Op, kind apply.Kind) *step {
		return &step{action: &merge.Action{Op: op}, op: apply.Op{Kind: kind}}
	}
	r := &run{list: []*step{
		folder(merge.MakeFolder), folder(merge.RenameFolder),
		mail(merge.Place, apply.Place),
		mail(merge.Copy, apply.Copy), mail(merge.Move, apply.Rename), mail(merge.Flag, apply.Rename),
		{action: &merge.Action{Op: merge.Move}, op: apply.Op{Kind: apply.Unlink}, again: true}, // a second name of what was moved
		mail(merge.Delete, apply.Unlink), mail(merge.Expire, apply.Unlink),
		folder(merge.RemoveFolder),
	}}
	var got []int
	for i := range r.list {
		got = append(got, r.phase(i))
	}
	if d := cmp.Diff([]int{0, 0, 1, 2, 2, 2, 3, 4, 4, 5}, got); d != "" {
		t.Errorf("phases (-want +got):\n%s", d)
	}
}

// TestAim: a step is not made ready if an earlier one that it relies on was not
// done. "last" is the step, "other" another one of the same message.
func TestAim(t *testing.T) {
	const notMade, notPlaced = "another change of this message was not made", "the message itself was not placed"
	made := func(e state.Effect) *state.StepResult { return &state.StepResult{Effect: e} }
	for _, tt := range []struct {
		name            string
		otherSide, side merge.Side
		other, op       merge.Op
		result          *state.StepResult // of the other
		want            string
	}{
		{"delete after a copy that was made", merge.Offline, merge.Offline, merge.Copy, merge.Delete, made(state.Done), ""},
		{"delete after a copy that was not", merge.Offline, merge.Offline, merge.Copy, merge.Delete, made(state.Raced), notMade},
		{"delete after a copy that went wrong", merge.Offline, merge.Offline, merge.Copy, merge.Delete, made(state.Failed), notMade},
		{"delete, and a move was never begun", merge.Offline, merge.Offline, merge.Move, merge.Delete, nil, notMade},
		{"delete after another placement was deleted, or not", merge.Offline, merge.Offline, merge.Delete, merge.Delete, made(state.Raced), ""},
		{"delete at home, what online does comes later", merge.Online, merge.Offline, merge.Flag, merge.Delete, nil, ""},
		{"delete online after home was done", merge.Offline, merge.Online, merge.Flag, merge.Delete, made(state.Done), ""},
		{"delete online, home was raced", merge.Offline, merge.Online, merge.Delete, merge.Delete, made(state.Raced), notMade},
		{"expire, the mail came home", merge.Offline, merge.Online, merge.Place, merge.Expire, made(state.Done), ""},
		{"expire, the mail did not come home", merge.Offline, merge.Online, merge.Place, merge.Expire, made(state.Failed), notMade},
		{"a flag relies on nothing", merge.Offline, merge.Online, merge.Place, merge.Flag, made(state.Failed), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := &step{side: tt.otherSide, action: &merge.Action{Side: tt.otherSide, Op: tt.other, Message: "m"}, result: tt.result}
			last := &step{side: tt.side, action: &merge.Action{Side: tt.side, Op: tt.op, Message: "m"}}
			r := &run{byMessage: map[string][]*step{"m": {other, last}}}
			r.base = [2]*base{{}, {}}
			r.now[merge.Offline] = &now{base: r.base[merge.Offline]}
			if why, err := r.aim(last, nil); why != tt.want || err != nil {
				t.Errorf("%q, %v; want %q", why, err, tt.want)
			}
		})
	}
	t.Run("copy of a mail that came home", func(t *testing.T) {
		r, home := &run{}, tree.File{Folder: "INBOX", Name: "m:2,", Ino: 7}
		copied := func() *step {
			return &step{side: merge.Offline, action: &merge.Action{Op: merge.Copy, Message: "m"}, op: apply.Op{Kind: apply.Copy}}
		}
		s := copied()
		if why, err := r.aim(s, map[string]tree.File{"m": home}); why != "" || err != nil || s.op.From != home || s.before == nil || *s.before != home {
			t.Errorf("%q, %v, from %+v", why, err, s.op.From)
		}
		if why, err := r.aim(copied(), nil); why != notPlaced || err != nil {
			t.Errorf("not placed: %q, %v; want %q", why, err, notPlaced)
		}
	})
}
