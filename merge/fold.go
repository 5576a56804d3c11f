package merge

import (
	"slices"

	"snapmerge/tree"
)

// A fold remembers in which real folders a message was, while the merge sees
// families: there every placement is in its family's base folder, and several of
// one side in one family are one.
type fold struct {
	base, now [2]map[string]string // by folder of a family: the real one
	// left are further placements in a family that stand for no placement of
	// their own: of the base, and of now, those by the family.
	leftBase [2][]tree.Placement
	leftNow  [2]map[string][]tree.Placement
}

// fold takes a message's families for folders.
func (fm *folderMerge) fold(m *Message) *fold {
	if !fm.archives {
		return nil
	}
	f := &fold{}
	for _, side := range Sides {
		// The file that both name comes first, then the one that is where it belongs.
		rank := func(ps []tree.Placement) func(p tree.Placement) int {
			return func(p tree.Placement) (n int) {
				if indexFolder(ps, p.Folder) >= 0 {
					n += 2
				}
				if base, _ := fm.family(p.Folder); fm.filed(side, base, p) == p.Folder {
					n++
				}
				return n
			}
		}
		base, now := m.Base[side], m.Now[side]
		var left []tree.Placement
		m.Now[side], left = fm.first(now, rank(base))
		m.Base[side], f.leftBase[side] = fm.first(base, rank(m.Now[side]))
		f.leftNow[side] = map[string][]tree.Placement{}
		for _, p := range left {
			home, _ := fm.family(p.Folder)
			f.leftNow[side][home] = append(f.leftNow[side][home], p)
		}
		m.Base[side], f.base[side] = fm.homes(m.Base[side])
		m.Now[side], f.now[side] = fm.homes(m.Now[side])
	}
	return f
}

// first returns one placement of each family, that of the highest rank, and
// those that are left. If one of them is flagged, all of it is, or what is flagged
// would expire with the others.
func (fm *folderMerge) first(ps []tree.Placement, rank func(tree.Placement) int) (kept, left []tree.Placement) {
	best := map[string]int{} // family → index in kept
	for _, p := range sorted(ps) {
		home, _ := fm.family(p.Folder)
		i, double := best[home]
		switch {
		case !double:
			best[home] = len(kept)
			kept = append(kept, p)
		case rank(p) > rank(kept[i]):
			left, kept[i] = append(left, kept[i]), p
		default:
			left = append(left, p)
		}
	}
	for _, p := range left {
		home, _ := fm.family(p.Folder)
		kept[best[home]].Flags |= p.Flags & tree.Flagged
	}
	return kept, left
}

// homes gives placements their family's folder.
func (fm *folderMerge) homes(ps []tree.Placement) ([]tree.Placement, map[string]string) {
	was := map[string]string{}
	out := slices.Clone(ps)
	for i := range out {
		home, _ := fm.family(out[i].Folder)
		was[home], out[i].Folder = out[i].Folder, home
	}
	return out, was
}

// family is Policy.Family, once for each folder.
func (fm *folderMerge) family(folder string) (base string, ok bool) {
	if !fm.archives {
		return folder, false
	}
	if base, ok = fm.bases[folder]; !ok {
		base, ok = fm.p.Family(folder)
		if !ok {
			base = ""
		}
		fm.bases[folder] = base
	}
	if base == "" {
		return folder, false
	}
	return base, true
}

// member tells whether a folder is an archive subfolder.
func (fm *folderMerge) member(folder string) bool {
	base, ok := fm.family(folder)
	return ok && base != folder
}

// filed is where a side keeps a placement of the family.
func (fm *folderMerge) filed(side Side, base string, p tree.Placement) string {
	if _, ok := fm.family(base); !ok {
		return base
	}
	return fm.p.Filed(side, base, p.Received)
}

// dropLost takes out what is left of placements that a replaced store lacks.
func (f *fold) dropLost(m Message) {
	if f == nil || m.Lost == [2]bool{} {
		return
	}
	for _, side := range Sides {
		f.leftBase[side] = nil // what is there comes back as what is left of now
	}
}

