package enginetest

import (
	"regexp"
	"strings"
	"time"

	"snapmerge/merge"
)

// The archive family of these histories: mail lists, filed by date. What is in a
// family is one folder to the table; each side is tidied afterwards.

const lists = "lists"

// periods is what a subfolder of the family can be called, by any pattern.
var periods = regexp.MustCompile(`^lists/([0-9]{4}([-/](0[1-9]|1[0-2]))?|0[1-9]|1[0-2])$`)

// layouts has the patterns as Go writes dates.
var layouts = map[string]string{"": "", "%Y": "2006", "%Y-%m": "2006-01", "%Y/%m": "2006/01"}

func (r rules) filing() bool { return r.archive != [2]string{} }

// member tells whether a folder is a subfolder of the family.
func (r rules) member(folder string) bool { return r.filing() && periods.MatchString(folder) }

// family returns the folder that the table knows.
func (r rules) family(folder string) string {
	if r.member(folder) {
		return lists
	}
	return folder
}

// filed returns where a side has mail of that folder.
func (r rules) filed(side merge.Side, folder string, received int64, clock time.Time) string {
	layout := layouts[r.archive[side]]
	if folder != lists || layout == "" {
		return folder
	}
	if then := time.Unix(0, received).UTC().Format(layout); then < clock.UTC().Format(layout) {
		return lists + "/" + then
	}
	return lists
}

// folded returns ps as the table knows them.
func (r rules) folded(ps places) places {
	out := places{}
	for f, p := range ps {
		out[r.family(f)] = p
	}
	return out
}

// unfold puts what a verdict says into real folders. now is where the side has it.
func (r rules) unfold(side merge.Side, want, now places, held bool, clock time.Time) places {
	out := places{}
	for f, p := range want {
		at := r.filed(side, f, p.received, clock)
		for was, q := range now {
			if r.family(was) == f && (held || q.fresh && q.attrs == p.attrs) {
				at = was // and it waits there; a flag would take it out of new/ anyway
			}
		}
		out[at] = p
	}
	return out
}

// inFamily returns the folder in which a side has the mail, if it is one of the
// family of to.
func (c *client) inFamily(mail int, to string) bool {
	for f := range c.view[mail][c.side] {
		if c.oracle.family(f) == c.oracle.family(to) {
			return true
		}
	}
	return false
}

// memberVerdict says which subfolders a side has after a sync: those with mail,
// those of before but for what syncs have made and is empty now.
func (o *oracle) memberVerdict(side merge.Side, have map[string]bool, after map[string]int) map[string]bool {
	want := map[string]bool{}
	for f, n := range after {
		if o.member(f) && n > 0 {
			want[f] = true
			if !have[f] {
				o.made[side][f] = true
			}
		}
	}
	for f := range have {
		if o.member(f) && !o.made[side][f] {
			want[f] = true
		}
	}
	for f := range have { // an empty one stays while there is one in it
		for inside := range want {
			if o.member(f) && strings.HasPrefix(inside, f+"/") {
				want[f] = true
			}
		}
	}
	for f := range o.made[side] {
		if !want[f] {
			delete(o.made[side], f)
		}
	}
	return want
}
