package merge

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"snapmerge/tree"
)

// TestRaced lets any actions of a sync fail, as when a user was faster or the
// power went. If nothing else changes, the syncs that follow end where one
// undisturbed sync would have ended.
func TestRaced(t *testing.T) {
	seed := seeded(t)
	raced := 0
	for i := range cases(t, 25_000) {
		d := dice{rand.New(rand.NewPCG(seed, uint64(i)))}
		in, p := d.input(), d.policy()
		p.MaxDeletions = 1000 // a deletion that raced would be counted twice
		in.Known = [2]int{1000, 1000}
		p.LastSync = p.Now.Add(-time.Hour) // what the first try left is not of a first sync
		plan := Merge(in, p)
		want, err := simulate(in, plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, bad := in, map[string]bool{}
		for range 3 {
			got, err = simulate(got, Merge(got, p), func(a Action) bool {
				r := d.one(3)
				bad[a.Message] = bad[a.Message] || r
				return r
			})
			if err != nil {
				t.Fatalf("case %d: %v\n%s", i, err, showInput(in, p, nil))
			}
		}
		if got, err = simulate(got, Merge(got, p), nil); err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		verdicts := judgeAll(in, p, nil)
		for k, v := range verdicts {
			// What no letter is left for goes with the file that had it. And half a
			// copy beside half a removal looks like a move.
			m := in.Messages[k]
			several := max(len(m.Base[0]), len(m.Base[1]), len(m.Now[0]), len(m.Now[1])) > 1
			verdicts[k].loose = v.loose || v.kinds[KeywordFull] || several
			if why := lossy(v, m, got.Messages[k]); why != "" && !v.held && len(want.Messages[k].Now[Offline]) > 0 {
				t.Fatalf("case %d: %s\n%s", i, why, showInput(only(in, k), p, nil))
			}
		}
		for k := range in.Messages {
			m := in.Messages[k] // a deletion waits with whatever else waits about a message
			if !bad[m.ID] || verdicts[k].loose || m.Duplicate || m.Differ || m.Lost != [2]bool{} {
				continue // mail of a restored store is brought by nobody, but in the first try only
			}
			raced++
			for _, s := range Sides {
				w, g := fmt.Sprint(placementText(want.Messages[k].Now[s])), fmt.Sprint(placementText(got.Messages[k].Now[s]))
				if w != g {
					t.Fatalf("case %d: %s: undisturbed %s, disturbed %s\n%s", i, s, w, g, showInput(only(in, k), p, nil))
				}
			}
		}
	}
	t.Logf("%d messages with actions that failed", raced)
}

// TestUserInBetween lets a user set and clear letters while a sync with failing
// actions is under way. When all is quiet again both sides have, letter by
// letter, what the last person to change it wanted.
func TestUserInBetween(t *testing.T) {
	seed := seeded(t)
	p := Policy{DeletedOnline: Hold, DeletedOffline: Apply, MaxDeletions: 100, Now: clock}
	const letters = tree.Seen | tree.Flagged | 1<<('R'-'A')
	for i := range cases(t, 25_000) {
		d := dice{rand.New(rand.NewPCG(seed, uint64(i)))}
		base := at("A", "S", "work")
		base.Flags = d.flags() & letters
		m := Message{ID: "m", Base: [2][]tree.Placement{{base}, {base}}, Now: [2][]tree.Placement{{base}, {base}}}
		want := base.Flags
		// Each letter belongs to one side's user, so the last wish is plain.
		owner := map[tree.Flags]Side{tree.Seen: Sides[d.IntN(2)], tree.Flagged: Sides[d.IntN(2)], 1 << ('R' - 'A'): Sides[d.IntN(2)]}
		in := Input{Messages: []Message{m}, Known: [2]int{50, 50}}
		for range 4 {
			plan := Merge(in, p)
			next, err := simulate(in, plan, func(Action) bool { return d.one(2) })
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			for bit, s := range owner {
				if d.one(3) {
					want ^= bit
					now := []tree.Placement{next.Messages[0].Now[s][0]}
					now[0].Flags = now[0].Flags&^bit | want&bit
					next.Messages[0].Now[s] = now
				}
			}
			if d.one(3) { // and one moves it
				now := []tree.Placement{next.Messages[0].Now[Offline][0]}
				now[0].Folder = randomFolders[d.IntN(3)]
				next.Messages[0].Now[Offline] = now
			}
			in = next
		}
		end, err := simulate(in, Merge(in, p), nil)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		for _, s := range Sides {
			if got := end.Messages[0].Now[s]; len(got) != 1 || got[0].Flags != want {
				t.Fatalf("case %d: %s has %v, wanted %s\n%s", i, s, got, want, show(in.Messages[0]))
			}
		}
	}
}
