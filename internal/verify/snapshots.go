package verify

import (
	"context"
	"path/filepath"
	"slices"

	"snapmerge/internal/state"
	"snapmerge/internal/stream"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// checkSnapshots compares the snapshots with what the records say of them.
func (v *verifier) checkSnapshots(context.Context) error {
	for _, side := range merge.Sides {
		dir, _ := v.store(side)
		list, err := snapshot.List(dir)
		if err != nil {
			return err
		}
		for _, e := range list {
			if e.Side == side.String() {
				v.shelves[side] = append(v.shelves[side], e)
				v.Snapshots++
				v.checkSnapshot(side, dir, e)
			}
		}
	}
	if v.rec == nil {
		return nil
	}
	for _, side := range merge.Sides {
		if err := v.checkBase(side); err != nil {
			return err
		}
	}
	return v.checkCopies()
}

func (v *verifier) last() int {
	n := 0
	if len(v.syncs) > 0 {
		n = v.syncs[len(v.syncs)-1]
	}
	if v.running != nil {
		n = max(n, v.running.Sync)
	}
	return n
}

func (v *verifier) checkSnapshot(side merge.Side, dir string, e snapshot.Entry) {
	path := filepath.Join(dir, e.Name)
	mirror := side == merge.Online && v.hosts.Mirrored
	switch rec := v.records[e.Sync]; {
	case e.Sync == v.last()+1:
		v.note("%s was left by a run that ended before it changed anything: snapmerge rotate deletes it", path)
	case e.Sync > v.last():
		v.found("snapshot-unrecorded", path, "the newest record is of sync %d", v.last())
	case rec != nil && rec.uuid[side] != "" && uuidOf(e.Info, mirror) != rec.uuid[side] && !v.isBase(side, e.Name):
		v.found("snapshot-replaced", path, "its UUID is %s, sync %d took %s", uuidOf(e.Info, mirror), e.Sync, rec.uuid[side])
	}
	// A snapshot that was never written to has no later transaction than its own.
	// A received one was, until it was sealed.
	switch {
	case !e.Info.ReadOnly:
		v.found("snapshot-writable", path, "anything can change it")
	case !mirror && e.Info.Ctransid > e.Info.Otransid:
		v.found("snapshot-changed", path, "taken in transaction %d, changed in %d", e.Info.Otransid, e.Info.Ctransid)
	}
}

// uuidOf is by what a record knows a snapshot: a copy by that of its original.
func uuidOf(i snapshot.Info, mirror bool) string {
	if mirror {
		return i.ReceivedUUID.String()
	}
	return i.UUID.String()
}

func (v *verifier) isBase(side merge.Side, name string) bool {
	return v.rec != nil && v.rec.Snapshots[side] == name
}

// checkBase looks at the snapshot that the next sync compares with, and reads it.
func (v *verifier) checkBase(side merge.Side) error {
	dir, layout := v.store(side)
	name, uuid := v.rec.Snapshots[side], v.rec.Stores[side].Snapshot
	i := slices.IndexFunc(v.shelves[side], func(e snapshot.Entry) bool { return e.Name == name })
	if i < 0 {
		v.found("base-missing", filepath.Join(dir, name), "sync %d took it", v.rec.Sync)
		return nil
	}
	mirror := side == merge.Online && v.hosts.Mirrored
	if is := uuidOf(v.shelves[side][i].Info, mirror); is != uuid {
		v.found("base-replaced", filepath.Join(dir, name), "its UUID is %s, sync %d took %s", is, v.rec.Sync, uuid)
		return nil
	}
	if mirror && !slices.ContainsFunc(v.hosts.Facts[side].Snapshots, func(e snapshot.Entry) bool { return e.Name == name && e.Info.UUID.String() == uuid }) {
		v.found("base-missing", filepath.Join(v.mb.Online.Snapshots, name), "online has it no more; home's copy is there")
	}
	root, err := v.open(dir, name)
	if err != nil {
		return err
	}
	v.base[side], err = stream.Scan(root, layout)
	return err
}

// checkCopies looks whether everything that has to be readable later still is.
func (v *verifier) checkCopies() error {
	for _, h := range v.rec.Pending.Held {
		if h.Source == nil {
			continue
		}
		if there, has, err := v.inSnapshot(h.Source); err != nil {
			return err
		} else if !has {
			v.found("held-missing", filepath.Join(h.Source.Snapshot, h.Source.Path), "%s of %q: %s", h.Kind, h.Message, goneText(there))
		}
	}
	schedule, err := snapshot.ParseSchedule(v.mb.Rotate.PreserveMin, v.mb.Rotate.Preserve)
	if err != nil {
		return err
	}
	for _, u := range v.rec.Pending.Undo {
		if there, _, err := v.inSnapshot(&state.SnapshotFile{Snapshot: u.Snapshot, Path: "."}); err != nil {
			return err
		} else if !there && schedule.Within(u.At, v.opt.Now().Local()) {
			v.found("undo-missing", u.Snapshot, "sync %d deleted mail that it has", u.Sync)
		}
	}
	for _, n := range v.syncs {
		if err := v.checkDeletions(n); err != nil {
			return err
		}
	}
	return nil
}

// checkDeletions looks for the mail that a sync deleted, where it said it is.
func (v *verifier) checkDeletions(sync int) error {
	s, err := state.ReadSummary(v.hosts.Dir, sync)
	if err != nil || s.Offline.Deleted+s.Online.Deleted == 0 {
		return nil // damaged ones have been told
	}
	rec, err := state.ReadRecord(v.hosts.Dir, sync)
	if err != nil {
		return nil
	}
	for _, a := range rec.Report.Actions {
		if a.Copy == nil {
			continue
		}
		if there, has, err := v.inSnapshot(a.Copy); err != nil {
			return err
		} else if there && !has {
			v.found("copy-missing", filepath.Join(a.Copy.Snapshot, a.Copy.Path), "%q, deleted by sync %d", a.Message, sync)
		}
	}
	return nil
}

func goneText(there bool) string {
	if there {
		return "the snapshot does not have it"
	}
	return "the snapshot is gone"
}
