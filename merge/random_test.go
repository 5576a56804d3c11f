package merge

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"snapmerge/tree"
)

// cases is how many random inputs a test tries: n, unless SNAPMERGE_CASES says
// otherwise.
func cases(t *testing.T, n int) int {
	s := os.Getenv("SNAPMERGE_CASES")
	if s == "" {
		return n
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("SNAPMERGE_CASES: %v", err)
	}
	return n
}

// seeded returns the seed of a test's random inputs: 1, so that a run can be
// repeated, or what SNAPMERGE_SEED says, a number or "random" (make soak).
func seeded(t *testing.T) uint64 {
	seed := uint64(1)
	switch s := os.Getenv("SNAPMERGE_SEED"); s {
	case "":
	case "random":
		seed = uint64(time.Now().UnixNano())
	default:
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("SNAPMERGE_SEED: %v", err)
		}
	}
	t.Logf("SNAPMERGE_SEED=%d", seed)
	return seed
}

var randomFolders = []string{"A", "B", "C", "INBOX", "Old", "None", "Trash", "Spam", "Old/2026-01", "Old/2025", "INBOX/02"}

// A dice makes random stores.
type dice struct{ *rand.Rand }

func (d dice) one(in int) bool { return d.IntN(in) == 0 }

func (d dice) placement(folder string) tree.Placement {
	p := tree.Placement{Folder: folder, Received: clock.AddDate(0, 0, -d.IntN(60))}
	p.Flags = d.flags()
	p.Keywords = d.keywords()
	return p
}

func (d dice) flags() (f tree.Flags) {
	for _, l := range []tree.Flags{tree.Seen, tree.Flagged, tree.Deleted, 1 << ('R' - 'A')} {
		if d.one(3) {
			f |= l
		}
	}
	return f
}

func (d dice) keywords() (ks []string) {
	for _, k := range []string{"work", "Later"} {
		if d.one(4) {
			ks = append(ks, k)
		}
	}
	return tree.SortKeywords(ks)
}

// change does to one side's copy of a message what a user may do.
func (d dice) change(ps []tree.Placement) []tree.Placement {
	ps = slices.Clone(ps)
	if len(ps) == 0 {
		if d.one(4) {
			return []tree.Placement{d.placement(randomFolders[d.IntN(len(randomFolders))])}
		}
		return nil
	}
	i := d.IntN(len(ps))
	to := randomFolders[d.IntN(len(randomFolders))]
	free := !slices.ContainsFunc(ps, func(p tree.Placement) bool { return p.Folder == to })
	ctime := clock.Add(-time.Duration(d.IntN(3)) * time.Hour)
	switch d.IntN(8) {
	case 0, 1:
		ps[i].Flags, ps[i].Ctime = d.flags(), ctime
	case 2:
		ps[i].Keywords, ps[i].Ctime = d.keywords(), ctime
		ps[i].Unnamed = len(ps[i].Keywords) == 0 && d.one(3)
	case 3, 4:
		if free {
			ps[i].Folder, ps[i].Ctime = to, ctime
		}
	case 5:
		if free {
			c := ps[i]
			c.Folder, c.Ctime = to, ctime
			ps = append(ps, c)
		}
	case 6:
		ps = slices.Delete(ps, i, i+1)
	case 7:
		return nil
	}
	return sorted(ps)
}

func (d dice) message(id string) Message {
	m := Message{ID: id}
	if !d.one(4) {
		for range 1 + d.IntN(4)/3 {
			p := d.placement(randomFolders[d.IntN(len(randomFolders))])
			if len(m.Base[0])+len(m.Base[1]) > 0 && slices.ContainsFunc(slices.Concat(m.Base[0], m.Base[1]), func(q tree.Placement) bool { return q.Folder == p.Folder }) {
				continue
			}
			part := d.IntN(8)
			for _, s := range Sides {
				if q := p; part != int(s) {
					if d.one(10) {
						q.Flags, q.Keywords = d.flags(), d.keywords()
					}
					if s == Online && d.one(20) {
						q.Since = clock.AddDate(0, 0, -d.IntN(60))
					}
					m.Base[s] = sorted(append(m.Base[s], q))
				}
			}
		}
	}
	for _, s := range Sides {
		m.Now[s] = slices.Clone(m.Base[s])
		for d.one(2) {
			m.Now[s] = d.change(m.Now[s])
		}
	}
	oneDate(&m)
	vary := variants[d.IntN(len(variants))]
	if w := m; d.one(4) {
		if vary(&w); possible(w) {
			m = w
		}
	}
	return m
}

