package review

import (
	"fmt"

	"snapmerge/internal/report"
)

// Summary says what the answers lead to, a line for all that become of the same
// kind in the same folder alike, in the order of the list.
func Summary(answers []report.Item) (lines []string) {
	type group struct{ kind, mailbox, folder, what string }
	n := map[group]int{}
	var order []group
	for _, it := range answers {
		what := "the answer is taken back: it waits"
		if it.Decided != nil {
			what = "take " + it.Decided.String() + ": " + report.Consequence(it.Held, *it.Decided)
		}
		g := group{string(it.Kind), it.Mailbox, it.Folder(), what}
		if n[g] == 0 {
			order = append(order, g)
		}
		n[g]++
	}
	for _, g := range order {
		lines = append(lines, fmt.Sprintf("%d × %s  %s  %s", n[g], g.kind, report.Word(g.mailbox), report.Word(g.folder)), "    "+g.what)
	}
	return lines
}
