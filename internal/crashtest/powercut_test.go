package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
)

// cuts are when the power fails: at this call of Progress, counted from 1, which
// is told of each stage and each action; at last when the sync has just ended.
// Before half of the cuts the file system commits its metadata, but not the data
// that waits in memory.
var cuts = []int{1, 4, 5, 6, 16, 20, 30, 41, 45, 55, 68, ended}

const ended = 1000

// TestPowerCut: the power fails during a sync; both stores are on one disk. What
// is found on the disk then has no mail that is empty, short or wrong, and a sync
// of it ends where an undisturbed one would have.
func TestPowerCut(t *testing.T) {
	want := wantEnd(t, change{})
	disk := btrfstest.New(t, 256<<20)
	w := prepare(t, disk.Path)
	command(t, "btrfs", "filesystem", "sync", disk.Path)
	image := strings.TrimSuffix(disk.Path, "/mnt") + "/img"
	images := t.TempDir()
	calls := 0
	cut := func(at int) {
		if i := slices.Index(cuts, at); i%2 == 1 && at != ended {
			disk.CommitMetadata(t, fmt.Sprint("commit", at))
		} else if i < 0 {
			return
		}
		command(t, "cp", "--sparse=always", image, filepath.Join(images, fmt.Sprint(at)))
	}
	_, err := w.trySync(engine.Options{Progress: func(string, int, int) {
		calls++
		cut(calls)
	}})
	cut(ended)
	must(t, err)
	if calls < cuts[len(cuts)-2] {
		t.Errorf("only %d calls of Progress", calls)
	}
	command(t, "umount", disk.Path)
	for _, c := range cuts {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			// The kernel has seen a later state of the same file system.
			command(t, "btrfs", "device", "scan", "--forget")
			command(t, "mount", "-o", "loop", filepath.Join(images, fmt.Sprint(c)), disk.Path)
			defer command(t, "umount", disk.Path)
			w := &world{t: t, dir: disk.Path, mb: w.mb, online: store{t, w.online.path}, offline: store{t, w.offline.path}}
			w.dropEmptyLocks()
			before := files(t, w.offline.path)
			w.wholeMail(want)
			w.sync()
			compare(t, w.end(), want, true)
			w.untouched(before)
			w.settled()
		})
	}
}

// TestPowerCutCopied: the same where online is on another disk, so that mail
// comes home by copying its bytes, which are not ordered with its name.
func TestPowerCutCopied(t *testing.T) {
	want := wantEnd(t, change{})
	disk, dir := btrfstest.New(t, 256<<20), btrfstest.Shared(t).Path
	must(t, os.Symlink(disk.Path, filepath.Join(dir, "offline")))
	w := prepare(t, dir)
	command(t, "btrfs", "filesystem", "sync", disk.Path)
	calls, placed := 0, 0
	_, err := w.trySync(engine.Options{Progress: func(string, int, int) {
		calls++
		if !slices.Contains([]int{12, 18, 24, 40}, calls) {
			return
		}
		disk.CommitMetadata(t, fmt.Sprint("commit", calls))
		cut := disk.PowerCut(t)
		v := (&world{t: t, offline: store{t, filepath.Join(cut, "mail")}}).wholeMail(want)
		if len(v.find("n01")) > 0 {
			placed++
		}
	}})
	must(t, err)
	if placed == 0 {
		t.Error("no cut shows a mail that was placed: the test proves nothing")
	}
}

// dropEmptyLocks lets two minutes pass. A lock whose content the power cut has
// taken names no process, so Dovecot and a sync give its holder that long; they
// would only wait for it, and change nothing in the folder.
func (w *world) dropEmptyLocks() {
	w.t.Helper()
	for _, s := range w.sides() {
		for _, f := range look(w.t, s.path).Folders {
			lock := filepath.Join(s.dirOf(f), "dovecot-uidlist.lock")
			if st, err := os.Stat(lock); err == nil && st.Size() == 0 {
				must(w.t, os.Remove(lock))
			}
		}
	}
}

// wholeMail checks that every mail at home has the content that it has in the
// undisturbed end, or had before.
func (w *world) wholeMail(want end) view {
	w.t.Helper()
	sums := map[string]string{}
	for _, m := range append(slices.Clone(want.Offline.Mails), want.Online.Mails...) {
		sums[m.Key] = m.SHA256
	}
	v := look(w.t, w.offline.path)
	for _, m := range v.Mails {
		if sum, ok := sums[m.Key]; m.Size == 0 || ok && sum != m.SHA256 {
			w.t.Errorf("%s in %s has %d bytes, SHA-256 %s, want %s", m.Key, m.Folder, m.Size, m.SHA256, sum)
		}
	}
	return v
}
