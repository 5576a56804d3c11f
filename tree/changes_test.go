package tree

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// tr makes a tree from lines: "name #ino [keyword]" a folder, "folder dir/name #ino" a file.
func tr(t testing.TB, lines ...string) *Tree {
	t.Helper()
	tree := &Tree{}
	for _, line := range lines {
		name, rest, ok := strings.Cut(line, " #")
		var ino uint64
		var keyword string
		if _, err := fmt.Sscan(rest, &ino); err != nil || !ok {
			t.Fatalf("line %q: %v", line, err)
		}
		if _, k, ok := strings.Cut(rest, " "); ok {
			keyword = k
		}
		folder, file, isFile := strings.Cut(name, " ")
		if !isFile {
			tree.Folders = append(tree.Folders, Folder{Name: name, Ino: ino, Keywords: KeywordTable{keyword}})
			continue
		}
		dir, base, _ := strings.Cut(file, "/")
		tree.Files = append(tree.Files, File{Folder: folder, New: dir == "new", Name: base, Ino: ino, Size: 7, Mtime: 8, Ctime: 9})
	}
	tree.Sort()
	return tree
}

func showChanges(c Changes) (lines []string) {
	for _, f := range c.RemovedFolders {
		lines = append(lines, "rmdir "+f)
	}
	for _, r := range c.RenamedFolders {
		lines = append(lines, fmt.Sprintf("rename %s %s #%d", r.From, r.To, r.Ino))
	}
	for _, f := range c.AddedFolders {
		lines = append(lines, fmt.Sprintf("mkdir %s #%d", f.Name, f.Ino))
	}
	for _, f := range c.Keywords {
		lines = append(lines, fmt.Sprintf("keywords %s %s", f.Name, f.Keywords[0]))
	}
	for _, f := range c.Removed {
		lines = append(lines, fmt.Sprintf("- %s %s/%s #%d", f.Folder, f.Dir(), f.Name, f.Ino))
	}
	for _, f := range c.Added {
		lines = append(lines, fmt.Sprintf("+ %s %s/%s #%d", f.Folder, f.Dir(), f.Name, f.Ino))
	}
	return lines
}

