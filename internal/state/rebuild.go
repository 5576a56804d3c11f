package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"snapmerge/merge"
	"snapmerge/tree"
)

// Rebuild returns the state after the sync of that record, from the trees of
// its two snapshots: what the index would have said. A file belongs to the
// message that the record pairs it with, else to that of its key. Files of the
// sync's own (Pending.Own) need no look here: these snapshots are older.
func Rebuild(trees [2]*tree.Tree, r *Record) (*State, error) {
	paired := make(map[place]string, len(r.Pending.Pairs))
	for _, p := range r.Pending.Pairs {
		paired[place{p.Side, p.Folder, p.New, p.Name}] = p.Message
	}
	s := &State{Meta: r.Meta, Pending: r.Pending}
	for _, side := range merge.Sides {
		t := trees[side]
		s.Trees[side] = &tree.Tree{Folders: t.Folders, Files: t.Files}
		s.Messages[side] = make([]string, len(t.Files))
		for i, f := range t.Files {
			message, ok := paired[place{side, f.Folder, f.New, f.Name}]
			if !ok {
				var err error
				if message, err = keyOf(f); err != nil {
					return nil, fmt.Errorf("rebuild state of sync %d: %s: %w", r.Sync, side, err)
				}
			}
			s.Messages[side][i] = message
		}
	}
	return s, nil
}

// A place is where a file is in a snapshot.
type place struct {
	side   merge.Side
	folder string
	new    bool
	name   string
}

func keyOf(f tree.File) (string, error) {
	n, err := tree.ParseName(f.Name)
	if err != nil {
		return "", err
	}
	return n.Key(), nil
}

// A MessageOf names the message of a file that a snapshot shows for the first time.
type MessageOf func(merge.Side, tree.File) string

// NextPairs returns the Pairs of the state that lies changes later. The cost
// goes with pairs and changes, not with the mailbox.
func NextPairs(pairs []Pair, changes [2]tree.Changes, messageOf MessageOf) ([]Pair, error) {
	gone := map[Pair]int{} // without Message
	renamed := [2]map[string]string{}
	for _, side := range merge.Sides {
		renamed[side] = map[string]string{}
		for _, r := range changes[side].RenamedFolders {
			renamed[side][r.From] = r.To
		}
		for _, f := range changes[side].Removed {
			gone[pairOf(side, f)]++
		}
	}
	var next []Pair
	for _, p := range pairs {
		if to, ok := renamed[p.Side][p.Folder]; ok {
			p.Folder = to
		}
		id := p
		id.Message = ""
		if gone[id] > 0 {
			gone[id]--
			continue
		}
		next = append(next, p)
	}
	for _, side := range merge.Sides {
		for _, f := range changes[side].Added {
			key, err := keyOf(f)
			if err != nil {
				return nil, fmt.Errorf("pair files: %s: %w", side, err)
			}
			if m := messageOf(side, f); m != key {
				p := pairOf(side, f)
				p.Message = m
				next = append(next, p)
			}
		}
	}
	slices.SortFunc(next, Pair.compare)
	return next, nil
}

func pairOf(side merge.Side, f tree.File) Pair {
	return Pair{Side: side, Folder: f.Folder, New: f.New, Name: f.Name, Ino: f.Ino}
}

func (p Pair) compare(q Pair) int {
	return cmp.Or(
		cmp.Compare(p.Side, q.Side),
		tree.File{Folder: p.Folder, New: p.New, Name: p.Name}.Compare(tree.File{Folder: q.Folder, New: q.New, Name: q.Name}),
		strings.Compare(p.Message, q.Message),
	)
}
