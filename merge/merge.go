// Package merge decides what a sync does. It compares the two sides of a
// mailbox, each with what both agreed on at the last sync, three-way as git
// does, and returns a Plan. It is a pure function: no I/O, no clock of its own,
// no goroutine; the same input always gives the same plan in the same order.
//
// Rule numbers in this package are the rows of doc/merge-rules.md.
package merge

import (
	"cmp"
	"slices"
	"strings"

	"snapmerge/tree"
)

// A Side is one of the two stores.
type Side uint8

// The two sides. Pairs in this package are indexed by Side.
const (
	Online  Side = iota // at the provider: mail arrives there, not trusted
	Offline             // at home: complete, trusted
)

// Sides lists both.
var Sides = [2]Side{Online, Offline}

// Other returns the opposite side.
func (s Side) Other() Side { return 1 - s }

func (s Side) String() string { return [...]string{"online", "offline"}[s] }

// A Message is what the two sides know of one message. Placements of one side
// are in different folders, real ones; several files of one message in one folder
// count as one placement, and so do several in one archive family.
type Message struct {
	ID string // what reports call it: its key at the first sync
	// Base is what both sides agreed on, as each side has it. They differ where a
	// side has no part (expired, declined) or can not take an attribute.
	Base [2][]tree.Placement
	Now  [2][]tree.Placement
	// Lost: that side's store is not the one of the last sync (restored, another
	// disk), so nothing that is absent there was deleted by anybody.
	Lost [2]bool
	// Differ: the bytes online are not the bytes offline, or the last ones there.
	Differ bool
	// Duplicate: another message has the same key on the same side.
	Duplicate bool
	// MovedHome names the message that is new offline with the same bytes: the
	// user's mail client moved this one home (rule 9a). Alike: equal only after
	// normalising, which is no proof.
	MovedHome string
	Alike     bool
	// From are the addresses of the sender, all of them if the mail names several.
	// Empty: unknown. Merge looks at it where Policy.NeedsSender says so.
	From []string
	// Facts stands for whatever else a decision about this message was based on;
	// when it changes, the decision is asked for again.
	Facts string
}

// A Folder is a folder of one side as it is now.
type Folder struct {
	Name string
	// From is its agreed name if the directory was renamed since, else Name or "".
	From     string
	Keywords tree.KeywordTable
	// Mails counts the message files in it, of whatever kind. It needs to be right
	// only where the folder may go: the other side has none of its name, or it was
	// made by an earlier plan.
	Mails int
	// Made: an earlier plan's MakeFolder made it, an archive subfolder. Such a
	// folder is removed when it has become empty.
	Made bool
}

// Input is all that Merge looks at. Messages need only be those that changed on
// a side, have something pending, or wait for a decision: the others would
// cause nothing.
type Input struct {
	Messages []Message
	// Agreed names the folders that both sides had after the last sync.
	Agreed  []string
	Folders [2][]Folder
	// Known counts the messages that each side had after the last sync: the
	// measure for "more than half of the mail is gone".
	Known     [2]int
	Decisions map[string]Decision // by conflict ID
	Waiting   map[string]bool     // IDs of conflicts that waited before this sync
	// Hidden: a part of that side's store can not be read, and what seems to be
	// deleted may be there.
	Hidden [2]bool
}

// An Op is what an action does.
type Op uint8

// The operations, in the order in which a side's actions are carried out.
// Nothing is removed before everything else is in place.
const (
	Place  Op = iota // offline: a new file from a snapshot
	Copy             // another placement of a message, from the side's own file
	Move             // to another folder, flags and keywords with it
	Flag             // flags and keywords in the same folder
	Delete           // remove the placement
	Expire           // online: remove the placement, which home keeps
)

func (o Op) String() string {
	return [...]string{"place", "copy", "move", "flag", "delete", "expire"}[o]
}