func TestDiff(t *testing.T) {
	tests := []struct {
		what      string
		base, now []string
		want      []string
	}{
		{"nothing", []string{"INBOX #1", "INBOX cur/a:2, #5"}, []string{"INBOX #1", "INBOX cur/a:2, #5"}, nil},
		{"delivery", []string{"INBOX #1"}, []string{"INBOX #1", "INBOX new/a #5"}, []string{"+ INBOX new/a #5"}},
		{"seen", []string{"INBOX #1", "INBOX cur/a:2, #5"}, []string{"INBOX #1", "INBOX cur/a:2,S #5"},
			[]string{"- INBOX cur/a:2, #5", "+ INBOX cur/a:2,S #5"}},
		{"picked up from new/ under the same name", []string{"INBOX #1", "INBOX new/a #5"}, []string{"INBOX #1", "INBOX cur/a #5"},
			[]string{"- INBOX new/a #5", "+ INBOX cur/a #5"}},
		{"another file under the same name", []string{"INBOX #1", "INBOX cur/a #5"}, []string{"INBOX #1", "INBOX cur/a #6"},
			[]string{"- INBOX cur/a #5", "+ INBOX cur/a #6"}},
		{"expunged", []string{"INBOX #1", "INBOX cur/a #5", "INBOX cur/b #6"}, []string{"INBOX #1", "INBOX cur/b #6"},
			[]string{"- INBOX cur/a #5"}},
		{"keyword table", []string{"INBOX #1 Junk", "B #2"}, []string{"INBOX #1 Zeta", "B #2"}, []string{"keywords INBOX Zeta"}},
		{"folder renamed: its mail has not changed", []string{"A #2 Junk", "A cur/a #5"}, []string{"B #2 Junk", "B cur/a #5"},
			[]string{"rename A B #2"}},
		{"renamed, with another table", []string{"A #2 Junk"}, []string{"B #2 Zeta"}, []string{"rename A B #2", "keywords B Zeta"}},
		{"renamed, and a mail is read", []string{"A #2", "A cur/a:2, #5"}, []string{"B #2", "B cur/a:2,S #5"},
			[]string{"rename A B #2", "- B cur/a:2, #5", "+ B cur/a:2,S #5"}},
		{"two folders swap their names", []string{"A #2", "B #3", "A cur/a #5", "B cur/b #6"}, []string{"A #3", "B #2", "B cur/a #5", "A cur/b #6"},
			[]string{"rename B A #3", "rename A B #2"}},
		{"three in a ring", []string{"A #2", "B #3", "C #4", "A cur/a #5", "C cur/c #6"}, []string{"A #4", "B #2", "C #3", "B cur/a #5", "A cur/c #6"},
			[]string{"rename C A #4", "rename A B #2", "rename B C #3"}},
		{"takes the name of a folder that is gone", []string{"A #2", "B #3", "A cur/x #5", "B cur/x #6", "B cur/y #7"}, []string{"B #2", "B cur/x #5"},
			[]string{"rmdir B", "rename A B #2", "- B cur/x #6", "- B cur/y #7"}},
		{"the same link in both of them", []string{"A #2", "B #3", "A cur/x #5", "B cur/x #5"}, []string{"B #2", "B cur/x #5"},
			[]string{"rmdir B", "rename A B #2", "- B cur/x #5"}},
		{"renamed, and a new folder under the old name", []string{"A #2", "A cur/a #5"}, []string{"A #9", "B #2", "B cur/a #5"},
			[]string{"rename A B #2", "mkdir A #9"}},
		{"deleted and made again", []string{"A #2", "A cur/a #5"}, []string{"A #9"}, []string{"rmdir A", "mkdir A #9", "- A cur/a #5"}},
		{"INBOX is not renamed", []string{"INBOX #1", "A #2"}, []string{"INBOX #2", "A #1"},
			[]string{"rmdir A", "rmdir INBOX", "mkdir A #1", "mkdir INBOX #2"}},
		{"one inode number under two names, as in a tree made by hand", []string{"A #2"}, []string{"B #2", "C #2"},
			[]string{"rmdir A", "mkdir B #2", "mkdir C #2"}},
		{"and the other way round", []string{"B #2", "C #2"}, []string{"A #2"}, []string{"rmdir B", "rmdir C", "mkdir A #2"}},
		{"no inode number", []string{"B #0"}, []string{"C #0"}, []string{"rmdir B", "mkdir C #0"}},
		{"no inode numbers, as in a tree made by hand", []string{"A #0", "B #0"}, []string{"A #0", "C #0"}, []string{"rmdir B", "mkdir C #0"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			base, now := tr(t, tt.base...), tr(t, tt.now...)
			c := Diff(base, now)
			if d := cmp.Diff(tt.want, showChanges(c)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if c.Empty() != (tt.want == nil) {
				t.Errorf("Empty() = %v", c.Empty())
			}
			got, err := base.Apply(c)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(now, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("base ⊕ changes (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tr(t, tt.base...), base); d != "" {
				t.Errorf("base was changed (-before +after):\n%s", d)
			}
		})
	}
}

func TestDiffOfOneFile(t *testing.T) {
	file := File{Folder: Inbox, Name: "a", Ino: 5, Size: 7, Mtime: 8, Ctime: 9}
	for what, change := range map[string]func(*File){
		"folder": func(f *File) { f.Folder = "B" }, "dir": func(f *File) { f.New = true }, "name": func(f *File) { f.Name = "b" },
		"inode": func(f *File) { f.Ino++ }, "size": func(f *File) { f.Size++ }, "mtime": func(f *File) { f.Mtime++ },
		"ctime": func(f *File) { f.Ctime++ },
	} {
		g := file
		change(&g)
		base, now := &Tree{Files: []File{file}, Refused: []Refused{{"x", "y"}}}, &Tree{Files: []File{g}}
		c := Diff(base, now)
		if c.Empty() != (what == "ctime") {
			t.Errorf("%s: changes %v", what, showChanges(c))
		}
		want := g
		if what == "ctime" {
			want = file
		}
		got, err := base.Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&Tree{Files: []File{want}}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	base := []string{"A #2", "B #3", "A cur/a #5"}
	a := File{Folder: "A", Name: "a", Ino: 5, Size: 7, Mtime: 8}
	other := a
	other.Ino = 6
	tests := []struct {
		what, why string
		c         Changes
	}{
		{"removes a file with another inode", "no such file", Changes{Removed: []File{other}}},
		{"removes a file twice", "no such file", Changes{Removed: []File{a, a}}},
		{"removes a file under its old folder's name", "no such file",
			Changes{RenamedFolders: []FolderRename{{"A", "C", 2}}, Removed: []File{a}}},
		{"adds a file that is there", "there twice", Changes{Added: []File{other}}},
		{"removes an unknown folder", "no such folder", Changes{RemovedFolders: []string{"C"}}},
		{"renames an unknown folder", "no such folder", Changes{RenamedFolders: []FolderRename{{"C", "D", 2}}}},
		{"renames a removed folder", "no such folder", Changes{RemovedFolders: []string{"A"}, RenamedFolders: []FolderRename{{"A", "D", 2}}}},
		{"renames over a folder", "there twice", Changes{RenamedFolders: []FolderRename{{"A", "B", 2}}}},
		{"adds a folder that is there", "there twice", Changes{AddedFolders: []Folder{{Name: "A"}}}},
		{"keywords of an unknown folder", "no such folder", Changes{Keywords: []Folder{{Name: "C"}}}},
	}
	for _, tt := range tests {
		got, err := tr(t, base...).Apply(tt.c)
		if err == nil {
			t.Errorf("%s: %+v, want an error", tt.what, got)
		} else if !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, want %q in it", tt.what, err, tt.why)
		}
	}
}

// drawTree makes a tree in which little room is left: few names, few inodes, so
// that folders swap, files collide and links abound.
func drawTree(t *rapid.T, label string, distinctInodes bool) *Tree {
	id := func(f Folder) uint64 { return f.Ino }
	folder := rapid.Custom(func(t *rapid.T) Folder {
		return Folder{
			Name:     rapid.SampledFrom([]string{Inbox, "A", "B", "C", "A/B"}).Draw(t, "name"),
			Ino:      rapid.Uint64Range(0, 6).Draw(t, "ino"),
			Keywords: KeywordTable{rapid.SampledFrom([]string{"", "Junk"}).Draw(t, "keyword")},
		}
	})
	folders := rapid.SliceOfN(folder, 0, 5).Draw(t, label+" folders")
	if distinctInodes {
		folders = rapid.SliceOfNDistinct(folder, 0, 5, id).Draw(t, label+" folders")
	}
	tree := &Tree{}
	names := map[string]bool{}
	for _, f := range folders {
		if names[f.Name] {
			continue
		}
		names[f.Name] = true
		tree.Folders = append(tree.Folders, f)
		files := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) File {
			return File{
				Folder: f.Name,
				New:    rapid.Bool().Draw(t, "new"),
				Name:   rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "file"),
				Ino:    rapid.Uint64Range(10, 12).Draw(t, "ino"),
				Size:   rapid.Int64Range(0, 1).Draw(t, "size"),
				Mtime:  rapid.Int64Range(0, 1).Draw(t, "mtime"),
				Ctime:  rapid.Int64Range(0, 1).Draw(t, "ctime"),
			}
		}), 0, 4, func(f File) string { return f.Dir() + f.Name }).Draw(t, label+" files")
		tree.Files = append(tree.Files, files...)
	}
	tree.Sort()
	return tree
}

// base ⊕ (now − base) is now, whatever the two trees are.
func TestDiffApplyProperty(t *testing.T) {
	for _, distinct := range []bool{true, false} {
		rapid.Check(t, func(t *rapid.T) {
			base, now := drawTree(t, "base", distinct), drawTree(t, "now", distinct)
			c := Diff(base, now)
			got, err := base.Apply(c)
			if err != nil {
				t.Fatalf("%v\nchanges %q", err, showChanges(c))
			}
			noCtime := func(tree *Tree) *Tree {
				out := &Tree{Folders: slices.Clone(tree.Folders), Files: slices.Clone(tree.Files)}
				for i := range out.Files {
					out.Files[i].Ctime = 0
				}
				return out
			}
			if d := cmp.Diff(noCtime(now), noCtime(got), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("(-now +base⊕changes):\n%s\nchanges %q", d, showChanges(c))
			}
			if again := Diff(now, got); !again.Empty() {
				t.Fatalf("changes are left: %q", showChanges(again))
			}
			if !Diff(base, base).Empty() {
				t.Fatal("a tree differs from itself")
			}
			for _, f := range c.Added {
				if !slices.Contains(now.Files, f) {
					t.Fatalf("added %+v is not as in now", f)
				}
			}
		})
	}
}
