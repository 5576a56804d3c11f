package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// find returns the mails that are asked for. One that no snapshot has is among
// them, as lost.
func (r *restorer) find() (list []*wanted, err error) {
	switch {
	case r.opt.Sync > 0:
		rec, err := state.ReadRecord(r.hosts.Dir, r.opt.Sync)
		if err != nil {
			return nil, err
		}
		list = r.deleted(rec, func(*wanted) bool { return true })
	case len(r.opt.IDs) > 0:
		list, err = r.byID()
	default:
		list, err = r.missing()
	}
	if err != nil {
		return nil, err
	}
	if err := r.elsewhere(list); err != nil {
		return nil, err
	}
	for _, w := range list {
		if r.opt.Into != "" {
			w.to = r.opt.Into
		}
	}
	return list, nil
}

// deleted returns what a sync has deleted, for home. A mail that went on both
// sides is one; it has the flags that it had where the sync deleted it.
func (r *restorer) deleted(rec *state.Record, ok func(*wanted) bool) (list []*wanted) {
	seen := map[[2]string]bool{}
	for _, a := range rec.Report.Actions {
		if a.Op != merge.Delete.String() || a.Effect != state.Done || a.Before == nil || seen[[2]string{a.Message, a.From}] {
			continue
		}
		name, err := tree.ParseName(a.Before.Name)
		if err != nil {
			continue
		}
		if a.Copy != nil { // online's name of it may have been another one
			if home, err := tree.ParseName(filepath.Base(a.Copy.Path)); err == nil {
				name.Unique, name.Extra = home.Unique, home.Extra
			}
		}
		w := &wanted{side: merge.Offline, message: a.Message, whole: a.Rule != "16", copy: a.Copy, to: a.From, name: name, keywords: a.Before.Keywords}
		if ok(w) {
			seen[[2]string{a.Message, a.From}] = true
			list = append(list, w)
		}
	}
	return list
}

// byID finds the last trace of each mail: in a snapshot of home, or as a deletion
// in a report, whichever is the younger.
func (r *restorer) byID() (list []*wanted, err error) {
	left := map[string]bool{}
	for _, id := range r.opt.IDs {
		id, _, _ = strings.Cut(id, ":")
		left[id] = true
	}
	syncs, err := state.ListRecords(r.hosts.Dir)
	if err != nil {
		return nil, err
	}
	older := func(than int) error { // what syncs since that snapshot have deleted
		for ; len(syncs) > 0 && syncs[len(syncs)-1] >= than && len(left) > 0; syncs = syncs[:len(syncs)-1] {
			if list, err = r.fromReport(list, left, syncs[len(syncs)-1]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, side := range []string{snapshot.Offline, snapshot.Online} {
		for _, e := range r.snaps {
			if e.Side != side {
				continue
			}
			if err := older(e.Sync); err != nil || len(left) == 0 {
				return list, err
			}
			found, err := r.inSnapshot(e, func(message string, m mailAt) bool { return asked(left, message, m.name) != "" })
			if err != nil {
				return nil, err
			}
			list = append(list, found...)
			for _, w := range found {
				delete(left, asked(left, w.message, w.name.Unique))
			}
		}
		if err := older(0); err != nil {
			return nil, err
		}
	}
	for _, id := range sortedKeys(left) {
		w := &wanted{side: merge.Offline, message: id}
		w.end(state.Lost, "no snapshot that is kept has it")
		list = append(list, w)
	}
	return list, nil
}

// fromReport adds what that sync deleted of the mails that are looked for.
func (r *restorer) fromReport(list []*wanted, left map[string]bool, sync int) ([]*wanted, error) {
	s, err := state.ReadSummary(r.hosts.Dir, sync)
	if err == nil && s.Offline.Deleted+s.Online.Deleted == 0 {
		return list, nil
	}
	var rec *state.Record
	if err == nil {
		rec, err = state.ReadRecord(r.hosts.Dir, sync)
	}
	if errors.Is(err, state.ErrDamaged) {
		r.notes = append(r.notes, err.Error())
		return list, nil
	} else if err != nil {
		return nil, err
	}
	var found []string
	list = append(list, r.deleted(rec, func(w *wanted) bool {
		id := asked(left, w.message, w.name.Unique)
		found = append(found, id)
		return id != ""
	})...)
	for _, id := range found {
		delete(left, id)
	}
	return list, nil
}

// asked returns the question that a mail answers: its name in reports, its unique
// name or its key; "" if none does.
func asked(left map[string]bool, message, name string) string {
	unique, _, _ := strings.Cut(name, ":")
	for _, id := range []string{message, unique, keyUpTo(name, ",:")} {
		if id != "" && left[id] {
			return id
		}
	}
	return ""
}

// notice says of mails that a question was about that it is no question any more.
func (r *restorer) notice(list []*wanted) error {
	if r.rec == nil {
		return nil
	}
	for _, h := range r.rec.Pending.Held {
		for _, w := range list {
			if w.message == h.Message && w.effect == "" && (h.Kind == merge.DeletedOffline || h.Kind == merge.DeleteModify) {
				r.notes = append(r.notes, fmt.Sprintf("%q waits for a decision (%s): if it is as before when it is back, the question is gone with the next sync", w.message, h.Kind))
			}
		}
	}
	return nil
}
