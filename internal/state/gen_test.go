package state

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"snapmerge/merge"
	"snapmerge/tree"
)

// Generators of random states. Names are few, so that they meet often, and some
// are not UTF-8.

var (
	genText   = rapid.SampledFrom([]string{"", "plain", "caf\xe9", "a\x00b", "\x00e4", "\ufffd", "\xff\xfe", "<\"\n\x1b[31m>"})
	genFolder = rapid.SampledFrom([]string{"INBOX", "a", "b", "a/b", "äöü"})
	genUnique = rapid.SampledFrom([]string{"1.h", "2.h", "3.h,S=5", "4.h,S=7,W=8", "caf\xe9", "caf\xe8", "\xff", "\ufffd"})
	genInfo   = rapid.SampledFrom([]string{":2,", ":2,S", ":2,FS", ":2,Sa", ""})
	genTime   = rapid.Custom(func(t *rapid.T) time.Time {
		ns := rapid.Int64().Draw(t, "ns")
		// The offset of Berlin's local mean time: no whole minutes.
		return rapid.SampledFrom([]time.Time{{}, time.Unix(0, ns), time.Unix(0, ns).In(time.FixedZone("LMT", 3208))}).Draw(t, "time")
	})
	genPlacement = rapid.Custom(func(t *rapid.T) tree.Placement {
		return tree.Placement{
			Folder:   genFolder.Draw(t, "folder"),
			Flags:    tree.Flags(rapid.Uint32Range(0, 1<<26-1).Draw(t, "flags")),
			Keywords: rapid.SliceOfN(genText, 0, 2).Draw(t, "keywords"),
			Unnamed:  rapid.Bool().Draw(t, "unnamed"),
			New:      rapid.Bool().Draw(t, "new"),
			Received: genTime.Draw(t, "received"),
			Ctime:    genTime.Draw(t, "ctime"),
		}
	})
	genPlacements = rapid.Custom(func(t *rapid.T) (ps [2][]tree.Placement) {
		for i := range ps {
			ps[i] = rapid.SliceOfN(genPlacement, 0, 2).Draw(t, "placements")
		}
		return ps
	})
	genSide = rapid.SampledFrom(merge.Sides[:])
	genFile = rapid.Custom(func(t *rapid.T) tree.File {
		return tree.File{
			Folder: genFolder.Draw(t, "folder"),
			New:    rapid.Bool().Draw(t, "new"),
			Name:   genUnique.Draw(t, "unique") + genInfo.Draw(t, "info"),
			Ino:    rapid.SampledFrom([]uint64{1, 2, 3, 4, 1<<64 - 1}).Draw(t, "ino"),
			Size:   rapid.Int64Range(0, 2).Draw(t, "size"),
			Mtime:  rapid.Int64Range(-1, 1).Draw(t, "mtime"),
			Ctime:  rapid.Int64().Draw(t, "ctime"),
		}
	})
	genMeta = rapid.Custom(func(t *rapid.T) Meta {
		return Meta{
			Mailbox:   "chris",
			Sync:      rapid.IntRange(1, 9).Draw(t, "sync"),
			Snapshots: [2]string{"online.7", "offline.7"},
			Stores:    [2]StoreID{{Live: genText.Draw(t, "uuid")}, {Snapshot: genText.Draw(t, "uuid")}},
		}
	})
	genConflict = rapid.Custom(func(t *rapid.T) merge.Conflict {
		return merge.Conflict{
			ID: genText.Draw(t, "id"), Kind: rapid.SampledFrom(merge.Kinds).Draw(t, "kind"),
			Message: genText.Draw(t, "message"), State: "s", Rule: "9a", Note: genText.Draw(t, "note"),
			Base: genPlacements.Draw(t, "base"), Now: genPlacements.Draw(t, "now"),
		}
	})
	genDecisions = rapid.MapOfN(genText, rapid.Custom(func(t *rapid.T) Decided {
		return Decided{merge.Decision{State: genText.Draw(t, "state"), Take: genSide.Draw(t, "take")}, genText.Draw(t, "message"), genText.Draw(t, "who"), genTime.Draw(t, "at")}
	}), 0, 3)
)

