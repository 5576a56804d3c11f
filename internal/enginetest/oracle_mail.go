package enginetest

import (
	"maps"
	"time"

	"snapmerge/merge"
)

const (
	online  = merge.Online
	offline = merge.Offline
)

// one decides about one mail. base and now are what is visible of it.
type one struct {
	*oracle
	*memory
	facts
	verdict
	base, now [2]places
	inSkipped [2]places
	question  string
	slots     []slot
}

// A slot follows one placement; a nil spot is one that is not there.
type slot struct{ base, now, result [2]*spot }

type spot struct {
	folder string
	place
}

func (c *one) decide() {
	c.want = [2]places{maps.Clone(c.now[0]), maps.Clone(c.now[1])}
	c.verdict.base = [2]places{{}, {}}
	had := [2]bool{len(c.base[online]) > 0, len(c.base[offline]) > 0}
	here := [2]bool{len(c.now[online]) > 0, len(c.now[offline]) > 0}
	if !had[online] && !had[offline] && !here[offline] && c.waitsInNew() {
		return
	}
	c.match()
	if c.odd != "" {
		return
	}
	for _, s := range merge.Sides {
		if had[s] && !here[s] {
			if here[s.Other()] {
				c.gone(s)
			}
			return // gone on both sides: forgotten
		}
	}
	c.bySlot(here)
}

// waitsInNew: nobody has fetched the mail yet.
func (c *one) waitsInNew() bool {
	for _, p := range c.now[online] {
		if !p.fresh || c.includeNew == 1 || c.includeNew > 1 && expired(c.includeNew, p.received, c.clock) {
			return false
		}
	}
	return true
}

func (sl slot) shared() bool { return sl.base[online] != nil && sl.base[offline] != nil }

// gone: side s had the mail and has lost it, the other has it (rules 7 to 11).
func (c *one) gone(s merge.Side) {
	o := s.Other()
	var shared []int
	byAge, left, added := 0, 0, 0
	for i, sl := range c.slots {
		if sl.shared() {
			shared = append(shared, i)
			if s == online && c.tooOld(sl.base[online]) {
				byAge++
			}
			if sl.now[o] != nil {
				left++
			}
		} else if sl.base[o] == nil && sl.now[o] != nil {
			added++
		}
	}
	switch {
	case len(c.base[o]) == 0:
		c.odd = "gone here and back there at once"
		return
	case len(shared) == 0 || byAge == len(shared):
		c.keepOn(o)
		return
	case byAge > 0:
		c.odd = "one of several placements was too old"
		return
	case left == 0 && added > 0:
		c.odd = "gone on both sides where both had it, and added"
		return
	case left == 0: // what is left there this side never had
		c.keepOn(o)
		return
	}
	answered := c.answered == c.question
	changed := c.changedOn(o)
	kind := [2]merge.Kind{merge.DeletedOnline, merge.DeletedOffline}[s]
	if changed {
		kind = merge.DeleteModify
	}
	switch {
	case answered && c.take == s:
		c.removeOn(o)
	case answered && s == online:
		c.keepOn(offline)
	case answered:
		c.putBack()
	case changed:
		c.hold(kind)
	case s == online && c.dragged:
		c.removeOn(o)
	case c.held != "" || c.tooMany[s]:
		c.hold(kind)
	default:
		c.newlyDeleted(s, kind)
	}
}

// newlyDeleted does what the policy says. It counts whatever that is.
func (c *one) newlyDeleted(s merge.Side, kind merge.Kind) {
	c.deleted = append(c.deleted, s)
	switch c.strictest(s) {
	case merge.Hold:
		c.hold(kind)
	case merge.Ignore:
		c.keepOn(s.Other())
	default:
		c.removeOn(s.Other())
	}
}

// strictest returns the deletion policy of side s for the folders that the mail
// was in. Mail that lies in a skipped folder now is gone by that folder's policy.
func (c *one) strictest(s merge.Side) merge.Deletion {
	for f := range c.inSkipped[s] {
		if own := [2]*merge.Deletion{c.folders[f].deletedOnline, c.folders[f].deletedOffline}[s]; own != nil {
			return *own
		}
	}
	all := map[merge.Deletion]bool{}
	for f := range c.base[s] {
		all[c.deletion(s, f)] = true
	}
	for _, d := range []merge.Deletion{merge.Hold, merge.Ignore} {
		if all[d] {
			return d
		}
	}
	return merge.Apply
}

