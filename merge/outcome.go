package merge

import (
	"slices"
	"strings"

	"snapmerge/tree"
)

// A Slot follows one placement of a message through a sync: where it was, where
// each side has it now, where each side is to have it. Nil means absent.
type Slot struct {
	Base, Now, Result [2]*tree.Placement
	// Within: Now and Result are in one archive family, so that whether the side
	// has been tidied does not matter to what is agreed on.
	Within [2]bool
}

// An Outcome is what is planned for one message.
type Outcome struct {
	Message string
	Held    bool // waits for a decision: nothing is done and nothing is agreed
	Slots   []Slot
	// Retain holds base placements in skipped folders. They stay as they are, so
	// that a skip rule that comes and goes looks like no change of mail.
	Retain [2][]tree.Placement
}

// Settle returns the message's next base. have tells what each side is known to
// have in each slot after the sync: the result where an action was carried
// out, else what it had. An attribute (folder, letter, keyword) is agreed only
// when both sides are known to have what was planned; else it keeps its old
// base and the next sync sees the change again. Two empty lists: the message is
// forgotten.
func (o Outcome) Settle(have [][2]*tree.Placement) [2][]tree.Placement {
	next := [2][]tree.Placement{slices.Clone(o.Retain[Online]), slices.Clone(o.Retain[Offline])}
	for i, s := range o.Slots {
		settled := s.Base
		if !o.Held {
			settled = s.settle(have[i])
		}
		for _, side := range Sides {
			if settled[side] != nil {
				next[side] = append(next[side], *settled[side])
			}
		}
	}
	for _, side := range Sides {
		next[side] = sorted(next[side])
	}
	return next
}

func (s Slot) settle(have [2]*tree.Placement) [2]*tree.Placement {
	where, present := s.Result, true
	for _, side := range Sides {
		if !sameFolder(have[side], s.Result[side]) && !s.untidied(have, side) {
			where = s.Base
		}
		present = present && (have[side] == nil) == (s.Result[side] == nil)
	}
	if s.guesses(have) {
		where = s.Base
	}
	for _, side := range Sides {
		if where[side] != nil && where[side] == s.Result[side] && s.untidied(have, side) {
			c := *where[side]
			c.Folder = have[side].Folder
			where[side] = &c
		}
		// What an own action removed has no base any more, whatever became of the
		// other side: an expiry must never look like a user's deletion.
		if s.Now[side] != nil && s.Result[side] == nil && have[side] == nil {
			where[side] = nil
		}
	}
	return s.settleAttributes(where, have, present)
}

// guesses tells whether half a base says what a side's letter without a name
// stands for, and the other side could not be given that keyword. Nothing else
// says it, so such a base stays until that is done.
func (s Slot) guesses(have [2]*tree.Placement) bool {
	for _, side := range Sides {
		now, other := s.Now[side], side.Other()
		if s.Base[other] != nil || now == nil || !now.Unnamed {
			continue
		}
		unset := differ(keywordSet(have[other]), keywordSet(s.Result[other]))
		for k := range keywordSet(s.Base[side]) {
			if unset[k] {
				return true
			}
		}
	}
	return false
}

// untidied tells whether a side has a placement in the right family, but not yet
// in the right folder of it.
func (s Slot) untidied(have [2]*tree.Placement, side Side) bool {
	return s.Within[side] && s.Result[side] != nil && sameFolder(have[side], s.Now[side])
}

// settleAttributes returns the placements of where with those flags and
// keywords agreed that both sides have as planned: none, if one of them has the
// placement and was not to have it, or the other way round.
func (s Slot) settleAttributes(where, have [2]*tree.Placement, present bool) [2]*tree.Placement {
	var settledFlags tree.Flags = ^tree.Flags(0)
	unsettled, dropped := map[string]bool{}, s.dropped(have)
	if !present {
		settledFlags = 0
		for _, side := range Sides {
			for _, set := range []*tree.Placement{s.Base[side], s.Result[side]} {
				for k := range keywordSet(set) {
					unsettled[k] = true
				}
			}
		}
	}
	for _, side := range Sides {
		settledFlags &^= flagsOf(have[side]) ^ flagsOf(s.Result[side])
		for k := range differ(keywordSet(have[side]), keywordSet(s.Result[side])) {
			unsettled[k] = true
		}
	}
	old := s.Base
	if where[Online] != nil && where[Offline] != nil && (old[Online] == nil || old[Offline] == nil) {
		old = [2]*tree.Placement{} // half a base says nothing about what is not settled
	}
	var out [2]*tree.Placement
	for _, side := range Sides {
		if where[side] == nil {
			continue
		}
		p := tree.Placement{Folder: where[side].Folder, Received: where[side].Received, Since: where[side].Since}
		p.Flags = flagsOf(s.Result[side])&settledFlags | flagsOf(old[side])&^settledFlags
		for k, name := range keywordSet(s.Result[side]) {
			if !unsettled[k] {
				p.Keywords = append(p.Keywords, name)
			}
		}
		for k, name := range keywordSet(old[side]) {
			if unsettled[k] && !dropped[k] {
				p.Keywords = append(p.Keywords, name)
			}
		}
		p.Keywords = tree.SortKeywords(p.Keywords)
		out[side] = &p
	}
	return out
}

// dropped returns the keywords that a placement lost on its way into a folder
// without a letter left for them. Neither base may have such a keyword: the side
// that lost it would seem to have removed it, and the other would lose it too.
func (s Slot) dropped(have [2]*tree.Placement) map[string]bool {
	out := map[string]bool{}
	for _, side := range Sides {
		if have[side] == nil {
			continue
		}
		has, had, base := keywordSet(have[side]), keywordSet(s.Now[side]), keywordSet(s.Base[side])
		for k := range keywordSet(s.Result[side]) {
			_, kept := has[k]
			_, lost := had[k]
			_, agreed := base[k]
			if !kept && (lost || agreed || s.Now[side] == nil) {
				out[k] = true
			}
		}
	}
	return out
}

func sameFolder(a, b *tree.Placement) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Folder == b.Folder
}

func flagsOf(p *tree.Placement) tree.Flags {
	if p == nil {
		return 0
	}
	return p.Flags
}

// keywordSet returns a placement's keywords by the form that is compared.
func keywordSet(p *tree.Placement) map[string]string {
	set := map[string]string{}
	if p != nil {
		for _, k := range p.Keywords {
			set[tree.KeywordKey(k)] = k
		}
	}
	return set
}

// differ returns the keys that only one of the two sets has.
func differ(a, b map[string]string) map[string]bool {
	d := map[string]bool{}
	for k := range a {
		if _, ok := b[k]; !ok {
			d[k] = true
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			d[k] = true
		}
	}
	return d
}

// sorted returns the placements ordered by folder.
func sorted(ps []tree.Placement) []tree.Placement {
	byFolder := func(a, b tree.Placement) int { return strings.Compare(a.Folder, b.Folder) }
	if slices.IsSortedFunc(ps, byFolder) {
		return ps
	}
	return slices.SortedStableFunc(slices.Values(ps), byFolder)
}
