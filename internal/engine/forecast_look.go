package engine

import (
	"errors"
	"slices"
	"time"

	"snapmerge/internal/sender"
	"snapmerge/merge"
	"snapmerge/tree"
)

// look finds what is due, and when what is not will be.
func (f *forecaster) look() error {
	for _, folder := range f.base[merge.Online].folders {
		if err := f.online(folder.Name); err != nil {
			return err
		}
	}
	for message, b := range f.agreed {
		if !f.held[message] {
			f.later(message, b)
		}
	}
	if err := f.ask(); err != nil {
		return err
	}
	for _, side := range merge.Sides {
		if err := f.filed(side); err != nil {
			return err
		}
	}
	return errors.Join(f.base[merge.Online].err, f.base[merge.Offline].err)
}

func (f *forecaster) of(folder string) *FolderRule {
	if f.folders[folder] == nil {
		f.folders[folder] = &FolderRule{}
	}
	return f.folders[folder]
}

// online looks at the mail of a folder from the oldest on, up to the first whose
// time is not over but will be; and a few days on, as months differ in length.
func (f *forecaster) online(folder string) error {
	keep := f.policy.For(folder).Keep
	if keep.Unit == merge.KeepAll {
		return nil
	}
	var first time.Time
	for e, err := range f.rows.Oldest(merge.Online, folder) {
		if err != nil {
			return err
		}
		if _, other := f.agreed[e.Message]; other || f.held[e.Message] {
			continue
		}
		at := received(e.File)
		if f.policy.Expired(keep, at) {
			f.due = append(f.due, e.Message)
			continue
		}
		if !first.IsZero() && at.After(first.Add(shortMonth)) {
			break
		}
		for _, p := range placements([]tree.File{e.File}, f.base[merge.Online].folders) {
			if f.passes(e.Message, p, f.base[merge.Offline].has(e.Message)) {
				f.ends(folder, keep, at)
				if first.IsZero() {
					first = at
				}
			}
		}
	}
	return nil
}

// later looks at a message of which the snapshots do not show what was agreed on:
// one that the sync has brought or moved, or whose time began anew.
func (f *forecaster) later(message string, b [2][]tree.Placement) {
	for _, p := range b[merge.Online] {
		keep, at := f.policy.For(p.Folder).Keep, p.Received
		if p.Since.After(at) {
			at = p.Since
		}
		switch {
		case f.policy.Expired(keep, at):
			f.due = append(f.due, message)
		case keep.Unit != merge.KeepAll && !at.IsZero() && f.passes(message, p, len(b[merge.Offline]) > 0):
			f.ends(p.Folder, keep, at)
		}
	}
}

// passes tells whether the time of a mail ends: neither flag nor sender keeps it.
func (f *forecaster) passes(message string, p tree.Placement, atHome bool) bool {
	e := f.policy.For(p.Folder)
	switch {
	case !atHome, e.KeepFlagged && p.Flags&tree.Flagged != 0, slices.Contains(f.rec.Pending.Differs, message):
		return false
	case len(e.KeepFrom) == 0:
		return true
	}
	from := f.sender(message)
	return len(from) > 0 && !merge.MatchSender(e.KeepFrom, from)
}

func (f *forecaster) ends(folder string, keep merge.Keep, at time.Time) {
	r := f.of(folder)
	if end := keep.End(at.In(f.policy.Location)); r.Next.IsZero() || end.Before(r.Next) {
		r.Next = end
	}
}

// ask lets the planner say what becomes of the mail that is due.
func (f *forecaster) ask() error {
	var in merge.Input
	slices.Sort(f.due)
	for _, message := range slices.Compact(f.due) {
		m := merge.Message{ID: message, Differ: slices.Contains(f.rec.Pending.Differs, message), Duplicate: f.doubled(message)}
		b, ok := f.agreed[message]
		for _, side := range merge.Sides {
			if !ok {
				b[side] = f.base[side].placements(message)
			}
			m.Base[side], m.Now[side] = b[side], slices.Clone(b[side])
		}
		if f.policy.NeedsSender(m) {
			m.From = f.sender(message)
		}
		in.Messages = append(in.Messages, m)
	}
	plan := merge.Merge(in, f.policy)
	for _, n := range plan.Notes {
		f.notes = append(f.notes, n.String())
	}
	for _, a := range plan.Actions {
		if files := f.base[merge.Online].all(a.Message); a.Op == merge.Expire && len(files) > 0 {
			r := f.of(a.From)
			r.Due++
			r.DueBytes += files[0].Size
		}
	}
	return nil
}

// doubled tells whether another message has the same key on a side.
func (f *forecaster) doubled(message string) bool {
	for _, side := range merge.Sides {
		for _, file := range f.base[side].all(message) {
			for _, other := range f.base[side].ofKey(key(file)) {
				if other.message != message {
					return true
				}
			}
		}
	}
	return false
}

// sender reads the From header, of home's file if there is one.
func (f *forecaster) sender(message string) []string {
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		files := f.base[side].all(message)
		if len(files) == 0 {
			continue
		}
		if f.snapshots[side] == nil {
			var err error
			if f.snapshots[side], err = openFrozen(readable(f.mb, side, f.mb.Online.Host != ""), f.rec.Snapshots[side]); err != nil {
				return nil
			}
		}
		src, err := f.snapshots[side].file(files[0])
		if err != nil {
			return nil
		}
		mail, err := src.open()
		if err != nil {
			return nil
		}
		defer mail.Close()
		return sender.Addresses(readRaw(mail, "from")["from"])
	}
	return nil
}

// filed tells when mail in the folders of archive families is filed next: now, if
// the oldest does not belong where it is; else when the period ends.
func (f *forecaster) filed(side merge.Side) error {
	oldest := map[string]time.Time{}
	see := func(p tree.Placement) {
		if was := oldest[p.Folder]; !p.New && (was.IsZero() || p.Received.Before(was)) {
			oldest[p.Folder] = p.Received
		}
	}
	for _, b := range f.agreed {
		for _, p := range b[side] {
			see(p)
		}
	}
	for _, folder := range f.base[side].folders {
		if _, ok := f.policy.Family(folder.Name); !ok {
			continue
		}
		for e, err := range f.rows.Oldest(side, folder.Name) {
			if err != nil {
				return err
			}
			if _, other := f.agreed[e.Message]; other || e.File.New {
				continue
			}
			see(tree.Placement{Folder: folder.Name, Received: received(e.File)})
			break
		}
	}
	for folder, at := range oldest {
		next := f.policy.NextPeriod(side, []string{folder})
		if f.policy.Misfiled(side, folder, at) {
			next = f.policy.Now
		}
		if !next.IsZero() {
			f.of(folder).Filed[side] = next
		}
	}
	return nil
}
