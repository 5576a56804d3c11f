package merge

import (
	"slices"
	"time"

	"snapmerge/tree"
)

// A result is what mergeMessage found out about one message.
type result struct {
	m        Message // without what is in skipped folders
	whole    Message // with it
	p        *Policy
	decision *Decision // of a person, if it is still about the same question
	waits    bool      // a conflict about it waited before this sync
	opt      options
	fold     *fold     // nil without archive families
	id       string    // of its conflicts
	before   time.Time // the Placement.Since of its base online

	out       Outcome
	rules     []string // by slot
	expire    []string // by slot: the row by which it is removed online for its age
	notes     [ExpireLimit + 1]bool
	conflicts []Conflict
	closed    []Conflict // those that a person has seen
	// deletedOn tells on which side the user deleted the message, where that was
	// newly found.
	deletedOn [2]bool
}

// options are what the whole plan asks of one message.
type options struct {
	hold string // why a deletion is held, whatever the policy; "": it is not
	keep bool   // too many expiries: this one waits
}

// mergeMessage decides about one message.
func mergeMessage(m Message, fm *folderMerge, in Input, p *Policy, opt options) result {
	r := result{p: p, opt: opt}
	r.decide(m, fm, in)
	r.unfold(fm)
	return r
}

func (r *result) decide(m Message, fm *folderMerge, in Input) {
	before := m.Base
	for _, b := range before[Online] {
		if b.Since.After(r.before) {
			r.before = b.Since
		}
	}
	m = fm.renamed(m)
	r.fold = fm.fold(&m)
	dropLost(&m) // in skipped folders too: they may be synced again one day
	r.fold.dropLost(m)
	r.whole = m
	r.id = ConflictID(m.ID, r.fold.realBase(m.Base))
	r.recall(before, in)
	skipped := hideSkipped(&m, r.p)
	r.m = m
	r.out = Outcome{Message: m.ID, Slots: slots(m), Retain: skipped.base}
	r.rules = make([]string, len(r.out.Slots))
	r.expire = make([]string, len(r.out.Slots))
	for i := range r.out.Slots {
		s := &r.out.Slots[i]
		for _, side := range Sides {
			s.Now[side] = knownKeywords(s.Base[side], s.Now[side])
			s.Result[side] = s.Now[side]
		}
	}
	if m.Differ && (len(m.Base[Online]) == 0 || len(m.Base[Offline]) == 0) {
		rule := "3"
		if len(m.Base[Online])+len(m.Base[Offline]) > 0 {
			rule = "14"
		}
		r.holdAs(NameTaken, rule, "")
		return
	}
	r.presence(skipped)
	if r.out.Held {
		return
	}
	for i := range r.out.Slots {
		if s := &r.out.Slots[i]; m.Lost != [2]bool{} && s.Result[Online] != nil && s.Result[Offline] != nil {
			s.forgetAttributes()
		}
		r.attributes(i)
	}
	r.carry()
	r.joinDoubles()
	r.expiry()
	r.mark()
}

// recall finds what is known of the message's questions. What waited under the
// base as it was before waits still: a renamed folder or a restored store decides
// nothing.
func (r *result) recall(before [2][]tree.Placement, in Input) {
	if len(in.Waiting) > 0 {
		r.waits = in.Waiting[r.id] || in.Waiting[ConflictID(r.whole.ID, before)]
	}
	if len(in.Decisions) > 0 {
		if d, ok := in.Decisions[r.id]; ok && d.State == stateOf(r.whole) {
			r.decision = &d
		}
	}
}

// forgetAttributes takes flags and keywords out of the base: a store that was
// restored has not taken away what it does not have.
func (s *Slot) forgetAttributes() {
	for _, side := range Sides {
		if b := s.Base[side]; b != nil {
			s.Base[side] = &tree.Placement{Folder: b.Folder, Received: b.Received, Since: b.Since}
		}
	}
}

// mark adds the conflicts that do not change what is done.
func (r *result) mark() {
	if r.m.Differ {
		r.conflict(ContentChanged, "17", "")
	}
	if r.m.Duplicate {
		r.conflict(Duplicate, "3", "")
	}
}

// conflict reports a conflict, or that a person has closed it.
func (r *result) conflict(k Kind, rule, note string) {
	c := Conflict{
		ID: r.id, State: stateOf(r.whole),
		Kind: k, Message: r.m.ID, Rule: rule, Note: note,
		Base: r.m.Base, Now: r.m.Now,
	}
	if r.decision != nil && k.Waits() {
		r.closed = append(r.closed, c)
	} else {
		r.conflicts = append(r.conflicts, c)
	}
}

// holdAs leaves the message as it is on both sides.
func (r *result) holdAs(k Kind, rule, note string) {
	r.out.Held = true
	for i := range r.out.Slots {
		r.out.Slots[i].Result = r.out.Slots[i].Now
	}
	r.conflict(k, rule, note)
}

// hidden is what a message has in skipped folders.
type hidden struct{ base, now [2][]tree.Placement }

// hideSkipped takes what is in skipped folders out of the message.
func hideSkipped(m *Message, p *Policy) hidden {
	var h hidden
	for _, side := range Sides {
		m.Base[side], h.base[side] = splitSkipped(m.Base[side], p)
		m.Now[side], h.now[side] = splitSkipped(m.Now[side], p)
	}
	return h
}

func splitSkipped(ps []tree.Placement, p *Policy) (seen, skipped []tree.Placement) {
	ps = sorted(ps)
	if !slices.ContainsFunc(ps, func(x tree.Placement) bool { return p.For(x.Folder).Skip }) {
		return ps, nil // nearly always
	}
	for _, x := range ps {
		if p.For(x.Folder).Skip {
			skipped = append(skipped, x)
		} else {
			seen = append(seen, x)
		}
	}
	return seen, skipped
}

// dropLost takes out of both bases what a replaced store does not have: nobody
// deleted it there, so it is merged as in a first sync.
func dropLost(m *Message) {
	for _, side := range Sides {
		if !m.Lost[side] {
			continue
		}
		for _, b := range m.Base[side] {
			if indexFolder(m.Now[side], b.Folder) < 0 {
				for _, s := range Sides {
					m.Base[s] = without(m.Base[s], b.Folder)
				}
			}
		}
	}
}

func without(ps []tree.Placement, folder string) []tree.Placement {
	var out []tree.Placement
	for _, p := range ps {
		if p.Folder != folder {
			out = append(out, p)
		}
	}
	return out
}
