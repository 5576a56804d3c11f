package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// A Turn is what becomes of one snapshot.
type Turn struct {
	snapshot.Verdict
	Shelf Shelf
	// Exclusive is how many bytes only this snapshot holds; nil: btrfs does not know.
	Exclusive *uint64
}

// A Rotation is what becomes of the snapshots of a mailbox.
type Rotation struct {
	Turns  []Turn
	DryRun bool
	Notes  []string
}

// Rotate lets go the old snapshots of a mailbox and what interrupted runs have
// left. Of the options DryRun, Now and Connect count; with DryRun nothing goes.
//
// Errors: [lock.ErrLocked] if another run works on the mailbox, and those of
// [OpenHosts]. After an error of a deletion the rest stays: the next one goes on.
func Rotate(ctx context.Context, mb config.Mailbox, opt Options) (*Rotation, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	h, err := OpenHosts(ctx, mb, opt.Connect, false)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	t := &turner{mb: mb, hosts: h}
	if t.rotation, err = t.load(opt.Now()); err != nil {
		return nil, err
	}
	turns, err := t.decide(true)
	if err != nil {
		return nil, err
	}
	out := &Rotation{Turns: turns, DryRun: opt.DryRun, Notes: t.notes}
	if opt.DryRun {
		return out, nil
	}
	return out, t.carryOut(ctx, turns)
}

// rotate is a sync's own: it deletes what nothing needs any more.
func (r *run) rotate(ctx context.Context, rec *state.Record) error {
	schedule, err := snapshot.ParseSchedule(r.mb.Rotate.PreserveMin, r.mb.Rotate.Preserve)
	if err != nil {
		return err
	}
	t := &turner{mb: r.mb, hosts: r.hosts, rotation: newRotation(schedule, r.now0.Local(), rec, nil, rec.Sync)}
	turns, err := t.decide(false)
	if err != nil {
		return err
	}
	return t.carryOut(ctx, turns)
}

// A turner rotates the snapshots of one mailbox, whose hosts are locked.
type turner struct {
	rotation
	mb    config.Mailbox
	hosts *Hosts
	notes []string
}

// load reads what decides. Where the newest record is damaged, the one before it
// counts, and all that is newer stays.
func (t *turner) load(now time.Time) (rotation, error) {
	schedule, err := snapshot.ParseSchedule(t.mb.Rotate.PreserveMin, t.mb.Rotate.Preserve)
	if err != nil {
		return rotation{}, err
	}
	rec, damaged, err := state.NewestRecord(t.hosts.Dir)
	if err != nil {
		return rotation{}, err
	}
	for _, d := range damaged {
		t.notes = append(t.notes, d.Error())
	}
	syncs, err := state.ListRecords(t.hosts.Dir)
	if err != nil {
		return rotation{}, err
	}
	known := 0
	if len(syncs) > 0 {
		known = syncs[len(syncs)-1]
	}
	in, _, err := state.ReadJournal(t.hosts.Dir)
	if err != nil && !errors.Is(err, state.ErrNoIntent) {
		return rotation{}, err // a sync was interrupted, and nobody knows what it needs
	}
	return newRotation(schedule, now.Local(), rec, in, known), nil
}

// decide looks at all shelves, as they are now.
func (t *turner) decide(sizes bool) (out []Turn, err error) {
	t.mirrored = t.hosts.Mirrored
	add := func(shelf Shelf, list []snapshot.Entry, path string) {
		var used map[uint64]uint64
		if sizes && path != "" {
			used = exclusive(path)
		}
		for i, v := range t.verdicts(shelf, list) {
			turn := Turn{Verdict: v, Shelf: shelf}
			if n, ok := used[list[i].Info.ID]; ok {
				turn.Exclusive = &n
			}
			out = append(out, turn)
		}
	}
	home, err := snapshot.List(t.mb.Offline.Snapshots)
	if err != nil {
		return nil, err
	}
	add(ShelfHome, ofSide(home, snapshot.Offline), t.mb.Offline.Path)
	if !t.hosts.Mirrored {
		online, err := snapshot.List(t.mb.Online.Snapshots)
		add(ShelfOnline, ofSide(online, snapshot.Online), t.mb.Online.Path)
		return out, err
	}
	add(ShelfCopies, ofSide(home, snapshot.Online), t.mb.Offline.Path)
	parts, err := snapshot.Leftovers(t.mb.Offline.Snapshots)
	for _, name := range parts {
		out = append(out, Turn{Shelf: ShelfCopies, Verdict: snapshot.Verdict{
			Snap: snapshot.Snap{Name: name + snapshot.Part}, Reason: "left half by a receive that was interrupted"}})
	}
	add(ShelfOnline, t.hosts.Facts[merge.Online].Snapshots, "")
	return out, err
}

// exclusive returns what each snapshot on a file system holds alone, nothing
// where btrfs does not know.
func exclusive(path string) map[uint64]uint64 {
	used, err := snapshot.Exclusive(path)
	if err != nil {
		return nil
	}
	return used
}

func ofSide(list []snapshot.Entry, side string) (out []snapshot.Entry) {
	for _, e := range list {
		if e.Side == side {
			out = append(out, e)
		}
	}
	return out
}

// carryOut deletes. The kernel does it in constant time and frees the space later.
func (t *turner) carryOut(ctx context.Context, turns []Turn) error {
	gone := map[Shelf][]string{}
	for _, turn := range turns {
		if !turn.Keep {
			gone[turn.Shelf] = append(gone[turn.Shelf], turn.Snap.Name)
		}
	}
	var errs []error
	for shelf, side := range map[Shelf]merge.Side{ShelfHome: merge.Offline, ShelfOnline: merge.Online} {
		if names := gone[shelf]; len(names) > 0 {
			if err := t.hosts.Side[side].Prune(ctx, names); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", side, err))
			}
		}
	}
	return errors.Join(append(errs, pruneCopies(t.mb, gone[ShelfCopies]))...)
}

// pruneCopies deletes copies of online's snapshots, whole ones and half ones.
func pruneCopies(mb config.Mailbox, names []string) error {
	var errs []error
	for _, name := range names {
		err := error(nil)
		if whole, half := strings.CutSuffix(name, snapshot.Part); half {
			err = snapshot.Discard(mb.Offline.Snapshots, whole)
		} else {
			err = snapshot.Delete(mb.Offline.Snapshots, name)
		}
		if err != nil && !errors.Is(err, snapshot.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
