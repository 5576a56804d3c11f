package merge

import (
	"fmt"
	"strings"
)

// Retention tells which rule keeps a folder's mail online and how long, for a
// person who wonders why mail is, or is not, there.
type Retention struct {
	Folder string
	Base   string // of the archive family that it is of, else ""
	Rule   int    // the rule's index in Policy.Rules, -1 if none matches
	Match  string // its pattern, "" if none matches

	Skip        bool
	Keep        Keep
	KeepFlagged bool
	KeepFrom    []string
	Archive     [2]Pattern
}

// Retention looks up a folder, a logical name.
func (p *Policy) Retention(folder string) Retention {
	e := p.For(folder)
	r := Retention{Folder: folder, Skip: e.Skip, Keep: e.Keep, KeepFlagged: e.KeepFlagged, KeepFrom: e.KeepFrom}
	base, ok := p.Family(folder)
	if ok {
		r.Base = base
	}
	if r.Rule = p.match(base); r.Rule >= 0 {
		r.Match, r.Archive = p.Rules[r.Rule].Match, p.Rules[r.Rule].Archive
	}
	return r
}

// String is the lookup in a line without the folder; rules are counted from 1.
func (r Retention) String() string {
	rule := "no rule"
	if r.Rule >= 0 {
		rule = fmt.Sprintf("rule %d %q", r.Rule+1, r.Match)
		if r.Base != "" && r.Base != r.Folder {
			rule += fmt.Sprintf(" by %q", r.Base)
		}
	}
	if r.Skip {
		return rule + ": not synced"
	}
	says := []string{"keep " + r.Keep.String()}
	if r.Keep.Unit != KeepAll {
		if r.KeepFlagged {
			says = append(says, "flagged mail stays")
		}
		if len(r.KeepFrom) > 0 {
			says = append(says, fmt.Sprintf("mail from %q stays", r.KeepFrom))
		}
	}
	for _, side := range Sides {
		if r.Archive[side] != "" {
			says = append(says, fmt.Sprintf("archive %s %s", side, r.Archive[side]))
		}
	}
	return rule + ": " + strings.Join(says, ", ")
}
