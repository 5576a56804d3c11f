package engine

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// listSnapshots finds the snapshots that can be read here: home's own, the newest
// first, and then online's.
func (r *restorer) listSnapshots() error {
	dirs := []string{r.mb.Offline.Snapshots}
	if r.mb.Online.Host == "" && r.mb.Online.Snapshots != r.mb.Offline.Snapshots {
		dirs = append(dirs, r.mb.Online.Snapshots)
	}
	for i, dir := range dirs {
		list, err := snapshot.List(dir)
		if err != nil && i == 0 { // an online side that is not mounted is no obstacle
			return err
		}
		for _, e := range list {
			if e.Info.ReadOnly && (i == 0 || e.Side == snapshot.Online) {
				r.snaps = append(r.snaps, e)
			}
		}
	}
	slices.SortStableFunc(r.snaps, func(a, b snapshot.Entry) int {
		return cmp.Or(strings.Compare(a.Side, b.Side), cmp.Compare(b.Sync, a.Sync)) // "offline" is before "online"
	})
	return nil
}

// readable is the store of which a snapshot here is one.
func (r *restorer) readable(name string) host.Store {
	if side, _, _ := snapshot.ParseName(name); side == snapshot.Offline {
		return storeOf(r.mb.Offline)
	}
	s := storeOf(r.mb.Online)
	if r.mb.Online.Host != "" {
		s.Snapshots, s.Layout.Mirror = r.mb.Offline.Snapshots, true
	}
	return s
}

// inSnapshot returns the mails of a snapshot for which ok holds, given the message
// that each is and where it is.
func (r *restorer) inSnapshot(e snapshot.Entry, ok func(message string, m mailAt) bool) (list []*wanted, err error) {
	z, err := r.snapshot(e.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	names, err := r.messagesOf(e)
	if err != nil {
		return nil, err
	}
	var found []mailAt
	if err := z.eachName(func(m mailAt) error {
		if ok(names.of(m), m) {
			found = append(found, m)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return r.asThere(z, e, names, found)
}

// asThere returns mails as a snapshot has them. One that no reader accepts is none.
func (r *restorer) asThere(z *frozen, e snapshot.Entry, names messages, found []mailAt) (list []*wanted, err error) {
	if len(found) == 0 {
		return nil, nil
	}
	reader, err := tree.NewReader(z.root, z.layout)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	for _, m := range found {
		name, err := tree.ParseName(m.name)
		if err != nil {
			continue
		}
		folder, _, err := reader.Folder(m.folder)
		if err != nil {
			return nil, err
		}
		path, err := m.path(z.layout)
		if err != nil {
			return nil, err
		}
		w := &wanted{side: merge.Offline, message: names.of(m), whole: true, to: m.folder, name: name, copy: &state.SnapshotFile{Snapshot: e.Name, Path: path}}
		w.keywords, _ = folder.Keywords.Names(name.Letters)
		list = append(list, w)
	}
	return list, nil
}

// messages are those of files whose names do not tell them.
type messages map[mailAt]string

func (n messages) of(m mailAt) string {
	if len(n) > 0 {
		m.ino = 0
		if name, ok := n[m]; ok {
			return name
		}
	}
	return m.key()
}

// messagesOf returns the messages in a snapshot, by its sync's record.
func (r *restorer) messagesOf(e snapshot.Entry) (messages, error) {
	rec, err := state.ReadRecord(r.hosts.Dir, e.Sync)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, state.ErrDamaged) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	out := messages{}
	for _, p := range rec.Pending.Pairs {
		if p.Side.String() == e.Side {
			out[mailAt{folder: p.Folder, isNew: p.New, name: p.Name}] = p.Message
		}
	}
	return out, nil
}

// elsewhere looks in all snapshots for the mails whose own one is gone: mail does
// not change, so any copy will do.
func (r *restorer) elsewhere(list []*wanted) error {
	left := map[string][]*wanted{} // by message, and by key
	for _, w := range list {
		if w.effect != "" {
			continue
		}
		if w.copy != nil {
			if z, err := r.snapshot(w.copy.Snapshot); err == nil && z.exists(w.copy.Path) {
				continue
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		w.copy = nil
		left[w.message] = append(left[w.message], w)
		if w.key() != w.message {
			left[w.key()] = append(left[w.key()], w)
		}
	}
	if len(left) == 0 {
		return nil
	}
	for _, e := range r.snaps {
		found, err := r.inSnapshot(e, func(message string, _ mailAt) bool {
			return slices.ContainsFunc(left[message], func(w *wanted) bool { return w.copy == nil && w.is(message) })
		})
		if err != nil {
			return err
		}
		for _, f := range found {
			for _, w := range left[f.message] {
				if w.copy == nil && w.is(f.message) {
					w.copy = f.copy
				}
			}
		}
	}
	for _, w := range list {
		if w.effect == "" && w.copy == nil {
			w.end(state.Lost, "no snapshot that is kept has it")
		}
	}
	return nil
}

// missing finds what home's snapshots have and home has no more: each mail as the
// youngest one has it. A mail is known by its key or its inode number, as a client
// that moves it may give it another name.
func (r *restorer) missing() ([]*wanted, error) {
	type sighting struct {
		in snapshot.Entry
		at []mailAt
	}
	home := r.hosts.Facts[merge.Offline].Live.UUID
	byKey, byIno := map[string]*sighting{}, map[uint64]*sighting{}
	for _, e := range r.since() {
		z, err := r.snapshot(e.Name)
		if err != nil {
			return nil, err
		}
		if err := z.eachName(func(m mailAt) error {
			if e.Info.ParentUUID != home {
				m.ino = 0 // of another store: its inode numbers say nothing
			}
			s := cmp.Or(byKey[m.key()], byIno[m.ino])
			if s == nil {
				s = &sighting{in: e}
			}
			byKey[m.key()] = s
			if m.ino != 0 {
				byIno[m.ino] = s
			}
			if s.in.Name == e.Name {
				s.at = append(s.at, m)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	if err := r.live[merge.Offline].eachName(func(m mailAt) error {
		for _, s := range []*sighting{byKey[m.key()], byIno[m.ino]} {
			if s != nil {
				s.at = nil
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	found := map[string][]mailAt{}
	for _, s := range byKey {
		for _, m := range s.at {
			if r.opt.Folder == "" || m.folder == r.opt.Folder {
				found[s.in.Name] = append(found[s.in.Name], m)
			}
		}
		s.at = nil // it may have another key, too
	}
	var list []*wanted
	for _, e := range r.since() {
		z, err := r.snapshot(e.Name)
		if err != nil {
			return nil, err
		}
		names, err := r.messagesOf(e)
		if err != nil {
			return nil, err
		}
		more, err := r.asThere(z, e, names, found[e.Name])
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// since returns home's snapshots of the time that is asked for, and the one
// before: what was there then is in that one.
func (r *restorer) since() (out []snapshot.Entry) {
	for _, e := range r.snaps {
		if e.Side != snapshot.Offline {
			continue
		}
		out = append(out, e)
		if !r.opt.Since.IsZero() && !e.Info.Otime.After(r.opt.Since) {
			break
		}
	}
	return out
}
