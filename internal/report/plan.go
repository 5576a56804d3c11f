package report

import (
	"fmt"
	"strings"

	"snapmerge/merge"
	"snapmerge/tree"
)

// A Plan is what merge-tree shows.
type Plan struct {
	merge.Plan
	Result [2][]tree.Row // what each side has after it, ordered by folder and message
}

// PlanText is the plan, a line an action, then the two resulting tables as
// [tree.ReadTable] reads them.
func PlanText(p Plan, st Style) string {
	var b strings.Builder
	for _, f := range p.Folders {
		fmt.Fprintf(&b, "%s  %s  %s\n", f.Side, f.Op, fromTo(f.From, f.To))
	}
	for _, a := range p.Actions {
		fmt.Fprintf(&b, "%s  %s  %s  %s%s\n", a.Side, a.Op, Word(a.Message), fromTo(a.From, a.To), wanted(a))
	}
	for _, c := range p.Conflicts {
		b.WriteString(st.paint(yellow, conflictLine(c)) + "\n")
	}
	if b.Len() == 0 {
		b.WriteString("nothing to do\n")
	}
	for _, n := range p.Notes {
		b.WriteString(st.paint(yellow, "note  "+n.String()) + "\n")
	}
	for _, side := range merge.Sides {
		fmt.Fprintf(&b, "\n# %s\n", side)
		for _, r := range p.Result[side] {
			b.WriteString(strings.Join(columns(r), "\t") + "\n")
		}
	}
	return b.String()
}

// wanted are an action's flags and keywords, nothing for one that removes.
func wanted(a merge.Action) string {
	if a.To == "" {
		return ""
	}
	s := "  " + flags(a.Flags)
	if len(a.Keywords) > 0 {
		s += " [" + words(a.Keywords) + "]"
	}
	return s
}

// columns are a row's first three or four columns of a table. Rows come from
// tables, so they hold no control characters; marks that turn the direction of
// writing they may, and then the line is for looking at only.
func columns(r tree.Row) []string {
	c := []string{r.Folder, r.Message, flags(r.Flags)}
	if len(r.Keywords) > 0 {
		c = append(c, strings.Join(r.Keywords, ","))
	}
	for i := range c {
		c[i] = Clean(c[i])
	}
	return c
}

type planActionJSON struct {
	Side     string   `json:"side"`
	Op       string   `json:"op"`
	Message  string   `json:"message"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Flags    string   `json:"flags"`
	Keywords []string `json:"keywords"`
}

type planConflictJSON struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type rowJSON struct {
	Folder   string   `json:"folder"`
	Message  string   `json:"message"`
	Flags    string   `json:"flags"`
	Keywords []string `json:"keywords"`
}

// PlanJSON is the document of "merge-tree --json". Folders that are made come
// first among the actions, with no message.
func PlanJSON(p Plan) string {
	doc := struct {
		Version   int                `json:"version"`
		Actions   []planActionJSON   `json:"actions"`
		Conflicts []planConflictJSON `json:"conflicts"`
		Notes     []string           `json:"notes,omitempty"`
		Result    struct {
			Online  []rowJSON `json:"online"`
			Offline []rowJSON `json:"offline"`
		} `json:"result"`
	}{Version: 1, Actions: []planActionJSON{}, Conflicts: []planConflictJSON{}}
	for _, f := range p.Folders {
		doc.Actions = append(doc.Actions, planActionJSON{
			Side: f.Side.String(), Op: f.Op.String(), From: f.From, To: f.To, Keywords: []string{},
		})
	}
	for _, a := range p.Actions {
		doc.Actions = append(doc.Actions, planActionJSON{
			a.Side.String(), a.Op.String(), a.Message, a.From, a.To, a.Flags.String(), jsonTexts(a.Keywords),
		})
	}
	for _, n := range p.Notes {
		doc.Notes = append(doc.Notes, n.String())
	}
	for _, c := range p.Conflicts {
		doc.Conflicts = append(doc.Conflicts, planConflictJSON{string(c.Kind), c.Message})
	}
	doc.Result.Online, doc.Result.Offline = rowsOf(p.Result[merge.Online]), rowsOf(p.Result[merge.Offline])
	return document(doc)
}

func rowsOf(rows []tree.Row) []rowJSON {
	out := []rowJSON{}
	for _, r := range rows {
		out = append(out, rowJSON{r.Folder, r.Message, r.Flags.String(), jsonTexts(r.Keywords)})
	}
	return out
}
