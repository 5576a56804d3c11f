package report

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// An Item is a conflict that waits, or that has been decided since the last sync.
type Item struct {
	Mailbox string
	state.Held
	Waiting time.Time   // since when: the start of the sync that found it, or of the first later one whose record is kept
	Decided *merge.Side // the answer that the next sync acts on, nil if there is none
	Files   [2]string   // where each side's copy can be read, "" if nowhere
}

// Folder is the folder that an item is listed under: the one at home before the
// conflict, else the first that is known. Of what was refused it is the
// directory, as on disk; "" is the root.
func (it Item) Folder() string {
	if it.Kind == merge.Refused {
		dir, _ := path.Split(it.Message)
		return strings.TrimSuffix(dir, "/")
	}
	for _, ps := range [][]tree.Placement{it.Base[merge.Offline], it.Base[merge.Online], it.Now[merge.Offline], it.Now[merge.Online]} {
		if len(ps) > 0 {
			return ps[0].Folder
		}
	}
	return ""
}

// SortItems puts items into the order in which they are shown: by kind, mailbox
// and folder.
func SortItems(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(slices.Index(merge.Kinds, a.Kind), slices.Index(merge.Kinds, b.Kind)),
			cmp.Compare(a.Mailbox, b.Mailbox), cmp.Compare(a.Folder(), b.Folder()))
	})
}

// Undecided counts the items that wait for a person.
func Undecided(items []Item) int {
	n := 0
	for _, it := range items {
		if it.Decided == nil {
			n++
		}
	}
	return n
}

// ConflictsText is the list, of items in the order of [SortItems]: a line for
// each kind and folder, then two lines an item, the second with its headers.
func ConflictsText(items []Item, st Style) string {
	if len(items) == 0 {
		return "nothing waits for a decision\n"
	}
	group := func(it Item) [3]string { return [3]string{string(it.Kind), it.Mailbox, it.Folder()} }
	var b strings.Builder
	for i, it := range items {
		if i == 0 || group(it) != group(items[i-1]) {
			n := 1
			for ; i+n < len(items) && group(items[i+n]) == group(it); n++ {
			}
			fmt.Fprintf(&b, "%s  %s  %s  (%d)\n", st.paint(yellow, string(it.Kind)), Word(it.Mailbox), Word(it.Folder()), n)
		}
		b.WriteString("  " + it.line(st))
		if h := it.Headers(); h != "" {
			b.WriteString("    " + h + "\n")
		}
	}
	return b.String()
}

// line is "4f1c2a9b8c7d  1.M2P3.host  since sync 7, 2026-03-01 04:00".
func (it Item) line(st Style) string {
	s := fmt.Sprintf("%s  %s  since sync %d", st.paint(bold, it.ID), Word(it.Message), it.Since)
	if !it.Waiting.IsZero() {
		s += ", " + st.time(it.Waiting)
	}
	if it.Decided != nil {
		s += fmt.Sprintf("  decided: take %s, next sync", *it.Decided)
	}
	return s + "\n"
}

// Headers is "\"Subject\" from \"From\" of \"Date\"", with what of it is known.
func (it Item) Headers() string {
	var parts []string
	if it.Subject != "" {
		parts = append(parts, Quote(it.Subject))
	}
	if it.From != "" {
		parts = append(parts, "from "+Quote(it.From))
	}
	if it.Date != "" {
		parts = append(parts, "of "+Quote(it.Date))
	}
	return strings.Join(parts, " ")
}

// ConflictText is one item in full.
func ConflictText(it Item, st Style) string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s  %s", st.paint(yellow, string(it.Kind)), Word(it.Mailbox))
	b.WriteString("  " + it.line(st))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "  %-14s  %s\n", name, value)
		}
	}
	quoted := func(name, value string) {
		if value != "" {
			field(name, Quote(value))
		}
	}
	quoted("from", it.From)
	quoted("subject", it.Subject)
	quoted("date", it.Date)
	field("rule", ruleWords(it.Rule))
	field("note", Clean(it.Note))
	if it.Kind != merge.Refused {
		for _, side := range homeFirst {
			field(sideName(side), Since(it.Base[side], it.Now[side]))
		}
	}
	label := "to read it"
	for _, side := range homeFirst {
		if f := it.Files[side]; f != "" {
			field(label, Word(f))
			label = "online's copy"
		}
	}
	for _, side := range merge.Sides {
		field("--take "+side.String(), Consequence(it.Held, side))
	}
	return b.String()
}

// Since says what became of a message on one side since the last agreement:
// "INBOX S -> work FS".
func Since(base, now []tree.Placement) string {
	was, is := placements(base), placements(now)
	switch {
	case len(base) == 0 && len(now) == 0:
		return "never there"
	case len(base) == 0:
		return is + " (new)"
	case was == is:
		return is + " (unchanged)"
	}
	return was + " -> " + is
}

// Consequence says what the next sync does if the answer to a conflict is that
// side.
func Consequence(h state.Held, take merge.Side) string {
	switch h.Kind {
	case merge.DeletedOnline:
		if take == merge.Online {
			return "deletes it at home"
		}
		return "keeps it at home; it is archive only from now on"
	case merge.DeletedOffline:
		if take == merge.Online {
			return "puts it back at home from its snapshot"
		}
		return "deletes it online"
	case merge.DeleteModify:
		return deleteModify(h, take)
	}
	return "closes it until the facts change; nothing of online's replaces anything at home"
}

// deleteModify: the side that was chosen has either deleted the message or
// changed it, and the other side becomes like it.
func deleteModify(h state.Held, take merge.Side) string {
	other := take.Other()
	there := "at home"
	if other == merge.Online {
		there = "online"
	}
	switch {
	case len(h.Now[take]) == 0:
		return "deletes it " + there
	case len(h.Now[other]) > 0:
		return "makes both sides as it is " + where(take) + ": " + placements(h.Now[take])
	case other == merge.Online:
		return "keeps it at home; it is archive only from now on"
	}
	return "puts it back at home: " + placements(h.Now[take])
}

func where(s merge.Side) string {
	if s == merge.Offline {
		return "at home"
	}
	return "online"
}

// ResolvedText says for each answer what the next sync does; without one the item
// waits again.
func ResolvedText(items []Item, st Style) string {
	var b strings.Builder
	for _, it := range items {
		if it.Decided == nil {
			fmt.Fprintf(&b, "%s  %s  %s  the answer is taken back: it waits\n", st.paint(bold, it.ID), Word(it.Mailbox), Word(it.Message))
			continue
		}
		fmt.Fprintf(&b, "%s  %s  %s  take %s: the next sync %s\n", st.paint(bold, it.ID), Word(it.Mailbox), Word(it.Message),
			*it.Decided, Consequence(it.Held, *it.Decided))
	}
	return b.String()
}
