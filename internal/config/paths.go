package config

import (
	"fmt"
	"strings"
	"time"

	"snapmerge/merge"
)

// checkStores reports paths that are missing, and paths that would let one
// store or its snapshots become a part of another.
func (d *document) checkStores(mailboxes []Mailbox) { d.checkSides(mailboxes, Mailbox.sides) }

// checkOnline is checkStores for the online sides alone.
func (d *document) checkOnline(mailboxes []Mailbox) {
	d.checkSides(mailboxes, func(m Mailbox) []side { return m.sides()[1:] })
}

func (d *document) checkSides(mailboxes []Mailbox, sides func(Mailbox) []side) {
	owner := map[string]string{} // side, host and snapshot directory → mailbox
	for _, m := range mailboxes {
		d.checkMailbox(m.Name, sides(m))
		d.checkArchives(m)
		for _, s := range sides(m) {
			if s.Snapshots == "" {
				continue
			}
			// Snapshots are named by side and sync number: two mailboxes in one
			// directory would take each other's.
			ids := []string{s.name + " " + s.Host + " " + s.Snapshots}
			if s.name == "offline" && m.Online.Host != "" {
				// What is received of online is kept there too, under online's names.
				ids = append(ids, "online  "+s.Snapshots)
			}
			for _, id := range ids {
				if other, ok := owner[id]; ok && other != m.Name {
					d.failIn(m.Name, s.name, "snapshots", fmt.Sprintf("%q has the %s snapshots of mailbox %q already", s.Snapshots, s.name, other))
					break
				}
				owner[id] = m.Name
			}
		}
	}
}

type side struct {
	name string
	Store
}

func (m Mailbox) sides() []side {
	return []side{{"offline", m.Offline}, {"online", m.Online}}
}

// checkMailbox reports missing paths of a mailbox, and those that lie inside
// each other. The two snapshot directories may be one, control may be inside its
// own path, and the same path on another host is another one.
func (d *document) checkMailbox(name string, sides []side) {
	type place struct{ side, key, path string }
	var places []place
	for _, s := range sides {
		if s.Host != "" {
			places = nil
		}
		for _, p := range []place{{s.name, "path", s.Path}, {s.name, "snapshots", s.Snapshots}, {s.name, "control", s.Control}} {
			if p.path == "" {
				if p.key != "control" {
					d.missing(name, p.side, p.key)
				}
				continue
			}
			for _, q := range places {
				if p.key == "snapshots" && q.key == "snapshots" {
					continue
				}
				if p.key == "control" && q.key == "path" && p.side == q.side && strings.HasPrefix(p.path, q.path+"/") {
					continue // Dovecot allows it
				}
				if how := relation(p.path, q.path); how != "" {
					d.failIn(name, p.side, p.key, fmt.Sprintf("%q %s %s.%s, wants a path outside", p.path, how, q.side, q.key))
				}
			}
			places = append(places, p)
		}
	}
}

// checkArchives reports archive subfolders that a side's layout can not have.
func (d *document) checkArchives(m Mailbox) {
	own := joinKey(joinKey("mailbox", m.Name), "folder")
	mine := 0
	for ; mine < len(m.Folders); mine++ {
		if _, ok := d.at[joinIndex(own, mine)]; !ok {
			break
		}
	}
	for i, r := range m.Folders {
		rule := joinIndex(own, i)
		if i >= mine {
			rule = joinIndex(joinKey("defaults", "folder"), i-mine)
		}
		for side, key := range archiveKeys {
			store := [2]Store{merge.Online: m.Online, merge.Offline: m.Offline}[side]
			sub, _ := r.Archive[side].Format(time.Unix(0, 0))
			if sub == "" {
				continue
			}
			if _, err := store.Layout.Dir("x/" + sub); err != nil {
				d.fail(joinKey(rule, key), fmt.Sprintf("%q is no folder in this layout: %v", r.Archive[side], err))
			}
		}
	}
}

// relation says how two clean paths overlap, "" if they do not.
func relation(a, b string) string {
	switch {
	case a == b:
		return "is also"
	case strings.HasPrefix(a, strings.TrimSuffix(b, "/")+"/"):
		return "lies inside"
	case strings.HasPrefix(b, strings.TrimSuffix(a, "/")+"/"):
		return "contains"
	}
	return ""
}

// missing reports a key that neither the mailbox nor [defaults] has, at the
// header of its section. If it is there with a bad value, that has been said.
func (d *document) missing(name, side, key string) {
	box := joinKey("mailbox", name)
	section := joinKey(box, side)
	for _, path := range []string{joinKey(section, key), joinKey(joinKey("defaults", side), key)} {
		if _, ok := d.at[path]; ok {
			return
		}
	}
	d.fail(section, key+" is missing, wants an absolute path", section, box)
}

// failIn reports a value at the mailbox's own key, else at that of [defaults]
// which it was taken from.
func (d *document) failIn(name, side, key, text string) {
	path := joinKey(joinKey(joinKey("mailbox", name), side), key)
	d.fail(path, text, path, joinKey(joinKey("defaults", side), key))
}
