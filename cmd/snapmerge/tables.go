package main

import (
	"maps"
	"slices"
	"strings"

	"snapmerge/merge"
	"snapmerge/tree"
)

// Indexes of merge-tree's four tables.
const (
	onlineBase = iota
	onlineNow
	offlineBase
	offlineNow
)

// mergeInput makes the planner's input of four tables. Messages are the same if
// they have the same key: tables know nothing of contents.
func mergeInput(tables [4][]tree.Row) merge.Input {
	messages := map[string]*merge.Message{}
	add := func(table int, side merge.Side, base bool) {
		for _, r := range tables[table] {
			m := messages[r.Message]
			if m == nil {
				m = &merge.Message{ID: r.Message}
				messages[r.Message] = m
			}
			if base {
				m.Base[side] = append(m.Base[side], r.Placement)
			} else {
				m.Now[side] = append(m.Now[side], r.Placement)
			}
		}
	}
	add(onlineBase, merge.Online, true)
	add(onlineNow, merge.Online, false)
	add(offlineBase, merge.Offline, true)
	add(offlineNow, merge.Offline, false)

	var in merge.Input
	for _, id := range slices.Sorted(maps.Keys(messages)) {
		m := messages[id]
		for _, side := range merge.Sides {
			if len(m.Base[side]) > 0 {
				in.Known[side]++
			}
		}
		in.Messages = append(in.Messages, *m)
	}
	bases := [2][]tree.Row{tables[onlineBase], tables[offlineBase]}
	nows := [2][]tree.Row{tables[onlineNow], tables[offlineNow]}
	atHome := names(bases[merge.Offline])
	for _, f := range slices.Sorted(maps.Keys(names(bases[merge.Online]))) {
		if _, ok := atHome[f]; ok {
			in.Agreed = append(in.Agreed, f)
		}
	}
	for _, side := range merge.Sides {
		in.Folders[side] = folders(bases[side], nows[side])
	}
	return in
}

// names returns the folders of a table with their number of mails.
func names(rows []tree.Row) map[string]int {
	out := map[string]int{}
	for _, r := range rows {
		out[r.Folder]++
	}
	return out
}

// folders returns a side's folders. A table can not show an empty one, so those
// of the base are there too: that its last mail has left does not mean that
// somebody deleted a folder. The root folder is always there.
func folders(base, now []tree.Row) []merge.Folder {
	mails := names(now)
	all := names(base)
	maps.Copy(all, mails)
	all[tree.Inbox] = 0
	var out []merge.Folder
	for _, f := range slices.Sorted(maps.Keys(all)) {
		out = append(out, merge.Folder{Name: f, Mails: mails[f]})
	}
	return out
}

// resultTables returns what each side has when the plan has been carried out.
func resultTables(in merge.Input, plan merge.Plan) [2][]tree.Row {
	var out [2][]tree.Row
	type file struct {
		side            merge.Side
		message, folder string
	}
	gone := map[file]bool{}
	for _, a := range plan.Actions {
		for _, folder := range a.Also {
			gone[file{a.Side, a.Message, folder}] = true
		}
	}
	for i, o := range plan.Outcomes {
		for _, side := range merge.Sides {
			for _, s := range o.Slots {
				if n := s.Now[side]; n != nil {
					gone[file{side, o.Message, n.Folder}] = true
				}
				if p := s.Result[side]; p != nil {
					out[side] = append(out[side], tree.Row{Message: o.Message, Placement: *p})
				}
			}
			for _, p := range in.Messages[i].Now[side] {
				// What the planner has not even seen, or left where it is.
				if !gone[file{side, o.Message, p.Folder}] {
					out[side] = append(out[side], tree.Row{Message: o.Message, Placement: p})
				}
			}
		}
	}
	for _, side := range merge.Sides {
		slices.SortFunc(out[side], func(a, b tree.Row) int {
			return strings.Compare(a.Folder+"\x00"+a.Message, b.Folder+"\x00"+b.Message)
		})
	}
	return out
}
