package merge

import "snapmerge/tree"

// mergeAttributes sets flags and keywords of a slot that both sides will have.
// Each letter and each keyword is merged on its own, so there is no conflict.
// Without a base on a side the two are united: nothing is known to have been
// taken away.
func mergeAttributes(s *Slot, p *Policy) {
	united := s.Base[Online] == nil || s.Base[Offline] == nil
	base := func(side Side) *tree.Placement {
		if united {
			return nil
		}
		return s.Base[side]
	}
	for bit := tree.Flags(1); bit < 1<<26; bit <<= 1 {
		var b, n [2]bool
		for _, side := range Sides {
			b[side], n[side] = flagsOf(base(side))&bit != 0, flagsOf(s.Now[side])&bit != 0
		}
		r := mergeBit(b, n, bit != tree.Deleted)
		for _, side := range Sides {
			if bit == tree.Deleted && r[side] && !n[side] && !deletionTravels(side.Other(), *s.Result[side], p) {
				continue
			}
			if r[side] {
				s.Result[side].Flags |= bit
			} else {
				s.Result[side].Flags &^= bit
			}
		}
	}
	mergeKeywords(s, base)
}

func mergeKeywords(s *Slot, base func(Side) *tree.Placement) {
	var b, n [2]map[string]string
	spelling := map[string]string{}
	for _, side := range Sides {
		b[side], n[side] = keywordSet(base(side)), keywordSet(s.Now[side])
		for _, set := range []map[string]string{b[side], n[side]} {
			for k, name := range set {
				if old, ok := spelling[k]; !ok || name < old {
					spelling[k] = name
				}
			}
		}
	}
	var result [2][]string
	for k, name := range spelling {
		var bb, nn [2]bool
		for _, side := range Sides {
			_, bb[side] = b[side][k]
			_, nn[side] = n[side][k]
		}
		r := mergeBit(bb, nn, true)
		for _, side := range Sides {
			if !r[side] {
				continue
			}
			if own, ok := n[side][k]; ok {
				result[side] = append(result[side], own)
			} else {
				result[side] = append(result[side], name)
			}
		}
	}
	for _, side := range Sides {
		s.Result[side].Keywords = tree.SortKeywords(result[side])
	}
}

// mergeBit merges one letter or keyword. The bases differ only where a side
// could not take it or was not to have it; if then both sides change it, each
// to what the other had, clash decides.
func mergeBit(base, now [2]bool, clash bool) [2]bool {
	onChanged, offChanged := base[Online] != now[Online], base[Offline] != now[Offline]
	switch {
	case onChanged && offChanged && now[Online] != now[Offline]:
		return [2]bool{clash, clash}
	case onChanged:
		return [2]bool{now[Online], now[Online]}
	case offChanged:
		return [2]bool{now[Offline], now[Offline]}
	}
	return now
}

// deletionTravels tells whether \Deleted set on a side may travel to the other:
// there any client's EXPUNGE would carry the deletion out.
func deletionTravels(from Side, at tree.Placement, p *Policy) bool {
	return p.deletion(at.Folder, from) == Apply
}

func (p *Policy) deletion(folder string, on Side) Deletion {
	e := p.For(folder)
	if on == Online {
		return e.DeletedOnline
	}
	return e.DeletedOffline
}

// arrives returns a placement as it comes to a side that has none in the slot.
func arrives(from *tree.Placement, side Side, p *Policy) *tree.Placement {
	r := tree.Placement{Folder: from.Folder, Flags: from.Flags, Keywords: from.Keywords, Received: from.Received}
	if !deletionTravels(side.Other(), r, p) {
		r.Flags &^= tree.Deleted
	}
	return &r
}

// knownKeywords returns now with those keywords of the base that an unnamed
// letter may stand for: they are not known to be gone.
func knownKeywords(base, now *tree.Placement) *tree.Placement {
	if base == nil || now == nil || !now.Unnamed {
		return now
	}
	n := *now
	n.Keywords = tree.SortKeywords(append(append([]string{}, now.Keywords...), base.Keywords...))
	return &n
}

// changed tells whether a side did more to a slot than to read or to mark as
// deleted what the base had.
func (s Slot) changed(side Side) bool {
	b, n := s.Base[side], s.Now[side]
	if b == nil || n == nil {
		return b == nil && n != nil
	}
	const still = ^(tree.Seen | tree.Deleted)
	return b.Folder != n.Folder || (b.Flags^n.Flags)&still != 0 || len(differ(keywordSet(b), keywordSet(n))) > 0
}