// oneDate gives what a side has in one family one date: they are names of one file.
func oneDate(m *Message) {
	for _, s := range Sides {
		dates := map[string]time.Time{}
		for _, ps := range [][]tree.Placement{m.Base[s], m.Now[s]} {
			for i := range ps {
				home := ps[i].Folder
				if d := dated.FindStringSubmatch(home); d != nil {
					home = d[1]
				}
				if _, ok := dates[home]; !ok {
					dates[home] = ps[i].Received
				}
				ps[i].Received = dates[home]
			}
		}
	}
}

func (d dice) policy() Policy {
	ps := policies()
	p := ps[d.IntN(len(ps))]
	if d.one(6) {
		p.MaxDeletions = d.IntN(2)
	}
	if d.one(4) {
		p.Rules = p.Rules[d.IntN(len(p.Rules)):]
	}
	if d.one(2) {
		some := []Pattern{"", "%Y", "%m", "%Y-%m", "%Y/%m"}
		p.Rules = append(slices.Clone(p.Rules), Rule{Match: "INBOX", Archive: [2]Pattern{some[d.IntN(5)], some[d.IntN(5)]}})
	}
	if d.one(2) {
		p.LastSync = p.Now.Add(-time.Minute)
	}
	return p
}

func (d dice) input() Input {
	in := Input{Known: [2]int{50, 50}, Waiting: map[string]bool{}}
	n := 1 + d.IntN(3)
	if d.one(200) { // enough for "more than half"
		n, in.Known = 30, [2]int{d.IntN(60), d.IntN(60)}
	}
	for i := range n {
		m := d.message("m" + strconv.Itoa(i))
		if d.one(12) {
			in.Waiting[ConflictID(m.ID, m.Base)] = true
		}
		in.Messages = append(in.Messages, m)
	}
	if d.one(8) {
		d.fill(&in)
	}
	return in
}

// fill takes the last letter of a folder; what is there already stays without
// the keywords that have no letter left.
func (d dice) fill(in *Input) {
	s, name := Sides[d.IntN(2)], randomFolders[d.IntN(len(randomFolders))]
	f := Folder{Name: name}
	for i := range f.Keywords {
		f.Keywords[i] = "k" + strconv.Itoa(i)
	}
	if d.one(2) {
		f.Keywords[3] = "Work"
	}
	in.Folders[s] = []Folder{f}
	lacks := func(k string) bool { return f.Keywords[3] != "Work" || k != "work" }
	for i := range in.Messages {
		for _, ps := range [][]tree.Placement{in.Messages[i].Base[s], in.Messages[i].Now[s]} {
			for j := range ps {
				if ps[j].Folder == name {
					ps[j].Keywords, ps[j].Unnamed = slices.DeleteFunc(slices.Clone(ps[j].Keywords), lacks), false
				}
			}
		}
	}
}

// TestRandom compares whole inputs with the oracle: several messages, limits,
// waiting deletions, full keyword tables, answers good and stale.
func TestRandom(t *testing.T) {
	seed := seeded(t)
	n := cases(t, 300_000)
	if testing.Short() {
		n = min(n, 50_000)
	}
	shards := runtime.GOMAXPROCS(0)
	var answers, loose atomic.Int64
	t.Run("shards", func(t *testing.T) {
		for shard := range shards {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				for i := shard; i < n; i += shards {
					a, l := randomCase(t, i, dice{rand.New(rand.NewPCG(seed, uint64(i)))})
					answers.Add(int64(a))
					loose.Add(int64(l))
				}
			})
		}
	})
	t.Logf("%d inputs, %d answers, %d messages only checked for losses", n, answers.Load(), loose.Load())
	if answers.Load() == 0 && n > 1000 {
		t.Error("no question was ever answered")
	}
}

