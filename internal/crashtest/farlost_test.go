package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/snapshot"
)

// TestFarLost: what an increment needs is missing on a side, or home's copy is not
// what online's snapshot was. Then all of online is received once more: nothing is
// placed twice, no mail at home is touched, what is gone online meanwhile was
// deleted by nobody, and the copy lies on the same blocks as home's mail.
func TestFarLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, w *world)
		note string
	}{
		{"online's snapshot is gone", func(t *testing.T, w *world) {
			command(t, "btrfs", "subvolume", "delete", filepath.Join(w.mb.Online.Snapshots, "online.1"))
		}, "online has lost its snapshot of sync 1"},
		{"home's copy is gone", func(t *testing.T, w *world) {
			command(t, "btrfs", "subvolume", "delete", filepath.Join(w.mb.Offline.Snapshots, "online.1"))
		}, "home has lost its copy of online's snapshot of sync 1"},
		{"home's copy lacks a mail", func(t *testing.T, w *world) { forgeMirror(t, w.mb.Offline.Snapshots, "online.1") },
			"do not fit what was received of sync 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, btrfstest.Shared(t).Path)
			w.ssh = w.far("-", "-")
			for i := range 40 {
				w.online.deliver("INBOX", fmt.Sprintf("m%02d", i), "", i)
			}
			w.online.makeFolder("work")
			w.sync()
			before := files(t, w.offline.path)
			tt.lose(t, w)
			w.online.deliver("INBOX", "new", "", 50)
			w.online.flag("INBOX", "m01", "F")
			w.online.move("INBOX", "m02", "work")
			w.online.move("INBOX", "m20", "work") // what a forged copy lacks
			w.online.delete("INBOX", "m03")
			w.offline.flag("INBOX", "m04", "R")
			res := w.sync()
			if notes := strings.Join(res.Notes, "\n"); !strings.Contains(notes, tt.note) {
				t.Errorf("notes: %q, want %q", notes, tt.note)
			}
			if r := res.Record.Report; r.Offline.Placed != 1 || r.Offline.Deleted != 0 || r.Held != 0 {
				t.Errorf("%+v", r.Totals)
			}
			for key, want := range map[string][2]string{
				"new": {"INBOX:", "INBOX:"}, "m01": {"INBOX:F", "INBOX:F"}, "m02": {"INBOX:", "INBOX:"}, "m20": {"INBOX:", "INBOX:"}, // as in a first sync: "prefer" decides
				"m03": {"", "INBOX:"}, "m04": {"INBOX:R", "INBOX:R"},
			} {
				w.wantWhere(key, want)
			}
			w.untouched(before)
			w.wantShared("m25", "m30", "m39")
			w.settled()
		})
	}
}

// forgeMirror makes home's copy of a snapshot another one that claims to be it:
// without a mail that online is going to move.
func forgeMirror(t *testing.T, dir, name string) {
	t.Helper()
	info, err := snapshot.Read(filepath.Join(dir, name))
	must(t, err)
	root, err := snapshot.Branch(dir, name, "online.99")
	must(t, err)
	defer root.Close()
	found, err := filepath.Glob(filepath.Join(dir, "online.99.part", "cur", "m20,*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	must(t, os.Remove(found[0]))
	must(t, snapshot.Seal(root, dir, "online.99", info.ReceivedUUID, info.Stransid, true))
	must(t, snapshot.Delete(dir, name))
	must(t, os.Rename(filepath.Join(dir, "online.99"), filepath.Join(dir, name)))
}

// wantShared checks that the newest copy of online's mail lies where home's lies.
func (w *world) wantShared(keys ...string) {
	w.t.Helper()
	copies, err := filepath.Glob(filepath.Join(w.mb.Offline.Snapshots, "online.*"))
	if err != nil || len(copies) != 1 {
		w.t.Fatalf("%q, %v", copies, err)
	}
	mirror := store{w.t, copies[0]}
	for _, key := range keys {
		if a, b := blocks(w.t, mirror.mustFind("INBOX", key)), blocks(w.t, w.offline.mustFind("INBOX", key)); a != b || a == "" {
			w.t.Errorf("%s: the copy lies at %s, home's mail at %s", key, a, b)
		}
	}
}

var extentLine = regexp.MustCompile(`(?m)^ *\d+: +\d+\.\. +\d+: +(\d+)\.\.`)

// blocks returns where the extents of a file begin; "" if it has none of its own.
func blocks(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.Command("filefrag", "-v", path).Output()
	must(t, err)
	var at []string
	for _, m := range extentLine.FindAllStringSubmatch(string(out), -1) {
		at = append(at, m[1])
	}
	return strings.Join(at, " ")
}

// TestFarOversize: a mail larger than the limit stays out, is named, and comes when
// the limit is raised, although no change of online brings it again.
func TestFarOversize(t *testing.T) {
	w := newWorld(t, btrfstest.Shared(t).Path)
	w.ssh = w.far("-", "-")
	w.mb.Limits.Message = 4096
	w.online.deliver("INBOX", "small", "", 1)
	w.online.deliver("INBOX", "large", "", 26) // some 9 kB
	res := w.sync()
	w.wantWhere("small", [2]string{"INBOX:", "INBOX:"})
	w.wantWhere("large", [2]string{"INBOX:", ""})
	if h := res.Record.Pending.Held; len(h) != 1 || !strings.Contains(h[0].Note, "larger than the limit of 4096 bytes") || res.Record.Report.Refused != 1 {
		t.Errorf("held: %+v", h)
	}
	w.online.flag("INBOX", "large", "S")
	if res = w.sync(); len(res.Record.Pending.Held) != 1 {
		t.Errorf("held after it was read online: %+v", res.Record.Pending.Held)
	}
	w.mb.Limits.Message = 1 << 20
	w.sync()
	w.wantWhere("large", [2]string{"INBOX:S", "INBOX:S"})
	if res, err := w.trySync(engine.Options{}); err != nil || res.Record.Report.Held != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	w.settled()
}
