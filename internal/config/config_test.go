package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"snapmerge/merge"
	"snapmerge/tree"
)

var update = flag.Bool("update", false, "rewrite the expected errors in testdata/bad")

func ptr[T any](x T) *T { return &x }

// The example of the manual, without the keys that this version refuses.
func TestLoadFull(t *testing.T) {
	got, err := Load("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{StateDir: "/srv/snapmerge", Mailboxes: []Mailbox{{
		Name:    "chris",
		Offline: Store{Path: "/srv/mail/chris", Snapshots: "/srv/mail/.snapmerge/chris"},
		Online: Store{Path: "/mnt/online/chris", Snapshots: "/mnt/online/.snapmerge/chris",
			Layout: tree.Layout{FS: true, UTF8: true, Control: true}, Control: "/mnt/online/chris/control"},
		Merge: Merge{Prefer: merge.PreferOnline, DeletedOnline: merge.Ignore, DeletedOffline: merge.Hold,
			MaxDeletions: 7, MaxExpire: 5000, IncludeNew: merge.Keep{Unit: merge.KeepDays, N: 7}},
		Folders: []merge.Rule{
			{Match: "lists/linux-kernel", Keep: &merge.Keep{Unit: merge.KeepMonths, N: 4}, KeepFlagged: ptr(false),
				KeepFrom: []string{"torvalds@*", "*@kernel.org"}, Archive: [2]merge.Pattern{"%Y-%m", "%Y"}},
			{Match: "Trash", DeletedOnline: ptr(merge.Apply), DeletedOffline: ptr(merge.Ignore)},
			{Match: "Spam/**", Skip: true},
		},
		Rotate: Rotate{PreserveMin: "latest", Preserve: "14d *y"},
		Limits: builtin().Limits,
		Hooks:  Hooks{After: []string{"notmuch", "new"}, Timeout: 90 * time.Second},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is not in the file has the default that the manual names.
func TestLoadMinimal(t *testing.T) {
	got, err := Load("testdata/minimal.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{StateDir: "/var/lib/snapmerge", Mailboxes: []Mailbox{{
		Name:    "chris",
		Offline: Store{Path: "/srv/mail/chris", Snapshots: "/srv/mail/.snapmerge/chris"},
		Online:  Store{Path: "/mnt/online/chris", Snapshots: "/mnt/online/.snapmerge/chris"},
		Merge:   Merge{MaxDeletions: 100, DeletedOffline: merge.Apply},
		Rotate:  Rotate{PreserveMin: "2d", Preserve: "14d 8w 12m *y"},
		Limits:  builtin().Limits,
		Hooks:   builtin().Hooks,
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p, q := got.Mailboxes[0].Policy(time.Time{}), merge.DefaultPolicy()
	if diff := cmp.Diff(q, p, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Location" }, cmp.Ignore())); diff != "" {
		t.Errorf("the policy of an empty configuration is not DefaultPolicy, -want +got:\n%s", diff)
	}
}

// Three mailboxes: anna sets nothing, ben sets what [defaults] sets too, and
// carl only other keys of the same sections.
func TestDefaults(t *testing.T) {
	c, err := Load("testdata/defaults.toml")
	if err != nil {
		t.Fatal(err)
	}
	spam := merge.Rule{Match: "Spam/**", Skip: true}
	none := merge.Rule{Match: "**", Keep: &merge.Keep{Unit: merge.KeepYears, N: 1}}
	own := merge.Rule{Match: "Spam/ham", Keep: &merge.Keep{}}
	atOnce := merge.Keep{Unit: merge.KeepNone}
	type values struct {
		Name   string
		FS     bool
		Merge  Merge
		Rotate Rotate
		Rules  []merge.Rule
	}
	want := []values{
		{"anna", true, Merge{DeletedOnline: merge.Apply, MaxDeletions: 10, IncludeNew: atOnce}, Rotate{"5d", "1y"}, []merge.Rule{spam, none}},
		{"ben", false, Merge{DeletedOffline: merge.Ignore, MaxDeletions: 20}, Rotate{"6d", "no"}, []merge.Rule{own, spam, none}},
		{"carl", true, Merge{Prefer: merge.PreferOffline, DeletedOnline: merge.Apply, MaxDeletions: 10, IncludeNew: atOnce}, Rotate{"5d", "1y"}, []merge.Rule{spam, none}},
	}
	var got []values
	for _, m := range c.Mailboxes {
		got = append(got, values{m.Name, m.Offline.Layout.FS, m.Merge, m.Rotate, m.Folders})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c.Mailbox("ben") != &c.Mailboxes[1] || c.Mailbox("nobody") != nil {
		t.Error("Mailbox finds the wrong one")
	}
	berlin := time.FixedZone("CET", 3600)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, berlin)
	p := c.Mailbox("ben").Policy(now)
	if p.Now != now || p.Location != berlin || p.MaxDeletions != 20 || p.DeletedOffline != merge.Ignore ||
		p.DeletedOnline != merge.Hold || len(p.Rules) != 3 {
		t.Errorf("policy of ben: %+v", p)
	}
	if p := c.Mailbox("carl").Policy(now); p.Prefer != merge.PreferOffline {
		t.Errorf("policy of carl: %+v", p)
	}
}

// The planner alone needs no path, and is not stopped by what only a sync uses.
func TestLoadPolicies(t *testing.T) {
	c, err := LoadPolicies("testdata/policies.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{StateDir: "/var/lib/snapmerge", Mailboxes: []Mailbox{{
		Name:    "chris",
		Merge:   Merge{DeletedOnline: merge.Apply, DeletedOffline: merge.Apply, MaxDeletions: 100},
		Folders: []merge.Rule{{Match: "Trash", Keep: &merge.Keep{Unit: merge.KeepNone}}},
	}}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := Load("testdata/policies.toml"); err == nil {
		t.Error("Load takes a file without paths")
	}
}

// Every file in testdata/bad ends with the errors expected of it, as comments
// "#! LINE:COLUMN: …". go test -update rewrites them.
func TestLoadErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files in testdata/bad, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body, want, _ := strings.Cut(string(data), "#! ")
			if want != "" {
				want = "#! " + want
			}
			c, err := Load(file)
			if err == nil {
				t.Fatalf("no error, got %+v", c)
			}
			var got strings.Builder
			for line := range strings.Lines(err.Error() + "\n") {
				rest, ok := strings.CutPrefix(line, file+":")
				if !ok {
					t.Errorf("%q does not begin with the file", line)
				}
				fmt.Fprintf(&got, "#! %s", rest)
			}
			if *update {
				if err := os.WriteFile(file, []byte(body+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := Load("testdata/nowhere.toml")
	if want := "configuration: open testdata/nowhere.toml: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the cause is not wrapped")
	}
}

// Whatever the file holds: no panic; a configuration or errors, never both;
// every error is one line that begins with the file and has no control
// character; what was accepted has paths.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.toml")
	bad, _ := filepath.Glob("testdata/bad/*.toml")
	for _, file := range append(files, bad...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, stores := range []bool{true, false} {
			parseAgent("f.toml", data)
			c, err := parse("f.toml", data, stores)
			if (c == nil) == (err == nil) {
				t.Fatalf("both or none: %+v, %v", c, err)
			}
			if err != nil {
				for line := range strings.SplitSeq(err.Error(), "\n") {
					if !strings.HasPrefix(line, "f.toml:") || strings.ContainsFunc(line, unicode.IsControl) {
						t.Fatalf("error line %q", line)
					}
				}
				continue
			}
			for _, m := range c.Mailboxes {
				if complete := m.Offline.Path != "" && m.Offline.Snapshots != "" && m.Online.Path != "" && m.Online.Snapshots != ""; complete != stores {
					t.Fatalf("stores %v: %+v", stores, m)
				}
			}
		}
	})
}
