package merge

import (
	"math/bits"
	"slices"
	"time"

	"snapmerge/tree"
)

// The oracle says what the rows of doc/merge-rules.md ask for, a second time
// and in another way than the package does. A message becomes bits: a side is a
// set of folders, a placement's letters and keywords are one word. It knows
// neither actions nor slots of an Outcome, only where everything has to be in
// the end, what both sides then agree on, and which questions are asked.

type (
	folders uint32 // bit i: folder i of the message's own sorted list
	attrs   uint64 // bits 0-25 the letters, above them the message's own keywords
)

const (
	attrS = attrs(tree.Seen)
	attrT = attrs(tree.Deleted)
	attrF = attrs(tree.Flagged)
)

const nowhere = -1

// A holding is a set of placements with what each carries.
type holding map[string]attrs

// A verdict is the oracle's answer about one message.
type verdict struct {
	final, base [2]holding
	words       []string // keywords by tree.KeywordKey
	kinds       map[Kind]bool
	rules       map[string]bool // rows that had a say
	held        bool
	seen        [2]bool // the side has it, in a folder that is synced
	deletedOn   [2]bool // a new deletion, whatever the policy
	// loose: several placements moved at once, and which became which is nobody's
	// to know. What holds then is checked by properties, not by this verdict.
	loose bool
	home  func(string) string // of a folder, the base of its family
	since [2]time.Time        // Placement.Since that is due online: before and after
}

// A thread is one placement through time, for both sides: the folder that it
// had in the base and the one that it has now, or nowhere.
type thread struct{ base, now [2]int }

// A judge weighs one message.
type judge struct {
	verdict
	p          *Policy
	full       func(Side, string, string) bool // folder has no letter left for the keyword
	m          Message
	names      []string // folders
	b, n       [2]folders
	agreed     [2]folders // b with what row 8 takes out
	outdatedIn folders    // those
	ba, na     [2][]attrs
	at         [2][]tree.Placement // now, by folder, with the real one
	was        [2][]tree.Placement // base, by folder, with the real one
	known      bool                // there was a sync before this one
	threads    []thread
	taken      bool // a decision holds
	take       Side
	waiting    bool
	hold       bool // too many deletions
}

func (j *judge) folder(name string) int { return slices.Index(j.names, name) }

func (j *judge) attrs(p tree.Placement) attrs {
	a := attrs(p.Flags)
	for _, k := range p.Keywords {
		a |= 1 << (26 + slices.Index(j.words, tree.KeywordKey(k)))
	}
	return a
}

// load turns the message into bits. A family is one folder. Folders that a rule
// skips are not there.
func (j *judge) load() {
	for _, s := range Sides {
		for _, ps := range [][]tree.Placement{j.m.Base[s], j.m.Now[s]} {
			for _, p := range ps {
				if name := j.home(p.Folder); !slices.Contains(j.names, name) {
					j.names = append(j.names, name)
				}
				for _, k := range p.Keywords {
					if k = tree.KeywordKey(k); !slices.Contains(j.words, k) {
						j.words = append(j.words, k)
					}
				}
			}
		}
	}
	slices.Sort(j.names)
	slices.Sort(j.words)
	for _, s := range Sides {
		j.ba[s], j.na[s] = make([]attrs, len(j.names)), make([]attrs, len(j.names))
		j.at[s], j.was[s] = make([]tree.Placement, len(j.names)), make([]tree.Placement, len(j.names))
	}
	lost := folders(0)
	for _, s := range Sides {
		for _, p := range j.m.Now[s] {
			i := j.folder(j.home(p.Folder))
			j.loose = j.loose || j.n[s]>>i&1 != 0
			j.n[s] |= 1 << i
			j.na[s][i], j.at[s][i] = j.attrs(p), p
		}
		for _, p := range j.m.Base[s] {
			i := j.folder(j.home(p.Folder))
			j.loose = j.loose || j.b[s]>>i&1 != 0
			j.b[s] |= 1 << i
			j.ba[s][i], j.was[s][i] = j.attrs(p), p
		}
		if j.m.Lost[s] {
			lost |= j.b[s] &^ j.n[s]
		}
	}
	for _, s := range Sides {
		j.b[s] &^= lost
		for i, name := range j.names {
			if !j.p.For(name).Skip {
				continue
			}
			if j.b[s]&(1<<i) != 0 {
				j.base[s][j.was[s][i].Folder] = j.ba[s][i]
			}
			if j.n[s]&(1<<i) != 0 {
				j.final[s][j.at[s][i].Folder] = j.na[s][i]
			}
		}
	}
}

