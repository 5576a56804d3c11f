package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
)

// Subvolumes are found in any depth, under the names that they and the directories
// around them have now; not those within them, snapshots of the subvolume elsewhere
// or what a snapshot has in their places.
func TestSubvolumes(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	want := func(path string, want ...string) {
		t.Helper()
		got, err := Subvolumes(path)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%v, -want +got:\n%s", err, d)
		}
	}
	want(live)
	for _, rel := range []string{"live/z", "live/a/b/c/odd \xff\n", "live/a/b/c/odd \xff\n/within"} {
		fs.Subvolume(t, rel)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(filepath.Join(live, "a/b"), filepath.Join(live, "a/moved")))
	must(os.Rename(filepath.Join(live, "z"), filepath.Join(live, "y")))
	want(live, "a/moved/c/odd \xff\n", "y")
	want(fs.Snapshot(t, live, "snap"))
	want(live, "a/moved/c/odd \xff\n", "y")
	if _, err := Subvolumes(filepath.Join(live, "a")); !errors.Is(err, ErrNotSubvolume) {
		t.Errorf("a directory: %v", err)
	}
}
