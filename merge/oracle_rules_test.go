package merge

import "time"

// A place is where a thread has to be in the end.
type place struct {
	folder int
	on     [2]bool
	t      thread
}

// consider gives the verdict on one message.
func (j *judge) consider() verdict {
	j.kinds, j.rules = map[Kind]bool{}, map[string]bool{}
	for _, s := range Sides {
		j.base[s], j.final[s] = holding{}, holding{}
	}
	j.load()
	skipped := j.n
	j.hide()
	for _, s := range Sides {
		skipped[s] &^= j.n[s]
	}
	j.seen = [2]bool{j.alive(Online), j.alive(Offline)}
	j.spin()
	j.agreed = j.b
	for i, t := range j.threads {
		if j.outdated(t) {
			j.rules["8"] = true
			j.threads[i].base[Online] = nowhere
			j.b[Online] &^= 1 << t.base[Online]
			j.outdatedIn |= 1 << t.base[Online]
			if t.now[Offline] == nowhere && t.base[Offline] != nowhere {
				j.b[Offline] &^= 1 << t.base[Offline]
			}
		}
	}
	j.unnamed()
	both := j.alive(Online) && j.alive(Offline)
	if j.m.Duplicate && (j.alive(Online) || j.alive(Offline)) {
		j.ask(Duplicate)
	}
	switch {
	case !j.alive(Online) && !j.alive(Offline):
		j.rules["12"] = true
		return j.verdict
	case both && j.m.Differ && (j.b[Online] == 0 || j.b[Offline] == 0):
		j.ask(NameTaken)
		j.nothing()
		return j.verdict
	case both && j.m.Differ:
		j.rules["17"] = true
		j.ask(ContentChanged)
	}
	places, moved := j.places()
	if s, ok := j.deleter(places); ok {
		j.deletion(s, places, skipped[s])
		return j.verdict
	}
	if both && len(places) == 0 {
		j.rules["16"] = true
		j.contested()
		return j.verdict
	}
	if moved {
		j.rules["6"] = true
		j.kinds[MoveMove] = true
	}
	j.settle(places)
	return j.verdict
}

func (j *judge) alive(s Side) bool { return j.n[s] != 0 }

// ask raises a question that no decision has closed.
func (j *judge) ask(k Kind) {
	if !j.taken {
		j.kinds[k] = true
	}
}

// nothing leaves everything as it is, in the base too.
func (j *judge) nothing() {
	j.held = true
	for _, s := range Sides {
		for f := range each(j.n[s]) {
			j.final[s][j.at[s][f].Folder] = j.attrs(j.at[s][f])
		}
		for f := range each(j.agreed[s]) {
			j.base[s][j.was[s][f].Folder] = j.ba[s][f]
		}
	}
}

// unnamed: a keyword that is missing beside letters without a name is not known
// to be gone.
func (j *judge) unnamed() {
	const words = ^attrs(1<<26 - 1)
	for _, t := range j.threads {
		for _, s := range Sides {
			if b, n := t.base[s], t.now[s]; b != nowhere && n != nowhere && j.at[s][n].Unnamed {
				j.na[s][n] |= j.ba[s][b] & words
			}
		}
	}
}

// places says where each thread ends if nobody has deleted the message.
func (j *judge) places() (ps []place, disputed bool) {
	for _, t := range j.threads {
		p, conflict := j.place(t)
		disputed = disputed || conflict
		if p.on[Online] || p.on[Offline] {
			ps = append(ps, p)
		}
	}
	return ps, disputed
}

func (j *judge) place(t thread) (p place, conflict bool) {
	p.t = t
	moved := func(s Side) bool { return t.now[s] != t.base[s] }
	if t.now[Online] != nowhere && t.now[Offline] != nowhere {
		p.on = [2]bool{true, true}
		p.folder = t.now[Offline]
		switch on := t.now[Online]; {
		case on == p.folder:
		case moved(Online) && moved(Offline):
			if j.prefersOnline(t) {
				p.folder = on
			}
			return p, true
		case moved(Online):
			p.folder = on
		}
		return p, false
	}
	for _, s := range Sides {
		o := s.Other()
		if t.now[s] == nowhere {
			continue
		}
		p.folder = t.now[s]
		switch {
		case t.base[o] != nowhere: // gone on o
			keep := moved(s)
			p.on = [2]bool{keep, keep}
			j.rules["16"] = true
		case t.base[s] != nowhere: // o never had it, or no longer
			p.on[s] = true
			j.rules["13"] = true
		case s == Online && !j.alive(Offline) && j.b[Online] != 0 && j.agreed[Online]&j.agreed[Offline] == 0: // declined at home
			p.on[s] = true
		case s == Offline && !j.alive(Online): // not online: stays at home
			p.on[s] = true
			j.rules["2"] = true
		default:
			p.on = [2]bool{true, true}
		}
	}
	return p, false
}