// hide takes the skipped folders out of sight.
func (j *judge) hide() {
	for i, name := range j.names {
		if j.p.For(name).Skip {
			for _, s := range Sides {
				j.b[s] &^= 1 << i
				j.n[s] &^= 1 << i
			}
		}
	}
}

// spin makes the threads: what kept its folder is itself, what is gone and what
// is new on one side is a move, what is new on both sides in one folder is one.
func (j *judge) spin() {
	lasting := j.b[Online] | j.b[Offline]
	thr := map[int]*thread{}
	for f := range each(lasting) {
		thr[f] = &thread{base: [2]int{nowhere, nowhere}, now: [2]int{nowhere, nowhere}}
		for _, s := range Sides {
			if j.b[s]>>f&1 != 0 {
				thr[f].base[s] = f
			}
			if (j.b[s]&j.n[s])>>f&1 != 0 {
				thr[f].now[s] = f
			}
		}
	}
	var fresh [2]folders
	for _, s := range Sides {
		gone, came := j.b[s]&^j.n[s], j.n[s]&^j.b[s]
		if g, c := count(gone), count(came); g > 0 && c > 0 && (g+c > 2 || came&j.b[s.Other()] != 0 ||
			gone&^j.b[s.Other()] != 0 && came&j.n[s.Other()] != 0) {
			j.loose = true
		}
		if came&j.b[s.Other()]&^j.n[s.Other()] != 0 { // comes back where the other side left
			j.loose = true
		}
		for gone != 0 && came != 0 {
			g := first(gone) // what both had, if any
			if shared := gone & j.b[s.Other()]; shared != 0 {
				g = first(shared)
			}
			thr[g].now[s] = first(came)
			gone, came = gone&^(1<<g), came&(came-1)
		}
		fresh[s] = came
	}
	for f := range each(lasting) {
		j.threads = append(j.threads, *thr[f])
	}
	for _, s := range Sides {
		for x := range each(fresh[s]) {
			if j.join(s, func(t thread) bool { return t.now[s.Other()] == x }) {
				j.put(s, x)
				fresh[s] &^= 1 << x
			}
		}
	}
	j.spinRest(fresh)
}

// spinRest gives what is still without a thread one of its own. A side without
// any base has nothing to compare with: what it has is what the other side has,
// in another folder.
func (j *judge) spinRest(fresh [2]folders) {
	both := fresh[Online] & fresh[Offline]
	for x := range each(both) {
		j.threads = append(j.threads, thread{base: [2]int{nowhere, nowhere}, now: [2]int{x, x}})
	}
	for _, s := range Sides {
		rest := fresh[s] &^ both
		if j.b[s] == 0 && (count(j.n[s]) > 1 || count(j.n[s.Other()]) > 1) && rest != 0 && j.n[s.Other()] != 0 {
			j.loose = true
		}
		for x := range each(rest) {
			if j.b[s] == 0 && j.join(s, func(t thread) bool { return t.now[s.Other()] != nowhere }) {
				j.put(s, x)
				continue
			}
			t := thread{base: [2]int{nowhere, nowhere}, now: [2]int{nowhere, nowhere}}
			t.now[s] = x
			j.threads = append(j.threads, t)
		}
	}
}

// join moves the first thread that side s has no part in and that fits to the
// end, and tells whether there was one.
func (j *judge) join(s Side, fits func(thread) bool) bool {
	for i, t := range j.threads {
		if t.base[s] == nowhere && t.now[s] == nowhere && fits(t) {
			j.threads = append(slices.Delete(j.threads, i, i+1), t)
			return true
		}
	}
	return false
}

func (j *judge) put(s Side, x int) { j.threads[len(j.threads)-1].now[s] = x }

// outdated is row 8: gone online, and the folder's rule says why.
func (j *judge) outdated(t thread) bool {
	f := t.base[Online]
	if f == nowhere || t.now[Online] != nowhere {
		return false
	}
	e := j.p.For(j.names[f])
	return j.p.Expired(e.Keep, j.was[Online][f].Received) && !(e.KeepFlagged && j.ba[Online][f]&attrF != 0)
}

func each(s folders) func(func(int) bool) {
	return func(yield func(int) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(first(s)) {
				return
			}
		}
	}
}

func first(s folders) int { return bits.TrailingZeros32(uint32(s)) }
func count(s folders) int { return bits.OnesCount32(uint32(s)) }
