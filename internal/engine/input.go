package engine

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

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
			for m := range r.now[side].byMessage {
				set[m] = true
			}
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
	r.addExpired(set)
	delete(set, "")
	return sortedKeys(set)
}

// addExpired adds the messages whose time online is over.
func (r *run) addExpired(set map[string]bool) {
	now := r.now[merge.Online]
	keep := map[string]merge.Keep{}
	for i, f := range now.Files {
		k, ok := keep[f.Folder]
		if !ok {
			k = r.policy.For(f.Folder).Keep
			keep[f.Folder] = k
		}
		if k.Unit != merge.KeepAll && r.policy.Expired(k, received(f)) {
			set[now.of[i]] = true
		}
	}
}

// input puts together what the merge looks at. Mail that nobody has seen yet
// stays out of it: it waits in online's new/.
func (r *run) input() (merge.Input, error) {
	in := merge.Input{Agreed: r.last.Folders, Decisions: r.decisions(), Waiting: map[string]bool{}}
	if r.now[merge.Online].Folder(tree.Inbox) == nil || r.now[merge.Offline].Folder(tree.Inbox) == nil {
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
	unreadable := [2]map[string]bool{r.unreadable(merge.Online), r.unreadable(merge.Offline)}
	for _, name := range r.work {
		m := merge.Message{
			ID: name, Base: r.agreedOn(name), Lost: r.lost,
			Duplicate: doubles[name], MovedHome: home[name],
		}
		for _, side := range merge.Sides {
			m.Now[side] = r.now[side].placements(name)
			m.Lost[side] = m.Lost[side] || unreadable[side][name]
		}
		if r.late(m) {
			r.tooLate = append(r.tooLate, name)
			continue
		}
		if r.waitsInNew(m) {
			r.waiting = append(r.waiting, name)
			continue
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
		in.Known[side] = r.known(side)
	}
	return in, nil
}

// unreadable returns the messages of the base that a side may still have but
// that can not be read there: the folder's directory, or its cur/ or new/, is a
// symlink, another file system or a nested subvolume, or the mail itself is
// something that no reader accepts. That it is not seen there is no deletion.
func (r *run) unreadable(side merge.Side) map[string]bool {
	out := map[string]bool{}
	paths, keys := map[string]bool{}, map[string]bool{}
	for _, ref := range r.refused[side] {
		paths[filepath.Clean(ref.Path)] = true
		keys[keyUpTo(filepath.Base(ref.Path), ",:")] = true
	}
	if len(paths) == 0 {
		return out
	}
	hidden := func(folder, key string) bool {
		dir, err := r.store(side).Layout.Dir(folder)
		return err == nil && (paths[dir] || paths[filepath.Join(dir, "cur")] || paths[filepath.Join(dir, "new")]) ||
			keys[key] || r.refusedMore[side] > 0 // of a store with too many the list is not complete
	}
	for i, f := range r.base[side].Files {
		if hidden(f.Folder, key(f)) {
			out[r.base[side].of[i]] = true
		}
	}
	// What the last sync placed or moved is not in the base snapshot, as it was
	// taken before.
	for m, agreed := range r.agreed {
		for _, p := range agreed[side] {
			if hidden(p.Folder, keyUpTo(m, ",")) {
				out[m] = true
			}
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

// doubles finds the messages of the working set that share a key with another
// message on a side.
func (r *run) doubles() map[string]bool {
	keys := map[string]bool{}
	for _, m := range r.work {
		for _, side := range merge.Sides {
			for _, f := range r.now[side].all(m) {
				keys[key(f)] = true
			}
		}
	}
	out := map[string]bool{}
	for _, side := range merge.Sides {
		first := map[string]string{}
		for i, f := range r.now[side].Files {
			k := key(f)
			if !keys[k] {
				continue
			}
			m := r.now[side].of[i]
			if other, ok := first[k]; ok && other != m {
				out[m], out[other] = true, true
			}
			first[k] = m
		}
	}
	return out
}

// movedHome finds messages that are gone online and have come to the offline
// side under another name: the user's mail client moved them there with APPEND
// and EXPUNGE. Equal bytes are required.
func (r *run) movedHome() (map[string]string, error) {
	bySize := map[int64][]string{} // new at home, by size
	for m := range r.ids.fresh {
		if fs := r.now[merge.Offline].all(m); len(fs) > 0 && len(r.now[merge.Online].byMessage[m]) == 0 {
			bySize[fs[0].Size] = append(bySize[fs[0].Size], m)
		}
	}
	out := map[string]string{}
	if len(bySize) == 0 {
		return out, nil
	}
	for _, m := range r.work {
		old := r.now[merge.Offline].all(m)
		if len(old) == 0 || r.ids.fresh[m] || len(r.now[merge.Online].byMessage[m]) > 0 || len(r.agreedOn(m)[merge.Online]) == 0 {
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

// folders returns a side's folders with the names that they have in the base.
func (r *run) folders(side merge.Side) []merge.Folder {
	old := map[string]string{}
	for _, f := range r.ids.changes[side].RenamedFolders {
		f.From = rename(r.ownNames[side], f.From)
		if r.renameTravels(side, f) {
			old[f.To] = f.From
		}
	}
	mails := map[string]int{}
	for _, f := range r.now[side].Files {
		mails[f.Folder]++
	}
	var out []merge.Folder
	for _, f := range r.now[side].Folders {
		out = append(out, merge.Folder{Name: f.Name, From: old[f.Name], Keywords: f.Keywords, Mails: mails[f.Name]})
	}
	return out
}

// renameTravels tells whether a folder that has another name than in the base
// was renamed by the user and can be renamed on the other side. Else its mail is
// moved one by one.
func (r *run) renameTravels(side merge.Side, f tree.FolderRename) bool {
	if r.lost[side] || !slices.Contains(r.last.Folders, f.From) {
		return false // or the last sync has renamed it, after the base snapshot
	}
	other := side.Other()
	dir, err := r.store(other).Layout.Dir(f.To)
	if err != nil {
		return false
	}
	if there := r.now[other].Folder(f.To) == nil && r.frozen[other].exists(dir); there {
		return false // taken by something that is no folder
	}
	if !r.store(other).Layout.FS {
		return true
	}
	// There the directories below go with it, so they must be meant to.
	for _, below := range r.now[other].Folders {
		if rest, ok := strings.CutPrefix(below.Name, f.From+"/"); ok &&
			!slices.ContainsFunc(r.ids.changes[side].RenamedFolders, func(g tree.FolderRename) bool {
				return g.From == below.Name && g.To == f.To+"/"+rest
			}) {
			return false
		}
	}
	return true
}

// known counts the messages that a side had after the last sync.
func (r *run) known(side merge.Side) int {
	n := len(r.base[side].byMessage)
	for m, b := range r.agreed {
		shown := len(r.base[side].byMessage[m]) > 0
		if has := len(b[side]) > 0; has && !shown {
			n++
		} else if !has && shown {
			n--
		}
	}
	return n
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
