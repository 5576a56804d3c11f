package report

import (
	"fmt"
	"strings"

	"snapmerge/merge"
)

// Figures are what a store holds.
type Figures struct {
	Mails, Folders int
}

// A Ready is a mailbox that can be synced.
type Ready struct {
	Mailbox      string
	Sides        [2]Figures
	MaxDeletions int
	Sync         Sync     // what the next sync would do
	Dovecot      []string // settings of Dovecot that get in the way
}

// ReadyText says that a mailbox is ready, what it holds and what the next sync
// would do.
func ReadyText(r Ready, st Style) string {
	var b strings.Builder
	b.WriteString(st.paint(bold, Word(r.Mailbox)) + ": ready\n")
	for _, side := range homeFirst {
		f := r.Sides[side]
		b.WriteString(sideLine(side, plural(f.Mails, "mail", "mails")+" in "+plural(f.Folders, "folder", "folders")))
	}
	b.WriteString(SyncText(r.Sync, false, st))
	return b.String()
}

// Advice suggests what to set for a mailbox of that size, "" if nothing.
func (r Ready) Advice() string {
	mails := max(r.Sides[merge.Online].Mails, r.Sides[merge.Offline].Mails)
	switch most := mails / 100; {
	case r.MaxDeletions == 0:
		return "max_deletions = 0 holds every deletion for a decision"
	case r.MaxDeletions < most:
		return fmt.Sprintf("more than %d deletions in one sync are held; with %d mails, max_deletions = %d would be one in a hundred",
			r.MaxDeletions, mails, most)
	}
	return ""
}

// ReadyJSON is the document of "init --json".
func ReadyJSON(list []Ready) string {
	type figures struct {
		Mails   int `json:"mails"`
		Folders int `json:"folders"`
	}
	type ready struct {
		Mailbox string   `json:"mailbox"`
		Online  figures  `json:"online"`
		Offline figures  `json:"offline"`
		Next    syncJSON `json:"next"`
		Dovecot []string `json:"dovecot,omitempty"`
	}
	doc := struct {
		Version   int     `json:"version"`
		Mailboxes []ready `json:"mailboxes"`
	}{1, []ready{}}
	for _, r := range list {
		doc.Mailboxes = append(doc.Mailboxes, ready{
			r.Mailbox, figures(r.Sides[merge.Online]), figures(r.Sides[merge.Offline]), r.Sync.json(false), r.Dovecot,
		})
	}
	return document(doc)
}
