package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/tree"
)

// TestReceiveCorpus: of each pair of streams the receiver makes what
// btrfs-receive(8) makes: names, kinds, contents, links, times. Special files
// are refused and keep their names.
func TestReceiveCorpus(t *testing.T) {
	cases, err := filepath.Glob("testdata/corpus/*")
	if err != nil || len(cases) != 29 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, dir := range cases {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			f := btrfstest.Shared(t)
			base, incr := read(t, "corpus/"+name+"/base.stream"), read(t, "corpus/"+name+"/incr.stream")
			want := []map[string]fact{facts(t, stock(t, f.Path+"/stock", base), nil), facts(t, stock(t, f.Path+"/stock", incr), nil)}
			m := newMirrors(t, f.Path+"/ours")
			m.must("online.1", "", base)
			_, stats := m.must("online.2", "online.1", incr)
			var rootTime unix.Timespec
			for i := range want {
				path := m.path(fmt.Sprint("online.", i+1))
				got := facts(t, path, nil)
				// btrfs-receive(8) leaves the time of the last first name in the root.
				if i == 1 && !tells(t, incr, Utimes, "") && got["."].Mtime != rootTime {
					t.Errorf("the root's time was %v and is %v", rootTime, got["."].Mtime)
				}
				rootTime = got["."].Mtime
				delete(want[i], ".")
				delete(got, ".")
				if diff := cmp.Diff(want[i], got); diff != "" {
					t.Errorf("online.%d: -btrfs receive +ours:\n%s", i+1, diff)
				}
				checkSafe(t, path)
			}
			if n := countRefused(want[1]); stats.Refused != n || (n > 0) != (name == "23-special-files") {
				t.Errorf("%d refused, want %d", stats.Refused, n)
			}
		})
	}
}

// tells reports whether a stream has a command about a path.
func tells(t *testing.T, b []byte, o Op, path string) bool {
	t.Helper()
	list, err := decodeAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(list, func(c Command) bool { return c.Op == o && c.Path == path })
}

func countRefused(all map[string]fact) (n int) {
	for name, f := range all {
		if f.Kind != "dir" && f.Kind != "file" && f.First == name {
			n++
		}
	}
	return n
}

// TestReceiveChains: mirrors that this receiver and btrfs-receive(8) make in turn:
// each takes the other's for a parent.
func TestReceiveChains(t *testing.T) {
	src := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(3, 3)), tree.Layout{}, src.Subvolume(t, "live"))
	var streams [][]byte
	var want []map[string]fact
	var last *os.File
	for i := range 3 {
		for range 60 {
			w.step(1, 5)
		}
		snap := open(t, src.Snapshot(t, w.root, fmt.Sprint("online.", i)))
		streams, want = append(streams, sendTo(t, snap, last)), append(want, facts(t, snap.Name(), nil))
		last = snap
	}
	for first := range 2 {
		t.Run([]string{"theirs first", "ours first"}[first], func(t *testing.T) {
			f := btrfstest.New(t)
			m := newMirrors(t, f.Path+"/mirrors")
			for i, b := range streams {
				name, parent := fmt.Sprint("online.", i), ""
				if i > 0 {
					parent = fmt.Sprint("online.", i-1)
				}
				if i%2 == first {
					stock(t, m.dir, b)
				} else {
					m.must(name, parent, b)
				}
				if diff := cmp.Diff(want[i], facts(t, m.path(name), nil)); diff != "" {
					t.Fatalf("%s: -sent +received:\n%s", name, diff)
				}
			}
		})
	}
}

// cases is how many random inputs a test tries: n, unless SNAPMERGE_CASES says
// otherwise.
func cases(t *testing.T, n int) int {
	if s := os.Getenv("SNAPMERGE_CASES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("SNAPMERGE_CASES: %v", err)
		}
	}
	return n
}

// TestReceiveRandom: random stores, 60 operations before the first snapshot and
// 60 after it. The mirrors are the trees that were sent, with ctimes as atimes,
// and the filtered stream tells of the changes that comparing scans of the two
// mirrors shows. SNAPMERGE_CASES is the number of pairs, SNAPMERGE_SEED chooses
// others.
func TestReceiveRandom(t *testing.T) {
	seed := seeded(t)
	var all total
	var refused int
	for n := range cases(t, 36) {
		layout, kind := layouts[n%2], n/2%3
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		refused += receivePair(t, r, layout, kind, &all)
		if t.Failed() {
			t.Fatalf("pair %d (%s, kind %d) of SNAPMERGE_SEED=%d", n, layout, kind, seed)
		}
	}
	t.Logf("%+v, %d refused", all, refused)
	if all.pairs >= 36 && (all.files < 5*all.pairs || all.allFolders == all.pairs || all.folders < all.pairs/5 || all.pairs >= 200 && refused == 0) {
		t.Errorf("these pairs prove little: %+v, %d refused", all, refused)
	}
}

// orphanName is what btrfs send calls a new entry first (fs/btrfs/send.c:gen_unique_name).
var orphanName = regexp.MustCompile(`^o\d+-\d+-\d+$`)

