package btrfstest

import (
	"path/filepath"
	"testing"
)

// CommitMetadata makes the file system commit its transaction without writing
// out the data that waits in memory, as happens by itself every 30 seconds. It
// is the moment before which a power cut is worst: what was renamed or linked is
// on disk, what was written may not be. (A snapshot flushes the data of its own
// subvolume only, so one of an empty subvolume does it.)
func (fs *FS) CommitMetadata(t testing.TB, rel string) {
	t.Helper()
	fs.Snapshot(t, fs.Subvolume(t, rel), rel+".snapshot")
}

// PowerCut returns a directory with the files, of subvolumes and snapshots
// too, that would be found after a power cut now: it copies the image and has
// btrfs-restore(8) read the copy, as the kernel does not mount a second file
// system of one UUID before Linux 6.7. Contents and sizes are true; owners and
// times are not restored, symlinks are missing. restore reads the last committed
// transaction and no log tree: what a single fsync has saved since is not shown.
//
// For a file system from [New] only. Nothing may be writing meanwhile, or the
// copy is of no one moment.
func (fs *FS) PowerCut(t testing.TB) string {
	t.Helper()
	if fs.image == "" {
		t.Fatal("btrfstest: PowerCut needs a file system from New")
	}
	cut := filepath.Join(t.TempDir(), "cut")
	run(t, "cp", "--sparse=always", fs.image, cut)
	dir := t.TempDir()
	run(t, "btrfs", "restore", "-s", cut, dir)
	return dir
}
