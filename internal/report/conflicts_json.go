package report

import (
	"time"

	"snapmerge/merge"
	"snapmerge/tree"
)

type conflictJSON struct {
	ID      string    `json:"id"`
	Mailbox string    `json:"mailbox"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
	Folder  string    `json:"folder"`
	Since   int       `json:"since_sync"`
	Waiting time.Time `json:"since"`
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

// ConflictsJSON is the document of every "conflicts --json". synced are the syncs
// that followed at once, and the document has them only if there are any.
func ConflictsJSON(items []Item, synced ...Sync) string {
	doc := struct {
		Version   int            `json:"version"`
		Conflicts []conflictJSON `json:"conflicts"`
		Mailboxes []syncJSON     `json:"mailboxes,omitempty"`
	}{1, []conflictJSON{}, nil}
	for _, s := range synced {
		doc.Mailboxes = append(doc.Mailboxes, s.json(false))
	}
	for _, it := range items {
		c := conflictJSON{
			ID: it.ID, Mailbox: it.Mailbox, Kind: string(it.Kind), Message: jsonText(it.Message),
			Folder: jsonText(it.Folder()), Since: it.Since, Waiting: it.Waiting.UTC(),
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
