package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A history is a mailbox's snapshots directory at home, with what the last sync
// left there.
type history struct {
	mb     config.Mailbox
	dir    *os.File
	newest *state.Record // nil: there was no sync yet
}

// openHistory reads the newest record. A directory that does not exist is that
// of a mailbox that was never synced; then dir is nil.
func (a *app) openHistory(mb config.Mailbox) (*history, error) {
	h := &history{mb: mb}
	dir, err := os.Open(mb.Offline.Snapshots)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(mb.Offline.Path); err != nil {
			return nil, err // the disk is not mounted, or the path is wrong
		}
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	rec, damaged, err := state.NewestRecord(dir)
	if err != nil {
		dir.Close()
		return nil, err
	}
	for _, d := range damaged {
		a.note(fmt.Sprintf("mailbox %s: %v: what is shown is older", mb.Name, d))
	}
	h.dir, h.newest = dir, rec
	return h, nil
}

func (h *history) close() {
	if h.dir != nil {
		h.dir.Close()
	}
}

// items returns what waited after the last sync, with the answers since.
func (h *history) items() ([]report.Item, error) {
	if h.newest == nil {
		return nil, nil
	}
	answers := map[string]state.Decided{}
	maps.Copy(answers, h.newest.Pending.Decisions)
	since, err := state.ReadDecisions(h.dir)
	if err != nil {
		return nil, err
	}
	maps.Copy(answers, since)
	found, err := h.starts()
	if err != nil {
		return nil, err
	}
	var out []report.Item
	for _, held := range h.newest.Pending.Held {
		it := report.Item{Mailbox: h.mb.Name, Held: held, Waiting: found(held.Since)}
		// An answer to another question than this one is none.
		if d, ok := answers[held.ID]; ok && d.State == held.State {
			it.Decided = &d.Take
		}
		for side, at := range held.Copies() {
			if at != nil {
				it.Files[side] = engine.CopyPath(h.mb, *at)
			}
		}
		out = append(out, it)
	}
	return out, nil
}

// starts returns a function that says when a sync began, or the first later one
// whose record is there.
func (h *history) starts() (func(sync int) time.Time, error) {
	syncs, err := state.ListRecords(h.dir)
	if err != nil {
		return nil, err
	}
	known := map[int]time.Time{h.newest.Sync: h.newest.Started}
	return func(sync int) time.Time {
		for _, n := range syncs {
			if n < sync {
				continue
			}
			if _, ok := known[n]; !ok {
				s, err := state.ReadSummary(h.dir, n)
				if err != nil {
					continue // damaged: "log" says so
				}
				known[n] = s.Started
			}
			return known[n]
		}
		return h.newest.Started
	}, nil
}

// stale counts by folder the mails that the last sync left in online's new/ and
// that have been there for more than a week. It reads the new/ directories of
// online's snapshot, nothing else.
func (h *history) stale(now time.Time) (map[string]int, error) {
	if h.newest == nil || h.newest.Report.WaitingInNew == 0 {
		return nil, nil
	}
	waiting := map[string]bool{}
	for _, m := range h.newest.Pending.Agreed {
		if len(m.Base[merge.Online])+len(m.Base[merge.Offline]) == 0 {
			waiting[m.Message] = true
		}
	}
	snapshots := h.mb.Online.Snapshots
	if h.mb.Online.Host != "" { // what was received of it
		snapshots = h.mb.Offline.Snapshots
	}
	root, err := os.OpenRoot(filepath.Join(snapshots, h.newest.Snapshots[merge.Online]))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	out := map[string]int{}
	for _, folder := range h.newest.Pending.Folders {
		dir, err := h.mb.Online.Layout.Dir(folder)
		if err != nil {
			continue // no folder of this layout: the configuration has changed
		}
		if n := oldMails(root, filepath.Join(dir, "new"), waiting, now.AddDate(0, 0, -7)); n > 0 {
			out[folder] = n
		}
	}
	return out, nil
}

// oldMails counts; what can not be read holds no mail. The root keeps it inside
// the snapshot, whatever symlinks there are.
func oldMails(root *os.Root, dir string, waiting map[string]bool, before time.Time) int {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		name, err := tree.ParseName(e.Name())
		if err != nil || !waiting[name.Key()] {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() && st.ModTime().Before(before) {
			n++
		}
	}
	return n
}
