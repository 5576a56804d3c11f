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
	base [2]*base
	now  [2]*now
	own  [2]map[uint64]string // files made by the last sync, which base does not show
	lost [2]bool              // the base is of another store: neither inode nor absence say anything
	same sameBytes

	byKey    map[string]*keyed
	fresh    map[string]bool      // messages that no base has
	planned  [2]map[place]string  // what an interrupted sync knew of mails that share a key
	linked   [2]map[uint64]string // message by inode, of what was assigned
	changed  [2]map[string]bool   // messages that have to be looked at
	suspects map[string]bool      // messages with a file that is theirs by name only
}

// sameBytes compares two files of the frozen sides.
type sameBytes func(aSide merge.Side, a tree.File, bSide merge.Side, b tree.File) (bool, error)

// identify sets the messages of now. messages are those that are known without
// a file in either base.
func identify(base [2]*base, now [2]*now, own [2]map[uint64]string, planned [2]map[place]string, lost [2]bool, messages []string, same sameBytes,
) (*identities, error) {
	id := &identities{
		base: base, now: now, own: own, planned: planned, lost: lost, same: same,
		byKey: map[string]*keyed{}, fresh: map[string]bool{}, suspects: map[string]bool{},
	}
	for _, m := range messages {
		id.know(m, m)
	}
	for _, side := range merge.Sides {
		id.changed[side], id.linked[side] = map[string]bool{}, map[uint64]string{}
	}
	// Home first: its mail is trusted, and keeps the plain key where two mails have one.
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		if err := id.side(side); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// keyed are the messages that have, or had, a file of one key: those of the
// bases come first, for they are asked for late.
type keyed struct {
	asked bool // the bases have been
	list  []string
	many  map[string]bool // all of the list, once it is long: nearly every key has one message
}

func (k *keyed) has(message string) bool {
	if k.many != nil {
		return k.many[message]
	}
	return slices.Contains(k.list, message)
}

func (k *keyed) add(message string) {
	if k.has(message) {
		return
	}
	k.list = append(k.list, message)
	if k.many != nil {
		k.many[message] = true
	} else if len(k.list) > maxUnderKey {
		k.many = map[string]bool{}
		for _, m := range k.list {
			k.many[m] = true
		}
	}
}

func (id *identities) know(key, message string) {
	if key == "" || message == "" {
		return
	}
	k := id.byKey[key]
	if k == nil {
		k = &keyed{}
		id.byKey[key] = k
	}
	k.add(message)
}

// known returns the messages of a key, in an order that does not depend on the
// files that are looked at.
func (id *identities) known(key string) *keyed {
	k := id.byKey[key]
	if k != nil && k.asked {
		return k
	}
	all := &keyed{asked: true}
	for _, side := range merge.Sides {
		for _, f := range id.base[side].ofKey(key) {
			all.add(f.message)
		}
	}
	if k != nil {
		for _, m := range k.list {
			all.add(m)
		}
	}
	id.byKey[key] = all
	return all
}

// first returns a few of them.
func (k *keyed) first() []string { return k.list[:min(len(k.list), maxUnderKey)] }

// side identifies the files of one side: those that the base has keep their
// message, the others are looked at in three passes, the surest signs first, so
// that the order of the files decides nothing.
func (id *identities) side(side merge.Side) error {
	id.markGone(side)
	for _, find := range []func(merge.Side) error{id.byLineage, id.byBytes, id.byName} {
		if err := find(side); err != nil {
			return err
		}
	}
	id.reread(side)
	return nil
}

// markGone marks the messages of files that are gone. In a store that is not the
// one of the base every message must be looked at.
func (id *identities) markGone(side merge.Side) {
	if id.lost[side] {
		id.base[side].each(func(f owned) { id.changed[side][f.message] = true })
		return
	}
	gone := id.now[side].changes.Removed
	for _, f := range gone {
		for _, b := range id.base[side].ofIno(f.Ino) {
			b.Folder = rename(id.now[side].renamed, b.Folder)
			if idOf(b.File) == idOf(f) {
				id.changed[side][b.message] = true
			}
		}
	}
}

// reread marks the messages of folders where everything must be looked at: in a
// renamed folder every place is another one; where the letters of a folder have
// got other names, every keyword is.
func (id *identities) reread(side merge.Side) {
	now, read := id.now[side], map[string]bool{}
	for _, f := range now.changes.Keywords {
		read[f.Name] = true
	}
	for _, r := range now.changes.RenamedFolders {
		read[r.To] = true
	}
	for folder := range read {
		for _, m := range now.messagesIn(folder) {
			id.changed[side][m] = true
		}
	}
}

func (id *identities) assign(side merge.Side, i int, message string) {
	f := id.now[side].added[i]
	id.now[side].assign(i, message)
	id.know(key(f), message)
	id.changed[side][message] = true
	id.linked[side][f.Ino] = message
}

// unassigned calls f for each file that has no message yet.
func (id *identities) unassigned(side merge.Side, f func(i int, file tree.File) error) error {
	now := id.now[side]
	for i, file := range now.added {
		if now.of[i] != "" {
			continue
		}
		if err := f(i, file); err != nil {
			return err
		}
	}
	return nil
}

// byLineage gives files the message of their inode: that of the base, or that
// of the tool's own work.
func (id *identities) byLineage(side merge.Side) error {
	return id.unassigned(side, func(i int, f tree.File) error {
		if b := id.ancestor(side, f); b != nil {
			if b.Size != f.Size || b.Mtime != f.Mtime {
				id.suspects[b.message] = true
			}
			id.assign(side, i, b.message)
		} else if m, ok := id.own[side][f.Ino]; ok && !id.lost[side] {
			id.assign(side, i, m)
		} else if m, ok := id.planned[side][place{f.Folder, key(f)}]; ok {
			id.assign(side, i, m)
		}
		return nil
	})
}

// A place is where a mail of that key is.
type place struct{ folder, key string }

// ancestor chooses the base file that a file is, of those with its inode: the
// names of a file that a client copied may belong to two messages. nil: none.
func (id *identities) ancestor(side merge.Side, f tree.File) (best *owned) {
	if id.lost[side] {
		return nil
	}
	score := -1
	for _, b := range id.base[side].ofIno(f.Ino) {
		n := 0
		if key(b.File) == key(f) {
			n += 2
		}
		if b.Folder == f.Folder {
			n++
		}
		if n > score {
			best, score = &b, n
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
func (id *identities) byBytes(side merge.Side) error {
	return id.unassigned(side, func(i int, f tree.File) error {
		m, err := id.twin(side, f)
		if m != "" && err == nil {
			id.assign(side, i, m)
		}
		return err
	})
}

func (id *identities) twin(side merge.Side, f tree.File) (string, error) {
	if m, ok := id.linked[side][f.Ino]; ok {
		return m, nil
	}
	for _, m := range id.known(key(f)).first() {
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
func (id *identities) byName(side merge.Side) error {
	return id.unassigned(side, func(i int, f tree.File) error {
		m, err := id.twin(side, f) // of what this pass has named
		if err != nil {
			return err
		}
		if m == "" {
			m = id.nameFor(side, key(f))
		}
		id.assign(side, i, m)
		return nil
	})
}

func (id *identities) nameFor(side merge.Side, k string) string {
	known := id.known(k)
	for _, m := range known.first() {
		if !id.now[side].has(m) {
			id.suspects[m] = true
			return m
		}
	}
	m := newName(k, known)
	id.fresh[m] = true
	return m
}

// newName names a new message: by its key, or for a second mail of that key by
// something that no key can be.
func newName(k string, known *keyed) string {
	if !known.has(k) {
		return k
	}
	for n := len(known.list) + 1; ; n++ {
		if name := fmt.Sprintf("%s,%d", k, n); !known.has(name) {
			return name
		}
	}
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
			if len(fs) == 0 || id.now[side.Other()].has(m) || id.base[side.Other()].has(m) {
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
