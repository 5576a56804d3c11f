package engine

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snapmerge/merge"
	"snapmerge/tree"
)

// agreedOn returns a message's merge base as each side has it: what the state
// says, else what the base snapshots show.
func (r *run) agreedOn(message string) [2][]tree.Placement {
	if b, ok := r.agreed[message]; ok {
		return b
	}
	return [2][]tree.Placement{r.base[merge.Online].placements(message), r.base[merge.Offline].placements(message)}
}

// working returns the messages that the merge has to look at, in order: those
// that changed on a side, that have something pending, or wait for a decision.
func (r *run) working() []string {
	set := map[string]bool{}
	for _, side := range merge.Sides {
		maps.Copy(set, r.ids.changed[side])
		if r.rulesChanged {
			r.now[side].each(func(m string) { set[m] = true })
		}
	}
	for m := range r.agreed {
		set[m] = true
	}
	for _, h := range r.last.Held {
		set[h.Message] = true
	}
	for _, m := range r.last.Differs {
		set[m] = true
	}
	for _, d := range r.allDecided() {
		set[d.Message] = true
	}
	for _, m := range r.last.Unfiled {
		set[m] = true
	}
	r.addExpired(set)
	r.addMisfiled(set)
	delete(set, "")
	return sortedKeys(set)
}

// shortMonth is by how much mail can be due before older mail: what came on 31
// July at three has its four months on 30 November at three, and what came the day
// before at noon has them at noon.
const shortMonth = 4 * 24 * time.Hour

// addExpired adds the messages whose time online is over. The index has them by
// folder and date, so those that stay are not looked at. Mail whose time began
// anew when it was brought back is among r.agreed until it goes.
func (r *run) addExpired(set map[string]bool) {
	now := r.now[merge.Online]
	for _, folder := range now.folders {
		keep := r.policy.For(folder.Name).Keep
		was, ok := now.was(folder.Name)
		if keep.Unit == merge.KeepAll || !ok {
			continue
		}
		now.base.oldest(was, func(f owned) bool {
			at := received(f.File)
			if r.policy.Expired(keep, at) {
				set[f.message] = true
			}
			return r.policy.Expired(keep, at.Add(-shortMonth))
		})
	}
	for i, f := range now.added {
		if k := r.policy.For(f.Folder).Keep; k.Unit != merge.KeepAll && r.policy.Expired(k, received(f)) {
			set[now.of[i]] = true
		}
	}
}

// input puts together what the merge looks at. Mail that nobody has seen yet
// stays out of it: it waits in online's new/.
func (r *run) input() (merge.Input, error) {
	in := merge.Input{Agreed: r.last.Folders, Decisions: r.decisions(), Waiting: map[string]bool{}}
	in.Messages = make([]merge.Message, 0, len(r.work))
	if r.now[merge.Online].folder(tree.Inbox) == nil || r.now[merge.Offline].folder(tree.Inbox) == nil {
		// A store without its INBOX is none: nobody has deleted its folders.
		in.Agreed = nil
	}
	for _, h := range r.last.Held {
		in.Waiting[h.ID] = true
	}
	home, err := r.movedHome()
	if err != nil {
		return in, err
	}
	doubles := r.doubles()
	unreadable := [2]func(string) bool{r.unreadable(merge.Online), r.unreadable(merge.Offline)}
	for _, name := range r.work {
		m := merge.Message{
			ID: name, Base: r.agreedOn(name), Lost: r.lost,
			Duplicate: doubles[name], MovedHome: home[name],
		}
		for _, side := range merge.Sides {
			m.Now[side] = r.now[side].placements(name)
			m.Lost[side] = m.Lost[side] || unreadable[side](name)
		}
		if r.late(m) {
			r.tooLate = append(r.tooLate, name)
			continue
		}
		if r.waitsInNew(m) {
			r.waiting = append(r.waiting, name)
			continue
		}
		if r.policy.NeedsSender(m) {
			m.From = r.sender(name)
		}
		if m.Differ, err = r.differs(name); err != nil {
			return in, err
		}
		if m.Differ {
			// Of one side only, where the other has deleted it.
			f := slices.Concat(r.now[merge.Online].all(name), r.now[merge.Offline].all(name))[0]
			m.Facts = fmt.Sprint(f.Size, f.Mtime)
		}
		in.Messages = append(in.Messages, m)
	}
	for _, side := range merge.Sides {
		in.Folders[side] = r.folders(side)
		for f, why := range r.hiddenFolders(side) { // they are there, and not empty
			in.Folders[side] = append(in.Folders[side], merge.Folder{Name: f, Mails: 1})
			// A link can be meant, and a subvolume that no sync has known as a folder, as
			// snapper's; what was synced and is elsewhere now is a mistake, and mail goes there.
			in.Hidden[side] = in.Hidden[side] || why == tree.Elsewhere
		}
		slices.SortFunc(in.Folders[side], func(a, b merge.Folder) int { return strings.Compare(a.Name, b.Name) })
		in.Known[side] = r.known(side)
	}
	return in, nil
}

