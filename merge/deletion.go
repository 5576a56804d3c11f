package merge

import "snapmerge/tree"

// deletion decides about a message whose last placement a side has removed.
// slots are those that the other side would lose. skipped is what the deleting
// side still has in skipped folders: then it was moved there.
func (r *result) deletion(by Side, slots []int, skipped []tree.Placement) {
	rule, kind := "9", DeletedOnline
	if by == Offline {
		rule, kind = "10", DeletedOffline
	}
	changed := r.modified(by.Other())
	if changed {
		rule, kind = "11", DeleteModify
	}
	policy := r.deletionPolicy(by, skipped)
	switch home := r.m.MovedHome != "" && by == Online && !changed; {
	case r.decision != nil:
		r.decided(by, slots, rule)
	case home && !r.m.Alike:
		r.remove(by.Other(), slots, "9a")
	case changed:
		r.holdAs(kind, rule, "")
	case home:
		r.holdAs(kind, "9a", "new at home under another name, equal but for what mail clients add: "+r.m.MovedHome)
	case r.waits:
		r.holdAs(kind, rule, "")
	case r.opt.hold != "":
		r.holdAs(kind, rule, r.opt.hold)
	default:
		r.deletedOn[by] = true
		r.newDeletion(by, slots, kind, rule, policy)
	}
}

// newDeletion does what the policy says about a deletion.
func (r *result) newDeletion(by Side, slots []int, kind Kind, rule string, policy Deletion) {
	switch policy {
	case Apply:
		r.remove(by.Other(), slots, rule)
	case Ignore:
		r.leave(slots, rule)
	default:
		r.holdAs(kind, rule, "")
	}
}

// modified tells whether a side changed what the other deleted, beyond reading
// it or marking it as deleted.
func (r *result) modified(side Side) bool {
	if side == Online && r.m.Differ {
		return true // these are not the bytes that were deleted at home
	}
	for i, s := range r.out.Slots {
		if r.rules[i] == "8" || s.Now[side] == nil {
			continue
		}
		shared := s.Base[Online] != nil && s.Base[Offline] != nil
		if (shared || s.Base[side] == nil) && s.changed(side) {
			return true
		}
	}
	return false
}

// deletionPolicy is the most careful one of the folders that the message was
// in, or the skip rule's own where it was moved into a skipped folder.
func (r *result) deletionPolicy(by Side, skipped []tree.Placement) Deletion {
	for _, p := range skipped {
		e := r.p.For(p.Folder)
		own := e.SkipDeletedOnline
		if by == Offline {
			own = e.SkipDeletedOffline
		}
		if own != nil {
			return *own
		}
	}
	policy := Apply
	for i, s := range r.out.Slots {
		if s.Base[by] == nil || r.rules[i] == "8" {
			continue
		}
		switch d := r.p.deletion(s.Base[by].Folder, by); {
		case d == Hold:
			return Hold
		case d == Ignore:
			policy = Ignore
		}
	}
	return policy
}

// decided carries out what a person chose for a deletion.
func (r *result) decided(by Side, slots []int, rule string) {
	switch {
	case r.decision.Take == by:
		r.remove(by.Other(), slots, rule)
	case by == Online:
		r.leave(slots, rule) // it is archive from now on
	default:
		r.leave(slots, rule)
		for i := range r.out.Slots {
			if s := &r.out.Slots[i]; s.Now[Online] != nil && s.Result[Offline] == nil {
				s.Result[Offline] = arrives(s.Now[Online], Offline, r.p)
				r.rules[i] = rule
			}
		}
	}
}

func (r *result) remove(side Side, slots []int, rule string) {
	for _, i := range slots {
		r.out.Slots[i].Result[side] = nil
		r.rules[i] = rule
	}
}

// leave keeps what each side has; what the other side has lost it has no part
// in any more.
func (r *result) leave(slots []int, rule string) {
	for _, i := range slots {
		r.out.Slots[i].Result = r.out.Slots[i].Now
		r.rules[i] = rule
	}
}
