package stream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

// TestCorpus: the listing of the first snapshot, changed as the tracker says, is
// the listing of the second: every path, and the inode behind it.
func TestCorpus(t *testing.T) {
	cases, err := filepath.Glob("testdata/corpus/*")
	if err != nil || len(cases) != 29 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, dir := range cases {
		name := filepath.Base(dir)
		for _, file := range []string{"incr.stream", "nodata.stream"} {
			t.Run(name+"/"+file, func(t *testing.T) {
				tr, err := trackAll(read(t, "corpus/"+name+"/"+file), Limits{})
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]uint64{}
				for p, ino := range expand(tr, listing(t, "corpus/"+name+"/before.txt")) {
					got[strings.ReplaceAll(p, "\n", "?")] = ino
				}
				want := map[string]uint64{}
				for p, e := range listing(t, "corpus/"+name+"/after.txt") {
					want[p] = e.ino
				}
				// A nested subvolume is not sent (btrfs-send(8)); inode 2 stands for
				// it in the snapshot.
				if name == "27-nested-subvolume" {
					if want["nested"] != 2 {
						t.Errorf("nested subvolume: inode %d in after.txt, want 2", want["nested"])
					}
					delete(want, "nested")
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-after.txt +tracked:\n%s", diff)
				}
				if tr.unnamed != 0 {
					t.Errorf("%d made entries never got their name", tr.unnamed)
				}
			})
		}
	}
}

// TestInPlace: which cases leave every directory where it was. It is for these
// that no folder has to be listed. Of mails that swap names (06, 07, 17) the stream
// does not show that they are files.
func TestInPlace(t *testing.T) {
	cases, _ := os.ReadDir("testdata/corpus")
	var got []string
	for _, c := range cases {
		tr, err := trackAll(read(t, "corpus/"+c.Name()+"/nodata.stream"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if tr.inPlace() {
			got = append(got, c.Name())
		}
	}
	want := []string{"01-nothing", "02-flags", "03-move", "04-new-mail", "05-delete", "08-rename-over", "16-hardlinks", "18-deleted-and-recreated",
		"19-many-links", "20-contents-changed", "21-attributes", "22-xattrs", "24-clones-and-holes", "27-nested-subvolume", "29-protocol-2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
