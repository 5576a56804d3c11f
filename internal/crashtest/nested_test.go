package crashtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/merge"
)

// TestNested: a folder becomes a subvolume of its own online. A snapshot does not
// hold what is in it, and a send stream does not even tell that it is there; but
// nobody has deleted the folder's mail, and for as long as this is so it waits as
// refused. So does a link. All of it is synced again when it is mended.
func TestNested(t *testing.T) {
	for _, far := range []bool{false, true} {
		t.Run(map[bool]string{false: "here", true: "elsewhere"}[far], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, btrfstest.Shared(t).Path)
			if far {
				w.ssh = w.far("-", "-")
			}
			w.mb.Merge.DeletedOnline = merge.Apply
			w.online.makeFolder("work")
			for i, key := range []string{"a", "b", "c"} {
				w.online.deliver("work", key, "S", i)
			}
			w.online.deliver("INBOX", "d", "", 4)
			w.sync()
			w.sync()

			aside, nested := filepath.Join(w.dir, "aside"), w.online.dirOf("work")
			command(t, "cp", "-a", nested, aside)
			must(t, os.RemoveAll(nested))
			command(t, "btrfs", "subvolume", "create", nested)
			command(t, "cp", "-a", aside+"/.", nested)
			link := filepath.Join(w.online.path, "cur", "l:2,S")
			must(t, os.Symlink("/etc/passwd", link))
			want := []string{".work", "cur/l:2,S"}
			for i := range 3 {
				w.online.flag("INBOX", "d", []string{"S", "F", "R"}[i])
				res := w.sync()
				if n := res.Record.Report.Offline; n.Deleted+n.Folders > 0 || n.Flagged != 1 {
					t.Fatalf("sync %d at home: %+v", i, n)
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

			command(t, "btrfs", "subvolume", "delete", nested)
			command(t, "cp", "-a", aside, nested)
			must(t, os.Remove(link))
			w.online.flag("work", "a", "F")
			if res := w.sync(); len(res.Record.Pending.Held) > 0 {
				t.Errorf("mended, and held: %+v", res.Record.Pending.Held)
			}
			w.wantWhere("a", [2]string{"work:FS", "work:FS"})
			w.wantWhere("b", [2]string{"work:S", "work:S"})
			w.wantWhere("c", [2]string{"work:S", "work:S"})
			w.settled()
		})
	}
}
