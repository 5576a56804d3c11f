package stream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// script applies lines like "rename a b" to a tracker: the command, its path, and
// where it has one, the new path or the existing name. "mkfile a 300" has a number.
func script(l Limits, lines ...string) (*Tracker, error) {
	t := NewTracker(l)
	for _, line := range lines {
		f := strings.Fields(line)
		c := Command{Op: Subvol}
		for f[0] != c.Op.String() {
			c.Op++
		}
		if len(f) > 1 {
			c.Path = f[1]
		}
		if len(f) > 2 {
			c.To = f[2]
		}
		fmt.Sscan(c.To, &c.Ino)
		if err := t.Apply(c); err != nil {
			return t, err
		}
	}
	return t, nil
}

// TestTrack: what is where after some commands. The snapshot before holds d/a
// (inode 1001), d/b (1002), e/ (1003), and nothing else.
func TestTrack(t *testing.T) {
	before := map[string]entry{"d": {"d", 1000}, "d/a": {"f", 1001}, "d/b": {"f", 1002}, "e": {"d", 1003}}
	for _, c := range []struct {
		what  string
		lines []string
		want  string
	}{
		{"nothing", nil, "d=1000 d/a=1001 d/b=1002 e=1003"},
		{"a file gets another name", []string{"link d/c d/a", "unlink d/a"}, "d=1000 d/b=1002 d/c=1001 e=1003"},
		{"a file gets a second name", []string{"link e/c d/a"}, "d=1000 d/a=1001 d/b=1002 e=1003 e/c=1001"},
		{"a directory moves with all it holds", []string{"rename d e/x"}, "e=1003 e/x=1000 e/x/a=1001 e/x/b=1002"},
		{"paths after it begin anew", []string{"rename d x", "unlink x/a", "mkfile o300-1-0 300", "rename o300-1-0 x/a"}, "e=1003 x=1000 x/a=300 x/b=1002"},
		{"directories swap", []string{"rename d o1000-1-0", "rename e d", "rename o1000-1-0 e"}, "d=1003 e=1000 e/a=1001 e/b=1002"},
		{"files swap", []string{"rename d/b o1002-1-0", "link d/b d/a", "unlink d/a", "rename o1002-1-0 d/a"}, "d=1000 d/a=1002 d/b=1001 e=1003"},
		{"a directory goes", []string{"rename d o1000-1-0", "unlink o1000-1-0/a", "link e/b o1000-1-0/b", "unlink o1000-1-0/b", "rmdir o1000-1-0"}, "e=1003 e/b=1002"},
		{"its name is used again", []string{"rename d o1000-1-0", "mkdir o300-1-0 300", "rename o300-1-0 d", "rename o1000-1-0/a d/z"}, "d=300 d/z=1001 e=1003 o1000-1-0=1000 o1000-1-0/b=1002"},
		{"a full stream", []string{"subvol now", "mkdir o300-1-0 300", "rename o300-1-0 d"}, "d=300"},
	} {
		tr, err := script(Limits{}, c.lines...)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		all := expand(tr, before)
		var got []string
		for _, p := range slices.Sorted(maps.Keys(all)) {
			got = append(got, fmt.Sprintf("%s=%d", p, all[p]))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.what, diff)
		}
	}
}

// TestTrackRefused: streams whose commands are sound one by one.
func TestTrackRefused(t *testing.T) {
	for _, c := range []struct {
		what  string
		lines []string
		want  string
	}{
		{"a path that was renamed away", []string{"rename d x", "unlink d/a"}, "taken it away"},
		{"a file that was deleted", []string{"unlink a", "chmod a"}, "taken it away"},
		{"below what the stream made", []string{"mkdir d 300", "unlink d/a"}, "taken it away"},
		{"a full stream changes what it did not make", []string{"subvol now", "chmod a"}, "taken it away"},
		{"two files of one name", []string{"mkfile a 300", "mkfile a 301"}, "something of that name"},
		{"over what the parent has", []string{"chmod a", "link a b"}, "something of that name"},
		{"rename over", []string{"chmod b", "rename a b"}, "something of that name"},
		{"a directory into itself", []string{"rename d d/x"}, "taken it away"},
		{"a directory below itself, by its new name", []string{"rename d x", "rename x x/y/z"}, "taken it away"},
		{"below a file", []string{"mkfile a 300", "mkfile a/b 301"}, "used as a directory"},
		{"through a symbolic link", []string{"symlink a 300", "chmod a/b"}, "used as a directory"},
		{"a file that turns out a directory", []string{"chmod a/b", "unlink a"}, "used as a file"},
		{"a directory that turns out a file", []string{"truncate a", "rmdir a"}, "used as a directory"},
		{"a second name for a directory", []string{"mkdir a 300", "link b a"}, "used as a file"},
		{"writing to a directory", []string{"mkdir a 300", "write a"}, "used as a file"},
		{"rmdir of a directory that is not empty", []string{"mkdir a 300", "mkfile a/b 301", "rmdir a"}, `not empty, it holds "b"`},
		{"an inode number of none", []string{"mkfile a 256"}, "inode number 256"},
		{"many names", []string{"unlink a/b", "unlink a/c", "unlink a/d", "unlink a/e"}, "more than 4 names"},
		{"many that have no name yet", []string{"mkfile a 300", "mkfile b 301", "mkfile c 302"}, "more than 2 files and directories"},
	} {
		_, err := script(Limits{Names: 4, Unnamed: 2}, c.lines...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.what, err, c.want)
		}
	}
	// The limit is on those at one time.
	_, err := script(Limits{Unnamed: 1}, "mkfile o 300", "rename o a", "mkfile o 301", "unlink o", "mkfile o 302")
	if err != nil {
		t.Error(err)
	}
}

// TestOrigin: where a path was, and that what the stream made was nowhere.
func TestOrigin(t *testing.T) {
	tr, err := script(Limits{}, "rename a o1", "rename b a", "rename o1 b", "rename b/x/y c", "mkdir n 300", "rename c/z n/z", "rmdir gone")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"": "", "a": "b", "a/cur": "b/cur", "b": "a", "b/x": "a/x", "b/x/q": "a/x/q", "b/x/y": "-", "c": "a/x/y",
		"c/cur/m": "a/x/y/cur/m", "c/z": "-", "n": "-", "n/cur": "-", "n/z": "a/x/y/z", "n/z/1": "a/x/y/z/1",
		"gone": "-", "gone/x": "-", "never/named": "never/named",
	} {
		was, _, ok := tr.origin(path)
		if !ok {
			was = "-"
		}
		if was != want {
			t.Errorf("%q was %q, want %q", path, was, want)
		}
	}
}
