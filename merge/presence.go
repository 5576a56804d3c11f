package merge

import (
	"slices"

	"snapmerge/tree"
)

// presence decides in which folders each side is to have the message: it sets
// the results' folders, or holds the message.
func (r *result) presence(skipped hidden) {
	r.expiredByItself()
	for _, side := range Sides {
		if !r.allGone(side) {
			continue
		}
		if removed := r.shared(side.Other()); len(removed) > 0 {
			r.deletion(side, removed, skipped.now[side])
			return
		}
	}
	var removed [2][]int // by the side that is to lose the slot
	for i := range r.out.Slots {
		if side, lost := r.slotPresence(i); lost {
			removed[side] = append(removed[side], i)
		}
	}
	r.lastPlacement(removed, skipped)
}

// expiredByItself finds what the server dropped and the folder's rule would
// have expired too (rule 8): there it has no online part any more.
func (r *result) expiredByItself() {
	for i, s := range r.out.Slots {
		b := s.Base[Online]
		if s.state(Online) == gone && r.outlived(*b) {
			r.rules[i] = "8"
		}
	}
}

// allGone tells whether a side had the message and has none of it now.
func (r *result) allGone(side Side) bool {
	had := false
	for i, s := range r.out.Slots {
		if s.Now[side] != nil {
			return false
		}
		had = had || s.Base[side] != nil && r.rules[i] != "8"
	}
	return had
}

// shared returns the slots that side has now and both sides had.
func (r *result) shared(side Side) []int {
	var out []int
	for i, s := range r.out.Slots {
		if s.Now[side] != nil && s.Base[Online] != nil && s.Base[Offline] != nil && r.rules[i] != "8" {
			out = append(out, i)
		}
	}
	return out
}

// slotPresence decides one slot of a message that neither side has deleted as
// a whole. lost: side is to lose its placement, for the other has removed it.
func (r *result) slotPresence(i int) (side Side, lost bool) {
	s := &r.out.Slots[i]
	if r.rules[i] == "8" {
		return 0, false
	}
	if s.Now[Online] != nil && s.Now[Offline] != nil {
		r.slotFolder(i)
		return 0, false
	}
	for _, has := range Sides {
		lacks := has.Other()
		if s.Now[has] == nil {
			continue
		}
		switch at := s.state(has); {
		case s.state(lacks) == gone && at == same:
			s.Result[has] = nil
			r.rules[i] = "16"
			return has, true
		case s.state(lacks) == gone && at == moved:
			r.spread(i, has, "16")
		case at == fresh && s.state(lacks) == none || at == fresh && has == Online:
			r.spread(i, has, "15")
		}
	}
	return 0, false
}

// spread gives a placement that one side added to the other side, unless that
// side has no part in the message: online takes mail that it knows only, and
// what was declined at home stays declined.
func (r *result) spread(i int, has Side, rule string) {
	lacks := has.Other()
	if lacks == Online && len(r.m.Now[Online]) == 0 {
		return
	}
	if lacks == Offline && len(r.m.Now[Offline]) == 0 {
		shared := func(s Slot) bool { return s.Base[Online] != nil && s.Base[Offline] != nil }
		if len(r.m.Base[Online]) > 0 && !slices.ContainsFunc(r.out.Slots, shared) {
			return
		}
		rule = "1"
	}
	r.rules[i] = rule
	s := &r.out.Slots[i]
	s.Result[lacks] = arrives(s.Now[has], lacks, r.p)
}

// slotFolder decides where a placement is to be that both sides have.
func (r *result) slotFolder(i int) {
	s := &r.out.Slots[i]
	r.rules[i] = changeRule(*s)
	on, off := s.Now[Online].Folder, s.Now[Offline].Folder
	if on == off {
		return
	}
	onChanged, offChanged := s.state(Online) != same, s.state(Offline) != same
	winner := Online
	switch {
	case !onChanged && !offChanged:
		return
	case onChanged && offChanged:
		winner = r.p.winner(*s)
		r.conflict(MoveMove, "6", "")
	case offChanged:
		winner = Offline
	}
	moved := *s.Now[winner.Other()]
	moved.Folder = s.Now[winner].Folder
	s.Result[winner.Other()] = &moved
}

// changeRule names the row for a slot that both sides have.
func changeRule(s Slot) string {
	differs := func(side Side) bool {
		return s.changed(side) || flagsOf(s.Base[side]) != flagsOf(s.Now[side])
	}
	switch on, off := s.Base[Online] == nil, s.Base[Offline] == nil; {
	case on && off:
		return "3"
	case on || off:
		return "14"
	}
	switch on, off := differs(Online), differs(Offline); {
	case on && off:
		return "6"
	case on:
		return "4"
	}
	return "5"
}

