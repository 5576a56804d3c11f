package engine

import (
	"os"
	"path/filepath"

	"snapmerge/internal/config"
	"snapmerge/internal/state"
)

// OpenCopy opens the mail that a record says is in a snapshot at home, for
// somebody who wants to read it. Nothing in the snapshot is followed, and it is a
// regular file. What it holds came from outside.
func OpenCopy(mb config.Mailbox, at state.SnapshotFile) (*os.File, error) {
	z, err := openFrozen((&restorer{mb: mb}).readable(at.Snapshot), at.Snapshot)
	if err != nil {
		return nil, err
	}
	defer z.root.Close()
	return (&source{in: z, path: at.Path}).open()
}

// CopyPath is where a person finds that mail.
func CopyPath(mb config.Mailbox, at state.SnapshotFile) string {
	return filepath.Join((&restorer{mb: mb}).readable(at.Snapshot).Snapshots, at.Snapshot, at.Path)
}
