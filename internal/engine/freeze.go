package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"snapmerge/internal/config"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// freeze takes both snapshots, online's first: what arrives in between is at
// home later, never lost. Online's is on its way when home's is taken.
func (r *run) freeze(ctx, receiving context.Context) error {
	end := r.stage(StageFreeze)
	r.meta = state.Meta{Mailbox: r.mb.Name, Sync: r.n}
	f, err := r.freezeSide(ctx, merge.Online)
	if err != nil {
		return err
	}
	r.begun, r.taken = f.Begun, f.Done
	r.arriving = r.receive(receiving)
	if _, err := r.freezeSide(ctx, merge.Offline); err != nil {
		return err
	}
	end()
	return r.open(merge.Offline)
}

func (r *run) freezeSide(ctx context.Context, side merge.Side) (*host.Frozen, error) {
	name := snapshot.Name(side.String(), r.n)
	f, err := r.hosts.Side[side].Freeze(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", side, err)
	}
	r.meta.Snapshots[side], r.nested[side] = name, f
	r.meta.Stores[side] = storeID(r.store(side), f)
	return f, r.findLost(side)
}

// open opens a side's new snapshot, or what was received of it.
func (r *run) open(side merge.Side) error {
	z, err := openFrozen(r.readable(side), r.meta.Snapshots[side])
	if err != nil {
		return fmt.Errorf("%s: %w", side, err)
	}
	r.frozen[side] = z
	return nil
}

// readable is where a side's snapshots can be read: those of an online side on
// another machine as the copies that home has received.
func (r *run) readable(side merge.Side) host.Store {
	return readable(r.mb, side, r.hosts.Mirrored)
}

func readable(mb config.Mailbox, side merge.Side, mirrored bool) host.Store {
	if side == merge.Offline {
		return storeOf(mb.Offline)
	}
	s := storeOf(mb.Online)
	if mirrored {
		s.Snapshots, s.Layout.Mirror = mb.Offline.Snapshots, true
	}
	return s
}

// dropFrozen removes this run's snapshots: it has changed nothing. Also after the
// run was interrupted, so it does not heed ctx's end.
func (r *run) dropFrozen(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, side := range merge.Sides {
		if name := r.meta.Snapshots[side]; name != "" {
			errs = append(errs, r.hosts.Side[side].Prune(ctx, []string{name}))
		}
	}
	if name := r.meta.Snapshots[merge.Online]; name != "" && r.hosts.Mirrored {
		errs = append(errs, r.pruneMirrors([]string{name}))
	}
	return errors.Join(errs...)
}

// late tells whether a message is new online and may have come while online's
// snapshot was taken: then it may be in it without its data. Placed, it would be
// an empty mail at home; expired, it would be lost. So it is left for the next
// sync. A ctime of later than that is of a clock that was wrong.
func (r *run) late(m merge.Message) bool {
	if len(m.Base[merge.Online])+len(m.Base[merge.Offline])+len(m.Now[merge.Offline]) > 0 {
		return false
	}
	for _, p := range m.Now[merge.Online] {
		if !p.Ctime.Before(r.begun) && !p.Ctime.After(r.taken) {
			return true
		}
	}
	return false
}

// findLost looks whether a store is the one of the last sync, with its base
// snapshot. If not, what is absent there was not deleted by anybody.
//
// Read by another layout or encoding, the same directories are other folders,
// and everything would look moved or deleted: that is an error.
func (r *run) findLost(side merge.Side) error {
	if r.last.Sync == 0 {
		return nil
	}
	was, is := r.last.Stores[side], r.meta.Stores[side]
	if was.Layout != is.Layout {
		return fmt.Errorf("%s: layout is %s in the configuration but was %s at sync %d: change it back", side, is.Layout, was.Layout, r.last.Sync)
	}
	switch {
	case was.Live != is.Live:
		r.notes = append(r.notes, fmt.Sprintf("%s is another subvolume than at sync %d (restored, or a new disk): nothing that is missing there counts as deleted", side, r.last.Sync))
	case !r.hasBase(side):
		r.notes = append(r.notes, fmt.Sprintf("%s has lost its snapshot of sync %d: nothing that is missing there counts as deleted", side, r.last.Sync))
	case !r.hasCopy(side):
		r.notes = append(r.notes, fmt.Sprintf("home has lost its copy of online's snapshot of sync %d: nothing that is missing online counts as deleted", r.last.Sync))
	default:
		return nil
	}
	r.lost[side] = true
	return nil
}

// hasBase tells whether a side still has its snapshot of the last sync.
func (r *run) hasBase(side merge.Side) bool {
	name, uuid := r.last.Snapshots[side], r.last.Stores[side].Snapshot
	return slices.ContainsFunc(r.hosts.Facts[side].Snapshots, func(e snapshot.Entry) bool {
		return e.Name == name && e.Info.UUID.String() == uuid && e.Info.ReadOnly
	})
}

// hasCopy tells whether home still has what it received of an online snapshot that
// is on another machine.
func (r *run) hasCopy(side merge.Side) bool {
	if side == merge.Offline || !r.hosts.Mirrored {
		return true
	}
	info, err := snapshot.Read(filepath.Join(r.mb.Offline.Snapshots, r.last.Snapshots[side]))
	return err == nil && info.ReadOnly && info.ReceivedUUID.String() == r.last.Stores[side].Snapshot
}
