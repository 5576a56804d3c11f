package crashtest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/internal/lock"
)

// TestFails: a sync that can not be done, or not to its end, says why in a
// sentence. When the cause is gone, the next one ends as if nothing had been.
func TestFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		// spoil returns how the damage is mended. stage is when it comes, "" before
		// the sync.
		stage string
		spoil func(t *testing.T, w *world) (mend func())
		want  []string // the error tells these
	}{
		{"online root is missing", "", func(t *testing.T, w *world) func() { return hide(t, w.online.path) },
			[]string{"mailbox chris: online: ", "/online/mail: file does not exist"}},
		{"offline root is missing", "", func(t *testing.T, w *world) func() { return hide(t, w.offline.path) },
			[]string{"mailbox chris: offline: ", "/offline/mail: file does not exist"}},
		{"online snapshots are missing", "", func(t *testing.T, w *world) func() { return hide(t, w.mb.Online.Snapshots) },
			[]string{"/online/snapshots: no such directory"}},
		{"offline snapshots are missing", "", func(t *testing.T, w *world) func() { return hide(t, w.mb.Offline.Snapshots) },
			[]string{"/offline/snapshots: no such directory"}},
		{"online is another's", "", func(t *testing.T, w *world) func() { return locked(t, w.mb.Online.Snapshots) },
			[]string{"/online/snapshots", "another run holds the lock"}},
		{"offline is another's", "", func(t *testing.T, w *world) func() { return locked(t, w.mb.Offline.Snapshots) },
			[]string{"/offline/snapshots", "another run holds the lock"}},
		{"online root goes away", engine.StageHome, func(t *testing.T, w *world) func() { return hide(t, w.online.path) },
			[]string{"online: open store", "no such file or directory"}},
		{"offline root goes away", engine.StageMerge, func(t *testing.T, w *world) func() { return hide(t, w.offline.path) },
			[]string{"offline: open store", "no such file or directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := wantEnd(t, change{})
			w := prepare(t, btrfstest.Shared(t).Path)
			w.fails(tt.stage, tt.spoil, tt.want)
			w.sync()
			compare(t, w.end(), want, true)
			w.settled()
		})
	}
}

// TestReadOnly: the same for a file system that is mounted read-only, as the
// kernel does after an error of the disk. Each store has one of its own. (That of
// the journal can not be made so later: a file that is open for writing forbids it.)
func TestReadOnly(t *testing.T) {
	const readOnly = "read-only file system"
	for _, tt := range []struct {
		disk, stage string
		want        []string
	}{
		{"online", "", []string{"mailbox chris: online: ", readOnly}},
		{"offline", "", []string{"mailbox chris: offline: ", readOnly}},
		{"online", engine.StageMerge, []string{"online: ", readOnly}},
		{"offline", engine.StageMerge, []string{"write journal of sync 3", readOnly}},
	} {
		t.Run(strings.TrimSuffix(tt.disk+" "+tt.stage, " "), func(t *testing.T) {
			t.Parallel()
			want := wantEnd(t, change{})
			disk, dir := btrfstest.New(t), btrfstest.Shared(t).Path
			must(t, os.Symlink(disk.Path, filepath.Join(dir, tt.disk)))
			w := prepare(t, dir)
			w.fails(tt.stage, func(t *testing.T, w *world) func() {
				command(t, "mount", "-o", "remount,ro", disk.Path)
				return func() { command(t, "mount", "-o", "remount,rw", disk.Path) }
			}, tt.want)
			w.sync()
			compare(t, w.end(), want, true)
			w.settled()
		})
	}
}

// TestFull: the disk of one store is full, or nearly, or becomes so when the sync
// comes to a stage. The less there is left, the earlier it stops.
func TestFull(t *testing.T) {
	for _, disk := range []string{"offline", "online"} {
		t.Run(disk, func(t *testing.T) {
			t.Parallel()
			tried, failed := 0, 0
			for _, stage := range []string{"", engine.StageMerge, engine.StageHome, engine.StageOnline} {
				for _, left := range []int64{0, 512 << 10, 1 << 20, 4 << 20} {
					t.Run(fmt.Sprintf("%s, %d KiB left", cmp.Or(stage, "before"), left>>10), func(t *testing.T) {
						if tried++; full(t, disk, stage, left) {
							failed++
						}
					})
				}
			}
			if t.Logf("%d of %d syncs failed", failed, tried); failed < 5 || failed == tried {
				t.Error("all syncs failed, or hardly one: the levels prove little")
			}
		})
	}
}

func full(t *testing.T, disk, stage string, left int64) (failed bool) {
	want := wantEnd(t, change{})
	fs, dir := btrfstest.New(t, 128<<20), btrfstest.Shared(t).Path
	must(t, os.Symlink(fs.Path, filepath.Join(dir, disk)))
	w := prepare(t, dir)
	before := files(t, w.offline.path)
	do := func() { fill(t, fs.Path, left) }
	if stage == "" {
		do()
	}
	_, err := w.trySync(engine.Options{Progress: once(stage, do)})
	if err != nil {
		wantError(t, err, "no space left on device")
		t.Log(err)
	}
	must(t, os.Remove(filepath.Join(fs.Path, "ballast")))
	command(t, "btrfs", "filesystem", "sync", fs.Path)
	w.sync()
	compare(t, w.end(), want, true)
	w.untouched(before)
	w.settled()
	return err != nil
}

// fill writes a file until there is no space but left bytes.
func fill(t *testing.T, dir string, left int64) {
	t.Helper()
	reserve := filepath.Join(dir, "reserve")
	must(t, os.WriteFile(reserve, make([]byte, left), 0o600))
	command(t, "btrfs", "filesystem", "sync", dir)
	f, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) >= 4096; {
		_, err := f.Write(block)
		if err == nil {
			err = f.Sync()
		}
		if errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else {
			must(t, err)
		}
	}
	must(t, os.Remove(reserve))
	command(t, "btrfs", "filesystem", "sync", dir)
}

// fails runs a sync that must fail, with the damage done when it comes to the
// stage, and mends the damage.
func (w *world) fails(stage string, spoil func(*testing.T, *world) func(), want []string) {
	w.t.Helper()
	t := w.t.(*testing.T)
	var mend func()
	do := func() { mend = spoil(t, w) }
	if stage == "" {
		do()
	}
	_, err := w.trySync(engine.Options{Progress: once(stage, do)})
	if mend == nil {
		t.Fatalf("the sync did not come to stage %q: %v", stage, err)
	}
	mend()
	wantError(t, err, want...)
}

func hide(t *testing.T, path string) (mend func()) {
	must(t, os.Rename(path, path+".away"))
	return func() { must(t, os.Rename(path+".away", path)) }
}

func locked(t *testing.T, path string) (mend func()) {
	dir, err := os.Open(path)
	must(t, err)
	release, err := lock.Take(dir)
	must(t, err)
	return func() { release(); dir.Close() }
}

// wantError checks an error: it tells what it is about, in one line, and begins
// as errors do that are not an apology.
func wantError(t *testing.T, err error, about ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	// Where several things are missing, each has its line.
	text := strings.ReplaceAll(err.Error(), "\nmailbox chris: ", "; mailbox chris: ")
	for _, a := range about {
		if !strings.Contains(text, a) {
			t.Errorf("%q does not tell %q", text, a)
		}
	}
	for _, bad := range []string{"\n", "failed to", "unable to"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q contains %q", text, bad)
		}
	}
}
