package engine

import (
	"fmt"

	"snapmerge/merge"
	"snapmerge/snapshot"
)

// rotate lets go the snapshots that nothing needs any more. Online keeps only
// the base, for space is short there; home keeps what its schedule says.
func (r *run) rotate() error {
	schedule, err := snapshot.ParseSchedule(r.mb.Rotate.PreserveMin, r.mb.Rotate.Preserve)
	if err != nil {
		return err
	}
	for _, side := range merge.Sides {
		dir := r.store(side).Snapshots
		list, err := snapshot.List(dir)
		if err != nil {
			return err
		}
		var snaps []snapshot.Snap
		for _, e := range list {
			if e.Side == side.String() {
				snaps = append(snaps, snapshot.Snap{Name: e.Name, Time: e.Info.Otime, Needed: r.needed(side, e)})
			}
		}
		if side == merge.Online {
			for _, s := range snaps {
				if s.Needed == "" {
					if err := snapshot.Delete(dir, s.Name); err != nil {
						return err
					}
				}
			}
			continue
		}
		for _, v := range snapshot.Keep(snaps, schedule, r.now0.Local()) {
			if !v.Keep {
				if err := snapshot.Delete(dir, v.Snap.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
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
