package crashtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
)

// TestChangedMeanwhile: somebody changes mail when the snapshots are taken and
// nothing is applied yet. Nothing of it is lost or undone, neither now nor by
// the next sync, which merges it.
func TestChangedMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		name      string
		fresh     bool                // m comes with before, the first sync does not know it
		before    func(on, off store) // since the first sync
		meanwhile func(on, off store)
		raced     int
		after     [2]string // where mail m is online and offline after that sync
		next      [2]string // and after the next one
		held      string
		stuck     bool // the syncs after it meet the same again, until a person has answered
	}{
		{
			name:      "delivered online: arrives with the next sync",
			meanwhile: func(on, _ store) { on.delete("INBOX", "m"); on.deliver("INBOX", "x", "", 7) },
			after:     [2]string{"", "INBOX:S"}, next: [2]string{"", "INBOX:S"}, held: "deleted-online m",
		}, {
			name:      "flagged online: not undone",
			meanwhile: func(on, _ store) { on.flag("INBOX", "m", "F") },
			after:     [2]string{"INBOX:FS", "INBOX:S"}, next: [2]string{"INBOX:FS", "INBOX:FS"},
		}, {
			name:      "unread at home: not undone",
			meanwhile: func(_, off store) { off.flag("INBOX", "m", "-S") },
			after:     [2]string{"INBOX:S", "INBOX:"}, next: [2]string{"INBOX:", "INBOX:"},
		}, {
			name:      "flagged online, where a flag comes from home",
			before:    func(_, off store) { off.flag("INBOX", "m", "F") },
			meanwhile: func(on, _ store) { on.flag("INBOX", "m", "R") },
			raced:     1,
			after:     [2]string{"INBOX:RS", "INBOX:FS"}, next: [2]string{"INBOX:FRS", "INBOX:FRS"},
		}, {
			name:      "unread online, where a flag comes from home",
			before:    func(_, off store) { off.flag("INBOX", "m", "F") },
			meanwhile: func(on, _ store) { on.flag("INBOX", "m", "-S") },
			raced:     1,
			after:     [2]string{"INBOX:", "INBOX:FS"}, next: [2]string{"INBOX:F", "INBOX:F"},
		}, {
			name:      "moved at home, where a flag comes from online",
			before:    func(on, _ store) { on.flag("INBOX", "m", "F") },
			meanwhile: func(_, off store) { off.move("INBOX", "m", "work") },
			raced:     1,
			after:     [2]string{"INBOX:FS", "work:S"}, next: [2]string{"work:FS", "work:FS"},
		}, {
			name:      "flagged at home, where a move comes from online",
			before:    func(on, _ store) { on.move("INBOX", "m", "work") },
			meanwhile: func(_, off store) { off.flag("INBOX", "m", "F") },
			raced:     1,
			after:     [2]string{"work:S", "INBOX:FS"}, next: [2]string{"work:FS", "work:FS"},
		}, {
			name:      "moved online, where a deletion comes from home",
			before:    func(_, off store) { off.delete("INBOX", "m") },
			meanwhile: func(on, _ store) { on.move("INBOX", "m", "work") },
			raced:     1,
			after:     [2]string{"work:S", ""}, next: [2]string{"work:S", ""}, held: "delete-modify m",
		}, {
			name:      "deleted at home, where a flag comes from online",
			before:    func(on, _ store) { on.flag("INBOX", "m", "F") },
			meanwhile: func(_, off store) { off.delete("INBOX", "m") },
			raced:     1,
			after:     [2]string{"INBOX:FS", ""}, next: [2]string{"INBOX:FS", ""}, held: "delete-modify m",
		}, {
			name:      "deleted on both sides",
			before:    func(on, off store) { off.delete("INBOX", "m") },
			meanwhile: func(on, _ store) { on.delete("INBOX", "m") },
			raced:     1,
		}, {
			name:      "copied online, where a deletion comes from home",
			before:    func(on, off store) { off.delete("INBOX", "m") },
			meanwhile: func(on, _ store) { on.copy("INBOX", "m", "work") },
			raced:     1,
			after:     [2]string{"INBOX:S work:S", ""}, next: [2]string{"INBOX:S work:S", ""}, held: "delete-modify m",
		}, {
			name:      "flagged online, when its time is over",
			before:    func(on, _ store) { on.move("INBOX", "m", "news") },
			meanwhile: func(on, _ store) { on.flag("news", "m", "F") },
			raced:     1,
			after:     [2]string{"news:FS", "news:S"}, next: [2]string{"news:FS", "news:FS"},
		}, {
			name:      "read online, when its time is over",
			before:    func(on, _ store) { on.move("INBOX", "m", "news") },
			meanwhile: func(on, _ store) { on.flag("news", "m", "-S") },
			raced:     1,
			after:     [2]string{"news:", "news:S"}, next: [2]string{"", "news:"},
		}, {
			name:      "the same mail arrives at home",
			fresh:     true,
			before:    func(on, off store) { on.deliver("INBOX", "m", "", 3) },
			meanwhile: func(_, off store) { off.deliver("INBOX", "m", "S", 3) },
			raced:     1,
			after:     [2]string{"INBOX:", "INBOX:S"}, next: [2]string{"INBOX:S", "INBOX:S"},
		}, {
			name:      "a new one is deleted online before it is home",
			fresh:     true,
			before:    func(on, off store) { on.deliver("INBOX", "m", "", 3) },
			meanwhile: func(on, _ store) { on.delete("INBOX", "m") },
			after:     [2]string{"", "INBOX:"}, next: [2]string{"", "INBOX:"}, held: "deleted-online m",
		}, {
			name:      "the folder that it moves to gets another name at home",
			before:    func(on, _ store) { on.move("INBOX", "m", "work") },
			meanwhile: func(_, off store) { off.renameFolder("work", "jobs") },
			raced:     1,
			after:     [2]string{"work:S", "INBOX:S"}, next: [2]string{"jobs:S", "jobs:S"},
		}, {
			name:      "the folder that it is in gets another name online, where a flag comes from home",
			before:    func(_, off store) { off.flag("work", "w", "F"); off.flag("INBOX", "m", "F") },
			meanwhile: func(on, _ store) { on.renameFolder("work", "jobs"); on.move("INBOX", "m", "jobs") },
			raced:     2,
			after:     [2]string{"jobs:S", "INBOX:FS"}, next: [2]string{"jobs:FS", "jobs:FS"},
		}, {
			name:      "restored online as another file, where a deletion comes from home",
			before:    func(_, off store) { off.delete("INBOX", "m") },
			meanwhile: func(on, _ store) { on.put("INBOX", "m", "S", "m") },
			raced:     1,
			after:     [2]string{"INBOX:S", ""},
		}, {
			name:      "another file has the name that a flag from online would give",
			before:    func(on, _ store) { on.flag("INBOX", "m", "F") },
			meanwhile: func(_, off store) { off.put("INBOX", "m", "FS", "another") },
			raced:     1, stuck: true,
			after: [2]string{"INBOX:FS", "INBOX:FS INBOX:S"}, next: [2]string{"INBOX:FS", "INBOX:FS INBOX:S"}, held: "duplicate m, duplicate m,2",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, btrfstest.Shared(t).Path)
			for _, f := range []string{"work", "news"} {
				w.online.makeFolder(f)
			}
			if !tt.fresh {
				w.online.deliver("INBOX", "m", "S", 3)
			}
			w.online.deliver("work", "w", "", 4)
			w.sync()
			if tt.before != nil {
				tt.before(w.online, w.offline)
			}
			res, err := w.trySync(engine.Options{Progress: once(engine.StageMerge, func() { tt.meanwhile(w.online, w.offline) })})
			must(t, err)
			if n := res.Record.Report.Raced; n != tt.raced {
				t.Errorf("raced: %d, want %d\n%+v", n, tt.raced, res.Record.Report.Actions)
			}
			w.wantWhere("m", tt.after)
			w.sync()
			w.wantWhere("m", tt.next)
			if held := strings.Join(w.end().Held, ", "); held != tt.held {
				t.Errorf("held: %q, want %q", held, tt.held)
			}
			if p := w.online.find("INBOX", "x"); p != "" {
				w.wantWhere("x", [2]string{"INBOX:", "INBOX:"})
			}
			if !tt.stuck {
				w.settled()
			}
		})
	}
}

// put makes a new file with the name that the mail has, but for its flags, and the
// text of the mail like.
func (s store) put(folder, key, flags, like string) {
	s.t.Helper()
	name, _, _ := strings.Cut(filepath.Base(s.mustFind(folder, key)), ":2,")
	tmp := filepath.Join(s.path, "tmp", key)
	must(s.t, os.WriteFile(tmp, body(like, 3), 0o600))
	must(s.t, os.Rename(tmp, filepath.Join(s.dirOf(folder), "cur", name+":2,"+flags)))
}

// once calls f when the sync first comes to the stage.
func once(stage string, f func()) func(string, int, int) {
	return func(s string, _, _ int) {
		if s == stage && f != nil {
			f()
			f = nil
		}
	}
}

func (w *world) wantWhere(key string, want [2]string) {
	w.t.Helper()
	got := [2]string{look(w.t, w.online.path).where(key), look(w.t, w.offline.path).where(key)}
	if d := cmp.Diff(want, got); d != "" {
		w.t.Errorf("mail %s, online and offline (-want +got):\n%s", key, d)
	}
}
