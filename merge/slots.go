package merge

import (
	"slices"

	"snapmerge/tree"
)

// state is what happened to a slot on one side since the base.
type state uint8

const (
	none  state = iota // neither in the base nor now
	same               // in the folder of the base
	moved              // in another folder than in the base
	fresh              // new here: no base
	gone               // in the base, not now
)

func (s Slot) state(side Side) state {
	b, n := s.Base[side], s.Now[side]
	switch {
	case b == nil && n == nil:
		return none
	case b == nil:
		return fresh
	case n == nil:
		return gone
	case b.Folder == n.Folder:
		return same
	}
	return moved
}

// slots follows a message's placements from the base to both sides: first by
// folder, then what a side lacks is paired with what it has elsewhere, in the
// order of folders.
func slots(m Message) []Slot {
	var out []Slot
	at := func(folder string) *Slot {
		i := slices.IndexFunc(out, func(s Slot) bool {
			return s.Base[Online] != nil && s.Base[Online].Folder == folder ||
				s.Base[Offline] != nil && s.Base[Offline].Folder == folder
		})
		if i < 0 {
			return nil
		}
		return &out[i]
	}
	for _, side := range Sides {
		for _, p := range sorted(m.Base[side]) {
			s := at(p.Folder)
			if s == nil {
				out = append(out, Slot{})
				s = &out[len(out)-1]
			}
			s.Base[side] = &p
		}
	}
	var extra [2][]tree.Placement
	for _, side := range Sides {
		for _, p := range sorted(m.Now[side]) {
			if s := at(p.Folder); s != nil {
				s.Now[side] = &p
			} else {
				extra[side] = append(extra[side], p)
			}
		}
	}
	pairMoves(out, &extra)
	return adopt(append(out, newSlots(extra)...), m)
}

// pairMoves gives placements without a slot to slots that their side lacks. A
// folder to which both sides moved the same placement comes first: else one
// move would look like two. A folder that is new on both sides is left for
// newSlots: it is one placement, whatever else went.
func pairMoves(out []Slot, extra *[2][]tree.Placement) {
	lacks := func(s Slot, side Side) bool { return s.Base[side] != nil && s.Now[side] == nil }
	for i := range out {
		s := &out[i]
		if !lacks(*s, Online) || !lacks(*s, Offline) {
			continue
		}
		for _, p := range extra[Online] {
			if indexFolder(extra[Offline], p.Folder) >= 0 {
				s.Now = [2]*tree.Placement{take(&extra[Online], p.Folder), take(&extra[Offline], p.Folder)}
				break
			}
		}
	}
	for _, side := range Sides {
		var free []tree.Placement
		for _, p := range extra[side] {
			if indexFolder(extra[side.Other()], p.Folder) < 0 {
				free = append(free, p)
			}
		}
		// What both had comes first: taken for removed, it would go on the other
		// side although the message is still here.
		for _, other := range []bool{true, false} {
			for i := range out {
				s := &out[i]
				if lacks(*s, side) && (s.Base[side.Other()] != nil) == other && len(free) > 0 {
					s.Now[side] = take(&extra[side], free[0].Folder)
					free = free[1:]
				}
			}
		}
	}
}

// newSlots makes slots of placements that no base accounts for.
func newSlots(extra [2][]tree.Placement) []Slot {
	var out []Slot
	for len(extra[Online]) > 0 || len(extra[Offline]) > 0 {
		f := firstFolder(extra)
		out = append(out, Slot{Now: [2]*tree.Placement{take(&extra[Online], f), take(&extra[Offline], f)}})
	}
	return out
}

// firstFolder returns the first folder, in order, of two ordered lists.
func firstFolder(extra [2][]tree.Placement) string {
	switch on, off := extra[Online], extra[Offline]; {
	case len(off) == 0:
		return on[0].Folder
	case len(on) == 0:
		return off[0].Folder
	default:
		return min(on[0].Folder, off[0].Folder)
	}
}

func indexFolder(ps []tree.Placement, folder string) int {
	return slices.IndexFunc(ps, func(p tree.Placement) bool { return p.Folder == folder })
}

// take removes and returns the placement in that folder, or nil.
func take(ps *[]tree.Placement, folder string) *tree.Placement {
	i := indexFolder(*ps, folder)
	if i < 0 {
		return nil
	}
	p := (*ps)[i]
	*ps = slices.Delete(slices.Clone(*ps), i, i+1)
	return &p
}

// adopt joins slots of a message that is new, or has come back, on a side:
// where it is there is set against where the other side has it, as if it had
// been moved (rules 3 and 14). Without that the message would be doubled.
func adopt(out []Slot, m Message) []Slot {
	for _, side := range Sides {
		other := side.Other()
		if len(m.Base[side]) > 0 {
			continue
		}
		for i := 0; i < len(out); i++ {
			s := &out[i]
			if s.Now[side] != nil || s.Now[other] == nil || (s.Base[other] == nil) != (len(m.Base[other]) == 0) {
				continue
			}
			j := slices.IndexFunc(out, func(t Slot) bool {
				return t.Now[side] != nil && t.Now[other] == nil && t.Base == [2]*tree.Placement{}
			})
			if j < 0 {
				break
			}
			s.Now[side] = out[j].Now[side]
			out = slices.Delete(out, j, j+1)
			if j < i {
				i--
			}
		}
	}
	return out
}