func (j *judge) prefersOnline(t thread) bool {
	on, off := j.at[Online][t.now[Online]].Ctime, j.at[Offline][t.now[Offline]].Ctime
	switch j.p.Prefer {
	case PreferOnline:
		return true
	case PreferOffline:
		return false
	}
	return !on.IsZero() && !off.IsZero() && on.After(off)
}

// deleter tells which side has deleted the message: it has nowhere of it left, or
// what it removed would leave the other side with nothing.
func (j *judge) deleter(ps []place) (Side, bool) {
	var left [2]bool
	for _, p := range ps {
		left[Online] = left[Online] || p.on[Online]
		left[Offline] = left[Offline] || p.on[Offline]
	}
	for _, s := range Sides {
		o := s.Other()
		if !j.alive(o) {
			continue
		}
		if !j.alive(s) && j.b[s] != 0 {
			return s, true
		}
		if j.alive(s) && !left[o] && left[s] {
			return s, true
		}
	}
	return 0, false
}

// shared are the threads that s has deleted and that o still has.
func (j *judge) shared(s Side) (ts []thread, changed bool) {
	o := s.Other()
	changed = o == Online && j.m.Differ // other bytes than those that were deleted
	for _, t := range j.threads {
		if t.now[o] == nowhere || t.now[s] != nowhere {
			continue
		}
		switch {
		case t.base[s] != nowhere && t.base[o] != nowhere:
			ts = append(ts, t)
			diff := j.na[o][t.now[o]] ^ j.ba[o][t.base[o]]
			changed = changed || t.now[o] != t.base[o] || diff&^(attrS|attrT) != 0
		case t.base[o] == nowhere:
			changed = true
		}
	}
	return ts, changed
}

// deletion weighs the message that side s has deleted.
func (j *judge) deletion(s Side, ps []place, skipped folders) {
	o := s.Other()
	ts, changed := j.shared(s)
	if len(ts) == 0 { // nothing there that s ever shared
		j.settle(ps)
		return
	}
	kind := [2]Kind{DeletedOnline, DeletedOffline}[s]
	rule := [2]string{"9", "10"}[s]
	home := j.m.MovedHome != "" && s == Online && !j.alive(Online)
	policy := j.deletionPolicy(s, skipped)
	switch {
	case changed:
		kind, rule, policy = DeleteModify, "11", Hold
	case home && j.m.Alike:
		rule, policy = "9a", Hold
	case home:
		rule, policy = "9a", Apply
	case j.waiting:
		policy = Hold
	case !j.taken && j.hold:
		policy = Hold
	case !j.taken:
		j.deletedOn[s] = true
	}
	j.rules[rule] = true
	switch {
	case policy == Ignore && !j.taken:
		j.keepOn(o, nil)
	case policy == Apply && j.taken && rule != "9a": // a person's word counts for more
		j.decided(s, ts)
	case policy == Apply && j.alive(s):
		j.settle(ps)
	case policy == Apply:
		j.keepOn(o, ts)
	case !j.taken:
		j.kinds = map[Kind]bool{kind: true} // one question a message
		j.nothing()
	default:
		j.decided(s, ts)
	}
}

// decided does what a person said about the deletion on side s.
func (j *judge) decided(s Side, ts []thread) {
	switch {
	case j.take == s:
		j.keepOn(s.Other(), ts)
	case s == Online:
		j.keepOn(Offline, nil)
	default:
		j.again()
	}
}

