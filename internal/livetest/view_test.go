package livetest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"snapmerge/merge"
)

// A view is what a client that has just logged in sees of a side.
type view struct {
	folders  []string
	validity map[string]string // UIDVALIDITY by folder
	mails    []seen            // sorted
}

// A seen is a mail in a folder.
type seen struct {
	folder, subject, flags string
	uid                    int
	received, text         string
}

// String is a line of a scenario's table: "INBOX read \Seen".
func (m seen) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", m.folder, m.subject, m.flags))
}

var subjectLine = regexp.MustCompile(`(?m)^Subject: (.*?)\r?$`)

// look reads a side as a client that comes anew. It changes nothing: what is in
// new/ stays there.
func (w *world) look(side merge.Side) view {
	w.t.Helper()
	c := w.login(side)
	defer c.Close()
	v := view{folders: c.Folders(), validity: map[string]string{}}
	for _, f := range v.folders {
		v.validity[f] = c.Open("EXAMINE", f)
		for _, m := range c.Mails() {
			subject := "(none)"
			if s := subjectLine.FindStringSubmatch(m.Text); s != nil {
				subject = s[1]
			}
			v.mails = append(v.mails, seen{f, subject, m.Flags, m.UID, m.Received, m.Text})
		}
	}
	slices.SortFunc(v.mails, func(a, b seen) int {
		return strings.Compare(a.String()+a.text, b.String()+b.text)
	})
	return v
}

// lines are the mails as the tables write them.
func (v view) lines() (out []string) {
	for _, m := range v.mails {
		out = append(out, m.String())
	}
	return out
}

// content is all in which two sides must agree about a mail.
func (v view) content() (out []string) {
	for _, m := range v.mails {
		out = append(out, fmt.Sprintf("%s [%s] %q", m, m.received, m.text))
	}
	return out
}

// asSets returns two views as they are compared where a mail can have several
// files in one folder: more than one do not travel, and one speaks for all, so
// the flags of such places say nothing.
func asSets(a, b view) (view, view) {
	type place struct{ folder, subject string }
	n := [2]map[place]int{{}, {}}
	for i, v := range []view{a, b} {
		for _, m := range v.mails {
			n[i][place{m.folder, m.subject}]++
		}
	}
	set := func(v view) view {
		have, mails := map[place]bool{}, []seen(nil)
		for _, m := range v.mails {
			p := place{m.folder, m.subject}
			if max(n[0][p], n[1][p]) > 1 {
				m.flags = "*"
			}
			if !have[p] {
				mails = append(mails, m)
			}
			have[p] = true
		}
		v.mails = mails
		return v
	}
	return set(a), set(b)
}

// renamed returns the view as it is after the renaming of folders, a line each.
func (v view) renamed(renames string) view {
	v.mails, v.validity = slices.Clone(v.mails), maps.Clone(v.validity)
	for _, line := range lines(renames) {
		from, to, _ := strings.Cut(line, " ")
		for i := range v.mails {
			if v.mails[i].folder == from {
				v.mails[i].folder = to
			}
		}
		v.validity[to] = v.validity[from]
		delete(v.validity, from)
	}
	return v
}

// newUIDs returns the mails that have stayed in their folder, and have another
// UID than before: clients load them again. A mail that is in a folder more than
// once, before or after, is not looked at.
func newUIDs(before, after view) (lost []string) {
	type place struct{ folder, subject string }
	once := func(v view) map[place]int {
		n, uid := map[place]int{}, map[place]int{}
		for _, m := range v.mails {
			p := place{m.folder, m.subject}
			n[p]++
			uid[p] = m.uid
		}
		maps.DeleteFunc(uid, func(p place, _ int) bool { return n[p] > 1 })
		return uid
	}
	was := once(before)
	for p, uid := range once(after) {
		if old, ok := was[p]; ok && old != uid {
			lost = append(lost, fmt.Sprintf("%s in %s had UID %d, has %d", p.subject, p.folder, old, uid))
		}
	}
	for f, v := range after.validity {
		if old, ok := before.validity[f]; ok && old != v {
			lost = append(lost, fmt.Sprintf("%s had UIDVALIDITY %s, has %s", f, old, v))
		}
	}
	slices.Sort(lost)
	return lost
}
