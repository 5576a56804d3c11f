package engine

import (
	"fmt"
	"slices"
	"strings"

	"snapmerge/merge"
	"snapmerge/tree"
)

// freeName returns the unique name that an action's file gets in the folder it
// comes to: its own, or where another mail has or gets that one there, which is
// what a broken server makes, its key with a number. Under the taken name it would
// race in every sync. A store with many mails of one name was made to cost time:
// there the rest races.
func (r *run) freeName(a merge.Action, unique string) string {
	k := keyUpTo(unique, ",")
	for n := range maxUnderKey {
		name := unique
		if n > 0 {
			name = fmt.Sprintf("%s.%d%s", k, n+1, unique[len(k):])
		}
		if r.takenBy(a, name) {
			continue
		}
		if r.aimed[a.Side] == nil {
			r.aimed[a.Side] = map[place]string{}
		}
		r.aimed[a.Side][place{a.To, name}] = a.Message
		return name
	}
	return unique
}

// takenBy tells whether another message has that unique name in the action's
// folder, or gets it by an earlier step.
func (r *run) takenBy(a merge.Action, name string) bool {
	if m, ok := r.aimed[a.Side][place{a.To, name}]; ok {
		return m != a.Message
	}
	folder := r.nowName(a.Side, a.To)
	for _, m := range r.ids.known(keyUpTo(name, ",")).first() {
		if m != a.Message && slices.ContainsFunc(r.now[a.Side].in(m, folder), func(f tree.File) bool {
			unique, _, _ := strings.Cut(f.Name, ":")
			return unique == name
		}) {
			return true
		}
	}
	return false
}