// deletionPolicy is the most careful one of the folders that side s had it in,
// or that of the skipped folder it went to.
func (j *judge) deletionPolicy(s Side, skipped folders) Deletion {
	of := func(e Effective) (Deletion, *Deletion) {
		if s == Online {
			return e.DeletedOnline, e.SkipDeletedOnline
		}
		return e.DeletedOffline, e.SkipDeletedOffline
	}
	strictest := map[Deletion]bool{}
	for f := range each(skipped) {
		if _, own := of(j.p.For(j.names[f])); own != nil {
			strictest[*own] = true
		}
	}
	if len(strictest) == 0 {
		for f := range each(j.b[s] &^ j.outdatedIn) {
			d, _ := of(j.p.For(j.names[f]))
			strictest[d] = true
		}
	}
	switch {
	case strictest[Hold]:
		return Hold
	case strictest[Ignore]:
		return Ignore
	}
	return Apply
}

// keepOn leaves the message on side o alone, without the given threads.
func (j *judge) keepOn(o Side, without []thread) {
	s := o.Other()
	var ps []place
	for _, t := range j.threads {
		if t.now[o] == nowhere {
			continue
		}
		gone := false
		for _, w := range without {
			gone = gone || w == t
		}
		if !gone {
			p := place{folder: t.now[o], t: t}
			p.on[o] = true
			p.t.base[s] = nowhere
			ps = append(ps, p)
		}
	}
	for _, t := range j.threads { // what s has besides stays with s
		if t.now[s] != nowhere && t.now[o] == nowhere {
			p := place{folder: t.now[s], t: t}
			p.on[s] = true
			ps = append(ps, p)
		}
	}
	j.settle(ps)
}

// again puts online's state back in its place at home.
func (j *judge) again() {
	var ps []place
	for _, t := range j.threads {
		on, off := t.now[Online] != nowhere, t.now[Offline] != nowhere
		switch {
		case on:
			ps = append(ps, place{t.now[Online], [2]bool{true, true}, t})
		case off:
			ps = append(ps, place{t.now[Offline], [2]bool{false, true}, t})
		}
	}
	j.settle(ps)
}

// contested: both sides removed something and together everything.
func (j *judge) contested() {
	if !j.taken {
		j.kinds = map[Kind]bool{DeleteModify: true}
		j.nothing()
		return
	}
	var ps []place
	for _, t := range j.threads {
		if t.now[j.take] != nowhere {
			ps = append(ps, place{t.now[j.take], [2]bool{true, true}, t})
		}
	}
	j.settle(ps)
}

// settle writes down where everything is in the end.
func (j *judge) settle(ps []place) {
	seen := folders(0)
	j.brought(ps)
	for _, p := range ps {
		if seen>>p.folder&1 != 0 {
			j.loose = true
		}
		seen |= 1 << p.folder
		j.settlePlace(p)
	}
}

func (j *judge) settlePlace(p place) {
	name := j.names[p.folder]
	r := j.attributes(p)
	next := r
	expire := p.on[Online] && p.on[Offline] && j.expires(name, p, r[Online])
	var real [2]string
	for _, s := range Sides {
		if !p.on[s] || s == Online && expire {
			continue
		}
		o := s.Other()
		need := r[s]
		real[s] = j.target(s, p, need)
		if p.t.now[s] == p.folder && real[s] == j.at[s][p.folder].Folder {
			need &^= j.na[s][p.folder]
		}
		for i, w := range j.words {
			bit := attrs(1) << (26 + i)
			if need&bit == 0 || !j.full(s, real[s], w) {
				continue
			}
			j.ask(KeywordFull)
			r[s] &^= bit
			next[s] &^= bit
			if !j.taken {
				next[o] &^= bit // new there again the next time, so that it is tried again
			}
		}
	}
	for _, s := range Sides {
		if !p.on[s] {
			continue
		}
		if s == Online && expire {
			j.rules["7"] = true
			continue
		}
		j.final[s][real[s]] = r[s]
		j.base[s][real[s]] = next[s]
	}
}

// expires tells whether online drops the placement for its age.
func (j *judge) expires(name string, p place, r attrs) bool {
	if j.m.Duplicate || j.m.Differ {
		return false
	}
	var received time.Time
	if f := p.t.now[Online]; f != nowhere {
		received = j.at[Online][f].Received
	} else if f := p.t.now[Offline]; f != nowhere {
		received = j.at[Offline][f].Received
	}
	if received.Before(j.since[1]) {
		received = j.since[1]
	}
	e := j.p.For(name)
	return j.p.Expired(e.Keep, received) && !(e.KeepFlagged && r&attrF != 0)
}
