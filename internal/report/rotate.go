package report

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"snapmerge/internal/engine"
)

// A Rotated is what becomes of the snapshots of a mailbox.
type Rotated struct {
	Mailbox string
	*engine.Rotation
	Err error
}

// RotateText says how many snapshots went and how many stay; with all, which and
// why.
func RotateText(r Rotated, all bool, st Style) string {
	if r.Rotation == nil {
		return ""
	}
	stay, goes := 0, 0
	for _, t := range r.Turns {
		if t.Keep {
			stay++
		} else {
			goes++
		}
	}
	text := fmt.Sprintf("%s, %d deleted", plural(stay, "snapshot stays", "snapshots stay"), goes)
	if r.DryRun {
		text = fmt.Sprintf("%s, %d would go (nothing was changed)", plural(stay, "snapshot stays", "snapshots stay"), goes)
	}
	var b strings.Builder
	b.WriteString(st.paint(bold, Word(r.Mailbox)) + ": " + text + "\n")
	if !all {
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, t := range r.Turns {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", t.Shelf, verdict(t, r.DryRun), Word(t.Snap.Name), taken(t, st), alone(t), Clean(t.Reason))
	}
	w.Flush()
	return b.String()
}

func verdict(t engine.Turn, dry bool) string {
	switch {
	case t.Keep:
		return "keep"
	case dry:
		return "delete"
	}
	return "deleted"
}

func taken(t engine.Turn, st Style) string {
	if t.Snap.Time.IsZero() {
		return "-"
	}
	return st.time(t.Snap.Time)
}

// alone is what only that snapshot holds.
func alone(t engine.Turn) string {
	if t.Exclusive == nil {
		return "-"
	}
	return Bytes(*t.Exclusive)
}

// RotateJSON is the document of "rotate --json".
func RotateJSON(list []Rotated) string {
	type snap struct {
		Place     string     `json:"place"`
		Name      string     `json:"snapshot"`
		Taken     *time.Time `json:"taken"`           // null: unknown
		Exclusive *uint64    `json:"exclusive_bytes"` // null: btrfs does not tell
		Keep      bool       `json:"keep"`
		Reason    string     `json:"reason"`
	}
	type mailbox struct {
		Mailbox   string   `json:"mailbox"`
		DryRun    bool     `json:"dry_run"`
		Snapshots []snap   `json:"snapshots"`
		Notes     []string `json:"notes,omitempty"`
		Error     string   `json:"error,omitempty"`
	}
	doc := struct {
		Version   int       `json:"version"`
		Mailboxes []mailbox `json:"mailboxes"`
	}{1, []mailbox{}}
	for _, r := range list {
		m := mailbox{Mailbox: r.Mailbox, Snapshots: []snap{}}
		if r.Rotation != nil {
			m.DryRun, m.Notes = r.DryRun, jsonTexts(r.Notes)
			for _, t := range r.Turns {
				s := snap{Place: string(t.Shelf), Name: jsonText(t.Snap.Name), Exclusive: t.Exclusive, Keep: t.Keep, Reason: jsonText(t.Reason)}
				if !t.Snap.Time.IsZero() {
					s.Taken = &t.Snap.Time
				}
				m.Snapshots = append(m.Snapshots, s)
			}
		}
		if r.Err != nil {
			m.Error = jsonText(r.Err.Error())
		}
		doc.Mailboxes = append(doc.Mailboxes, m)
	}
	return document(doc)
}
