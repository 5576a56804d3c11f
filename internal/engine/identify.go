package engine

import (
	"fmt"
	"slices"

	"snapmerge/merge"
	"snapmerge/tree"
)

// identities finds out which message each file of the two new trees belongs to.
//
// Inside one store the inode is decisive: it survives every rename, also those
// where Dovecot invents a new name (maildir-copy.c makes hard links). The key
// comes second, and only together with equal bytes: a file that turns up under a
// known key without being the known inode may be a copy (hard links off, restored, rsync),
// or another mail.
type identities struct {
	base, now [2]*files
	own       [2]map[uint64]string // files made by the last sync, which base does not show
	lost      [2]bool              // the base is of another store: neither inode nor absence say anything
	same      sameBytes

	byKey    map[string][]string  // messages known so far by key of their names
	fresh    map[string]bool      // messages that no base has
	planned  [2]map[place]string  // what an interrupted sync knew of mails that share a key
	linked   [2]map[uint64]string // message by inode, of what is decided
	changes  [2]tree.Changes      // from base to now
	changed  [2]map[string]bool   // messages that have to be looked at
	suspects map[string]bool      // messages with a file that is theirs by name only
}

// sameBytes compares two files of the frozen sides.
type sameBytes func(aSide merge.Side, a tree.File, bSide merge.Side, b tree.File) (bool, error)

// identify sets the messages of now. messages are those that are known without
// a file in either base tree.
func identify(base, now [2]*files, own [2]map[uint64]string, planned [2]map[place]string, lost [2]bool, messages []string, same sameBytes,
) (*identities, error) {
	id := &identities{
		base: base, now: now, own: own, planned: planned, lost: lost, same: same,
		byKey: map[string][]string{}, fresh: map[string]bool{}, suspects: map[string]bool{},
	}
	for _, side := range merge.Sides {
		id.changed[side], id.linked[side] = map[string]bool{}, map[uint64]string{}
		for i, f := range base[side].Files {
			id.know(key(f), base[side].of[i])
		}
	}
	for _, m := range messages {
		id.know(m, m)
	}
	// Home first: its mail is trusted, and keeps the plain key where two mails have one.
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		if err := id.side(side); err != nil {
			return nil, err
		}
	}
	return id, nil
}

func (id *identities) know(key, message string) {
	if key != "" && message != "" && !slices.Contains(id.byKey[key], message) {
		id.byKey[key] = append(id.byKey[key], message)
	}
}

// side identifies the files of one side: those that the base has keep their
// message, the others are looked at in three passes, the surest signs first, so
// that the order of the files decides nothing.
func (id *identities) side(side merge.Side) error {
	base, now := id.base[side], id.now[side]
	changes := tree.Diff(base.Tree, now.Tree)
	id.changes[side] = changes
	id.keep(side, changes)
	var added []int
	for i, f := range now.Files {
		if now.of[i] == "" {
			added = append(added, i)
		} else {
			id.linked[side][f.Ino] = now.of[i]
		}
	}
	for _, find := range []func(merge.Side, []int) error{id.byLineage, id.byBytes, id.byName} {
		if err := find(side, added); err != nil {
			return err
		}
	}
	id.reread(side, changes)
	return nil
}

// reread marks the messages of folders where everything must be looked at: in a
// renamed folder every place is another one; where the letters of a folder have
// got other names, every keyword is.
func (id *identities) reread(side merge.Side, changes tree.Changes) {
	read := map[string]bool{}
	for _, f := range changes.Keywords {
		read[f.Name] = true
	}
	for _, r := range changes.RenamedFolders {
		read[r.To] = true
	}
	for i, f := range id.now[side].Files {
		if read[f.Folder] {
			id.changed[side][id.now[side].of[i]] = true
		}
	}
}

// keep gives the files that are unchanged their messages and marks the messages
// of those that are gone. In a store that is not the one of the base every
// message must be looked at.
func (id *identities) keep(side merge.Side, c tree.Changes) {
	base, now := id.base[side], id.now[side]
	if id.lost[side] {
		for m := range base.byMessage {
			id.changed[side][m] = true
		}
		return
	}
	names := map[string]string{}
	for _, r := range c.RenamedFolders {
		names[r.From] = r.To
	}
	old := make([]owned, len(base.Files))
	for i, f := range base.Files {
		f.Folder = rename(names, f.Folder)
		old[i] = owned{f, base.of[i]}
	}
	slices.SortFunc(old, func(a, b owned) int { return a.Compare(b.File) })
	i, gone, added := 0, c.Removed, c.Added
	for _, o := range old {
		if len(gone) > 0 && gone[0].Compare(o.File) == 0 {
			gone = gone[1:]
			id.changed[side][o.message] = true
			continue
		}
		for len(added) > 0 && added[0].Compare(now.Files[i]) == 0 {
			i, added = i+1, added[1:]
		}
		now.assign(i, o.message)
		i++
	}
}

// An owned file is one with its message.
type owned struct {
	tree.File
	message string
}

func (id *identities) assign(side merge.Side, i int, message string) {
	f := id.now[side].Files[i]
	id.now[side].assign(i, message)
	id.know(key(f), message)
	id.changed[side][message] = true
	id.linked[side][f.Ino] = message
}

