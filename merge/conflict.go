package merge

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"snapmerge/tree"
)

// A Kind is a sort of conflict. Its string is relied upon by scripts and by
// stored reports: never change one.
type Kind string

// The kinds of conflict.
const (
	DeletedOnline  Kind = "deleted-online"
	DeletedOffline Kind = "deleted-offline"
	DeleteModify   Kind = "delete-modify"
	MoveMove       Kind = "move-move" // decided by Policy.Prefer, does not wait
	ContentChanged Kind = "content-changed"
	NameTaken      Kind = "name-taken"
	Duplicate      Kind = "duplicate"
	Refused        Kind = "refused" // found when reading a store, never by Merge
	KeywordFull    Kind = "keyword-full"
)

// Kinds lists all, in the order in which they are shown.
var Kinds = []Kind{DeletedOnline, DeletedOffline, DeleteModify, MoveMove, ContentChanged, NameTaken, Duplicate, Refused, KeywordFull}

// Waits tells whether a conflict of that kind waits for a person's decision.
func (k Kind) Waits() bool { return k != MoveMove }

// A Conflict is something that a person must decide or should know.
type Conflict struct {
	ID      string // of message and base: survives a change of kind
	Kind    Kind
	Message string
	State   string // fingerprint of what the decision is about
	Rule    string
	Note    string // why it was held, where that is not plain from the kind
	Base    [2][]tree.Placement
	Now     [2][]tree.Placement
}

// A Decision is a person's answer to a conflict. It holds only for the State
// that the person saw.
type Decision struct {
	State string
	Take  Side
}

func compareConflicts(a, b Conflict) int {
	return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Message, b.Message), strings.Compare(a.ID, b.ID))
}

// ConflictID names the conflict about a message with that agreed base: 12
// hexadecimal digits.
func ConflictID(message string, base [2][]tree.Placement) string {
	return digest("id", message, describe(base[Online], ^tree.Flags(0)), describe(base[Offline], ^tree.Flags(0)))
}

// stateOf fingerprints what a decision is about. Reading a mail or marking it
// deleted does not make it another question.
func stateOf(m Message) string {
	const still = ^(tree.Seen | tree.Deleted)
	return digest("state", m.ID, describe(m.Base[Online], still), describe(m.Base[Offline], still),
		describe(m.Now[Online], still), describe(m.Now[Offline], still), m.MovedHome,
		fmt.Sprint(m.Differ, m.Duplicate, m.Alike), m.Facts)
}

func describe(ps []tree.Placement, mask tree.Flags) string {
	var b strings.Builder
	for _, p := range sorted(ps) {
		fmt.Fprintf(&b, "%q %s %q\n", p.Folder, p.Flags&mask, p.Keywords)
	}
	return b.String()
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}
