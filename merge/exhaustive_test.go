package merge

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"snapmerge/tree"
)

var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// at makes a placement: letters, keywords after them.
func at(folder, letters string, keywords ...string) tree.Placement {
	f, err := tree.ParseFlags(letters)
	if err != nil {
		panic(err)
	}
	return tree.Placement{Folder: folder, Flags: f, Keywords: keywords, Received: clock.AddDate(0, -2, 0)}
}

// bases are the agreed states of one message: none, one folder with flags that
// matter to some rule, two folders, and parts on one side only.
func bases() [][2][]tree.Placement {
	same := func(ps ...tree.Placement) [2][]tree.Placement { return [2][]tree.Placement{ps, ps} }
	return [][2][]tree.Placement{
		{},
		same(at("A", "")), same(at("A", "S")), same(at("A", "F", "work")), same(at("A", "T")),
		{{at("A", "T")}, {at("A", "")}},
		{{at("A", "", "work")}, {at("A", "")}},
		{{at("A", "S")}, nil},
		{nil, {at("A", "S")}},
		same(at("A", ""), at("B", "")),
		{{at("A", "")}, {at("A", ""), at("B", "")}},
		{{at("A", ""), at("B", "")}, {at("A", "")}},
		same(at("Old", "S")), same(at("Old", "F")),
		same(at("A", ""), at("Old", "")),
		{{at("Old/2026-01", "S")}, {at("Old", "F")}},
		{{at("Old", "S")}, {at("Old/2025", "S"), at("B", "S")}},
	}
}

// nows are the states that a side can be in now.
func nows() [][]tree.Placement {
	list := [][]tree.Placement{nil}
	for _, letters := range []string{"", "S", "F", "T", "FT", "RS"} {
		list = append(list, []tree.Placement{at("A", letters)}, []tree.Placement{at("B", letters)})
	}
	unnamed := at("A", "S")
	unnamed.Unnamed = true
	late := at("C", "S")
	late.Ctime = clock
	early := at("B", "S")
	early.Ctime = clock.Add(-time.Hour)
	return append(list,
		[]tree.Placement{at("A", "", "work")}, []tree.Placement{at("A", "S", "Work", "x")}, []tree.Placement{at("B", "F", "work")},
		[]tree.Placement{unnamed}, []tree.Placement{late}, []tree.Placement{early},
		[]tree.Placement{at("Old", "S")}, []tree.Placement{at("Old", "F")}, []tree.Placement{at("None", "")}, []tree.Placement{at("Spam", "")},
		[]tree.Placement{at("A", ""), at("B", "")}, []tree.Placement{at("A", "S"), at("B", "F")}, []tree.Placement{at("A", ""), at("C", "")},
		[]tree.Placement{at("A", ""), at("Spam", "")}, []tree.Placement{at("A", ""), at("Old", "")}, []tree.Placement{at("A", ""), at("None", "")},
		[]tree.Placement{at("B", ""), at("C", "")},
		[]tree.Placement{at("Old/2026-01", "S")}, []tree.Placement{at("Old/2025", "F")}, []tree.Placement{at("A", ""), at("Old/2025", "")},
		[]tree.Placement{at("Old", "S"), at("Old/2026-01", "S")},
	)
}

func testRules() []Rule {
	return []Rule{
		{Match: "Old", Keep: &Keep{Unit: KeepMonths, N: 1}},
		{Match: "None", Keep: &Keep{Unit: KeepNone}, KeepFlagged: ptr(false)},
		{Match: "Trash", DeletedOnline: ptr(Apply), DeletedOffline: ptr(Ignore)},
		{Match: "Spam", Skip: true, DeletedOnline: ptr(Apply)},
	}
}

func policies() []Policy {
	var ps []Policy
	for _, prefer := range []Prefer{Newest, PreferOffline, PreferOnline} {
		for _, on := range []Deletion{Hold, Apply, Ignore} {
			for _, off := range []Deletion{Hold, Apply, Ignore} {
				if prefer != Newest && (on != Hold || off != Apply) {
					continue
				}
				p := Policy{Prefer: prefer, DeletedOnline: on, DeletedOffline: off, MaxDeletions: 100, Rules: testRules(), Now: clock}
				if n := len(ps); n%2 == 1 { // mail of two months ago: filed by months, not yet by years
					p.LastSync = clock.Add(-time.Hour)
					p.Rules[0].Archive = [2]Pattern{"%Y-%m", "%Y"}
					if n%4 == 1 {
						p.Rules[0].Archive = [2]Pattern{"", "%Y/%m"}
					}
				}
				ps = append(ps, p)
			}
		}
	}
	return ps
}

