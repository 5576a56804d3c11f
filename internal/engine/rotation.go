package engine

import (
	"fmt"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// A Shelf is a place where snapshots of a mailbox are.
type Shelf string

// The shelves. Home keeps what the schedule says. The copies of online's
// snapshots and online itself keep only what is needed: a copy shares its mail
// with home's snapshots, and online space is short.
const (
	ShelfHome   Shelf = "home"
	ShelfCopies Shelf = "copies" // received from an online side on another machine
	ShelfOnline Shelf = "online"
)

// A rotation is all that decides which snapshots of a mailbox stay. It is a value,
// and its methods are pure.
type rotation struct {
	schedule snapshot.Schedule
	now      time.Time   // its location is the calendar's
	base     state.Meta  // of the newest sync; the zero one: there was none
	running  *state.Meta // of a sync that has not come to its end
	// known is the highest number that a record has, whether it can be read or not.
	known int
	held  []state.Held
	undo  []state.Undo
	// mirrored: home has copies of online's snapshots, so mail need not be kept there
	// to be read.
	mirrored bool
}

// newRotation takes it from the newest record, nil for none, and the journal.
func newRotation(schedule snapshot.Schedule, now time.Time, rec *state.Record, running *state.Intent, known int) rotation {
	r := rotation{schedule: schedule, now: now, known: known}
	if rec != nil {
		r.base, r.held, r.undo = rec.Meta, rec.Pending.Held, rec.Pending.Undo
	}
	if running != nil && running.Sync > r.base.Sync {
		r.running = &running.Meta
	}
	return r
}

// last is the highest number of a sync of which anything is known.
func (r rotation) last() int {
	n := max(r.base.Sync, r.known)
	if r.running != nil {
		n = max(n, r.running.Sync)
	}
	return n
}

// verdicts says for each of the snapshots of a shelf, in their order, whether it
// stays and why.
func (r rotation) verdicts(shelf Shelf, list []snapshot.Entry) []snapshot.Verdict {
	out := make([]snapshot.Verdict, len(list))
	orphans := r.orphans(list)
	var snaps []snapshot.Snap // of syncs: what is left over must not be the first of its day
	var at []int
	for i, e := range list {
		snap := snapshot.Snap{Name: e.Name, Time: e.Info.Otime}
		switch {
		case !e.Info.ReadOnly:
			out[i] = snapshot.Verdict{Snap: snap, Keep: true, Reason: "it is writable, so no snapshot of a sync: look what it is"}
		case orphans > 0 && e.Sync == orphans:
			out[i] = snapshot.Verdict{Snap: snap, Reason: "left by a run that ended before it changed anything"}
		default:
			snap.Needed = r.needed(shelf, e)
			snaps, at = append(snaps, snap), append(at, i)
		}
	}
	for k, v := range r.judge(shelf, snaps) {
		out[at[k]] = v
	}
	return out
}

func (r rotation) judge(shelf Shelf, snaps []snapshot.Snap) []snapshot.Verdict {
	if shelf == ShelfHome {
		return snapshot.Keep(snaps, r.schedule, r.now)
	}
	var out []snapshot.Verdict
	for _, s := range snaps {
		v := snapshot.Verdict{Snap: s, Keep: s.Needed != "", Reason: s.Needed}
		if !v.Keep {
			v.Reason = "nothing needs it, and old ones are kept at home"
		}
		out = append(out, v)
	}
	return out
}

// orphans returns the number of the run whose snapshots are left over, 0 if there
// are none. A run takes the number after all others, so if there are snapshots
// of still higher ones, records are missing, and nobody knows what they hold.
func (r rotation) orphans(list []snapshot.Entry) int {
	newest := 0
	for _, e := range list {
		newest = max(newest, e.Sync)
	}
	if newest == r.last()+1 {
		return newest
	}
	return 0
}

// needed says why a snapshot must stay whatever the schedule says, "" for no reason.
func (r rotation) needed(shelf Shelf, e snapshot.Entry) string {
	side := merge.Offline
	if e.Side == snapshot.Online {
		side = merge.Online
	}
	switch {
	case r.running != nil && e.Name == r.running.Snapshots[side]:
		return fmt.Sprintf("sync %d was interrupted, and the next one needs it", r.running.Sync)
	case e.Name == r.base.Snapshots[side]:
		return "the next sync compares with it"
	case e.Sync > r.base.Sync:
		return fmt.Sprintf("no record of sync %d tells what it holds", e.Sync)
	case shelf == ShelfOnline && r.mirrored:
		return ""
	}
	for _, h := range r.held {
		if h.Source != nil && h.Source.Snapshot == e.Name {
			return fmt.Sprintf("%s of %q waits for a decision", h.Kind, h.Message)
		}
	}
	for _, u := range r.undo {
		if u.Snapshot == e.Name && r.schedule.Within(u.At, r.now) {
			return fmt.Sprintf("sync %d deleted mail that it has", u.Sync)
		}
	}
	return ""
}
