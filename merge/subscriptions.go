package merge

import (
	"maps"
	"slices"
)

// Subscriptions are the folders that clients are subscribed to, on each side and
// as both agreed at the last sync. All are logical names.
type Subscriptions struct {
	Base []string
	Now  [2][]string // in their order; nil: not known, so nothing is missing there
	// Renamed has the new names of folders that a user has renamed, on either side,
	// and that have the new name on both sides after the sync. Dovecot's RENAME leaves
	// subscriptions alone, and not every client sees to them.
	Renamed map[string]string
	// Has reports whether a side has the folder after the sync.
	Has func(side Side, folder string) bool
}

// A Subscribe is what is to be done to one side's list.
type Subscribe struct {
	Add, Remove []string
}

// MergeSubscriptions merges three-way, name by name. One that is new on one side
// goes to the other as soon as that has the folder; one that is gone on one side
// goes on the other. Folders that p skips are left as they are.
func MergeSubscriptions(s Subscriptions, p Policy) (do [2]Subscribe) {
	if s.Now[Online] == nil && s.Now[Offline] == nil {
		return do
	}
	base, now := names(s.follow(s.Base)), [2][]string{}
	for _, side := range Sides {
		now[side] = s.follow(s.Now[side])
		if s.Now[side] == nil {
			base = nil // nothing counts as taken away
		}
	}
	for _, side := range Sides {
		here, there := names(now[side]), names(now[side.Other()])
		var want []string
		for _, name := range now[side] {
			if there[name] || !base[name] || p.For(name).Skip {
				want = append(want, name)
			}
		}
		for _, name := range now[side.Other()] {
			if !here[name] && !base[name] && s.Has(side, name) && !p.For(name).Skip {
				want = append(want, name)
			}
		}
		do[side] = Subscribe{Add: minus(want, s.Now[side]), Remove: minus(s.Now[side], want)}
	}
	return do
}

// Agreed returns the next base: what both sides have after it was done, and what
// one side has still, though it is gone on the other.
func (s Subscriptions) Agreed(after [2][]string) []string {
	base, out := names(s.follow(s.Base)), map[string]bool{}
	for _, side := range Sides {
		there := names(after[side.Other()])
		for _, name := range after[side] {
			if there[name] || base[name] {
				out[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// follow returns the names after the renaming of folders.
func (s Subscriptions) follow(list []string) []string {
	var out []string
	have := map[string]bool{}
	for _, name := range list {
		if to, ok := s.Renamed[name]; ok {
			name = to
		}
		if !have[name] {
			out = append(out, name)
			have[name] = true
		}
	}
	return out
}

func names(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, name := range list {
		set[name] = true
	}
	return set
}

func minus(list, not []string) (out []string) {
	drop := names(not)
	for _, name := range list {
		if !drop[name] {
			out = append(out, name)
		}
	}
	return out
}
