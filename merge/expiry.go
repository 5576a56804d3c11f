package merge

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"snapmerge/tree"
)

// expiry removes online what is too old for its folder and is at home.
func (r *result) expiry() {
	since := r.since()
	for i := range r.out.Slots {
		s := &r.out.Slots[i]
		if s.Result[Online] == nil {
			continue
		}
		if !since.IsZero() {
			on := *s.Result[Online]
			on.Since = since
			s.Result[Online] = &on
		}
		if r.m.Differ || r.m.Duplicate || s.Result[Offline] == nil || !r.expires(*s.Result[Online]) {
			continue
		}
		if s.Now[Online] == nil { // it would only have come online now
			s.Result[Online] = nil
			continue
		}
		if r.opt.keep {
			continue
		}
		r.expire[i] = "7"
		if s.state(Online) == moved || s.state(Offline) == moved {
			r.expire[i] = "18"
		}
		s.Result[Online] = nil
	}
}

// skew is how far the online host's clock may be behind home's.
const skew = 24 * time.Hour

// since returns when the message's time online began anew: it had no part there,
// and now somebody has brought it although it is too old. A first sync and a
// store that was restored bring mail that nobody has carried there today; so does
// one that could not take all.
func (r *result) since() time.Time {
	since := r.before
	known := len(r.whole.Base[Offline]) > 0
	if r.m.Lost != [2]bool{} || len(r.whole.Base[Online]) > 0 || !known && r.p.LastSync.IsZero() {
		return since
	}
	for _, s := range r.out.Slots {
		now := s.Now[Online]
		if now == nil || s.Result[Online] == nil || !known && !now.Ctime.IsZero() && now.Ctime.Before(r.p.LastSync.Add(-skew)) {
			continue
		}
		if k := r.p.For(s.Result[Online].Folder).Keep; k.Unit != KeepNone && r.p.Expired(k, now.Received) {
			return r.p.Now
		}
	}
	return since
}

// expires tells whether a placement of the merged result is to go from online.
// If a doubt is all that keeps it there, that is noted.
func (r *result) expires(on tree.Placement) bool {
	e := r.p.For(on.Folder)
	age := on.Received
	if on.Since.After(age) {
		age = on.Since
	}
	switch {
	case !r.p.Expired(e.Keep, age), e.KeepFlagged && on.Flags&tree.Flagged != 0, MatchSender(e.KeepFrom, r.m.From):
		return false
	case len(e.KeepFrom) > 0 && len(r.m.From) == 0:
		r.notes[UnknownSender] = true
	case on.Received.After(r.p.Now):
		r.notes[FutureMail] = true
	case r.p.clockBack():
		r.notes[ClockBack] = true
	case r.p.clockAhead(e.Keep):
		r.notes[ClockAhead] = true
	default:
		return true
	}
	return false
}

// outlived tells whether online may have dropped a placement of the base by
// itself: the folder's rule would have. In doubt it has, for then the mail stays
// at home; taken for a deletion, it might not.
func (r *result) outlived(b tree.Placement) bool {
	e := r.p.For(b.Folder)
	return e.Keep.Expired(b.Received, r.p.latest()) && !(e.KeepFlagged && b.Flags&tree.Flagged != 0) &&
		!MatchSender(e.KeepFrom, r.m.From)
}

// NeedsSender tells whether Merge will look at Message.From, which costs its
// caller a look into the mail: the mail is old enough and a rule keeps senders.
func (p *Policy) NeedsSender(m Message) bool {
	var ages []time.Time
	for _, ps := range [][]tree.Placement{m.Base[Online], m.Base[Offline], m.Now[Online], m.Now[Offline]} {
		for _, x := range ps {
			ages = append(ages, x.Received)
		}
	}
	for _, ps := range [][]tree.Placement{m.Base[Online], m.Base[Offline], m.Now[Online], m.Now[Offline]} {
		for _, x := range ps {
			e := p.For(x.Folder)
			old := func(t time.Time) bool { return e.Keep.Expired(t, p.latest()) }
			if len(e.KeepFrom) > 0 && slices.ContainsFunc(ages, old) {
				return true
			}
		}
	}
	return false
}

// postponed returns which results, by index, expire more than one plan may: the
// oldest mails go first.
func postponed(rs []result, limit int) []int {
	type aged struct {
		i      int
		oldest time.Time
	}
	var all []aged
	for i, r := range rs {
		if limit == 0 || !slices.ContainsFunc(r.expire, func(rule string) bool { return rule != "" }) {
			continue
		}
		a := aged{i: i}
		for k, rule := range r.expire {
			if t := r.out.Slots[k].Now[Online]; rule != "" && (a.oldest.IsZero() || t.Received.Before(a.oldest)) {
				a.oldest = t.Received
			}
		}
		all = append(all, a)
	}
	if len(all) <= limit {
		return nil
	}
	slices.SortFunc(all, func(a, b aged) int {
		return cmp.Or(a.oldest.Compare(b.oldest), strings.Compare(rs[a.i].m.ID, rs[b.i].m.ID))
	})
	var out []int
	for _, a := range all[limit:] {
		out = append(out, a.i)
	}
	return out
}

// notes counts what the results say, in the order of kinds.
func notes(rs []result, waiting int, p *Policy) []Note {
	var count [ExpireLimit + 1]int
	for _, r := range rs {
		for k, said := range r.notes {
			if said {
				count[k]++
			}
		}
	}
	count[ExpireLimit] = waiting
	var out []Note
	for k, n := range count {
		if n > 0 || NoteKind(k) == ClockBack && p.clockBack() {
			out = append(out, Note{NoteKind(k), n})
		}
	}
	return out
}
