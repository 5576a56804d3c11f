package engine

import (
	"fmt"
	"slices"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// online returns what is to be put back online as well: all that home has or is
// to have.
func (r *restorer) online(list []*wanted) (out []*wanted, err error) {
	for _, w := range list {
		if w.src == nil || w.effect != "" && w.effect != state.There {
			continue
		}
		o := *w
		o.side, o.effect, o.why = merge.Online, "", ""
		out = append(out, &o)
	}
	if r.hosts.Mirrored {
		if err := r.sinceThen(out); err != nil {
			return nil, err
		}
	}
	have, err := r.holdings(merge.Online, out)
	if err != nil {
		return nil, err
	}
	policy := r.mb.Policy(r.opt.Now())
	for _, w := range out {
		if w.effect == "" {
			if err := have.check(w); err != nil {
				return nil, err
			}
		}
		keep := policy.For(w.to)
		received := time.Unix(0, w.src.file.Mtime)
		if w.effect == "" && policy.Expired(keep.Keep, received) && !(keep.KeepFlagged && w.name.Flags&tree.Flagged != 0) {
			r.notes = append(r.notes, fmt.Sprintf("online keeps nothing so old in %q: the next sync lets %q expire again", w.to, w.message))
		}
	}
	return out, nil
}

// openOnline opens online's store. If that is on another machine, home's copy of
// the last sync's snapshot has to do for what is there already: whatever came
// since then is safe too, as nothing is ever replaced.
func (r *restorer) openOnline() (*frozen, error) {
	if !r.hosts.Mirrored {
		return openLive(storeOf(r.mb.Online))
	}
	if r.rec == nil {
		return nil, &Problem{Subject: "mailbox " + r.mb.Name, Text: "nothing is known of online, as there was no sync yet", Mend: "snapmerge sync " + r.mb.Name}
	}
	name := r.rec.Snapshots[merge.Online]
	return openFrozen(r.readable(name), name)
}

// sinceThen marks what was put online since the last sync, which home's copy of
// that does not show.
func (r *restorer) sinceThen(list []*wanted) error {
	back, err := r.restoredSince()
	for _, w := range list {
		if slices.ContainsFunc(back, func(m state.Restored) bool {
			return m.Side == merge.Online && m.Message == w.message && m.To == w.to && m.Effect == state.Done
		}) {
			w.end(state.There, "it was put there since the last sync")
		}
	}
	return err
}
