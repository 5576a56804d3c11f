package enginetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"snapmerge/merge"
)

// A place is one placement of a mail: the folder is the key in places.
type place struct {
	attrs    attrs
	received int64 // mtime, nanoseconds
	ctime    int64
	fresh    bool // in new/
}

type places map[string]place

// A rule is the configuration of one folder.
type rule struct {
	skip                          bool
	deletedOnline, deletedOffline *merge.Deletion
	keepDays                      int // 0: for ever
	keepFlagged                   bool
}

// rules is the configuration of a mailbox, by whole folder names.
type rules struct {
	prefer       merge.Prefer
	deleted      [2]merge.Deletion
	maxDeletions int
	includeNew   int // 0: never; 1: at once; else after so many days
	folders      map[string]rule
	archive      [2]string // patterns of the subfolders of lists; both "": it has none
}

func (r rules) deletion(side merge.Side, folder string) merge.Deletion {
	own := [2]*merge.Deletion{r.folders[folder].deletedOnline, r.folders[folder].deletedOffline}[side]
	if own != nil {
		return *own
	}
	return r.deleted[side]
}

func expired(days int, received int64, now time.Time) bool {
	return days > 0 && time.Unix(0, received).UTC().AddDate(0, 0, days).Before(now)
}

// A memory is what the oracle knows of a mail since the last sync.
type memory struct {
	base [2]places
	held merge.Kind // it waits for a person, as this kind
	// asked is what the question is about, answered what it was about when a person
	// answered it with take.
	asked, answered string
	take            merge.Side
	since           time.Time // when it was brought back online, being too old
}

// An oracle predicts what a sync leaves, mail by mail. It is written from the
// table of merge rules and knows each mail for certain.
type oracle struct {
	rules
	memory map[int]*memory
	agreed map[string]bool      // folders that both sides had
	rename [2]map[string]string // since the last sync, old name → new
	known  [2]int
	made   [2]map[string]bool // subfolders of lists that syncs have made
	last   time.Time          // the clock of the last sync
}

// A verdict is what becomes of one mail.
type verdict struct {
	want     [2]places
	base     [2]places
	kind     merge.Kind // waits for a person
	moveMove bool
	deleted  []merge.Side // on that side, by the user, since the last sync
	odd      string       // why the table does not say
	since    time.Time    // the next memory.since
}

// facts are what a verdict depends on besides the mail itself.
type facts struct {
	clock   time.Time
	dragged bool    // the same bytes are new at home under another name
	tooMany [2]bool // deletions of that side: hold
}

func (o *oracle) of(mail int) *memory {
	if o.memory[mail] == nil {
		o.memory[mail] = &memory{base: [2]places{{}, {}}}
	}
	return o.memory[mail]
}

// renamed returns ps under the new names of all folders that a side has renamed.
func (o *oracle) renamed(ps places) places {
	out := places{}
	for f, p := range ps {
		out[o.newName(f)] = p
	}
	return out
}

func (o *oracle) newName(folder string) string {
	for _, names := range o.rename {
		if to, ok := names[folder]; ok {
			return to
		}
	}
	return folder
}

// split parts what is seen from what lies in skipped folders.
func (o *oracle) split(ps places) (visible, skipped places) {
	visible, skipped = places{}, places{}
	for f, p := range ps {
		if o.folders[f].skip {
			skipped[f] = p
		} else {
			visible[f] = p
		}
	}
	return visible, skipped
}

// ask is what a person is asked about: neither reading a mail nor marking it
// deleted makes it another question; what happens to a copy in a skipped folder
// does.
func (o *oracle) ask(base, now [2]places, fa facts) string {
	s := fmt.Sprint(fa.dragged)
	for _, ps := range []places{base[0], base[1], now[0], now[1]} {
		ps = o.folded(o.renamed(ps))
		for _, f := range slices.Sorted(maps.Keys(ps)) {
			s += fmt.Sprintf(" %q %v", f, ps[f].attrs&^(seen|deleted))
		}
		s += ";"
	}
	return s
}

// foresee predicts what becomes of a mail that is there now.
func (o *oracle) foresee(mail int, now [2]places, fa facts) (v verdict) {
	m := o.of(mail)
	c := &one{oracle: o, memory: m, facts: fa}
	c.verdict.since = m.since
	var skipped, skippedBase [2]places
	for _, side := range merge.Sides {
		c.base[side], skippedBase[side] = o.split(o.folded(o.renamed(m.base[side])))
		c.now[side], skipped[side] = o.split(o.folded(o.renamed(now[side])))
		c.inSkipped[side] = skipped[side]
	}
	c.question = o.ask(m.base, now, fa)
	c.decide()
	v = c.verdict
	for _, side := range merge.Sides {
		v.want[side] = o.unfold(side, v.want[side], now[side], v.kind != "", fa.clock)
		maps.Copy(v.want[side], skipped[side])
		maps.Copy(v.base[side], skippedBase[side])
	}
	return v
}

// settle takes over what a sync is known to have left.
func (o *oracle) settle(mail int, v verdict, now [2]places, fa facts) {
	m := o.of(mail)
	m.base, m.held, m.answered = v.base, v.kind, ""
	m.since = time.Time{}
	if len(v.base[online]) > 0 {
		m.since = v.since
	}
	m.asked = o.ask(v.base, now, fa)
}

// folderVerdict predicts the folders of both sides after a sync, given where
// mail is then. files counts what is in each folder of a side, waiting mail too.
func (o *oracle) folderVerdict(have [2]map[string]bool, after [2]map[string]int) (want [2]map[string]bool, agreed map[string]bool) {
	want, agreed = [2]map[string]bool{{}, {}}, map[string]bool{}
	all := map[string]bool{}
	for _, side := range merge.Sides {
		for f := range have[side] {
			all[o.newName(f)] = true
		}
		for f := range after[side] {
			all[f] = true
		}
	}
	now := [2]map[string]bool{{}, {}}
	for _, side := range merge.Sides {
		for f := range have[side] {
			now[side][o.newName(f)] = true
		}
	}
	was := map[string]bool{}
	for f := range o.agreed {
		was[o.newName(f)] = true
	}
	var members [2]map[string]bool
	for _, side := range merge.Sides {
		members[side] = o.memberVerdict(side, have[side], after[side])
		maps.Copy(want[side], members[side])
	}
	for f := range all {
		if o.member(f) {
			continue
		}
		on, off := now[merge.Online][f], now[merge.Offline][f]
		switch {
		case o.folders[f].skip:
		case f == lists && was[f] && on != off && (on && len(members[online]) > 0 || off && len(members[offline]) > 0):
			on, off = on || after[online][f] > 0, off || after[offline][f] > 0 // the subfolders keep it
		case was[f] && on != off && after[merge.Online][f]+after[merge.Offline][f] == 0:
			on, off = false, false // deleted on one side, empty on the other
		case was[f] && on != off:
			on, off = on || after[merge.Online][f] > 0, off || after[merge.Offline][f] > 0
		default: // tidying can bring mail into a base that was gone on both sides
			off = off || on || after[merge.Offline][f] > 0
			on = on || after[merge.Online][f] > 0
		}
		want[merge.Online][f], want[merge.Offline][f] = on, off
		agreed[f] = on && off || was[f] && (on || off)
	}
	for _, side := range merge.Sides {
		maps.DeleteFunc(want[side], func(_ string, is bool) bool { return !is })
	}
	maps.DeleteFunc(agreed, func(_ string, is bool) bool { return !is })
	return want, agreed
}
