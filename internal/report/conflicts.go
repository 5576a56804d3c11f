package report

import (
	"fmt"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// An Item is a conflict that waits, or that has been decided since the last sync.
type Item struct {
	Mailbox string
	state.Held
	Decided *merge.Side // the answer that the next sync acts on, nil if there is none
	File    string      // where the message can be read, "" if nowhere
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

// ConflictsText is the list: two lines an item, the second with its headers.
func ConflictsText(items []Item, st Style) string {
	if len(items) == 0 {
		return "nothing waits for a decision\n"
	}
	var b strings.Builder
	for _, it := range items {
		b.WriteString(it.line(st))
		if h := it.headers(); h != "" {
			b.WriteString("  " + h + "\n")
		}
	}
	return b.String()
}

// line is "4f1c2a9b8c7d  deleted-online  chris  1.M2P3.host  since sync 7".
func (it Item) line(st Style) string {
	s := fmt.Sprintf("%s  %s  %s  %s  since sync %d", st.paint(bold, it.ID), st.paint(yellow, string(it.Kind)),
		Word(it.Mailbox), Word(it.Message), it.Since)
	if it.Decided != nil {
		s += fmt.Sprintf("  decided: take %s, next sync", *it.Decided)
	}
	return s + "\n"
}

func (it Item) headers() string {
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
	var b strings.Builder
	b.WriteString(it.line(st))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-14s  %s\n", name, value)
		}
	}
	quoted := func(s string) string {
		if s == "" {
			return ""
		}
		return Quote(s)
	}
	field("from", quoted(it.From))
	field("subject", quoted(it.Subject))
	field("date", quoted(it.Date))
	field("rule", ruleWords(it.Rule))
	field("note", Clean(it.Note))
	if it.Kind != merge.Refused {
		field("at last sync", "home "+placements(it.Base[merge.Offline])+", online "+placements(it.Base[merge.Online]))
		field("home now", placements(it.Now[merge.Offline]))
		field("online now", placements(it.Now[merge.Online]))
	}
	if it.File != "" {
		field("to read it", Word(it.File))
	}
	for _, side := range merge.Sides {
		field("--take "+side.String(), Consequence(it.Held, side))
	}
	return b.String()
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

// ResolvedText says for each decided item what the next sync does.
func ResolvedText(items []Item, st Style) string {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%s  %s  %s  take %s: the next sync %s\n", st.paint(bold, it.ID), Word(it.Mailbox), Word(it.Message),
			*it.Decided, Consequence(it.Held, *it.Decided))
	}
	return b.String()
}

type conflictJSON struct {
	ID      string    `json:"id"`
	Mailbox string    `json:"mailbox"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
	Since   int       `json:"since_sync"`
	Base    bothJSON  `json:"base"`
	Online  *sideJSON `json:"online"`
	Offline *sideJSON `json:"offline"`
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Date    string    `json:"date"`
	Note    string    `json:"note"`
	Decided *string   `json:"decided"` // "online", "offline", null: it waits
}

type bothJSON struct {
	Online  *sideJSON `json:"online"`
	Offline *sideJSON `json:"offline"`
}

// sideJSON is what one side has of a message; null: nothing.
type sideJSON struct {
	Placements []placementJSON `json:"placements"`
}

type placementJSON struct {
	Folder   string   `json:"folder"`
	Flags    string   `json:"flags"`
	Keywords []string `json:"keywords"`
}

// ConflictsJSON is the document of every "conflicts --json".
func ConflictsJSON(items []Item) string {
	doc := struct {
		Version   int            `json:"version"`
		Conflicts []conflictJSON `json:"conflicts"`
	}{1, []conflictJSON{}}
	for _, it := range items {
		c := conflictJSON{
			ID: it.ID, Mailbox: it.Mailbox, Kind: string(it.Kind), Message: jsonText(it.Message), Since: it.Since,
			Base:   bothJSON{sideOf(it.Base[merge.Online]), sideOf(it.Base[merge.Offline])},
			Online: sideOf(it.Now[merge.Online]), Offline: sideOf(it.Now[merge.Offline]),
			From: jsonText(it.From), Subject: jsonText(it.Subject), Date: jsonText(it.Date), Note: jsonText(it.Note),
		}
		if it.Decided != nil {
			d := it.Decided.String()
			c.Decided = &d
		}
		doc.Conflicts = append(doc.Conflicts, c)
	}
	return document(doc)
}

func sideOf(ps []tree.Placement) *sideJSON {
	if len(ps) == 0 {
		return nil
	}
	out := &sideJSON{}
	for _, p := range ps {
		out.Placements = append(out.Placements, placementJSON{jsonText(p.Folder), p.Flags.String(), jsonTexts(p.Keywords)})
	}
	return out
}