// tooOld: the server or the tool would have expired this.
func (c *one) tooOld(p *spot) bool {
	r := c.folders[p.folder]
	return expired(r.keepDays, p.received, c.clock) && !(r.keepFlagged && p.attrs&flagged != 0)
}

// changedOn: side o did something to the mail that a deletion must not undo.
// That it was read, or marked for deletion, is not such a thing.
func (c *one) changedOn(o merge.Side) bool {
	for _, sl := range c.slots {
		b, n := sl.base[o], sl.now[o]
		if b == nil && n != nil && !sl.shared() && sl.base[o.Other()] == nil {
			return true // added
		}
		if sl.shared() && n != nil && (b.folder != n.folder || (b.attrs^n.attrs)&^(seen|deleted) != 0) {
			return true
		}
	}
	return false
}

func (c *one) hold(kind merge.Kind) {
	c.kind = kind
	c.want = [2]places{maps.Clone(c.now[0]), maps.Clone(c.now[1])}
	c.verdict.base = c.base
}

// keepOn: the mail stays as it is on o, and the other side has no part in it.
func (c *one) keepOn(o merge.Side) {
	c.verdict.base[o] = maps.Clone(c.now[o])
}

// removeOn takes the mail from o where the other side had a part in it.
func (c *one) removeOn(o merge.Side) {
	for _, sl := range c.slots {
		if sl.now[o] == nil {
			continue
		}
		if sl.shared() {
			delete(c.want[o], sl.now[o].folder)
		} else {
			c.verdict.base[o][sl.now[o].folder] = sl.now[o].place
		}
	}
}

// putBack brings the mail home again as online has it.
func (c *one) putBack() {
	for i := range c.slots {
		sl := &c.slots[i]
		if n := sl.now[online]; n != nil {
			sl.result[online], sl.result[offline] = n, c.copied(n, online)
		}
	}
	c.finish()
}

// copied is a placement as the other side gets it: the mark for deletion
// travels only where the deletion itself would.
func (c *one) copied(p *spot, from merge.Side) *spot {
	q := *p
	if c.deletion(from, p.folder) != merge.Apply {
		q.attrs &^= deleted
	}
	return &q
}

// bySlot merges placement by placement: both sides have some, or one side
// has some and the other never had.
func (c *one) bySlot(here [2]bool) {
	linked := !here[online] || !here[offline]
	for _, sl := range c.slots {
		linked = linked || sl.now[online] != nil && sl.now[offline] != nil || sl.shared()
	}
	for i := range c.slots {
		sl := &c.slots[i]
		switch {
		case sl.now[online] != nil && sl.now[offline] != nil:
			c.both(sl)
		case sl.now[online] != nil:
			c.alone(sl, online, here[offline], linked)
		case sl.now[offline] != nil:
			c.alone(sl, offline, here[online], linked)
		}
	}
	left := [2]int{}
	for _, sl := range c.slots {
		for _, s := range merge.Sides {
			if sl.result[s] != nil {
				left[s]++
			}
		}
	}
	for _, s := range merge.Sides {
		if left[s] == 0 && here[s] && (left[s.Other()] > 0 || !here[s.Other()]) {
			c.odd = "one side would be left with nothing"
			return
		}
	}
	if left == [2]int{} && here[online] && here[offline] {
		if c.answered != c.question {
			c.hold(merge.DeleteModify)
			return
		}
		for i := range c.slots {
			if n := c.slots[i].now[c.take]; n != nil {
				c.slots[i].result[c.take], c.slots[i].result[c.take.Other()] = n, c.copied(n, c.take)
			}
		}
	}
	c.finish()
}

