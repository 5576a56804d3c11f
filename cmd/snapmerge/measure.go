package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"snapmerge/internal/config"
	"snapmerge/internal/lock"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// measure counts what both stores hold. It counts in snapshots, since mail
// clients are at work in the stores, and deletes them again. They are named
// like those of a sync to come, so if this is killed, the next sync takes them
// for its own left-overs and deletes them.
func measure(mb config.Mailbox) (figures [2]report.Figures, err error) {
	dir, err := os.Open(mb.Offline.Snapshots)
	if err != nil {
		return figures, fmt.Errorf("measure: %w", err)
	}
	defer dir.Close()
	release, err := lock.Take(dir)
	if err != nil {
		return figures, err
	}
	defer release()
	for _, side := range merge.Sides {
		s := mb.Online
		if side == merge.Offline {
			s = mb.Offline
		}
		if figures[side], err = measureStore(s, side, dir); err != nil {
			return figures, fmt.Errorf("measure: %s: %w", side, err)
		}
	}
	return figures, nil
}

func measureStore(s config.Store, side merge.Side, records *os.File) (f report.Figures, err error) {
	n, err := unused(s.Snapshots, records)
	if err != nil {
		return f, err
	}
	name := snapshot.Name(side.String(), n)
	if err := snapshot.Take(s.Path, s.Snapshots, name); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, snapshot.Delete(s.Snapshots, name)) }()
	root, err := os.Open(filepath.Join(s.Snapshots, name))
	if err != nil {
		return f, err
	}
	defer root.Close()
	t, err := tree.Scan(root, s.Layout)
	if err != nil {
		return f, err
	}
	return report.Figures{Mails: len(t.Files), Folders: len(t.Folders)}, nil
}

// unused returns a number above those of all syncs and snapshots.
func unused(dir string, records *os.File) (int, error) {
	n := 0
	syncs, err := state.ListRecords(records)
	if err != nil {
		return 0, err
	}
	if len(syncs) > 0 {
		n = syncs[len(syncs)-1]
	}
	list, err := snapshot.List(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		n = max(n, e.Sync)
	}
	return n + 1, nil
}
