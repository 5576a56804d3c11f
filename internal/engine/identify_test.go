package engine

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// TestIdentify: which message is which file. A file is written
//
//	FOLDER/NAME INODE MESSAGE
//
// Its text is what stands in the name between "," and ":".
func TestIdentify(t *testing.T) {
	type sides struct{ online, offline string }
	for _, tt := range []struct {
		name      string
		base, now sides  // in now, MESSAGE is what is wanted
		lost      string // the side whose base is of another store
		own       map[uint64]string
		planned   map[place]string // of an interrupted sync, offline
		join      bool
		fresh     string // messages that no base has
		suspects  string // messages by name only
	}{
		{
			name: "unchanged, flagged, moved: the inode tells",
			base: sides{online: "INBOX/a,1: 1 a; INBOX/b,2: 2 b; INBOX/c,3: 3 c"},
			now:  sides{online: "INBOX/a,1: 1 a; INBOX/b,2:2,F 2 b; work/c,3: 3 c"},
		}, {
			name: "Dovecot's MOVE gives another name",
			base: sides{online: "INBOX/a,1: 1 a"},
			now:  sides{online: "work/new,1: 1 a"},
		}, {
			name:  "one message has the other's name now: the inode beats the key",
			base:  sides{online: "INBOX/a,1: 1 a; INBOX/b,2: 2 b"},
			now:   sides{online: "INBOX/a,2: 2 b; INBOX/b,1: 1 a"},
			fresh: "",
		}, {
			name: "restored as another file: equal to what home has",
			base: sides{"INBOX/a,1: 1 a", "INBOX/a,1: 11 a"},
			now:  sides{"INBOX/a,1:2,S 5 a", "INBOX/a,1: 11 a"},
		}, {
			name:     "another text under a known key, which its side has no more",
			base:     sides{"INBOX/a,1: 1 a", "INBOX/a,1: 11 a"},
			now:      sides{"INBOX/a,2: 5 a", "INBOX/a,1: 11 a"},
			suspects: "a",
		}, {
			name:  "another text under a key that its side has, too",
			base:  sides{"INBOX/a,1: 1 a", "INBOX/a,1: 11 a"},
			now:   sides{"INBOX/a,1: 1 a; work/a,2: 5 a,2", "INBOX/a,1: 11 a"},
			fresh: "a,2",
		}, {
			name:  "that, with the other one seen first",
			base:  sides{"INBOX/a,1: 1 a", "INBOX/a,1: 11 a"},
			now:   sides{"Drafts/a,2: 5 a,2; work/a,1: 1 a", "INBOX/a,1: 11 a"},
			fresh: "a,2",
		}, {
			name:  "that, where the known one is another file now",
			base:  sides{"INBOX/a,1: 1 a", "INBOX/a,1: 11 a"},
			now:   sides{"Drafts/a,2: 5 a,2; work/a,1: 6 a", "INBOX/a,1: 11 a"},
			fresh: "a,2",
		}, {
			name:  "a second and a third mail of one key, each twice",
			base:  sides{online: "INBOX/a,1: 1 a"},
			now:   sides{online: "INBOX/a,1: 1 a; INBOX/a,2: 5 a,2; INBOX/a,3: 7 a,3; work/a,2: 6 a,2; work/a,3: 8 a,3"},
			fresh: "a,2 a,3",
		}, {
			name:  "two names of one new file",
			now:   sides{online: "INBOX/a,1: 1 a; work/b,1: 1 a"},
			fresh: "a",
		}, {
			name: "a further name of a known file",
			base: sides{online: "INBOX/a,1: 1 a"},
			now:  sides{online: "INBOX/a,1: 1 a; work/b,1: 1 a"},
		}, {
			name: "two messages that are names of one file: flagged, each stays what it is",
			base: sides{online: "INBOX/a,1: 1 a; work/b,1: 1 b"},
			now:  sides{online: "INBOX/a,1:2,F 1 a; work/b,1:2,S 1 b"},
		}, {
			name:     "the text of a file has changed in place",
			base:     sides{online: "INBOX/a,1: 1 a"},
			now:      sides{online: "INBOX/a,10:2,F 1 a"},
			suspects: "a",
		}, {
			name:  "another store: its inode says nothing",
			base:  sides{online: "INBOX/a,1: 1 a"},
			now:   sides{online: "INBOX/b,2: 1 b"},
			lost:  "online",
			fresh: "b",
		}, {
			name: "another store: its inode is another mail's, text and key tell",
			base: sides{"INBOX/a,1: 1 a; INBOX/b,2: 2 b", "INBOX/a,1: 11 a; INBOX/b,2: 12 b"},
			now:  sides{"INBOX/a,1: 2 a; INBOX/b,2: 1 b", "INBOX/a,1: 11 a; INBOX/b,2: 12 b"},
			lost: "online",
		}, {
			name:     "new on both sides, other texts: one by name",
			now:      sides{"INBOX/a,2: 1 a", "INBOX/a,1: 11 a"},
			fresh:    "a",
			suspects: "a",
		}, {
			name:  "new on both sides: home's text decides which one has the plain name",
			now:   sides{"INBOX/a,1: 1 a,2; work/a,2: 2 a", "work/a,2: 11 a"},
			fresh: "a a,2",
		}, {
			name: "placed by the last sync, then moved by a client that gave it another name",
			base: sides{online: "INBOX/a,1: 1 a"},
			now:  sides{"INBOX/a,1: 1 a", "work/new,1: 11 a"},
			own:  map[uint64]string{11: "a"},
		}, {
			name:    "placed by an interrupted sync: its plan tells two of one key apart",
			base:    sides{online: "INBOX/a,1: 1 a; work/a,2: 2 a,2"},
			now:     sides{"INBOX/a,1: 1 a; work/a,2: 2 a,2", "INBOX/a,3: 11 a; work/a,4: 12 a,2"},
			planned: map[place]string{{"INBOX", "a"}: "a", {"work", "a"}: "a,2"},
		}, {
			name:  "first sync, an archive that was filled over IMAP: home's name, once each",
			now:   sides{"INBOX/a,1: 1 x; INBOX/b,1: 2 y; INBOX/c,1: 3 c; work/d,1: 4 d", "INBOX/x,1: 11 x; INBOX/y,1: 12 y"},
			join:  true,
			fresh: "a b c d x y",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was := [2]*sideFiles{known(t, tt.base.online), known(t, tt.base.offline)}
			is := [2]*sideFiles{known(t, tt.now.online), known(t, tt.now.offline)}
			base := indexed(t, was)
			own := [2]map[uint64]string{merge.Offline: tt.own}
			planned := [2]map[place]string{merge.Offline: tt.planned}
			lost := [2]bool{merge.Online: tt.lost == "online", merge.Offline: tt.lost == "offline"}
			var now [2]*now
			for side := range now {
				now[side] = laidOver(t, base[side], was[side].Tree, is[side].Tree, lost[side])
			}
			id, err := identify(base, now, own, planned, lost, nil, func(_ merge.Side, a tree.File, _ merge.Side, b tree.File) (bool, error) {
				return text(a) == text(b), nil
			})
			if err == nil && tt.join {
				err = id.joinEqual()
			}
			if err != nil {
				t.Fatal(err)
			}
			for side, want := range is {
				for i, f := range want.Files {
					if !slices.Contains(now[side].all(want.of[i]), f) {
						t.Errorf("%s: %s/%s is not of %q", merge.Side(side), f.Folder, f.Name, want.of[i])
					}
				}
			}
			got := [2]string{strings.Join(sortedKeys(id.fresh), " "), strings.Join(sortedKeys(id.suspects), " ")}
			if d := cmp.Diff([2]string{tt.fresh, tt.suspects}, got); d != "" {
				t.Errorf("fresh and suspects (-want +got):\n%s", d)
			}
		})
	}
}

