package livetest

import (
	"slices"
	"strings"
	"testing"

	"snapmerge/internal/dovecottest"
	"snapmerge/tree"
)

// both sides in one way.
func both[T any](x T) [2]T { return [2]T{x, x} }

var all = slices.Concat(mailTable, folderTable)

func TestMaildirPP(t *testing.T) { scenarios(t, setup{}, false, all) }

// Home has another layout: a folder has another directory on each side.
func TestFSAtHome(t *testing.T) {
	scenarios(t, setup{layout: [2]tree.Layout{home: {FS: true}}}, true, all)
}

// Online has the other layout, and writes names in UTF-8.
func TestFSOnline(t *testing.T) {
	scenarios(t, setup{layout: [2]tree.Layout{online: {FS: true, UTF8: true}}}, true, folderTable)
}

// Dovecot's control files are not beside the mail on either side. The stores are
// subvolumes, so no snapshot has them.
func TestControl(t *testing.T) {
	table := slices.DeleteFunc(slices.Clone(all), func(sc scenario) bool {
		return sc.renames == "" && !strings.Contains(sc.do, "tagged") && !strings.Contains(sc.sees, "Zeta")
	})
	scenarios(t, setup{ctl: true, layout: [2]tree.Layout{online: {FS: true}}}, true, table)
}

// With lazy_expunge a MOVE leaves one more link of the mail in another folder,
// and an EXPUNGE one. Both servers do so; what snapmerge does must not look like
// an expunge to them.
func TestLazyExpunge(t *testing.T) {
	scenarios(t, setup{more: both(dovecottest.LazyExpunge("Expunged")), sets: true}, true, moving(mailTable))
}

// Mail that is copied byte by byte has a new inode; its name is kept. Where it
// comes back to a folder that it was in it gets another name, too: see
// TestNameAndInodeChange.
func TestCopyWithoutHardlinks(t *testing.T) {
	table := slices.DeleteFunc(moving(mailTable), func(sc scenario) bool { return strings.Contains(sc.name, "there and back") })
	scenarios(t, setup{more: both("maildir_copy_with_hardlinks = no\n")}, true, table)
}
