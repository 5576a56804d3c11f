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

	byKey    map[string][]string // messages known so far by key of their names
	fresh    map[string]bool     // messages that no base has
	changes  [2]tree.Changes     // from base to now
	changed  [2]map[string]bool  // messages that have to be looked at
	suspects map[string]bool     // messages with a file that is theirs by name only
}

// sameBytes compares two files of the frozen sides.
type sameBytes func(aSide merge.Side, a tree.File, bSide merge.Side, b tree.File) (bool, error)

// identify sets the messages of now. messages are those that are known without
// a file in either base tree.
func identify(base, now [2]*files, own [2]map[uint64]string, lost [2]bool, messages []string, same sameBytes,
) (*identities, error) {
	id := &identities{
		base: base, now: now, own: own, lost: lost, same: same,
		byKey: map[string][]string{}, fresh: map[string]bool{}, suspects: map[string]bool{},
	}
	for _, side := range merge.Sides {
		id.changed[side] = map[string]bool{}
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
// message, the others are looked at one by one.
func (id *identities) side(side merge.Side) error {
	base, now := id.base[side], id.now[side]
	changes := tree.Diff(base.Tree, now.Tree)
	id.changes[side] = changes
	id.keep(side, changes)
	inodes := map[uint64]int{}
	for i, f := range base.Files {
		inodes[f.Ino] = i
	}
	for i := range now.Files {
		if now.of[i] != "" {
			continue
		}
		m, err := id.added(side, i, inodes)
		if err != nil {
			return err
		}
		now.assign(i, m)
		id.know(key(now.Files[i]), m)
		id.changed[side][m] = true
	}
	// In a renamed folder every name is another one; where the letters of a
	// folder have got other names, every keyword is.
	read := map[string]bool{}
	for _, f := range changes.Keywords {
		read[f.Name] = true
	}
	for _, r := range changes.RenamedFolders {
		read[r.To] = true
	}
	for i, f := range now.Files {
		if read[f.Folder] {
			id.changed[side][now.of[i]] = true
		}
	}
	return nil
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

// added names the message of a file that the base does not have as it is.
func (id *identities) added(side merge.Side, i int, inodes map[uint64]int) (string, error) {
	f := id.now[side].Files[i]
	if !id.lost[side] {
		if j, ok := inodes[f.Ino]; ok {
			if b := id.base[side].Files[j]; b.Size != f.Size || b.Mtime != f.Mtime {
				id.suspects[id.base[side].of[j]] = true
			}
			return id.base[side].of[j], nil
		}
		if m, ok := id.own[side][f.Ino]; ok {
			return m, nil
		}
	}
	k := key(f)
	for _, m := range id.byKey[k] {
		if ok, err := id.fits(m, side, f); ok || err != nil {
			return m, err
		}
	}
	m := k
	for n := 2; slices.Contains(id.byKey[k], m); n++ {
		m = fmt.Sprintf("%s#%d", k, n)
	}
	id.fresh[m] = true
	return m, nil
}

// fits tells whether a file whose name has the message's key is the message.
// With a file of it on the same side it must be equal to that, else it is a
// second mail under one key. Where only the other side has it, it is the
// message in any case, and whether it is the same mail is asked later.
func (id *identities) fits(m string, side merge.Side, f tree.File) (bool, error) {
	if here := id.now[side].all(m); len(here) > 0 {
		if here[0].Ino == f.Ino {
			return true, nil
		}
		return id.same(side, here[0], side, f)
	}
	id.suspects[m] = true
	return true, nil
}

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
			for i, h := range home[p] {
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
