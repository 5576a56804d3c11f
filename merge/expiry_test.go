package merge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"snapmerge/tree"
)

// TestBroughtBack follows a mail that expired and that a person puts back: it
// stays for the folder's month from then on, in whatever folder of that rule, and
// expires once.
func TestBroughtBack(t *testing.T) {
	p := Policy{Rules: testRules(), MaxDeletions: 9, Now: clock, LastSync: clock.Add(-time.Hour)}
	p.Rules[0].Archive = [2]Pattern{"%Y-%m", "%Y"}
	old := at("Old", "S")
	in := Input{Messages: []Message{{ID: "m", Base: [2][]tree.Placement{nil, {old}}, Now: [2][]tree.Placement{{old}, {old}}}}}
	for day := 0; day < 40; day++ {
		plan := Merge(in, p)
		expired := slices.ContainsFunc(plan.Actions, func(a Action) bool { return a.Op == Expire })
		if want := day == 31; expired != want { // March has 31 days
			t.Fatalf("day %d: expired %v, want %v", day, expired, want)
		}
		var err error
		if in, err = simulate(in, plan, nil); err != nil {
			t.Fatal(err)
		}
		if expired {
			break
		}
		if day == 3 { // a flag, and what is done for it, makes no difference
			in.Messages[0].Now[Offline][0].Flags |= tree.Seen | 1<<('R'-'A')
		}
		p.LastSync, p.Now = p.Now, p.Now.AddDate(0, 0, 1).Add(time.Second)
	}
	if n := in.Messages[0]; len(n.Base[Online]) != 0 || len(n.Now[Offline]) != 1 {
		t.Errorf("in the end %v", n)
	}
}

// TestBroughtIsNotFound: what an earlier sync left, and what a restored store has,
// nobody has brought.
func TestBroughtIsNotFound(t *testing.T) {
	for _, test := range []struct {
		what string
		vary func(*Message, *Policy)
		want bool // expires
	}{
		{"new since the last sync", func(m *Message, _ *Policy) { m.Now[Online][0].Ctime = clock }, false},
		{"no ctime", func(*Message, *Policy) {}, false},
		{"was there at the last sync", func(m *Message, _ *Policy) { m.Now[Online][0].Ctime = clock.AddDate(0, 0, -3) }, true},
		{"known at home, with an odd ctime", func(m *Message, _ *Policy) {
			m.Now[Online][0].Ctime = clock.AddDate(0, 0, -3)
			m.Base[Offline] = []tree.Placement{at("Old", "")}
			m.Now[Offline] = m.Base[Offline]
		}, false},
		{"first sync", func(_ *Message, p *Policy) { p.LastSync = time.Time{} }, true},
		{"restored online", func(m *Message, _ *Policy) { m.Lost[Online] = true }, true},
	} {
		p := Policy{Rules: testRules(), Now: clock, LastSync: clock.Add(-time.Hour)}
		m := Message{ID: "m", Now: [2][]tree.Placement{{at("Old", "")}}}
		test.vary(&m, &p)
		plan := Merge(Input{Messages: []Message{m}}, p)
		if got := slices.ContainsFunc(plan.Actions, func(a Action) bool { return a.Op == Expire }); got != test.want {
			t.Errorf("%s: expires %v", test.what, got)
		}
	}
}

// TestMaxExpire: with any limit every old mail goes in the end, the oldest first,
// never more at once, each once.
func TestMaxExpire(t *testing.T) {
	in := Input{Known: [2]int{50, 50}}
	for i := range 10 {
		a, b := at("Old", ""), at("None", "")
		a.Received = clock.AddDate(0, -3, (i*7)%10)
		b.Received = a.Received
		m := Message{ID: fmt.Sprint("m", i), Base: [2][]tree.Placement{{b, a}, {b, a}}, Now: [2][]tree.Placement{{b, a}, {b, a}}}
		in.Messages = append(in.Messages, m)
	}
	p := Policy{Rules: testRules(), Now: clock, MaxExpire: 3}
	var youngest time.Time
	for _, want := range []int{3, 3, 3, 1, 0} {
		plan := Merge(in, p)
		gone := map[string]bool{}
		for _, a := range plan.Actions {
			if a.Op != Expire {
				t.Fatalf("not an expiry: %v", a)
			}
			gone[a.Message] = true
		}
		if len(gone) != want {
			t.Fatalf("%d expired, want %d", len(gone), want)
		}
		before := youngest
		for _, m := range in.Messages {
			if !gone[m.ID] {
				continue
			}
			if r := m.Now[Online][0].Received; r.Before(before) {
				t.Errorf("%s waited although it is older", m.ID)
			} else if r.After(youngest) {
				youngest = r
			}
		}
		var err error
		if in, err = simulate(in, plan, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMatchSender(t *testing.T) {
	for _, test := range []struct {
		pattern, address string
		want             bool
	}{
		{"torvalds@*", "torvalds@linux-foundation.org", true}, {"torvalds@*", "Torvalds@OSDL.org", true},
		{"TORVALDS@*", "torvalds@osdl.org", true}, {"torvalds@*", "xtorvalds@osdl.org", false},
		{"*@kernel.org", "a@kernel.org", true}, {"*@kernel.org", "a@kernel.org.evil.net", false},
		{"*@*.kernel.org", "a@lists.kernel.org", true}, {"a@b", "a@b", true}, {"a@b", "a@bc", false}, {"*", "", true},
	} {
		if got := MatchSender([]string{"no@body", test.pattern}, []string{test.address}); got != test.want {
			t.Errorf("%q on %q: %v", test.pattern, test.address, got)
		}
	}
	if MatchSender([]string{"*"}, nil) || MatchSender(nil, []string{"a@b"}) {
		t.Error("nothing matches something")
	}
}

// TestNeedsSender: wherever another sender would change the plan, the merge asks
// for one.
func TestNeedsSender(t *testing.T) {
	p := Policy{Rules: testRules(), DeletedOnline: Apply, MaxDeletions: 9, Now: clock}
	p.Rules[0].KeepFrom = []string{"friend@*"}
	p.Rules[1].KeepFrom = []string{"friend@*"}
	asked := 0
	for _, base := range bases() {
		for _, on := range nows() {
			for _, off := range nows() {
				m := Message{ID: "m", Base: base, Now: [2][]tree.Placement{on, off}}
				plan := func(from ...string) string {
					n := m
					n.From = from
					r := Merge(Input{Messages: []Message{n}}, p)
					return fmt.Sprint(r.Actions, r.Conflicts)
				}
				if p.NeedsSender(m) {
					asked++
				} else if plan("friend@x") != plan("x@x") {
					t.Fatalf("the sender matters, and nobody asks for it:\n%s", show(m))
				}
			}
		}
	}
	if asked == 0 {
		t.Error("never asked")
	}
}
