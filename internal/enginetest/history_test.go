package enginetest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/mirror"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

func TestMain(m *testing.M) {
	if mirror.IsChild() {
		mirror.Child()
	}
	btrfstest.Main(m)
}

// A history is a mailbox's life, drawn at random: what happens between the
// syncs. Everything in it is chosen before it begins, so that it can be lived twice.
type history struct {
	Rules  rules
	FSHome bool
	Seed   uint64
	Rounds []round
}

type round struct {
	Ops    []op
	Days   int // that pass first
	Wipe   bool
	Refile bool // with these patterns from now on, where there were some
	To     [2]string
	Again  bool
	Decide []decision
}

type decision struct {
	N    int
	Take merge.Side
}

var deletions = rapid.SampledFrom([]merge.Deletion{merge.Hold, merge.Apply, merge.Apply, merge.Ignore})

// allArchives: with SNAPMERGE_ARCHIVES every history has archive folders, not one
// in four.
var allArchives = os.Getenv("SNAPMERGE_ARCHIVES") != ""

func drawRules(t *rapid.T) rules {
	r := rules{folders: map[string]rule{}}
	r.prefer = rapid.SampledFrom([]merge.Prefer{merge.Newest, merge.PreferOffline, merge.PreferOnline}).Draw(t, "prefer")
	for _, side := range merge.Sides {
		r.deleted[side] = deletions.Draw(t, "deleted "+side.String())
	}
	r.maxDeletions = rapid.SampledFrom([]int{100, 100, 2, 0}).Draw(t, "max deletions")
	r.includeNew = rapid.SampledFrom([]int{0, 0, 1, 20}).Draw(t, "include new")
	if rapid.Bool().Draw(t, "skip") {
		own := rapid.Ptr(deletions, true)
		r.folders["Spam"] = rule{skip: true, keepFlagged: true, deletedOnline: own.Draw(t, "spam online"), deletedOffline: own.Draw(t, "spam offline")}
	}
	if days := rapid.SampledFrom([]int{0, 30, 90}).Draw(t, "keep"); days > 0 {
		r.folders["old"] = rule{keepDays: days, keepFlagged: rapid.Bool().Draw(t, "keep flagged")}
	}
	if rapid.Bool().Draw(t, "lists") || allArchives {
		d := deletions.Draw(t, "lists")
		r.folders[lists] = rule{deletedOnline: &d, keepFlagged: true, keepDays: rapid.SampledFrom([]int{0, 0, 60}).Draw(t, "keep lists")}
		if rapid.Bool().Draw(t, "archive") || allArchives {
			r.archive = drawArchive(t)
		}
	}
	return r
}

// drawArchive draws the patterns of the two sides, not none for both.
func drawArchive(t *rapid.T) [2]string {
	pattern := rapid.SampledFrom([]string{"%Y-%m", "%Y", "%Y/%m"})
	one, two := pattern.Draw(t, "archive"), rapid.SampledFrom([]string{"", "%Y-%m", "%Y", "%Y/%m"}).Draw(t, "other archive")
	if rapid.Bool().Draw(t, "archive online") {
		return [2]string{one, two}
	}
	return [2]string{two, one}
}

func drawHistory(t *rapid.T) history {
	// Drawn evenly: rapid's own ranges prefer small numbers.
	number := rapid.SampledFrom(upTo(0, 99))
	// Half of all that happens, on both sides, happens to a few mails.
	which := rapid.OneOf(rapid.SampledFrom(upTo(0, 4)), number)
	side := rapid.SampledFrom(merge.Sides[:])
	ops := rapid.Custom(func(t *rapid.T) op {
		return op{rapid.SampledFrom(opKinds).Draw(t, "op"), side.Draw(t, "side"), which.Draw(t, "a"), number.Draw(t, "b")}
	})
	decisions := rapid.Custom(func(t *rapid.T) decision { return decision{number.Draw(t, "n"), side.Draw(t, "take")} })
	rounds := rapid.Custom(func(t *rapid.T) round {
		return round{
			Ops: several(t, "ops", ops, 4, 24), Days: rapid.IntRange(0, 20).Draw(t, "days"),
			Refile: rapid.IntRange(0, 5).Draw(t, "refile") == 0, To: drawArchive(t),
			Wipe: rapid.Bool().Draw(t, "wipe"), Again: rapid.IntRange(0, 3).Draw(t, "again") > 0,
			Decide: rapid.SliceOfN(decisions, 0, 3).Draw(t, "decide"),
		}
	})
	return history{
		Rules: drawRules(t), FSHome: rapid.Bool().Draw(t, "fs"), Seed: rapid.Uint64().Draw(t, "seed"),
		Rounds: several(t, "rounds", rounds, 4, 10),
	}
}

