package tree

import (
	"slices"
	"strings"
	"time"
)

// A Placement is one message's place in one folder of one side, as the merge
// sees it: letters have become names, file names are gone.
type Placement struct {
	Folder   string
	Flags    Flags
	Keywords []string `json:",omitempty"` // names, sorted by their lower-case form, each once whatever its case
	// Unnamed: the file carries keyword letters that its folder's table does not
	// name. What they mean is unknown, so a keyword missing here is not known to
	// have been removed.
	Unnamed  bool      `json:",omitempty"`
	New      bool      `json:",omitempty"` // still in new/
	Received time.Time `json:",omitzero"`  // mtime, zero if unknown
	Ctime    time.Time `json:",omitzero"`  // of the side's own host, zero if unknown
	// Since is set in a merge base only: the sync at which mail that is older came
	// (back) online, so that its time there begins anew. No file shows it.
	Since time.Time `json:",omitzero"`
}

// KeywordKey is the form under which two spellings of a keyword are one
// (Dovecot compares keyword names without case, maildir-keywords.c).
func KeywordKey(name string) string { return strings.ToLower(name) }

// SortKeywords sorts names and drops those that differ in case only, keeping
// the first spelling in byte order.
func SortKeywords(names []string) []string {
	out := slices.Clone(names)
	slices.SortFunc(out, func(a, b string) int {
		if c := strings.Compare(KeywordKey(a), KeywordKey(b)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return slices.CompactFunc(out, func(a, b string) bool { return KeywordKey(a) == KeywordKey(b) })
}