// winner returns the side whose folder counts where both moved a placement.
func (p *Policy) winner(s Slot) Side {
	switch p.Prefer {
	case PreferOnline:
		return Online
	case PreferOffline:
		return Offline
	}
	on, off := s.Now[Online].Ctime, s.Now[Offline].Ctime
	if !on.IsZero() && !off.IsZero() && on.After(off) {
		return Online
	}
	return Offline
}

// lastPlacement looks at what the removal of single placements would leave.
func (r *result) lastPlacement(removed [2][]int, skipped hidden) {
	var empties [2]bool
	for _, side := range Sides {
		empties[side] = len(removed[side]) > 0
		for _, s := range r.out.Slots {
			empties[side] = empties[side] && s.Result[side] == nil
		}
	}
	if empties[Online] && empties[Offline] {
		r.bothEmpty()
		return
	}
	for _, side := range Sides {
		if empties[side] {
			r.deletion(side.Other(), removed[side], skipped.now[side.Other()])
		}
	}
}

// bothEmpty: each side removed some placements, neither all, and together they
// would leave nothing (rule 16).
func (r *result) bothEmpty() {
	if r.decision == nil {
		r.holdAs(DeleteModify, "16", "")
		return
	}
	take := r.decision.Take
	for i := range r.out.Slots {
		s := &r.out.Slots[i]
		r.rules[i] = "16"
		s.Result = [2]*tree.Placement{}
		if s.Now[take] != nil {
			s.Result[take] = s.Now[take]
			s.Result[take.Other()] = arrives(s.Now[take], take.Other(), r.p)
		}
	}
}

// attributes merges flags and keywords of a slot that both sides have and keep.
func (r *result) attributes(i int) {
	s := &r.out.Slots[i]
	for _, side := range Sides {
		if s.Result[side] == nil {
			return
		}
	}
	for _, side := range Sides {
		c := *s.Result[side]
		s.Result[side] = &c
	}
	if s.Now[Online] != nil && s.Now[Offline] != nil {
		mergeAttributes(s, r.p)
	}
}

// carry: a placement that goes, as the other side has moved it to where only this
// side had the message, takes along what was set on it meanwhile.
func (r *result) carry() {
	for _, has := range Sides {
		lacks := has.Other()
		for _, from := range r.out.Slots {
			if from.state(lacks) != gone || from.state(has) != same || from.Result[has] != nil {
				continue
			}
			i := slices.IndexFunc(r.out.Slots, func(to Slot) bool {
				return to.state(lacks) == fresh && to.Base[has] != nil && to.Result[Online] != nil && to.Result[Offline] != nil
			})
			if i < 0 {
				continue
			}
			set := *from.Now[has]
			set.Flags &^= from.Base[has].Flags | tree.Deleted
			set.Keywords = slices.DeleteFunc(slices.Clone(set.Keywords), func(k string) bool {
				_, had := keywordSet(from.Base[has])[tree.KeywordKey(k)]
				return had
			})
			for side, p := range r.out.Slots[i].Result {
				c := *p
				c.Flags |= set.Flags
				c.Keywords = tree.SortKeywords(slices.Concat(c.Keywords, set.Keywords))
				r.out.Slots[i].Result[side] = &c
			}
		}
	}
}

// joinDoubles keeps a side from getting two placements in one folder, where
// two slots end there: one of them, if possible the one that is there already,
// stays, and whatever flags and keywords the slots have are united.
func (r *result) joinDoubles() {
	for i := range r.out.Slots {
		for j := range i {
			a, b := &r.out.Slots[j], &r.out.Slots[i]
			double := false
			for _, side := range Sides {
				if a.Result[side] == nil || b.Result[side] == nil || a.Result[side].Folder != b.Result[side].Folder {
					continue
				}
				double = true
				if b.Now[side] != nil && b.Now[side].Folder == b.Result[side].Folder {
					a.Result[side] = nil
				} else {
					b.Result[side] = nil
				}
			}
			if double {
				unite(a, b)
			}
		}
	}
}

func unite(a, b *Slot) {
	var flags tree.Flags
	var keywords []string
	each := func(f func(p **tree.Placement)) {
		for _, s := range []*Slot{a, b} {
			for _, side := range Sides {
				if s.Result[side] != nil {
					f(&s.Result[side])
				}
			}
		}
	}
	each(func(p **tree.Placement) {
		flags |= (*p).Flags
		keywords = append(keywords, (*p).Keywords...)
	})
	each(func(p **tree.Placement) {
		c := **p
		c.Flags = flags&^tree.Deleted | c.Flags&tree.Deleted
		c.Keywords = tree.SortKeywords(keywords)
		*p = &c
	})
}