// alone: side p has the placement, the other has not.
func (c *one) alone(sl *slot, p merge.Side, hereToo, linked bool) {
	q := p.Other()
	b, n := sl.base, sl.now[p]
	switch {
	case sl.shared() && q == online && c.tooOld(b[online]):
		sl.result[p] = n
	case sl.shared() && b[p].folder != n.folder:
		sl.result[p], sl.result[q] = n, c.copied(n, p)
	case sl.shared(): // rule 16: it goes here too
	case b[q] != nil:
		c.odd = "one-sided placement removed there and made here"
	case b[p] != nil:
		sl.result[p] = n
	case hereToo && !linked:
		c.odd = "added to a mail in which the other side has no part"
	case hereToo, p == online && len(c.base[online]) == 0:
		sl.result[p], sl.result[q] = n, c.copied(n, p)
	default:
		sl.result[p] = n // new at home: stays there
	}
}

// both: folder and attributes are merged on their own.
func (c *one) both(sl *slot) {
	on, off := *sl.now[online], *sl.now[offline]
	if on.folder != off.folder {
		moved := [2]bool{}
		for _, s := range merge.Sides {
			moved[s] = sl.base[s] == nil || sl.base[s].folder != sl.now[s].folder
		}
		winner := offline
		switch {
		case !moved[offline]:
			winner = online
		case moved[online]:
			c.moveMove = true
			if c.prefer == merge.PreferOnline || c.prefer == merge.Newest && on.ctime > off.ctime {
				winner = online
			}
		}
		folder := sl.now[winner].folder
		on.folder, off.folder = folder, folder
	}
	travels := [2]bool{}
	for _, s := range merge.Sides {
		travels[s] = c.deletion(s, on.folder) == merge.Apply
	}
	on.attrs, off.attrs = mergeAttrs(sl, travels)
	sl.result = [2]*spot{&on, &off}
}

// mergeAttrs merges letter by letter. travels: the mark for deletion goes from
// that side to the other.
func mergeAttrs(sl *slot, travels [2]bool) (on, off attrs) {
	n := [2]attrs{sl.now[online].attrs, sl.now[offline].attrs}
	var diff [2]attrs // changed since the base
	if sl.shared() {
		diff = [2]attrs{n[0] ^ sl.base[0].attrs, n[1] ^ sl.base[1].attrs}
	} else {
		diff = n // what is set, is new
	}
	out := n
	for _, s := range merge.Sides {
		o := s.Other()
		set, cleared := diff[s]&n[s], diff[s]&^n[s]
		if !travels[s] {
			set &^= deleted
		}
		// Both changed it, to different values: what is set stays, but for the
		// mark for deletion, which goes.
		set &^= diff[o] &^ n[o] & deleted
		cleared &^= diff[o] & n[o] &^ deleted
		out[o] = out[o]&^cleared | set
	}
	return out[online], out[offline]
}

// finish writes the slots down as the result and the next base, without what is
// too old for online.
func (c *one) finish() {
	c.want = [2]places{{}, {}}
	c.bring()
	for _, sl := range c.slots {
		on, off := sl.result[online], sl.result[offline]
		if on != nil && off != nil && c.tooOld(on) && c.tooOld(&spot{on.folder, place{attrs: on.attrs, received: max(on.received, c.verdict.since.UnixNano())}}) {
			on = nil
		}
		for s, p := range [2]*spot{on, off} {
			if p == nil {
				continue
			}
			if _, twice := c.want[s][p.folder]; twice {
				c.odd = "two placements meet in one folder"
			}
			c.want[s][p.folder], c.verdict.base[s][p.folder] = p.place, p.place
		}
	}
}

// bring finds mail that had no part online and that somebody has brought there
// although it is too old: its time begins anew. What was there a day before the
// last sync was not brought, nor is anything by a first sync.
func (c *one) bring() {
	known := len(c.memory.base[offline]) > 0
	if len(c.memory.base[online]) > 0 || !known && c.last.IsZero() {
		return
	}
	for _, sl := range c.slots {
		n, res := sl.now[online], sl.result[online]
		if n == nil || res == nil || !known && time.Unix(0, n.ctime).Before(c.last.Add(-24*time.Hour)) {
			continue
		}
		if expired(c.folders[res.folder].keepDays, n.received, c.clock) {
			c.verdict.since = c.clock
		}
	}
}
