// Package review lets a person go through what waits for a decision: in one
// screen of a terminal, or as a list in an editor. It only collects answers; who
// calls it records them. Nothing is answered before the person confirms all of it.
//
// What a mail says is hostile: it reaches the terminal as printable text in cells
// of the screen, and the editor quoted.
package review

import (
	"errors"
	"io"
	"slices"

	"snapmerge/internal/report"
	"snapmerge/merge"
)

// The ends of a review in which nothing is to be done.
var (
	// ErrQuit: the person left without an answer.
	ErrQuit = errors.New("left without deciding anything")
	// ErrNoTerminal: there is none that can show a screen.
	ErrNoTerminal = errors.New("no terminal that can show a screen")
)

// An Open opens a side's copy of an item's mail for reading, at home.
type Open func(report.Item, merge.Side) (io.ReadCloser, error)

// Choices are the answers given so far, by the items' places in the list.
type Choices struct {
	items  []report.Item
	take   []*merge.Side // nil: it goes on waiting
	marked []bool
	before [][]*merge.Side // for undo, the oldest first
}

// NewChoices begins with the answers that the items have already.
func NewChoices(items []report.Item) *Choices {
	c := &Choices{items: items, take: make([]*merge.Side, len(items)), marked: make([]bool, len(items))}
	for i, it := range items {
		c.take[i] = it.Decided
	}
	return c
}

// Take answers the marked items, or the one at that place if none is marked; nil
// takes an answer back. The marks go.
func (c *Choices) Take(at int, side *merge.Side) {
	c.before = append(c.before, slices.Clone(c.take))
	any := slices.Contains(c.marked, true)
	for i := range c.items {
		if c.marked[i] || !any && i == at {
			c.take[i] = side
		}
		c.marked[i] = false
	}
}

// Undo takes the last Take back, and reports whether there was one.
func (c *Choices) Undo() bool {
	n := len(c.before) - 1
	if n < 0 {
		return false
	}
	c.take, c.before = c.before[n], c.before[:n]
	return true
}

// Mark marks the items that are like the one at that place, or takes the marks off
// them if all are marked.
func (c *Choices) Mark(at int, like func(a, b report.Item) bool) {
	all := true
	for i, it := range c.items {
		all = all && (c.marked[i] || !like(it, c.items[at]))
	}
	for i, it := range c.items {
		if like(it, c.items[at]) {
			c.marked[i] = !all
		}
	}
}

// Unmark takes all marks off.
func (c *Choices) Unmark() { clear(c.marked) }

// SameItem, SameFolder and SameKind are what can be marked together. A folder is
// that of one kind and mailbox: each kind asks another question.
func SameItem(a, b report.Item) bool { return a.Mailbox == b.Mailbox && a.ID == b.ID }

// SameFolder tells whether two items are listed under one heading.
func SameFolder(a, b report.Item) bool {
	return SameKind(a, b) && a.Mailbox == b.Mailbox && a.Folder() == b.Folder()
}

// SameKind tells whether two items ask the same question.
func SameKind(a, b report.Item) bool { return a.Kind == b.Kind }

// Answers are the items whose answer is another one than before, with it; one that
// was taken back has nil.
func (c *Choices) Answers() (out []report.Item) {
	for i, it := range c.items {
		if !sameSide(it.Decided, c.take[i]) {
			it.Decided = c.take[i]
			out = append(out, it)
		}
	}
	return out
}

func sameSide(a, b *merge.Side) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// count returns how many items have an answer.
func (c *Choices) count() (decided int) {
	for _, t := range c.take {
		if t != nil {
			decided++
		}
	}
	return decided
}
