package merge

import "fmt"

// allRules are the rows of doc/merge-rules.md.
var allRules = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "9a", "10", "11", "12", "13", "14", "15", "16", "17", "18"}

// silentRules ask for nothing to be done, so that only the oracle can tell that
// they had a say.
var silentRules = map[string]bool{"2": true, "8": true, "12": true, "13": true}

func showAction(a Action) string {
	return fmt.Sprintf("%s %s %q -> %q %s %q rule %s", a.Side, a.Op, a.From, a.To, a.Flags, a.Keywords, a.Rule)
}