// byLineage gives files the message of their inode: that of the base, or that
// of the tool's own work.
func (id *identities) byLineage(side merge.Side, added []int) error {
	base, now := id.base[side], id.now[side]
	old := map[uint64][]int{}
	if !id.lost[side] {
		for i, f := range base.Files {
			old[f.Ino] = append(old[f.Ino], i)
		}
	}
	for _, i := range added {
		f := now.Files[i]
		if j := id.ancestor(side, f, old[f.Ino]); j >= 0 {
			if b := base.Files[j]; b.Size != f.Size || b.Mtime != f.Mtime {
				id.suspects[base.of[j]] = true
			}
			id.assign(side, i, base.of[j])
		} else if m, ok := id.own[side][f.Ino]; ok && !id.lost[side] {
			id.assign(side, i, m)
		} else if m, ok := id.planned[side][place{f.Folder, key(f)}]; ok {
			id.assign(side, i, m)
		}
	}
	return nil
}

// A place is where a mail of that key is.
type place struct{ folder, key string }

// ancestor chooses the base file that a file is, of those with its inode: the
// names of a file that a client copied may belong to two messages.
func (id *identities) ancestor(side merge.Side, f tree.File, candidates []int) int {
	best, score := -1, -1
	for _, j := range candidates {
		b, n := id.base[side].Files[j], 0
		if key(b) == key(f) {
			n += 2
		}
		if b.Folder == f.Folder {
			n++
		}
		if n > score {
			best, score = j, n
		}
	}
	return best
}

// maxUnderKey is how many mails with one key a file is compared with. There are
// two where something went wrong; a store that has many was made to cost time.
const maxUnderKey = 4

// byBytes gives files the message of a name of theirs that is decided already,
// or that of their key if they are equal to a file of it that is there now, on
// either side.
func (id *identities) byBytes(side merge.Side, added []int) error {
	for _, i := range added {
		if id.now[side].of[i] != "" {
			continue
		}
		if m, err := id.twin(side, id.now[side].Files[i]); err != nil {
			return err
		} else if m != "" {
			id.assign(side, i, m)
		}
	}
	return nil
}

func (id *identities) twin(side merge.Side, f tree.File) (string, error) {
	if m, ok := id.linked[side][f.Ino]; ok {
		return m, nil
	}
	known := id.byKey[key(f)]
	for _, m := range known[:min(len(known), maxUnderKey)] {
		if ok, err := id.equal(m, side, f); ok || err != nil {
			return m, err
		}
	}
	return "", nil
}

// equal compares a file with the message's, on its own side if there is one.
func (id *identities) equal(m string, side merge.Side, f tree.File) (bool, error) {
	for _, s := range []merge.Side{side, side.Other()} {
		if have := id.now[s].all(m); len(have) > 0 {
			return id.same(s, have[0], side, f)
		}
	}
	return false, nil
}

// byName gives what is left the message of their key if their side has none of
// it now: whether it is the same mail is asked later. Everything else is a
// message of its own, with all files that are equal to it.
func (id *identities) byName(side merge.Side, added []int) error {
	for _, i := range added {
		if id.now[side].of[i] != "" {
			continue
		}
		m, err := id.twin(side, id.now[side].Files[i]) // of what this pass has named
		if err != nil {
			return err
		}
		if m == "" {
			m = id.nameFor(side, key(id.now[side].Files[i]))
		}
		id.assign(side, i, m)
	}
	return nil
}

func (id *identities) nameFor(side merge.Side, k string) string {
	known := id.byKey[k]
	for _, m := range known[:min(len(known), maxUnderKey)] {
		if len(id.now[side].byMessage[m]) == 0 {
			id.suspects[m] = true
			return m
		}
	}
	m := id.newName(k)
	id.fresh[m] = true
	return m
}

// newName names a new message: by its key, or for a second mail of that key by
// something that no key can be.
func (id *identities) newName(k string) string {
	known := id.byKey[k]
	if !slices.Contains(known, k) {
		return k
	}
	return fmt.Sprintf("%s,%d", k, len(known)+1)
}

// maxAlike is how many mails of one size and folder a mail is compared with, so
// that many of one size can not cost time without end.
const maxAlike = 64

// joinEqual makes one message of an online and an offline one that are new to
// each other and equal byte for byte in the same folder: a first sync with an
// archive that was filled over IMAP, where every mail got another name.
func (id *identities) joinEqual() error {
	type place struct {
		folder string
		size   int64
	}
	lonely := func(side merge.Side) map[place][]string {
		out := map[place][]string{}
		for _, m := range sortedKeys(id.changed[side]) {
			fs := id.now[side].all(m)
			if len(fs) == 0 || len(id.now[side.Other()].byMessage[m]) > 0 || len(id.base[side.Other()].byMessage[m]) > 0 {
				continue
			}
			p := place{fs[0].Folder, fs[0].Size}
			out[p] = append(out[p], m)
		}
		return out
	}
	home := lonely(merge.Offline)
	online := lonely(merge.Online)
	for p, ms := range online {
		for _, m := range ms {
			for i, h := range home[p][:min(len(home[p]), maxAlike)] {
				ok, err := id.same(merge.Online, id.now[merge.Online].all(m)[0], merge.Offline, id.now[merge.Offline].all(h)[0])
				if err != nil {
					return err
				}
				if ok {
					id.join(m, h)
					home[p] = slices.Delete(home[p], i, i+1)
					break
				}
			}
		}
	}
	return nil
}

// join makes one message of an online and an offline one, under the name that
// the index knows already if it knows one.
func (id *identities) join(online, offline string) {
	from, to, side := online, offline, merge.Online
	if id.lost[merge.Offline] && !id.lost[merge.Online] {
		from, to, side = offline, online, merge.Offline
	}
	id.now[side].reassign(from, to)
	id.changed[side][to] = true
}