// known reads a list of files with their messages. They must be in order.
func known(t *testing.T, list string) *sideFiles {
	t.Helper()
	tr, messages := &tree.Tree{}, []string(nil)
	for entry := range strings.SplitSeq(list, "; ") {
		f := strings.Fields(entry)
		if len(f) == 0 {
			continue
		}
		folder, name, _ := strings.Cut(f[0], "/")
		var ino uint64
		for _, c := range f[1] {
			ino = ino*10 + uint64(c-'0')
		}
		file := tree.File{Folder: folder, Name: name, Ino: ino}
		file.Size = int64(len(text(file)))
		tr.Files = append(tr.Files, file)
		messages = append(messages, f[2])
		if tr.Folder(folder) == nil {
			tr.Folders = append(tr.Folders, tree.Folder{Name: folder})
			tr.Sort()
		}
	}
	for i := 1; i < len(tr.Files); i++ {
		if tr.Files[i-1].Compare(tr.Files[i]) >= 0 {
			t.Fatalf("not in order: %q", list)
		}
	}
	return &sideFiles{tr, messages}
}

// sideFiles is a tree with the message of each of its files.
type sideFiles struct {
	*tree.Tree
	of []string
}

// indexed returns the bases of an index that holds both.
func indexed(t *testing.T, sides [2]*sideFiles) (out [2]*base) {
	t.Helper()
	x, err := state.Open(filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	s := &state.State{}
	for _, side := range merge.Sides {
		s.Trees[side], s.Messages[side] = sides[side].Tree, sides[side].of
	}
	if err := x.Replace(s); err != nil {
		t.Fatal(err)
	}
	for _, side := range merge.Sides {
		out[side] = newBase(x, side)
	}
	return out
}

func laidOver(t *testing.T, b *base, was, is *tree.Tree, lost bool) *now {
	t.Helper()
	c := tree.Diff(was, is)
	if lost {
		c = replaced(was, is)
	}
	n, err := newNow(b, c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// text is what a test's file holds.
func text(f tree.File) string {
	_, s, _ := strings.Cut(f.Name, ",")
	s, _, _ = strings.Cut(s, ":")
	return s
}

// TestIdentifyBounded: a store with a thousand mails of one key makes no more
// than a few comparisons a mail.
func TestIdentifyBounded(t *testing.T) {
	tr := &tree.Tree{Folders: []tree.Folder{{Name: "INBOX"}}}
	const n = 1000
	for i := range n {
		name := "evil," + strings.Repeat("i", i%200) + string(rune('a'+i/200)) + ":"
		tr.Files = append(tr.Files, tree.File{Folder: "INBOX", Name: name, Ino: uint64(i + 1), Size: 6})
	}
	tr.Sort()
	empty := &tree.Tree{}
	base, compared := indexed(t, [2]*sideFiles{{Tree: empty}, {Tree: empty}}), 0
	now := [2]*now{laidOver(t, base[merge.Online], empty, tr, false), laidOver(t, base[merge.Offline], empty, empty, false)}
	id, err := identify(base, now, [2]map[uint64]string{}, [2]map[place]string{}, [2]bool{}, nil,
		func(_ merge.Side, a tree.File, _ merge.Side, b tree.File) (bool, error) {
			compared++
			return false, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if len(id.fresh) != n {
		t.Errorf("%d messages, want %d", len(id.fresh), n)
	}
	if most := 10 * n; compared > most {
		t.Errorf("%d comparisons, want at most %d", compared, most)
	}
}