// genPending leaves Pairs to the trees.
var genPending = rapid.Custom(func(t *rapid.T) Pending {
	return Pending{
		Agreed: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) AgreedMessage {
			return AgreedMessage{genText.Draw(t, "message"), genPlacements.Draw(t, "base")}
		}), 0, 2).Draw(t, "agreed"),
		Folders: rapid.SliceOfN(genFolder, 0, 2).Draw(t, "folders"),
		Own: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) OwnFile {
			return OwnFile{genSide.Draw(t, "side"), genText.Draw(t, "message"), genFile.Draw(t, "file")}
		}), 0, 2).Draw(t, "own"),
		OwnFolders: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) OwnFolder {
			return OwnFolder{genSide.Draw(t, "side"), genText.Draw(t, "name"), rapid.Uint64().Draw(t, "inode")}
		}), 0, 2).Draw(t, "own folders"),
		Held: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Held {
			h := Held{Conflict: genConflict.Draw(t, "conflict"), Since: 3, From: genText.Draw(t, "from"), Subject: genText.Draw(t, "subject"), Date: genText.Draw(t, "date")}
			if rapid.Bool().Draw(t, "has source") {
				h.Source = &SnapshotFile{"online.3", genText.Draw(t, "path")}
			}
			if rapid.Bool().Draw(t, "has theirs") {
				h.Theirs = &SnapshotFile{"online.3", genText.Draw(t, "their path")}
			}
			return h
		}), 0, 2).Draw(t, "held"),
		Decisions: genDecisions.Draw(t, "decisions"),
		Differs:   rapid.SliceOfN(genText, 0, 2).Draw(t, "differs"),
		Undo: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Undo {
			return Undo{"offline.3", rapid.IntRange(1, 9).Draw(t, "sync"), genTime.Draw(t, "at")}
		}), 0, 2).Draw(t, "undo"),
		Rules:      genText.Draw(t, "rules"),
		Subscribed: rapid.SliceOfN(genText, 0, 2).Draw(t, "subscribed"),
	}
})

// genTree makes a tree as a scan could: no place twice, every file in a folder.
var genTree = rapid.Custom(func(t *rapid.T) *tree.Tree {
	out := &tree.Tree{}
	inos := rapid.Permutation([]uint64{101, 102, 103, 104, 105, 106}).Draw(t, "folder inodes")
	for i, name := range rapid.SliceOfNDistinct(genFolder, 0, 5, rapid.ID).Draw(t, "folders") {
		f := tree.Folder{Name: name, Ino: inos[i]}
		f.Keywords[rapid.IntRange(0, 25).Draw(t, "letter")] = genText.Draw(t, "keyword")
		out.Folders = append(out.Folders, f)
	}
	places := map[string]bool{}
	for _, f := range rapid.SliceOfN(genFile, 0, 12).Draw(t, "files") {
		at := fmt.Sprintf("%q %v %q", f.Folder, f.New, f.Name)
		known := slices.ContainsFunc(out.Folders, func(g tree.Folder) bool { return g.Name == f.Folder })
		if known && !places[at] {
			places[at] = true
			out.Files = append(out.Files, f)
		}
	}
	out.Sort()
	return out
})

// messageOf gives every inode below 3 a message of its own name, inode 4 one
// that is a key of other files, and all others the one of their key: an inode is
// one message wherever it is.
func messageOf(side merge.Side, f tree.File) string {
	if f.Ino < 3 {
		return fmt.Sprintf("paired \xff %s %d", side, f.Ino)
	}
	if f.Ino == 4 {
		return "1.h"
	}
	key, err := keyOf(f)
	if err != nil {
		panic(err)
	}
	return key
}

func messages(trees [2]*tree.Tree) (out [2][]string) {
	for _, side := range merge.Sides {
		for _, f := range trees[side].Files {
			out[side] = append(out[side], messageOf(side, f))
		}
	}
	return out
}

// same is equality as JSON knows it: null is the empty list, times are moments.
var same = cmp.Options{cmpopts.EquateEmpty()}

func expectSame[T any](t interface {
	Helper()
	Fatalf(string, ...any)
}, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got, same); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

func openDir(t testing.TB) *os.File {
	t.Helper()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func must(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
