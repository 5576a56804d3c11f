package merge

import "time"

// Archive families: a base folder, whose rule has an archive pattern, and the
// subfolders by date below it. To the merge a family is one folder, that of its
// base. Records hold the real folders, and today's policy maps those of the base
// and of now alike, so that a rule which comes, goes or changes looks like no
// change of mail.

// archives tells whether folders of the rule are the bases of families.
func (r *Rule) archives() bool {
	return r != nil && r.Archive != [2]Pattern{}
}

// names tells whether that subfolder of a base belongs to its family.
func (r *Rule) names(sub string) bool {
	for _, p := range usual {
		if p.names(sub) {
			return true
		}
	}
	return r.Archive[Online].names(sub) || r.Archive[Offline].names(sub)
}

func (p *Policy) archives() bool {
	for i := range p.Rules {
		if p.Rules[i].archives() {
			return true
		}
	}
	return false
}

// Family returns the base folder of the family that a folder is of, which may be
// itself. ok is false, and base the folder itself, if it is of none. A subfolder
// belongs to the family whatever other rule its own name matches, and is never
// the base of another one.
func (p *Policy) Family(folder string) (base string, ok bool) {
	if !p.archives() {
		return folder, false
	}
	type parent struct {
		end  int
		rule *Rule
	}
	var bases []parent
	for end := 1; end <= len(folder); end++ {
		if end < len(folder) && folder[end] != '/' {
			continue
		}
		member := false
		for _, b := range bases {
			if member = b.rule.names(folder[b.end+1 : end]); member && end == len(folder) {
				return folder[:b.end], true
			} else if member {
				break
			}
		}
		if r := p.rule(folder[:end]); !member && r.archives() {
			bases = append(bases, parent{end, r})
		}
	}
	return folder, len(bases) > 0 && bases[len(bases)-1].end == len(folder)
}

// Archived tells whether a folder is an archive subfolder. Those that a plan's
// MakeFolder has made are to be remembered, for Folder.Made.
func (p *Policy) Archived(folder string) bool {
	base, ok := p.Family(folder)
	return ok && base != folder
}

// Filed returns the folder where a side keeps mail of the folder's family that
// was received at that moment: the base for the current period, and for what is
// newer or has no date; else the subfolder of its period. A folder of no family
// is returned as it is.
func (p *Policy) Filed(side Side, folder string, received time.Time) string {
	base, ok := p.Family(folder)
	if !ok {
		return folder
	}
	pattern, now := p.rule(base).Archive[side], p.clock()
	received = received.In(now.Location())
	if pattern == "" || received.IsZero() || !pattern.period(received).Before(pattern.period(now)) {
		return base
	}
	sub, ok := pattern.Format(received)
	if !ok {
		return base
	}
	return base + "/" + sub
}

// Misfiled tells whether a side's mail lies in a folder where it does not belong
// and can be tidied: in its family, but not where Filed says. That is so for
// mail without a date never, and for none while the clock is behind the last
// sync's.
func (p *Policy) Misfiled(side Side, folder string, received time.Time) bool {
	return !received.IsZero() && !p.clockBack() && p.Filed(side, folder, received) != folder
}

// Outdated returns, of a side's folders, those whose mail may have to be filed
// because a period has ended since the last sync: bases only, for all else was
// filed before. After a change of the rules every folder must be looked at
// instead.
func (p *Policy) Outdated(side Side, folders []string, last time.Time) []string {
	var out []string
	now := p.clock()
	last = last.In(now.Location())
	for _, f := range folders {
		if base, ok := p.Family(f); !ok || base != f {
			continue
		}
		pattern := p.rule(f).Archive[side]
		if pattern != "" && pattern.period(last).Before(pattern.period(now)) {
			out = append(out, f)
		}
	}
	return out
}

// NextPeriod returns the first moment after Now at which the period of one of
// the folders ends on a side: before it Outdated finds nothing. It is zero if
// there is none.
func (p *Policy) NextPeriod(side Side, folders []string) time.Time {
	var next time.Time
	for _, f := range folders {
		if base, ok := p.Family(f); !ok || base != f {
			continue
		}
		pattern := p.rule(f).Archive[side]
		if pattern == "" {
			continue
		}
		if t := pattern.next(p.clock()); next.IsZero() || t.Before(next) {
			next = t
		}
	}
	return next
}

// clock is Now on home's calendar.
func (p *Policy) clock() time.Time {
	if p.Location != nil {
		return p.Now.In(p.Location)
	}
	return p.Now
}
