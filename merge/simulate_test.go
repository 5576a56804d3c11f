package merge

import (
	"fmt"
	"maps"
	"slices"

	"snapmerge/tree"
)

// judgeAll gives the oracle's verdicts on all messages, the limit on deletions
// included. decided holds the sides that valid decisions took, by message.
func judgeAll(in Input, p Policy, decided map[string]Side) []verdict {
	full := func(s Side, folder, word string) bool {
		for _, f := range in.Folders[s] {
			if f.Name == folder {
				return !slices.ContainsFunc(f.Keywords[:], func(k string) bool { return k == "" || tree.KeywordKey(k) == word })
			}
		}
		return false
	}
	one := func(m Message, hold bool) verdict {
		j := judge{p: &p, full: full, m: m, hold: hold, known: !p.LastSync.IsZero()}
		j.home = homes(p.Rules)
		j.take, j.taken = decided[m.ID]
		j.waiting = in.Waiting[ConflictID(m.ID, m.Base)]
		return j.consider()
	}
	vs := make([]verdict, len(in.Messages))
	var found [2]int
	for i, m := range in.Messages {
		vs[i] = one(m, false)
		for _, s := range Sides {
			if vs[i].deletedOn[s] {
				found[s]++
			}
		}
	}
	for _, s := range Sides {
		if found[s] <= p.MaxDeletions && (found[s] <= 10 || 2*found[s] <= in.Known[s]) {
			continue
		}
		for i, m := range in.Messages {
			if vs[i].deletedOn[s] {
				vs[i] = one(m, true)
			}
		}
	}
	return vs
}

// A world is both stores and what is agreed on, per message: what a sync leaves.
type world struct {
	now  [2]map[string]tree.Placement // by folder
	have [][2]*tree.Placement
}

// simulate carries out a plan on the stores of in, strictly: an action on
// something that is not there, or into a taken place, is an error. Actions for
// which raced returns true do not happen. It returns the next sync's input.
func simulate(in Input, plan Plan, raced func(Action) bool) (Input, error) {
	worlds, index := map[string]*world{}, map[string]int{}
	for i, m := range in.Messages {
		w := &world{}
		for _, s := range Sides {
			w.now[s] = map[string]tree.Placement{}
			for _, p := range m.Now[s] {
				w.now[s][p.Folder] = p
			}
		}
		for _, slot := range plan.Outcomes[i].Slots {
			w.have = append(w.have, slot.Now)
		}
		worlds[m.ID], index[m.ID] = w, i
	}
	var last Action
	failed := map[string]bool{} // messages: nothing of theirs is removed then
	for i, a := range plan.Actions {
		o := plan.Outcomes[index[a.Message]]
		if i > 0 && compareActions(last, a) > 0 {
			return in, fmt.Errorf("action %+v comes after %+v", a, last)
		}
		last = a
		if o.Held {
			return in, fmt.Errorf("action on a held message: %+v", a)
		}
		w := worlds[a.Message]
		cut := raced != nil && (raced(a) || a.Op == Copy && len(w.now[a.Side]) == 0)
		if cut || (a.Op == Delete || a.Op == Expire) && failed[a.Message] {
			failed[a.Message] = true
			continue
		}
		if err := w.do(a, o.Slots[a.Slot]); err != nil {
			return in, fmt.Errorf("%w: %+v", err, a)
		}
	}
	next := in
	next.Messages = nil
	for i, m := range in.Messages {
		w := worlds[m.ID]
		m.Base = plan.Outcomes[i].Settle(w.have)
		for _, s := range Sides {
			m.Now[s] = slices.Collect(maps.Values(w.now[s]))
			m.Now[s] = sorted(m.Now[s])
		}
		m.Lost = [2]bool{}
		next.Messages = append(next.Messages, m)
	}
	next.Waiting = map[string]bool{}
	for _, c := range plan.Conflicts {
		if c.Kind.Waits() {
			next.Waiting[c.ID] = true
		}
	}
	return next, nil
}

func (w *world) do(a Action, slot Slot) error {
	now := w.now[a.Side]
	p := tree.Placement{Folder: a.To, Flags: a.Flags, Keywords: a.Keywords}
	if a.Op == Place || a.Op == Copy {
		if src := slot.Now[a.Side.Other()]; src != nil {
			p.Received = src.Received
		}
		if a.Op == Copy && len(now) == 0 {
			return fmt.Errorf("nothing to copy from")
		}
	} else {
		from, ok := now[a.From]
		if !ok || slot.Now[a.Side] == nil || slot.Now[a.Side].Folder != a.From {
			return fmt.Errorf("nothing in %q, slot says %v", a.From, slot.Now[a.Side])
		}
		p.Received, p.Ctime = from.Received, from.Ctime
		if a.Op == Expire && (a.Side != Online || len(w.now[Offline]) == 0) {
			return fmt.Errorf("expired and not at home")
		}
		delete(now, a.From)
	}
	for _, f := range a.Also {
		if _, ok := now[f]; !ok {
			return fmt.Errorf("nothing in %q too", f)
		}
		delete(now, f)
	}
	if a.Op == Flag && a.From != a.To {
		return fmt.Errorf("flags change the folder")
	}
	if a.To == "" {
		w.have[a.Slot][a.Side] = nil
		return nil
	}
	if _, taken := now[a.To]; taken {
		return fmt.Errorf("%q is taken", a.To)
	}
	now[a.To] = p
	w.have[a.Slot][a.Side] = &p
	return nil
}
