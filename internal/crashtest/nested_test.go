package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"

	"golang.org/x/sys/unix"
)

// hereAndElsewhere runs a test with online on this machine and on another.
func hereAndElsewhere(t *testing.T, test func(t *testing.T, w *world)) {
	for _, far := range []bool{false, true} {
		t.Run(map[bool]string{false: "here", true: "elsewhere"}[far], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, btrfstest.Shared(t).Path)
			if far {
				w.ssh = w.far("-", "-")
			}
			test(t, w)
		})
	}
}

// TestNested: a folder becomes a subvolume of its own online. A snapshot does not
// hold what is in it, and a send stream does not even tell that it is there; but
// nobody has deleted the folder's mail, and for as long as this is so it waits as
// refused. So does a link. All of it is synced again when it is mended.
func TestNested(t *testing.T) {
	hereAndElsewhere(t, func(t *testing.T, w *world) {
		w.mb.Merge.DeletedOnline = merge.Apply
		w.online.makeFolder("work")
		for i, key := range []string{"a", "b", "c"} {
			w.online.deliver("work", key, "S", i)
		}
		w.online.deliver("INBOX", "d", "", 4)
		w.online.deliver("INBOX", "goes", "", 5)
		w.online.deliver("INBOX", "moves", "", 6)
		w.online.makeFolder("empty")
		w.online.makeFolder("mounted")
		w.online.deliver("mounted", "e", "", 7)
		w.sync()
		w.sync()

		aside, nested := filepath.Join(w.dir, "aside"), w.online.dirOf("work")
		command(t, "cp", "-a", nested, aside)
		must(t, os.RemoveAll(nested))
		command(t, "btrfs", "subvolume", "create", nested)
		command(t, "cp", "-a", aside+"/.", nested)
		must(t, os.RemoveAll(w.online.dirOf("empty")))
		command(t, "btrfs", "subvolume", "create", w.online.dirOf("empty"))
		aside2 := filepath.Join(w.dir, "aside2")
		command(t, "cp", "-a", w.online.dirOf("mounted"), aside2)
		must(t, os.Remove(w.online.mustFind("mounted", "e"))) // moved to another disk, which is mounted there
		command(t, "mount", "--bind", aside2, w.online.dirOf("mounted"))
		t.Cleanup(func() { unix.Unmount(w.online.dirOf("mounted"), 0) })
		link := filepath.Join(w.online.path, "cur", "l:2,S")
		must(t, os.Symlink("/etc/passwd", link))
		// This may be in one of the folders that can not be read.
		w.online.delete("INBOX", "goes")
		w.offline.move("INBOX", "moves", "work") // home can, online can not
		want := []string{".empty", ".mounted", ".work", "cur/l:2,S", "goes"}
		for i := range 3 {
			w.online.flag("INBOX", "d", []string{"S", "F", "R"}[i])
			res := w.sync()
			if n := res.Record.Report.Offline; n.Deleted+n.Folders > 0 || n.Flagged != 1 {
				t.Fatalf("sync %d at home: %+v", i, n)
			}
			if n := res.Record.Report.Online; n != (state.Counts{}) {
				t.Fatalf("sync %d online: %+v", i, n)
			}
			for _, a := range res.Record.Report.Actions {
				if a.Message == "moves" && a.Side == merge.Online && (a.Effect != state.Raced || a.Why != "the folder is "+tree.Elsewhere) {
					t.Errorf("sync %d: %+v", i, a)
				}
			}
			if said := strings.Contains(strings.Join(res.Notes, "\n"), "1 mail deleted online, where a folder can not be read"); said != (i == 0) {
				t.Errorf("sync %d says %q", i, res.Notes)
			}
			var refused []string
			for _, h := range res.Record.Pending.Held {
				refused = append(refused, h.Message)
			}
			slices.Sort(refused)
			if !slices.Equal(refused, want) {
				t.Fatalf("sync %d: refused are %q, want %q", i, refused, want)
			}
		}

		if names, err := os.ReadDir(w.online.dirOf("empty")); len(names) > 0 || err != nil {
			t.Errorf("in the empty subvolume: %v, %v", names, err)
		}
		must(t, unix.Unmount(w.online.dirOf("mounted"), 0))
		command(t, "cp", "-a", filepath.Join(aside2, "cur"), w.online.dirOf("mounted"))
		command(t, "btrfs", "subvolume", "delete", nested, w.online.dirOf("empty"))
		w.online.makeFolder("empty")
		command(t, "cp", "-a", aside, nested)
		must(t, os.Remove(link))
		w.online.flag("work", "a", "F")
		if res := w.sync(); len(res.Record.Pending.Held) != 1 || res.Record.Pending.Held[0].Message != "goes" {
			t.Errorf("mended, and held: %+v", res.Record.Pending.Held)
		}
		w.decide(map[string]merge.Side{"goes": merge.Online})
		w.sync()
		w.wantWhere("goes", [2]string{"", ""})
		w.wantWhere("moves", [2]string{"work:", "work:"})
		w.wantWhere("e", [2]string{"mounted:", "mounted:"})
		w.wantWhere("a", [2]string{"work:FS", "work:FS"})
		w.wantWhere("b", [2]string{"work:S", "work:S"})
		w.wantWhere("c", [2]string{"work:S", "work:S"})
		w.settled()
	})
}

// TestNestedConverted: an admin makes a subvolume of a folder in the usual way,
// with a sync in the middle. The name to which the folder goes meanwhile makes it
// another folder, whose deletion afterwards is not of mail: all of it is in the
// subvolume.
func TestNestedConverted(t *testing.T) {
	hereAndElsewhere(t, func(t *testing.T, w *world) {
		w.mb.Merge.DeletedOnline = merge.Apply
		w.online.makeFolder("work")
		for i := range 9 {
			w.online.deliver([]string{"work", "INBOX", "INBOX"}[i%3], fmt.Sprint("m", i), "S", i)
		}
		w.sync()
		w.sync()
		w.online.renameFolder("work", "work/old") // mv .work .work.old
		command(t, "btrfs", "subvolume", "create", w.online.dirOf("work"))
		command(t, "cp", "-a", w.online.dirOf("work/old")+"/.", w.online.dirOf("work"))
		w.sync()
		must(t, os.RemoveAll(w.online.dirOf("work/old")))
		for range 2 {
			if res := w.sync(); res.Record.Report.Offline.Deleted != 0 {
				t.Fatalf("at home: %+v, notes %q", res.Record.Report.Offline, res.Notes)
			}
		}
	})
}

// TestNestedUnknown: a subvolume that no sync has known as a folder, as snapper's
// .snapshots, is refused, and holds back no deletion.
func TestNestedUnknown(t *testing.T) {
	hereAndElsewhere(t, func(t *testing.T, w *world) {
		w.mb.Merge.DeletedOnline = merge.Apply
		command(t, "btrfs", "subvolume", "create", w.online.dirOf("snapshots"))
		for i := range 4 {
			w.online.deliver("INBOX", fmt.Sprint("m", i), "S", i)
		}
		w.sync()
		w.online.delete("INBOX", "m1")
		res := w.sync()
		if h := res.Record.Pending.Held; res.Record.Report.Offline.Deleted != 1 || len(h) != 1 || h[0].Message != ".snapshots" {
			t.Errorf("at home: %+v, held %+v, notes %q", res.Record.Report.Offline, h, res.Notes)
		}
	})
}
