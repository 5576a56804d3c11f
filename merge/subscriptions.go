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
	// Renamed has the new names of folders that a user has renamed, on either side.
	// Dovecot's RENAME leaves subscriptions alone, and not every client sees to them.
	// Where a side has the old name after the sync, made anew or as the renaming could
	// not be followed, it goes on meaning that folder.
	Renamed map[string]string
	// Has reports whether a side has the folder after the sync.
	Has func(side Side, folder string) bool
}

// A Subscribe is what is to be done to one side's list.
type Subscribe struct {
	Add, Remove []string
	// Kept would be removed, but are too many: see [MergeSubscriptions].
	Kept []string
}

// MergeSubscriptions merges three-way, name by name. One that is new on one side
// goes to the other as soon as that has the folder; one that is gone on one side
// goes on the other. Folders that p skips are left as they are.
//
// A list that has lost more than ten names and more than half of them was hardly
// unsubscribed by a person: a client or server has made a new one. Then none goes.
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
		var want, lost []string
		for _, name := range now[side] {
			if there[name] || !base[name] || p.For(name).Skip {
				want = append(want, name)
			} else {
				lost = append(lost, name)
			}
		}
		if len(lost) > 10 && len(lost) > len(base)/2 {
			want, do[side].Kept = append(want, lost...), lost
		}
		for _, name := range now[side.Other()] {
			if !here[name] && !base[name] && s.Has(side, name) && !p.For(name).Skip {
				want = append(want, name)
			}
		}
		do[side].Add, do[side].Remove = minus(want, s.Now[side]), minus(s.Now[side], want)
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
		if to, ok := s.Renamed[name]; ok && !s.Has(Online, name) && !s.Has(Offline, name) {
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