func receivePair(t *testing.T, r *rand.Rand, l tree.Layout, kind int, all *total) int {
	f := btrfstest.Shared(t)
	defer cleanUp(t, f.Path)
	w := newWorld(t, r, l, f.Subvolume(t, "live"))
	w.sent = true
	m := newMirrors(t, f.Path+"/mirrors")
	var snaps []*os.File
	var applied []byte
	var refused int
	for i := range 2 {
		rare := pick(r, []int{3, 10, 60})
		for range 60 {
			w.step(kind, rare)
		}
		snaps = append(snaps, open(t, f.Snapshot(t, w.root, fmt.Sprint("now", i))))
		var b []byte
		var stats ReceiveStats
		if i == 0 {
			b = sendTo(t, snaps[0], nil)
			_, stats = m.must("online.0", "", b)
		} else {
			b = sendTo(t, snaps[1], snaps[0])
			applied, stats = m.must("online.1", "online.0", b)
		}
		refused += stats.Refused
		path := m.path(fmt.Sprint("online.", i))
		want := facts(t, snaps[i].Name(), func(st *unix.Stat_t) unix.Timespec { return st.Ctim })
		got := facts(t, path, func(st *unix.Stat_t) unix.Timespec { return st.Atim })
		if w.subvols {
			// The kernel leaves a directory that held a nested subvolume under its last
			// first name, so what was sent is not what is to be received. It tells no
			// times of it then, nor of the root: they are those of the receiving.
			want, got = facts(t, stock(t, f.Path+"/stock", b), nil), facts(t, path, nil)
			for _, all := range []map[string]fact{want, got} {
				delete(all, ".")
				for name, x := range all {
					if orphanName.MatchString(name) {
						x.Mtime = unix.Timespec{}
						all[name] = x
					}
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("snapshot %d: -sent +mirror:\n%s\n%s", i, diff, strings.Join(w.log, "\n"))
			return 0
		}
	}
	compareMirrors(t, open(t, m.path("online.0")), open(t, m.path("online.1")), applied, l, all)
	return refused
}

// compareMirrors is compare for what a receiver has.
func compareMirrors(t *testing.T, before, now *os.File, applied []byte, l tree.Layout, all *total) {
	t.Helper()
	was, err := tree.Scan(before, l)
	if err != nil {
		t.Fatal(err)
	}
	is, err := tree.Scan(now, l)
	if err != nil {
		t.Fatal(err)
	}
	tr := NewTracker(Limits{})
	if _, err := tr.follow(bytes.NewReader(applied)); err != nil {
		t.Fatalf("filtered stream: %v", err)
	}
	got, stats, err := Changes(tr, now, InMemory(was), l)
	if err != nil {
		t.Fatal(err)
	}
	all.count(t, tree.Diff(was, is), got, is, stats)
}

func cleanUp(t testing.TB, dir string) {
	t.Helper()
	// Each pair makes five subvolumes or more; thousands of them make btrfs slow.
	for _, p := range []string{"mirrors/online.0", "mirrors/online.1", "now0", "now1", "stock/now0", "stock/now1"} {
		deleteSubvolume(t, filepath.Join(dir, p))
	}
}

// TestReceiveFiltered: what the filtered form of an increment holds, command by
// command, and of a full stream.
func TestReceiveFiltered(t *testing.T) {
	m := newMirrors(t, btrfstest.Shared(t).Path+"/mirrors")
	id := func(n byte) (u [16]byte) { u[0] = n; return u }
	at := Time{Sec: 7, Nsec: 8}
	first := Command{Op: Subvol, Path: "now", UUID: id(1), Transid: 5}
	mkfile := Command{Op: Mkfile, Path: "a", Ino: 257}
	write := Command{Op: Write, Path: "a", Offset: 2, Data: []byte("mail")}
	full, _ := m.must("online.1", "", encoded(first, mkfile, write))
	if list, err := decodeAll(full); err != nil || !cmp.Equal(list, []Command{first}) {
		t.Errorf("full: %+v, %v", list, err)
	}
	snap := Command{Op: Snapshot, Path: "now", UUID: id(2), Transid: 6, ParentUUID: id(1), ParentTransid: 5}
	in := []Command{snap, {Op: Symlink, Path: "o1", Ino: 258, To: "/etc"}, {Op: Rename, Path: "o1", To: "l"}, write,
		{Op: Chmod, Path: "a", Mode: 0o4755}, {Op: Chown, Path: "a"}, {Op: SetXattr, Path: "a", Xattr: "user.x"}, {Op: RemoveXattr, Path: "a", Xattr: "user.x"},
		{Op: Clone, Path: "a", Offset: 9, Size: 2, ParentUUID: id(1), To: "a"}, {Op: Truncate, Path: "a", Size: 3},
		{Op: Write, Path: "l", Data: []byte("x")}, {Op: Utimes, Path: "a", Atime: at, Mtime: at, Ctime: at}, {Op: Unlink, Path: "l"}}
	want := []Command{snap, {Op: Mkfile, Path: "o1", Ino: 258}, {Op: Rename, Path: "o1", To: "l"}, {Op: UpdateExtent, Path: "a", Offset: 2, Size: 4},
		{Op: UpdateExtent, Path: "a", Offset: 9, Size: 2}, {Op: Truncate, Path: "a", Size: 3},
		{Op: UpdateExtent, Path: "l", Size: 1}, {Op: Utimes, Path: "a", Atime: at, Mtime: at, Ctime: at}, {Op: Unlink, Path: "l"}}
	applied, _ := m.must("online.2", "online.1", encoded(in...))
	got, err := decodeAll(applied)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func encoded(list ...Command) []byte {
	b := AppendHeader(nil)
	for _, c := range append(list, Command{Op: End}) {
		b = AppendCommand(b, c)
	}
	return b
}