// realBase returns the whole base of a folded message as its sides have it.
func (f *fold) realBase(b [2][]tree.Placement) [2][]tree.Placement {
	if f == nil {
		return b
	}
	for _, side := range Sides {
		b[side] = append(rename(b[side], f.base[side]), f.leftBase[side]...)
	}
	return b
}

// unfold puts a result's placements into real folders: what a side has is where
// it is, and ends where the side files it.
func (r *result) unfold(fm *folderMerge) {
	f := r.fold
	if f == nil {
		return
	}
	for i := range r.out.Slots {
		r.unfoldSlot(i, fm)
	}
	for _, side := range Sides {
		r.out.Retain[side] = append(rename(r.out.Retain[side], f.base[side]), r.retainLeft(side)...)
	}
	for _, cs := range [][]Conflict{r.conflicts, r.closed} {
		for i := range cs {
			for _, side := range Sides {
				cs[i].Base[side] = rename(cs[i].Base[side], f.base[side])
				cs[i].Now[side] = rename(cs[i].Now[side], f.now[side])
			}
		}
	}
}

func (r *result) unfoldSlot(i int, fm *folderMerge) {
	s := &r.out.Slots[i]
	in := func(p *tree.Placement, folder string) *tree.Placement {
		c := *p
		c.Folder = folder
		return &c
	}
	for _, side := range Sides {
		base, now, res := s.Base[side], s.Now[side], s.Result[side]
		if base != nil {
			s.Base[side] = in(base, r.fold.base[side][base.Folder])
		}
		if now != nil {
			s.Now[side] = in(now, r.fold.now[side][now.Folder])
		}
		if res == nil {
			continue
		}
		s.Within[side] = now != nil && now.Folder == res.Folder
		if s.Within[side] && (r.out.Held || !r.tidies(side, i, *res, fm)) {
			s.Result[side] = in(res, s.Now[side].Folder)
		} else {
			s.Result[side] = in(res, fm.filed(side, res.Folder, *res))
		}
	}
}

// tidies tells whether a placement that stays in its family is moved to where it
// belongs there. It is not while it waits in new/, unless a flag takes it out of
// there anyway, nor without a date by a sane clock, nor at the price of a keyword,
// nor where another file of it lies.
func (r *result) tidies(side Side, i int, res tree.Placement, fm *folderMerge) bool {
	now := r.out.Slots[i].Now[side] // in its real folder
	waits := now.New && now.Flags == res.Flags && len(differ(keywordSet(now), keywordSet(&res))) == 0
	if _, ok := fm.family(res.Folder); !ok || waits || !r.p.Misfiled(side, now.Folder, res.Received) {
		return false
	}
	to := fm.filed(side, res.Folder, res)
	_, left := fm.fit(side, to, res.Keywords)
	return len(left) == 0 && indexFolder(r.fold.leftNow[side][res.Folder], to) < 0
}

// retainLeft returns the further files of a side that stay where they are, for
// its next base: should the family's rule go one day, they are no news.
func (r *result) retainLeft(side Side) []tree.Placement {
	if r.out.Held {
		return r.fold.leftBase[side]
	}
	var out []tree.Placement
	for _, home := range sortedKeys(r.fold.leftNow[side]) {
		if !slices.ContainsFunc(r.out.Slots, func(s Slot) bool {
			n, res := s.Now[side], s.Result[side]
			return n != nil && n.Folder == r.fold.now[side][home] && (res == nil || res.Folder != n.Folder)
		}) {
			out = append(out, r.fold.leftNow[side][home]...)
		}
	}
	return out
}

// also returns the folders of further files of the placement on that side.
func (r *result) also(side Side, i int) []string {
	if r.fold == nil || r.out.Slots[i].Now[side] == nil {
		return nil
	}
	var out []string
	home := ""
	for h, folder := range r.fold.now[side] {
		if folder == r.out.Slots[i].Now[side].Folder {
			home = h
		}
	}
	for _, p := range r.fold.leftNow[side][home] {
		out = append(out, p.Folder)
	}
	slices.Sort(out)
	return out
}
