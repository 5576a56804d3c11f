package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// histories is how many random ones of each kind and layout are lived, 4 or what
// SNAPMERGE_HISTORIES says.
func histories(t *testing.T) int {
	s := os.Getenv("SNAPMERGE_HISTORIES")
	if s == "" {
		return 4
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("SNAPMERGE_HISTORIES: %v", err)
	}
	return n
}

// seeded returns the seed of random inputs: 1, so that a run can be repeated, or
// what SNAPMERGE_SEED says, a number or "random" (make soak).
func seeded(t *testing.T) uint64 {
	seed := uint64(1)
	switch s := os.Getenv("SNAPMERGE_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("SNAPMERGE_SEED: %v", err)
		}
	}
	t.Logf("SNAPMERGE_SEED=%d", seed)
	return seed
}

var layouts = []tree.Layout{{}, {FS: true}}

// TestDiffRandom: on random stores and 60 random operations, every way finds what
// comparing two scans finds, and Scan what tree.Scan does. A history is 60 operations, a snapshot, and that five
// times more. Three kinds: what Dovecot does to mail; that and what it does to
// folders; that and anything a user with a shell can do.
func TestDiffRandom(t *testing.T) {
	seed, count := seeded(t), histories(t)
	for _, layout := range layouts {
		for kind, kindName := range []string{"mail", "folders", "wild"} {
			t.Run(fmt.Sprintf("%s/%s", layout, kindName), func(t *testing.T) {
				var all total
				for n := range count {
					r := rand.New(rand.NewPCG(seed, uint64(kind)<<32|uint64(n)))
					history(t, r, layout, kind, &all)
					if t.Failed() {
						t.Fatalf("history %d of SNAPMERGE_SEED=%d", n, seed)
					}
				}
				t.Logf("%+v", all)
				if count >= 4 {
					all.check(t, kind)
				}
			})
		}
	}
}

// A total shows what the histories were made of.
type total struct{ pairs, allFolders, folders, renamed, keywords, files, listed int }

// check fails for histories that prove nothing.
func (n total) check(t *testing.T, kind int) {
	some := n.pairs / 5
	switch {
	case n.files < 5*n.pairs, n.keywords < some:
		t.Errorf("too few changes: %+v", n)
	case kind == 0 && n.allFolders > n.pairs/2: // a mail renamed over another one, or a copy cut
		t.Errorf("all folders were looked at, though none was touched: %+v", n)
	case kind > 0 && (n.allFolders < some || n.folders < some || n.listed < some), kind == 1 && n.renamed < some/4:
		t.Errorf("too few changes of folders: %+v", n)
	case kind == 2 && n.allFolders == n.pairs:
		t.Errorf("all folders were always looked at: %+v", n)
	}
}

func history(t *testing.T, r *rand.Rand, l tree.Layout, kind int, all *total) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, r, l, fs.Subvolume(t, "live"))
	defer w.removeSubvolumes()
	var before *os.File
	var was *tree.Tree
	for n := range 6 {
		rare := pick(r, []int{3, 10, 60})
		for range 60 {
			w.step(kind, rare)
		}
		now := open(t, fs.Snapshot(t, w.root, fmt.Sprint("snapshots/", n)))
		is, err := tree.Scan(now, l)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			compare(t, before, now, was, is, l, all)
		}
		if t.Failed() {
			t.Logf("snapshot %d; the last operations:\n%s", n, strings.Join(w.log[max(0, len(w.log)-60):], "\n"))
			return
		}
		before, was = now, is
	}
}

// compare holds every way to the changes to what comparing two scans finds, and
// Scan to tree.Scan.
func compare(t *testing.T, before, now *os.File, was, is *tree.Tree, l tree.Layout, all *total) {
	t.Helper()
	want := tree.Diff(was, is)
	known := InMemory(was)
	for _, way := range []Way{Sending, Listing, Walking, ""} {
		got, stats, err := goWay(way, before, now, known, l)
		if err != nil {
			t.Errorf("%s: %v", way, err)
			return
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("-scans +%s, all folders %v:\n%s", way, stats.AllFolders, diff)
		}
		for _, no := range stats.Refused {
			if !slices.Contains(is.Refused, no) {
				t.Errorf("refused by %s, but not by the scan: %q: %s", way, no.Path, no.Why)
			}
		}
		if way == Sending {
			all.count(t, want, got, is, stats)
		}
		if way == Listing && len(want.RenamedFolders) == 0 {
			checkRefused(t, was, is, stats)
		}
	}
	searched, err := searchScan(now, l)
	if err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(is, searched, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-tree.Scan +search:\n%s", diff)
	}
}

