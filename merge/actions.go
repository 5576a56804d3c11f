package merge

import "snapmerge/tree"

// actions returns what takes the message from where each side has it to the
// results.
func (r *result) actions() []Action {
	if r.out.Held {
		return nil
	}
	var out []Action
	for _, side := range Sides {
		have := len(r.m.Now[side]) > 0
		for i, s := range r.out.Slots {
			a, ok := r.action(side, i, s, have)
			if !ok {
				continue
			}
			out = append(out, a)
			have = have || a.Op == Place
		}
	}
	return out
}

func (r *result) action(side Side, i int, s Slot, have bool) (Action, bool) {
	now, res := s.Now[side], s.Result[side]
	a := Action{Side: side, Message: r.m.ID, Rule: r.rules[i], Slot: i}
	if now != nil {
		a.From = now.Folder
	}
	if res != nil {
		a.To, a.Flags, a.Keywords = res.Folder, res.Flags, res.Keywords
	}
	switch {
	case now == nil && res == nil:
		return a, false
	case now == nil && have:
		a.Op = Copy
	case now == nil:
		a.Op = Place
	case res == nil && side == Online && r.expire[i] != "":
		a.Op, a.Rule, a.Also = Expire, r.expire[i], r.also(side, i)
	case res == nil:
		a.Op, a.Also = Delete, r.also(side, i)
	case now.Folder != res.Folder:
		a.Op, a.Also = Move, r.also(side, i)
		if s.Within[side] {
			a.Rule = "archive"
		}
	case now.Flags != res.Flags || len(differ(keywordSet(now), keywordSet(res))) > 0:
		a.Op = Flag
	default:
		return a, false
	}
	return a, true
}

// withoutFull takes keywords out of actions that would need a letter in a folder that
// has named all 26. The result keeps them, so that they stay unsettled and are
// tried again by every sync, until a person has seen it.
func (r *result) withoutFull(actions []Action, fm *folderMerge) []Action {
	full := false
	kept := actions[:0]
	for _, a := range actions {
		fits, left := fm.fit(a.Side, a.To, a.Keywords)
		if len(left) > 0 && a.To != "" {
			full = true
			a.Keywords = fits
			s := &r.out.Slots[a.Slot]
			if r.decision != nil {
				c := *s.Result[a.Side]
				c.Keywords = fits
				s.Result[a.Side] = &c
			}
			now := s.Now[a.Side]
			if a.Op == Flag && now.Flags == a.Flags && len(differ(keywordSet(now), keywordSet(&tree.Placement{Keywords: fits}))) == 0 {
				continue
			}
		}
		kept = append(kept, a)
	}
	if full {
		r.conflict(KeywordFull, "6", "")
	}
	return kept
}