// hides returns what tells why a folder that a side may have can not be read
// there, "" if it can: the folder's directory, or its cur/ or new/, is a symlink,
// another file system or another subvolume.
func (r *run) hides(side merge.Side) func(folder string) (why string) {
	whys := map[string]string{}
	for _, ref := range r.refused[side] {
		whys[filepath.Clean(ref.Path)] = ref.Why
	}
	return func(folder string) string {
		dir, err := r.store(side).Layout.Dir(folder)
		if err != nil {
			return ""
		}
		why := cmp.Or(whys[filepath.Join(dir, "cur")], whys[filepath.Join(dir, "new")])
		for ; dir != "."; dir = filepath.Dir(dir) { // in the fs layout folders are below folders
			why = cmp.Or(why, whys[dir])
		}
		return why
	}
}

// unreadable returns what tells the messages of the base that a side may still
// have but that can not be read there: their folder is hidden, or the mail itself
// is something that no reader accepts. That it is not seen is no deletion.
func (r *run) unreadable(side merge.Side) func(message string) bool {
	if len(r.refused[side]) == 0 && r.refusedMore[side] == 0 {
		return func(string) bool { return false }
	}
	keys, hides := map[string]bool{}, r.hides(side)
	for _, ref := range r.refused[side] {
		keys[keyUpTo(filepath.Base(ref.Path), ",:")] = true
	}
	hidden := func(folder, key string) bool {
		return keys[key] || r.refusedMore[side] > 0 || hides(folder) != "" // of a store with too many the list is not complete
	}
	return func(message string) bool {
		for _, f := range r.base[side].all(message) {
			if hidden(f.Folder, key(f)) || hidden(rename(r.now[side].renamed, f.Folder), key(f)) {
				return true
			}
		}
		// What the last sync placed or moved is not in the base snapshot, as it was
		// taken before.
		for _, p := range r.agreed[message][side] {
			if k := keyUpTo(message, ","); hidden(p.Folder, k) || hidden(rename(r.now[side].renamed, p.Folder), k) {
				return true
			}
		}
		return false
	}
}

// hiddenFolders returns the folders that both sides had after the last sync and
// that can not be read on this one, and why.
func (r *run) hiddenFolders(side merge.Side) map[string]string {
	out, hides := map[string]string{}, r.hides(side)
	for _, f := range r.last.Folders {
		if why := hides(f); why != "" && r.now[side].folder(f) == nil {
			out[f] = why
		}
	}
	return out
}

// keyUpTo returns a name up to the first of those characters.
func keyUpTo(name, ends string) string {
	if i := strings.IndexAny(name, ends); i >= 0 {
		return name[:i]
	}
	return name
}

// waitsInNew tells whether a message is new online and no client has seen it.
func (r *run) waitsInNew(m merge.Message) bool {
	if len(m.Base[merge.Online])+len(m.Base[merge.Offline])+len(m.Now[merge.Offline]) > 0 || len(m.Now[merge.Online]) == 0 {
		return false
	}
	waits := false
	for _, p := range m.Now[merge.Online] {
		if r.policy.For(p.Folder).Skip {
			continue // a copy that is not synced says nothing about the others
		}
		if !p.New || r.policy.Expired(r.mb.Merge.IncludeNew, p.Received) {
			return false
		}
		waits = true
	}
	return waits
}

