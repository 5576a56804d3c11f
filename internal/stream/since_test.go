package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// take takes a snapshot by the ioctl alone, so that nothing comes between it and
// what is done before and after.
func take(t *testing.T, live, dir, name string) *os.File {
	t.Helper()
	if err := snapshot.Take(live, dir, name); err != nil {
		t.Fatal(err)
	}
	return open(t, filepath.Join(dir, name))
}

func scanned(t *testing.T, root *os.File, l tree.Layout) *tree.Tree {
	t.Helper()
	all, err := tree.Scan(root, l)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSinceAtOnce: what is done in the moment before a snapshot, and in the moment
// after, is found in the right one of two differences.
func TestSinceAtOnce(t *testing.T) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(1, 2)), tree.Layout{}, fs.Subvolume(t, "live"))
	w.script("folder .a")
	for m := range 20 {
		w.script(fmt.Sprintf("mail cur/%d:2,", m))
	}
	before := take(t, w.root, fs.Path, "online.0")
	for n := range 20 {
		w.script(fmt.Sprintf("mv cur/%d:2, cur/%d:2,S", n, n)) // the moment after the last
		w.script(fmt.Sprintf("mail .a/cur/%d; rm cur/%d:2,S", n, n))
		now := take(t, w.root, fs.Path, fmt.Sprint("online.", n+1))
		compare(t, before, now, scanned(t, before, w.l), scanned(t, now, w.l), w.l, &total{})
		before = now
	}
}

// TestSinceWhileChanging: snapshots of a store that somebody changes all the time.
func TestSinceWhileChanging(t *testing.T) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(seeded(t), 7)), tree.Layout{}, fs.Subvolume(t, "live"))
	w.script("folder .a; folder .b; mail cur/0")
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				w.mailStep()
			}
		}
	}()
	var n total
	var before *os.File
	for i := range 15 {
		now := take(t, w.root, fs.Path, fmt.Sprint("online.", i))
		if before != nil {
			compare(t, before, now, scanned(t, before, w.l), scanned(t, now, w.l), w.l, &n)
		}
		before = now
	}
	close(stop)
	<-stopped
	if t.Logf("%+v", n); n.files < 15 {
		t.Errorf("too few changes: %+v", n)
	}
}

// TestSinceOrphans: a mail was deleted that somebody still had open when base was
// taken. The kernel clears it up in base when it is next looked at, and base's
// generation is that of a change that came after it.
func TestSinceOrphans(t *testing.T) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(1, 2)), tree.Layout{}, fs.Subvolume(t, "live"))
	w.script("mail cur/1:2,; mail cur/2")
	held := open(t, w.abs("cur/2"))
	w.script("rm cur/2")
	if err := snapshot.Take(w.root, fs.Path, "online.1"); err != nil {
		t.Fatal(err)
	}
	w.script("mv cur/1:2, cur/1:2,S")
	base := open(t, filepath.Join(fs.Path, "online.1")) // the next look is this one
	unix.Syncfs(int(base.Fd()))
	now := take(t, w.root, fs.Path, "online.2")
	held.Close()
	info, err := snapshot.ReadOpen(base)
	if err != nil {
		t.Fatal(err)
	}
	if info.Generation <= info.Otransid {
		t.Errorf("base was made in transaction %d and has generation %d: this proves nothing", info.Otransid, info.Generation)
	}
	compare(t, base, now, scanned(t, base, w.l), scanned(t, now, w.l), w.l, &total{})
}

// TestSinceIntoItself: the entry of a snapshot that is put into the store that it
// is of is written by the transaction that makes it, after the copy was made.
func TestSinceIntoItself(t *testing.T) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(1, 2)), tree.Layout{FS: true}, fs.Subvolume(t, "live"))
	defer w.removeSubvolumes()
	w.script("mkdir a")
	unix.Sync()
	base := take(t, w.root, w.abs("a"), "cur")
	now := take(t, w.root, fs.Path, "online.1")
	is := scanned(t, now, w.l)
	if is.Folder("a") == nil {
		t.Fatal("no folder has appeared")
	}
	compare(t, base, now, scanned(t, base, w.l), is, w.l, &total{})
}

// TestSinceLineage: without one history transactions bound nothing. A store that
// was rolled back to a snapshot older than base has what base has not in leaves
// that are older.
func TestSinceLineage(t *testing.T) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(1, 2)), tree.Layout{}, fs.Subvolume(t, "live"))
	w.script("mail cur/1; mail cur/2")
	old := take(t, w.root, fs.Path, "online.1")
	w.script("rm cur/1; mail cur/3")
	base := take(t, w.root, fs.Path, "online.2")
	back := filepath.Join(fs.Path, "back")
	command(t, "btrfs", "subvolume", "snapshot", old.Name(), back)
	now := take(t, back, fs.Path, "online.3")
	writable := open(t, w.root)
	for what, pair := range map[string][2]*os.File{
		"rolled back": {base, now}, "the wrong way round": {base, old}, "of the copy": {old, now}, "writable": {base, writable},
	} {
		if _, err := look(context.Background(), pair[0], pair[1]); !errors.Is(err, errLineage) {
			t.Errorf("%s: %v", what, err)
		}
		was, is := scanned(t, pair[0], w.l), scanned(t, pair[1], w.l)
		got, stats, err := Best(context.Background(), pair[0], pair[1], InMemory(was), w.l)
		want := Sending
		if what == "writable" {
			want = Walking
		}
		if err != nil || stats.Way != want || !errors.Is(stats.Failed, errLineage) {
			t.Errorf("%s: %+v, %v", what, stats, err)
		}
		if d := diffChanges(tree.Diff(was, is), got); d != "" {
			t.Errorf("%s: -scans +got:\n%s", what, d)
		}
	}
}

// TestTouchedNames: a touched file's names are found also where they lie in leaves
// that nothing touched.
func TestTouchedNames(t *testing.T) {
	base, now := pairOf(t, tree.Layout{}, func(w *world) {
		w.script("mail cur/one")
		for i := range 400 { // more than a leaf holds, and more than an inode ref
			w.script(fmt.Sprintf("ln cur/one cur/%s%d", strings.Repeat("n", 200), i))
		}
		for i := range 300 {
			w.script(fmt.Sprintf("mail new/%d", i))
		}
		unix.Sync() // so that it is not of base's own transaction
	}, func(w *world) { w.script("touch cur/one; rm new/7; mail cur/another") })
	seen, err := look(t.Context(), base, now)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range seen.names {
		names = append(names, n.name)
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != 402 || len(seen.names) != n {
		t.Errorf("%d names, %d of them different, want 402", len(seen.names), n)
	}
	if seen.files != 2 || len(seen.dirs) != 2 {
		t.Errorf("%d files and %d directories touched, want 2 and 2", seen.files, len(seen.dirs))
	}
}