// count compares, and counts what was compared.
func (all *total) count(t *testing.T, want, got tree.Changes, is *tree.Tree, stats Stats) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-scans +stream, all folders %v:\n%s", stats.AllFolders, diff)
	}
	refused := map[tree.Refused]bool{}
	for _, no := range is.Refused {
		refused[no] = true
	}
	for _, no := range stats.Refused {
		if !refused[no] {
			t.Errorf("refused, but not by the scan: %q: %s", no.Path, no.Why)
		}
	}
	all.pairs++
	if stats.AllFolders {
		all.allFolders++
	}
	all.folders += len(want.AddedFolders) + len(want.RemovedFolders)
	all.renamed += len(want.RenamedFolders)
	all.keywords += len(want.Keywords)
	all.files += len(want.Added) + len(want.Removed)
	all.listed += stats.Listed
}

// checkRefused: a listing meets everything that is refused now and was not. (In a
// folder of another name it does not, though the path is another one.)
func checkRefused(t *testing.T, was, is *tree.Tree, stats Stats) {
	t.Helper()
	for _, no := range is.Refused {
		if !slices.Contains(was.Refused, no) && !slices.Contains(stats.Refused, no) {
			t.Errorf("a listing does not meet what is refused: %q: %s", no.Path, no.Why)
		}
	}
}

// goWay finds the changes by one way; "" is that of Best.
func goWay(way Way, base, now *os.File, known Base, l tree.Layout) (tree.Changes, Stats, error) {
	ctx := context.Background()
	if way == "" {
		return Best(ctx, base, now, known, l)
	}
	seen, err := look(ctx, base, now)
	if err != nil {
		return tree.Changes{}, Stats{}, err
	}
	return way.diff(ctx, base, now, seen, known, l)
}

func open(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// pairOf makes a store by before, a snapshot, changes it by after, and makes
// another one.
func pairOf(t *testing.T, l tree.Layout, before, after func(w *world)) (base, now *os.File) {
	t.Helper()
	fs := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(1, 2)), l, fs.Subvolume(t, "live"))
	t.Cleanup(w.removeSubvolumes)
	before(w)
	base = open(t, fs.Snapshot(t, w.root, "base"))
	after(w)
	return base, open(t, fs.Snapshot(t, w.root, "now"))
}