// variants are the facts beside the placements.
var variants = []func(*Message){
	func(*Message) {},
	func(m *Message) { m.Differ = true },
	func(m *Message) { m.Duplicate = true },
	func(m *Message) { m.MovedHome = "other" },
	func(m *Message) { m.MovedHome, m.Alike = "other", true },
	func(m *Message) { m.Lost[Online] = true },
	func(m *Message) { m.Lost[Offline] = true },
}

// possible: what can come out of reading two stores.
func possible(m Message) bool {
	seen := func(s Side) bool {
		return slices.ContainsFunc(m.Now[s], func(p tree.Placement) bool { return p.Folder != "Spam" })
	}
	on, off := seen(Online), seen(Offline)
	switch {
	case m.Duplicate:
		return on || off
	case m.Differ:
		return on && off
	case m.MovedHome != "":
		return !on && off && len(m.Base[Online]) > 0
	}
	return true
}

// TestExhaustive puts every combination of bases, states, facts, policies and
// answers to both the package and the oracle; with SNAPMERGE_CASES set every
// policy on every base, else a third of them.
func TestExhaustive(t *testing.T) {
	cases, failures := 0, 0
	reached, seen := map[string]int{}, map[string]int{}
	for i, p := range policies() {
		for b, base := range bases() {
			if os.Getenv("SNAPMERGE_CASES") == "" && (i+b)%3 != 0 {
				continue // all of them take a minute
			}
			for _, on := range nows() {
				for _, off := range nows() {
					for k, vary := range variants {
						if k > 0 && i%3 != k%3 { // a third of the policies each will do
							continue
						}
						m := Message{ID: "m", Base: base, Now: [2][]tree.Placement{on, off}}
						vary(&m)
						if !possible(m) {
							continue
						}
						in := Input{Messages: []Message{m}, Known: [2]int{50, 50}}
						for _, d := range []string{"", "online", "offline"} {
							n, why := judgeCase(in, p, d, reached)
							cases += n
							if why != "" {
								failures++
								if key := why[:min(len(why), 24)] + d; true {
									if seen[key]++; seen[key] > 3 {
										continue
									}
									t.Errorf("%s\npolicy %v deleted-online=%v deleted-offline=%v decision %q\n%s", why, p.Prefer, p.DeletedOnline, p.DeletedOffline, d, show(m))
								}
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d cases, %d failures", cases, failures)
	for _, rule := range slices.Sorted(maps.Keys(reached)) {
		t.Logf("rule %-3s %d", rule, reached[rule])
	}
	for _, rule := range allRules {
		if reached[rule] == 0 {
			t.Errorf("rule %s was never reached", rule)
		}
	}
}

// judgeCase runs one message through the merge, the simulation and the oracle,
// then merges what came out again. With take it first answers what was asked.
func judgeCase(in Input, p Policy, take string, reached map[string]int) (n int, why string) {
	plan := Merge(in, p)
	decided := map[string]Side{}
	if take != "" {
		in.Decisions = map[string]Decision{}
		for _, c := range plan.Conflicts {
			if c.Kind.Waits() {
				s := Side(slices.Index([]string{"online", "offline"}, take))
				in.Decisions[c.ID] = Decision{State: c.State, Take: s}
				decided[c.Message] = s
			}
		}
		if len(decided) == 0 {
			return 0, ""
		}
		plan = Merge(in, p)
	}
	for _, a := range plan.Actions {
		reached[a.Rule]++
	}
	for _, c := range plan.Conflicts {
		reached[c.Rule]++
	}
	next, err := simulate(in, plan, nil)
	if err != nil {
		return 1, err.Error()
	}
	for i, v := range judgeAll(in, p, decided) {
		for r := range v.rules {
			if silentRules[r] {
				reached[r]++
			}
		}
		if why := unlike(v, in.Messages[i], next.Messages[i], plan, plan.Outcomes[i]); why != "" {
			return 1, why
		}
	}
	return 1, restless(next, p, plan)
}

// restless merges a second time: what one sync settled asks for nothing more.
func restless(next Input, p Policy, before Plan) string {
	again := Merge(next, p)
	if len(again.Actions) > 0 {
		return "a second sync acts: " + showAction(again.Actions[0])
	}
	known := map[string]bool{}
	for _, c := range before.Conflicts {
		known[c.Message] = true
	}
	for _, c := range again.Conflicts {
		if !known[c.Message] && len(next.Decisions) == 0 || c.Kind == MoveMove {
			return "a second sync asks about " + c.Message + ": " + string(c.Kind)
		}
	}
	return ""
}
