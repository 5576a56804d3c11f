package engine

import (
	"context"
	"fmt"

	"snapmerge/merge"
	"snapmerge/snapshot"
)

// rotate lets go the snapshots that nothing needs any more. Online keeps only
// the base, for space is short there, and of its copies at home only that one is
// good for anything; home keeps what its schedule says.
func (r *run) rotate(ctx context.Context) error {
	schedule, err := snapshot.ParseSchedule(r.mb.Rotate.PreserveMin, r.mb.Rotate.Preserve)
	if err != nil {
		return err
	}
	online := r.hosts.Facts[merge.Online].Snapshots
	if err := r.hosts.Side[merge.Online].Prune(ctx, r.unneeded(merge.Online, online)); err != nil {
		return fmt.Errorf("%s: %w", merge.Online, err)
	}
	mirrors, err := r.mirrors()
	if err != nil {
		return err
	}
	if err := r.pruneMirrors(r.unneeded(merge.Online, mirrors)); err != nil {
		return err
	}
	list, err := snapshot.List(r.mb.Offline.Snapshots)
	if err != nil {
		return err
	}
	var snaps []snapshot.Snap
	for _, e := range list {
		if e.Side == snapshot.Offline {
			snaps = append(snaps, snapshot.Snap{Name: e.Name, Time: e.Info.Otime, Needed: r.needed(merge.Offline, e)})
		}
	}
	for _, v := range snapshot.Keep(snaps, schedule, r.now0.Local()) {
		if v.Keep {
			continue
		}
		if err := snapshot.Delete(r.mb.Offline.Snapshots, v.Snap.Name); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) unneeded(side merge.Side, list []snapshot.Entry) (names []string) {
	for _, e := range list {
		if r.needed(side, e) == "" {
			names = append(names, e.Name)
		}
	}
	return names
}

// needed says why a snapshot must stay whatever the schedule says.
func (r *run) needed(side merge.Side, e snapshot.Entry) string {
	if e.Sync >= r.n {
		return fmt.Sprintf("base of sync %d", r.n)
	}
	for _, h := range r.heldNow {
		if side == merge.Offline && h.Source != nil && h.Source.Snapshot == e.Name {
			return fmt.Sprintf("%s of %q waits for a decision", h.Kind, h.Message)
		}
	}
	return ""
}