// differs compares the bytes of a message whose files are one message by name
// only: those of the two sides, or where one has deleted it meanwhile, those
// that are left with what both sides had.
func (r *run) differs(message string) (bool, error) {
	if !r.ids.suspects[message] && !slices.Contains(r.last.Differs, message) {
		return false, nil
	}
	var have []*source
	for _, side := range merge.Sides {
		if fs := r.now[side].all(message); len(fs) > 0 {
			s, err := r.frozen[side].file(fs[0])
			if err != nil {
				return false, err
			}
			have = append(have, s)
		}
	}
	if len(have) == 1 {
		if agreed := r.agreedOn(message); len(agreed[merge.Online]) == 0 || len(agreed[merge.Offline]) == 0 {
			// Never on both sides: nothing was deleted. A mail that was too late for
			// the last snapshot has other bytes in this one, too.
			return false, nil
		}
		if len(r.now[merge.Offline].all(message)) == 0 && !r.ids.suspects[message] {
			return true, nil // as the last sync found: its snapshots show the other mail already
		}
		last, err := r.lastSource(message)
		if last == nil || err != nil {
			return false, err
		}
		have = append(have, last)
	}
	if len(have) < 2 {
		return false, nil
	}
	same, err := equalBytes(have[0], have[1])
	return !same, err
}

// doubles finds the messages that share a key of the working set with another
// message on a side.
func (r *run) doubles() map[string]bool {
	out := map[string]bool{}
	for _, side := range merge.Sides {
		looked := map[string]bool{}
		for _, m := range r.work {
			for _, f := range r.now[side].all(m) {
				if k := key(f); !looked[k] {
					looked[k] = true
					r.markDoubles(side, k, out)
				}
			}
		}
	}
	return out
}

// markDoubles marks the messages that have a file of that key on a side, if there
// are several.
func (r *run) markDoubles(side merge.Side, k string, out map[string]bool) {
	var have []string
	for _, m := range r.ids.known(k).list {
		if slices.ContainsFunc(r.now[side].all(m), func(f tree.File) bool { return key(f) == k }) {
			have = append(have, m)
		}
	}
	if len(have) > 1 {
		for _, m := range have {
			out[m] = true
		}
	}
}

// movedHome finds messages that are gone online and have come to the offline
// side under another name: the user's mail client moved them there with APPEND
// and EXPUNGE. Equal bytes are required.
func (r *run) movedHome() (map[string]string, error) {
	bySize := map[int64][]string{} // new at home, by size
	for m := range r.ids.fresh {
		if fs := r.now[merge.Offline].all(m); len(fs) > 0 && !r.now[merge.Online].has(m) {
			bySize[fs[0].Size] = append(bySize[fs[0].Size], m)
		}
	}
	out := map[string]string{}
	if len(bySize) == 0 {
		return out, nil
	}
	for _, m := range r.work {
		old := r.now[merge.Offline].all(m)
		if len(old) == 0 || r.ids.fresh[m] || r.now[merge.Online].has(m) || len(r.agreedOn(m)[merge.Online]) == 0 {
			continue
		}
		candidates := bySize[old[0].Size]
		slices.Sort(candidates)
		for i, c := range candidates[:min(len(candidates), maxAlike)] {
			same, err := r.sameBytes(merge.Offline, old[0], merge.Offline, r.now[merge.Offline].all(c)[0])
			if err != nil {
				return nil, err
			}
			if same {
				out[m] = c
				bySize[old[0].Size] = slices.Delete(candidates, i, i+1)
				break
			}
		}
	}
	return out, nil
}

// known counts the messages that a side had after the last sync.
func (r *run) known(side merge.Side) int {
	n := r.messages[side]
	for m, b := range r.agreed {
		shown := r.base[side].has(m)
		if has := len(b[side]) > 0; has && !shown {
			n++
		} else if !has && shown {
			n--
		}
	}
	return n
}

// messagesNow counts the messages that a side's new snapshot has.
func (r *run) messagesNow(side merge.Side) int {
	n := r.messages[side]
	for m := range r.ids.changed[side] {
		if was, is := r.base[side].has(m), r.now[side].has(m); is && !was {
			n++
		} else if was && !is {
			n--
		}
	}
	return n
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