// randomCase returns how many questions were answered, and how many messages
// were only checked for losses.
func randomCase(t *testing.T, i int, d dice) (answers, loose int) {
	in, p := d.input(), d.policy()
	decided := map[string]Side{}
	plan := Merge(in, p)
	if d.one(2) {
		decided = d.answer(&in, plan)
		plan = Merge(in, p)
	}
	next, err := simulate(in, plan, nil)
	if err != nil {
		t.Fatalf("case %d: %v\n%s", i, err, showInput(in, p, decided))
	}
	vs := judgeAll(in, p, decided)
	// Whether a loose one counts as a deletion may decide about all the others.
	limited := (p.MaxDeletions < 100 || len(in.Messages) > 4) && slices.ContainsFunc(vs, func(v verdict) bool { return v.loose })
	for k, v := range vs {
		if v.loose || limited {
			loose++
		}
		if limited && !v.loose {
			continue
		}
		if why := unlike(v, in.Messages[k], next.Messages[k], plan, plan.Outcomes[k]); why != "" {
			t.Fatalf("case %d: %s: %s\n%s", i, in.Messages[k].ID, why, showInput(only(in, k), p, decided))
		}
	}
	if why := restless(next, p, plan); why != "" {
		t.Fatalf("case %d: %s\n%s", i, why, showInput(in, p, decided))
	}
	if why := d.shuffled(in, p, plan); why != "" {
		t.Fatalf("case %d: %s\n%s", i, why, showInput(in, p, decided))
	}
	return len(decided), loose
}

// answer decides some of the questions; one in five answers is about a state
// that is no more, and must not count.
func (d dice) answer(in *Input, plan Plan) map[string]Side {
	decided := map[string]Side{}
	in.Decisions = map[string]Decision{}
	for _, c := range plan.Conflicts {
		if _, ok := in.Decisions[c.ID]; ok || !c.Kind.Waits() || d.one(3) {
			continue
		}
		a := Decision{State: c.State, Take: Sides[d.IntN(2)]}
		if d.one(5) {
			a.State = "stale"
		} else {
			decided[c.Message] = a.Take
		}
		in.Decisions[c.ID] = a
	}
	return decided
}

// shuffled merges the same messages in another order: the actions are the same.
func (d dice) shuffled(in Input, p Policy, plan Plan) string {
	in.Messages = slices.Clone(in.Messages)
	d.Shuffle(len(in.Messages), func(i, j int) { in.Messages[i], in.Messages[j] = in.Messages[j], in.Messages[i] })
	for i := range in.Messages {
		for _, s := range Sides {
			now := slices.Clone(in.Messages[i].Now[s])
			d.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
			in.Messages[i].Now[s] = now
		}
	}
	again := Merge(in, p)
	if a, b := fmt.Sprint(plan.Actions), fmt.Sprint(again.Actions); a != b {
		return "the order of the input matters:\n" + a + "\n" + b
	}
	return ""
}

// only leaves message k alone, for a readable failure.
func only(in Input, k int) Input {
	if len(in.Messages) > 4 {
		in.Messages = in.Messages[k : k+1]
	}
	return in
}

func showInput(in Input, p Policy, decided map[string]Side) string {
	s := fmt.Sprintf("prefer %v deleted-online %v deleted-offline %v max %d known %v decided %v waiting %v rules %d folders %v\n", p.Prefer, p.DeletedOnline, p.DeletedOffline, p.MaxDeletions, in.Known, decided, in.Waiting, len(p.Rules), in.Folders)
	for _, m := range in.Messages {
		s += show(m)
	}
	plan := Merge(in, p)
	for _, a := range plan.Actions {
		s += a.Message + " " + showAction(a) + "\n"
	}
	for _, c := range plan.Conflicts {
		s += fmt.Sprintf("%s %s %s rule %s\n", c.Message, c.Kind, c.ID, c.Rule)
	}
	return s
}
