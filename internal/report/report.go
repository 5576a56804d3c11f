// Package report turns what the engine and the planner say into what a person
// or a script reads. Every function is pure: a value in, text out.
//
// Text is for people and may change. JSON is for scripts: one document, with
// "version": 1, to which fields are only ever added.
//
// Everything that came from a mail store (folder names, keys, headers, names
// that were refused) may hold terminal escapes, so text shows it through [Word]
// or [Quote], and JSON escapes whatever is not printable. See quote.go.
package report

import (
	"fmt"
	"time"

	"snapmerge/merge"
)

// A Style says how text looks. The zero Style has no colours and tells times in UTC.
type Style struct {
	Color bool
	Zone  *time.Location // nil: UTC
}

// SGR codes of ECMA-48; the only escapes that this program ever prints.
const (
	bold   = "1"
	red    = "31"
	yellow = "33"
)

func (st Style) paint(code, s string) string {
	if !st.Color || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (st Style) time(t time.Time) string {
	if st.Zone == nil {
		return t.UTC().Format("2006-01-02 15:04")
	}
	return t.In(st.Zone).Format("2006-01-02 15:04")
}

// Day is the date of a time.
func (st Style) Day(t time.Time) string { return st.time(t)[:len("2006-01-02")] }

// sideName is what people call a side: the offline one is home.
func sideName(s merge.Side) string {
	if s == merge.Offline {
		return "home"
	}
	return "online"
}

// homeFirst is the order in which sides are shown, and in which they are changed.
var homeFirst = [2]merge.Side{merge.Offline, merge.Online}

// sideLine is a line about one side, aligned with that about the other.
func sideLine(s merge.Side, text string) string {
	return fmt.Sprintf("  %-6s  %s\n", sideName(s), text)
}
