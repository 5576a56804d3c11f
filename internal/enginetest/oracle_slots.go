package enginetest

import (
	"maps"
	"slices"

	"snapmerge/merge"
)

// match makes the slots. What is in the same folder is the same placement; of
// the rest one gone and one new are a move.
func (c *one) match() {
	folders := map[string]bool{}
	for _, s := range merge.Sides {
		for f := range c.base[s] {
			folders[f] = true
		}
	}
	for _, f := range slices.Sorted(maps.Keys(folders)) {
		var sl slot
		for _, s := range merge.Sides {
			sl.base[s], sl.now[s] = spotOf(c.base[s], f), spotOf(c.now[s], f)
		}
		c.slots = append(c.slots, sl)
	}
	var added [2][]string
	for _, s := range merge.Sides {
		added[s] = c.matchSide(s, folders)
	}
	c.addSlots(added)
}

// matchSide finds what was moved on a side, and returns what is added.
func (c *one) matchSide(s merge.Side, folders map[string]bool) (added []string) {
	var gone []int
	back := false // into a placement that only the other side had
	for i, sl := range c.slots {
		if sl.base[s] != nil && sl.now[s] == nil {
			gone = append(gone, i)
		}
		back = back || sl.base[s] == nil && sl.now[s] != nil
	}
	for _, f := range slices.Sorted(maps.Keys(c.now[s])) {
		if !folders[f] {
			added = append(added, f)
		}
	}
	switch {
	case len(gone) > 0 && (back || len(gone) > 1 && len(added) > 0 || len(added) > 1):
		c.odd = "several placements moved"
	case len(gone) == 1 && len(added) == 1:
		c.slots[gone[0]].now[s] = spotOf(c.now[s], added[0])
		return nil
	case len(c.base[s]) == 0 && len(c.slots) > 0 && len(added) > 0:
		// Back on a side that had no part in it.
		if len(c.slots) > 1 || len(added) > 1 || back {
			c.odd = "several placements returned"
			return nil
		}
		c.slots[0].now[s] = spotOf(c.now[s], added[0])
		return nil
	}
	return added
}

// addSlots makes slots for placements that no base has.
func (c *one) addSlots(added [2][]string) {
	on, off := added[online], added[offline]
	if len(c.slots) == 0 && len(on) > 0 && len(off) > 0 && !slices.Equal(on, off) {
		if len(on) > 1 || len(off) > 1 {
			c.odd = "several new placements on both sides"
			return
		}
		c.slots = []slot{{now: [2]*spot{spotOf(c.now[online], on[0]), spotOf(c.now[offline], off[0])}}}
		return
	}
	for _, f := range slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(on), off...)))) {
		var sl slot
		for _, s := range merge.Sides {
			if slices.Contains(added[s], f) {
				sl.now[s] = spotOf(c.now[s], f)
			}
		}
		c.slots = append(c.slots, sl)
	}
}

func spotOf(ps places, folder string) *spot {
	if p, ok := ps[folder]; ok {
		return &spot{folder, p}
	}
	return nil
}