// An Action changes one placement of one message on one side.
type Action struct {
	Side     Side
	Op       Op
	Message  string
	From, To string // folders; From is "" for place and copy, To for delete and expire
	// Also are further folders of an archive family with files of the placement:
	// they go with those in From. A second name of a file that has arrived in To
	// already is removed.
	Also     []string
	Flags    tree.Flags
	Keywords []string // flags and keywords afterwards
	Rule     string   // row of the merge table, or "archive" for tidying alone
	Slot     int      // index into the message's Outcome.Slots
}

// A FolderOp is what a FolderAction does.
type FolderOp uint8

// The folder operations.
const (
	MakeFolder FolderOp = iota
	RenameFolder
	RemoveFolder // after everything else, and only if it is empty then
)

func (o FolderOp) String() string {
	return [...]string{"make-folder", "rename-folder", "remove-folder"}[o]
}

// A FolderAction changes a folder of one side.
type FolderAction struct {
	Side     Side
	Op       FolderOp
	From, To string // From is "" for make, To for remove
}

// A Plan is the decision. Renamed and made folders come before all actions,
// removed ones after; actions refer to folders by their names after renaming.
type Plan struct {
	Folders   []FolderAction
	Actions   []Action
	Conflicts []Conflict
	Closed    []Conflict // still so, but a person has seen them
	Outcomes  []Outcome  // one a message, in the order of Input.Messages
	Notes     []Note     // what was not done although its time has come, and why
}

// Merge compares and decides.
func Merge(in Input, p Policy) Plan {
	fm := newFolderMerge(in, p)
	results := make([]result, len(in.Messages))
	for i, m := range in.Messages {
		results[i] = mergeMessage(m, fm, in, &p, options{})
	}
	var held []Note
	for _, side := range Sides {
		n := deletions(results, side)
		kind, why := [2]NoteKind{Online: ManyOnline, Offline: ManyOffline}[side], "too many deletions in one sync"
		if !p.tooMany(n, in.Known[side]) {
			if n == 0 || !in.Hidden[side] {
				continue
			}
			kind, why = [2]NoteKind{Online: HiddenOnline, Offline: HiddenOffline}[side], "a folder there can not be read"
		}
		held = append(held, Note{kind, n})
		for i, m := range in.Messages {
			if results[i].deletedOn[side] {
				results[i] = mergeMessage(m, fm, in, &p, options{hold: why})
			}
		}
	}
	wait := postponed(results, p.MaxExpire)
	for _, i := range wait {
		results[i] = mergeMessage(in.Messages[i], fm, in, &p, options{hold: results[i].opt.hold, keep: true})
	}
	plan := Plan{Notes: append(notes(results, len(wait), &p), held...), Outcomes: make([]Outcome, 0, len(results))}
	for _, r := range results {
		plan.Actions = append(plan.Actions, r.withoutFull(r.actions(), fm)...)
		plan.Conflicts = append(plan.Conflicts, r.conflicts...)
		plan.Closed = append(plan.Closed, r.closed...)
		plan.Outcomes = append(plan.Outcomes, r.out)
	}
	slices.SortStableFunc(plan.Actions, compareActions)
	slices.SortStableFunc(plan.Conflicts, compareConflicts)
	plan.Folders = fm.actions(plan.Actions)
	return plan
}

// tooMany tells whether the deletions that this sync newly found on a side are
// more than a person is likely to have meant: more than max, or more than half
// of the side's mail (a handful in a small mailbox is not held for that).
func (p *Policy) tooMany(n, known int) bool {
	if p.Allowed != nil {
		return n > *p.Allowed
	}
	return n > p.MaxDeletions || n > 10 && n > known/2
}

// deletions counts the messages whose deletion on a side was newly found.
func deletions(rs []result, side Side) (n int) {
	for _, r := range rs {
		if r.deletedOn[side] {
			n++
		}
	}
	return n
}

// compareActions orders actions: offline before online, since what is not safe
// at home must not go online; then by operation, folder and message.
func compareActions(a, b Action) int {
	return cmp.Or(
		cmp.Compare(b.Side, a.Side),
		cmp.Compare(a.Op, b.Op),
		strings.Compare(a.From, b.From),
		strings.Compare(a.To, b.To),
		strings.Compare(a.Message, b.Message),
		cmp.Compare(a.Slot, b.Slot),
	)
}