// several draws a slice of at least and at most so many elements, or one or
// none when rapid makes a failing history smaller.
func several[T any](t *rapid.T, label string, g *rapid.Generator[T], atLeast, atMost int) []T {
	n := rapid.SampledFrom(append([]int{0, 1}, upTo(atLeast, atMost)...)).Draw(t, label)
	return rapid.SliceOfN(g, n, n).Draw(t, label)
}

func upTo(from, to int) (ns []int) {
	for n := from; n <= to; n++ {
		ns = append(ns, n)
	}
	return ns
}

// TestHistories lives random histories and checks after every sync: G1, G2, G3,
// G4, G5, G8. Each is lived twice, the second time with online as on another
// machine, and with the state directory deleted before some of the syncs, and must
// end with the same mailboxes.
//
// SNAPMERGE_HISTORIES is the number of histories, SNAPMERGE_SEED chooses others:
// a number, or "random" (make soak).
func TestHistories(t *testing.T) {
	seed := uint64(1)
	switch s := os.Getenv("SNAPMERGE_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
	}
	n := os.Getenv("SNAPMERGE_HISTORIES")
	if n == "" {
		n = "60"
	}
	for name, value := range map[string]string{"rapid.checks": n, "rapid.seed": fmt.Sprint(seed), "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SNAPMERGE_SEED=%d SNAPMERGE_HISTORIES=%s", seed, n)
	checks, _ := strconv.Atoi(n)
	start, syncs := time.Now(), 0
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt)
		one := live(t, rt, h, false, &syncs, seen)
		two := live(t, rt, h, true, &syncs, seen)
		if d := cmp.Diff(one, two); d != "" {
			rt.Fatalf("G9: another end when the state directory is deleted now and then, and online is elsewhere (-kept, here +deleted, elsewhere):\n%s", d)
		}
	})
	for _, must := range strings.Fields("1 4 5 6 7 9 9a 10 11 14 15") {
		if checks >= 60 && seen["rule "+must] == 0 {
			t.Errorf("rule %s was never used: these histories prove little", must)
		}
	}
	t.Logf("%d syncs in %.0f s; met: %v", syncs, time.Since(start).Seconds(), seen)
}

// live lives a history and returns what is on both disks at its end.
func live(t *testing.T, rt *rapid.T, h history, second bool, syncs *int, seen map[string]int) [2]map[string]string {
	fs := btrfstest.Shared(t)
	w := newWorld(rt, fs, func(name string) string { return fs.Subvolume(t, name) }, h.Rules, h.FSHome, h.Seed)
	w.far = second
	defer w.remove(t)
	for i, r := range h.Rounds {
		w.log("round %d", i)
		w.clock = w.clock.AddDate(0, 0, r.Days)
		for _, o := range r.Ops {
			w.do(o)
		}
		if w.beyond() {
			seen["left where the oracle ends"]++
			break
		}
		if w.oracle.filing() && r.Refile {
			w.oracle.archive = r.To
			w.log("  archives are %q now", r.To)
		}
		if second && r.Wipe {
			w.must(os.RemoveAll(w.state))
		}
		rec := w.sync()
		*syncs++
		tally(rec, seen)
		if r.Again {
			rec = w.syncAgain(rec)
			*syncs++
		}
		if !second && i%4 == 1 {
			seen["due in the forecast"] += w.checkForecast(rec)
		}
		for _, d := range r.Decide {
			w.decide(rec, d.N, d.Take)
		}
	}
	if second {
		w.verify()
	}
	_, sh := w.view()
	return [2]map[string]string{namesOf(sh[0]), namesOf(sh[1])}
}

func tally(rec *state.Record, seen map[string]int) {
	for _, a := range rec.Report.Actions {
		seen[a.Side.String()+" "+a.Op]++
		if a.Rule != "" {
			seen["rule "+a.Rule]++
		}
	}
	for _, c := range rec.Report.Met {
		seen[string(c.Kind)]++
	}
}

// remove deletes the subvolumes of a world.
func (w *world) remove(t *testing.T) {
	for _, s := range w.stores {
		all, _ := filepath.Glob(filepath.Join(s.snapshots, "o*.*"))
		for _, p := range append(all, s.root) {
			if out, err := exec.Command("btrfs", "subvolume", "delete", p).CombinedOutput(); err != nil {
				t.Logf("%v: %s", err, out)
			}
		}
	}
}