// TestDiffScenarios: changes of which a stream says little or nothing, or of which a
// search finds only a part.
func TestDiffScenarios(t *testing.T) {
	md, fsl := tree.Layout{}, tree.Layout{FS: true}
	for _, c := range []struct {
		what          string
		layout        tree.Layout
		before, after string // operations, see world.do
		all           bool   // all folders must have been looked at
	}{
		{"nothing", md, "folder .a; mail .a/cur/1", "", false},
		{"a flag", md, "folder .a; mail .a/cur/1:2,", "mv .a/cur/1:2, .a/cur/1:2,S", false},
		{"into another folder", md, "folder .a; folder .b; mail .a/new/1", "mv .a/new/1 .b/cur/1:2,", false},
		{"a folder renamed, a mail in it too", md, "folder .a; mail .a/cur/1; mail .a/cur/2", "mv .a .b; mv .b/cur/1 .b/cur/1:2,S", true},
		{"folders swapped", md, "folder .a; folder .b; mail .a/cur/1; mail .b/cur/1", "mv .a x; mv .b .a; mv x .b", true},
		{"a folder from where there is none", md, "mkdir tmp/x; mkdir tmp/x/cur; mail tmp/x/cur/1; mail tmp/x/cur/2", "mv tmp/x .x", true},
		{"a folder to where there is none", md, "folder .a; mail .a/cur/1", "mv .a tmp/a", true},
		{"a folder gets a name that is none", md, "folder .a; mail .a/cur/1", "mv .a .a&b", true},
		{"and the other way round", md, "folder .a&b; mail .a&b/cur/1", "mv .a&b .a", true},
		{"cur and new swapped", md, "folder .a; mail .a/cur/1; mail .a/new/2", "mv .a/cur x; mv .a/new .a/cur; mv x .a/new", true},
		{"cur and new swapped, and a mail too", md, "folder .a; mail .a/cur/1; mail .a/new/1; mail .a/new/2", "mv .a/cur x; mv .a/new .a/cur; mv x .a/new; mv .a/new/1 .a/new/3", true},
		{"cur taken from another folder", md, "folder .a; folder .b; mail .a/cur/1; mail .b/cur/2", "rm .a/cur; mv .b/cur .a/cur", true},
		{"a subtree of folders renamed", fsl, "folder a; folder a/b; mkdir a/c; folder a/c/d; mail a/cur/1; mail a/b/cur/1; mail a/c/d/cur/1", "mv a z; mv z/c/d/cur/1 z/c/d/cur/1:2,S", true},
		{"a subtree out of a name that is none", fsl, "mkdir x&y; folder x&y/b; mail x&y/b/cur/1", "mv x&y xy", true},
		{"a subtree into an ignored name", fsl, "folder a; folder a/b; mail a/b/cur/1", "mv a .a", true},
		{"a folder below itself turned inside out", fsl, "folder a; folder a/b; mail a/cur/1; mail a/b/cur/2", "mv a/b b; mv a b/a", true},
		{"INBOX loses cur, new and tmp", md, "mail cur/1; folder .a; mail .a/cur/1", "rm cur; rm new; rm tmp", true},
		{"a nested subvolume makes a folder", fsl, "mkdir a", "subvol a/cur", true},
		{"and unmakes one", fsl, "mkdir a; subvol a/cur", "rm a/cur", true},
		{"a nested subvolume in place of a folder", md, "folder .a; mail .a/cur/1", "rm .a; subvol .a", true},
		{"a link makes a folder", fsl, "mkdir a; symlink a/cur", "", false},
		{"a link unmakes one", fsl, "mkdir a; symlink a/cur", "rm a/cur", true},
		{"a link in the place of cur", md, "folder .a; mail .a/cur/1", "mv .a/cur .a/was; symlink .a/cur", true},
		{"keywords in a new file", md, "folder .a; write .a/dovecot-keywords", "write .a/k; mv .a/k .a/dovecot-keywords", false},
		{"keywords in the same file", md, "folder .a; write .a/dovecot-keywords", "write .a/dovecot-keywords", false},
		{"keywords for the first time, and gone", md, "folder .a; folder .b; write .a/dovecot-keywords", "rm .a/dovecot-keywords; write .b/dovecot-keywords", false},
		{"keywords that two folders share", md, "folder .a; folder .b; write .a/dovecot-keywords; ln .a/dovecot-keywords .b/dovecot-keywords", "write .a/dovecot-keywords", true},
		{"keywords with a name in tmp", md, "folder .a; write .a/dovecot-keywords; ln .a/dovecot-keywords tmp/k", "write tmp/k", true},
		{"a copy is cut, by one of its names", md, "folder .a; mail .a/cur/1; ln .a/cur/1 cur/1; ln .a/cur/1 .a/new/1", "truncate cur/1", true},
		{"a copy gets another time", md, "folder .a; mail .a/cur/1; ln .a/cur/1 cur/1", "touch cur/1", false},
		{"a mail gets another time by its name in tmp", md, "folder .a; mail .a/cur/1; ln .a/cur/1 tmp/1", "touch tmp/1", false},
		{"a mail gets another time by a name in cur that is no mail's", md, "folder .a; mail .a/cur/1; ln .a/cur/1 cur/m:2,:2,", "touch cur/m:2,:2,", false},
		{"a mail gets another time by a dot name in cur", md, "folder .a; mail .a/cur/1; ln .a/cur/1 cur/.1", "touch cur/.1", false},
		{"a copy moves and gets another time", md, "folder .a; mail .a/cur/1; ln .a/cur/1 cur/1", "mv cur/1 cur/2; touch cur/2", false},
		{"a mail becomes a directory", md, "mail cur/1", "rm cur/1; mkdir cur/1; mail cur/1/2", true},
		{"a mail becomes a FIFO", md, "mail cur/1", "rm cur/1; fifo cur/1", true},
		{"tmp, indexes, control files", md, "folder .a", "mail tmp/1; write dovecot.index.log; write .a/dovecot-uidlist; write .a/subscriptions", false},
		{"a mail becomes a placeholder", md, "mail cur/1; mail cur/2", "refuse cur/1", false},
		{"a placeholder becomes mail", md, "mail cur/1; refuse cur/1", "refuse cur/1", false},
		{"both names of a mail become placeholders", md, "folder .a; mail cur/1; ln cur/1 .a/cur/2", "refuse .a/cur/2", false},
		{"a table of keywords becomes a placeholder", md, "folder .a; write .a/dovecot-keywords", "refuse .a/dovecot-keywords", true},
		{"a placeholder makes a folder", fsl, "mkdir a; mail a/cur", "refuse a/cur", true},
		{"a new placeholder makes a folder", fsl, "mkdir a", "mail a/cur; refuse a/cur", true},
		{"a nested subvolume among the mail", md, "mail cur/1", "subvol cur/2; subvol cur/.3; mv cur/1 cur/4", false},
		{"and it goes", md, "mail cur/1; subvol cur/2", "rm cur/2", false},
		{"a mail is renamed over another", md, "mail cur/1; mail cur/2", "mv cur/1 cur/2", false},
		{"two mails swapped", md, "folder .a; mail cur/1; mail .a/cur/1", "swap cur/1 .a/cur/1", true},
		{"a mail is removed and another one takes its name", md, "mail cur/1", "rm cur/1; mail cur/1", false},
		{"a mail is cut", md, "mail cur/1; mail cur/2", "truncate cur/1", false},
		{"names that are no mail's", md, "folder .a; mail cur/1", "mail cur/a:2,:2; mv cur/1 cur/.1", false},
	} {
		t.Run(strings.ReplaceAll(c.what, ",", ""), func(t *testing.T) {
			base, now := pairOf(t, c.layout, func(w *world) { w.script(c.before) }, func(w *world) { w.script(c.after) })
			was, err := tree.Scan(base, c.layout)
			is, err2 := tree.Scan(now, c.layout)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			var n total
			compare(t, base, now, was, is, c.layout, &n)
			if (n.allFolders == 1) != c.all {
				t.Errorf("all folders looked at: %v, want %v", !c.all, c.all)
			}
		})
	}
}

// TestDiffCost: among 3,000 mails in 30 folders, what is looked up are the names
// of the two that changed, also if a folder is renamed besides.
func TestDiffCost(t *testing.T) {
	for _, c := range []struct {
		changes string
		folders int // renamed
	}{
		{"mv .f7/cur/5:2, .f7/cur/5:2,S; mv .f8/cur/6:2, .f9/cur/x6:2,", 0},
		{"mv .f7/cur/5:2, .f7/cur/5:2,S; mv .f8 .z; mv .z/cur/6:2, .f9/cur/x6:2,", 1},
	} {
		base, now := pairOf(t, tree.Layout{}, func(w *world) {
			for f := range 30 {
				w.script(fmt.Sprintf("folder .f%d", f))
				for m := range 100 {
					w.script(fmt.Sprintf("mail .f%d/cur/%d:2,", f, m))
				}
			}
		}, func(w *world) { w.script(c.changes) })
		was, err := tree.Scan(base, tree.Layout{})
		if err != nil {
			t.Fatal(err)
		}
		got, stats, err := Diff(t.Context(), base, now, InMemory(was), tree.Layout{})
		if err != nil || len(got.Added) != 2 || len(got.Removed) != 2 || len(got.RenamedFolders) != c.folders {
			t.Fatalf("%+v, %v", got, err)
		}
		if stats.Names != 4 || stats.Listed != 0 || stats.AllFolders != (c.folders > 0) || stats.Commands > 20 {
			t.Errorf("%+v", stats)
		}
	}
}

// TestDiffEnds: whatever goes wrong, Diff ends (it waits for the kernel) and the
// error is the cause.
func TestDiffEnds(t *testing.T) {
	l := tree.Layout{}
	base, now := pairOf(t, l, func(w *world) {}, func(w *world) {
		for m := range 6000 { // a stream of more than the pipe's 1 MiB
			w.script(fmt.Sprintf("mail cur/%0200d", m))
		}
	})
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	if _, _, err := Diff(ctx, base, now, InMemory(&tree.Tree{}), l); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
	if _, _, err := Diff(context.Background(), now, base, InMemory(&tree.Tree{}), l); err != nil {
		t.Errorf("backwards: %v", err)
	}
	live := open(t, filepath.Join(filepath.Dir(base.Name()), "live"))
	if _, _, err := Diff(context.Background(), base, live, InMemory(&tree.Tree{}), l); !errors.Is(err, unix.EPERM) {
		t.Errorf("a subvolume that is not read-only: %v", err)
	}
	if _, _, err := Diff(context.Background(), base, open(t, filepath.Dir(base.Name())), InMemory(&tree.Tree{}), l); !errors.Is(err, snapshot.ErrNotSubvolume) {
		t.Errorf("no subvolume: %v", err)
	}
	old := DefaultLimits
	DefaultLimits.Names = 500
	_, _, err := Diff(context.Background(), base, now, InMemory(&tree.Tree{}), l)
	DefaultLimits = old
	if err == nil || !strings.Contains(err.Error(), "more than 500 names") {
		t.Errorf("a stream that is refused while the kernel still writes: %v", err)
	}
}
