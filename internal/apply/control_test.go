package apply

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"snapmerge/tree"
)

// newControl is a store with the folder "a" whose control files are elsewhere.
func newControl(t *testing.T, l tree.Layout) *live {
	t.Helper()
	v := newLive(t, l)
	l.Control = true
	v.ctl = filepath.Join(filepath.Dir(v.path), "control")
	must(t, os.Mkdir(v.ctl, 0o700))
	must(t, os.Chown(v.ctl, uid, uid))
	v.maildir(v.dir("a"))
	v.open(l)
	return v
}

func (v *live) dir(folder string) string {
	v.t.Helper()
	dir, err := v.layout.Dir(folder)
	must(v.t, err)
	return dir
}

// inControl returns a file's content below the control directory, "-" if it is not there.
func (v *live) inControl(path string) string {
	v.t.Helper()
	b, err := os.ReadFile(filepath.Join(v.ctl, path))
	if os.IsNotExist(err) {
		return "-"
	}
	must(v.t, err)
	return string(b)
}

var layouts = map[string]tree.Layout{"maildir++": {}, "fs": {FS: true}}

// Lock and keywords of a folder are taken where Dovecot has them, also before
// Dovecot has made the directory, and nothing of them appears beside the mail.
func TestControlElsewhere(t *testing.T) {
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			v := newControl(t, l)
			inbox := map[bool]string{false: ".INBOX", true: "INBOX"}[l.FS]
			f := v.mail(tree.Inbox, "cur/1.a:2,S")
			rs := v.run(
				Op{Kind: Rename, From: f, Links: 1, To: Target{Folder: tree.Inbox, Unique: "1.a", Keywords: []string{"x"}}},
				v.place(Target{Folder: "a", Unique: "2.b", Keywords: []string{"y", "z"}}))
			for _, r := range rs {
				if r.Outcome != Done {
					t.Fatalf("%+v", r)
				}
			}
			if got := v.inControl(inbox + "/dovecot-keywords"); got != "0 x\n" {
				t.Errorf("INBOX: %q", got)
			}
			if got := v.inControl(v.dir("a") + "/dovecot-keywords"); got != "0 y\n1 z\n" {
				t.Errorf("a: %q", got)
			}
			for _, d := range []string{".", v.dir("a")} {
				if _, err := os.Lstat(filepath.Join(v.path, d, keywordsName)); !os.IsNotExist(err) {
					t.Errorf("beside the mail: %v", err)
				}
			}
			st, err := os.Stat(filepath.Join(v.ctl, v.dir("a")))
			must(t, err)
			if st.Mode().Perm() != 0o700 {
				t.Errorf("mode %v", st.Mode())
			}
			// Somebody, of whom nothing is known, holds the lock over there.
			must(t, os.WriteFile(filepath.Join(v.ctl, inbox, lockName), []byte("1:elsewhere"), 0o600))
			v.LockTimeout = 50 * time.Millisecond
			if r := v.run(Op{Kind: Unlink, From: rs[0].File})[0]; r.Outcome != Raced {
				t.Errorf("with the folder locked: %+v", r)
			}
		})
	}
}

// The quota file is where the control files are.
func TestControlQuota(t *testing.T) {
	v := newControl(t, tree.Layout{})
	must(t, os.WriteFile(filepath.Join(v.ctl, "maildirsize"), []byte("1S\n7 1\n"), 0o600))
	if r := v.run(v.place(Target{Folder: "a", Unique: "2.b"}))[0]; r.Outcome != Done {
		t.Fatalf("%+v", r)
	}
	if got := v.inControl("maildirsize"); got != "-" {
		t.Errorf("it stays: %q", got)
	}
}

// A control directory that belongs to somebody else than the mail is not the one
// that was meant.
func TestControlOfAnother(t *testing.T) {
	v := newControl(t, tree.Layout{})
	must(t, os.Chown(v.ctl, uid+1, uid))
	s, err := Open(v.path, v.ctl, tree.Layout{Control: true})
	if err == nil {
		s.Close()
		t.Error("opened")
	}
}

// A file with a second name is not copied: it can be somebody else's.
func TestControlHardLink(t *testing.T) {
	v := newControl(t, tree.Layout{})
	outside := filepath.Join(filepath.Dir(v.path), "secret")
	must(t, os.WriteFile(outside, []byte("0 secret\n"), 0o600))
	must(t, os.Link(outside, filepath.Join(v.ctl, "subscriptions")))
	must(t, v.BringControl())
	if got := v.show(); got != "" {
		t.Errorf("copied:\n%s", got)
	}
}

// What a user puts in the way of a copy or of a control directory stops nothing.
func TestControlInTheWay(t *testing.T) {
	v := newControl(t, tree.Layout{})
	must(t, os.WriteFile(filepath.Join(v.ctl, "subscriptions"), []byte("a\n"), 0o600))
	must(t, os.Mkdir(filepath.Join(v.path, "snapmerge-subscriptions"), 0o700))
	must(t, v.BringControl())
	must(t, os.WriteFile(filepath.Join(v.ctl, ".b"), nil, 0o600))
	if r := v.run(Op{Kind: RenameFolder, Folder: "a", NewFolder: "b"})[0]; r.Outcome != Done {
		t.Errorf("%+v", r)
	}
}

// A folder's control directory is renamed and removed with it; what an earlier
// folder of the new name has left there, goes.
func TestControlFollows(t *testing.T) {
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			v := newControl(t, l)
			must(t, os.Mkdir(filepath.Join(v.ctl, v.dir("b")), 0o700))
			must(t, os.WriteFile(filepath.Join(v.ctl, v.dir("b"), keywordsName), []byte("0 stale\n"), 0o600))
			r := v.run(v.place(Target{Folder: "a", Unique: "2.b", Keywords: []string{"y"}}),
				Op{Kind: RenameFolder, Folder: "a", NewFolder: "b"})
			if r[1].Outcome != Done {
				t.Fatalf("%+v", r[1])
			}
			if got := v.inControl(v.dir("b") + "/dovecot-keywords"); got != "0 y\n" {
				t.Errorf("renamed: %q", got)
			}
			if got := v.inControl(v.dir("a") + "/dovecot-keywords"); got != "-" {
				t.Errorf("under the old name: %q", got)
			}
			f := r[0].File
			f.Folder = "b"
			for _, r := range v.run(Op{Kind: Unlink, From: f}, Op{Kind: RemoveFolder, Folder: "b"}) {
				if r.Outcome != Done {
					t.Fatalf("%+v", r)
				}
			}
			if _, err := os.Lstat(filepath.Join(v.ctl, v.dir("b"))); !os.IsNotExist(err) {
				t.Errorf("after the removal: %v", err)
			}
		})
	}
}

// The control directory belongs to the user: a link in it leads root nowhere.
func TestControlLinks(t *testing.T) {
	v := newControl(t, tree.Layout{})
	outside := filepath.Join(filepath.Dir(v.path), "outside")
	must(t, os.Mkdir(outside, 0o700))
	must(t, os.WriteFile(filepath.Join(outside, keywordsName), []byte("0 secret\n"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(v.ctl, ".a")))
	must(t, os.Mkdir(filepath.Join(v.ctl, ".INBOX"), 0o700))
	must(t, os.Symlink(filepath.Join(outside, keywordsName), filepath.Join(v.ctl, ".INBOX", keywordsName)))
	must(t, os.Symlink("/etc/passwd", filepath.Join(v.ctl, "subscriptions")))
	must(t, v.BringControl())
	if got := v.show(); got != "" {
		t.Errorf("copied from outside:\n%s", got)
	}
	if r := v.run(v.place(Target{Folder: "a", Unique: "2.b", Keywords: []string{"y"}}))[0]; r.Outcome == Done {
		t.Errorf("locked through a link: %+v", r)
	}
	if r := v.run(Op{Kind: RenameFolder, Folder: "a", NewFolder: "b"})[0]; r.Outcome != Done {
		t.Errorf("%+v", r)
	}
	names, err := os.ReadDir(outside)
	must(t, err)
	if len(names) != 1 {
		t.Errorf("made outside: %v", names)
	}
}

// Copies for the snapshot are made where something has changed, and only there.
func TestBringControl(t *testing.T) {
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			v := newControl(t, l)
			inbox := map[bool]string{false: ".INBOX", true: "INBOX"}[l.FS]
			put := func(path, text string) {
				p := filepath.Join(v.ctl, path)
				must(t, os.MkdirAll(filepath.Dir(p), 0o700))
				must(t, os.WriteFile(p, []byte(text), 0o600))
			}
			read := func(path string) string {
				b, _ := os.ReadFile(filepath.Join(v.path, path))
				return string(b)
			}
			put(inbox+"/dovecot-keywords", "0 x\n")
			put(v.dir("a")+"/dovecot-keywords", "0 y\n")
			put(v.dir("gone/b")+"/dovecot-keywords", "0 z\n") // has no mail
			put("subscriptions", "V\t2\n\na\n")
			put("dovecot-uidvalidity", "12345678")
			must(t, v.BringControl())
			if a, b, s := read("snapmerge-keywords"), read(v.dir("a")+"/snapmerge-keywords"), read("snapmerge-subscriptions"); a != "0 x\n" || b != "0 y\n" || s != "V\t2\n\na\n" {
				t.Errorf("%q %q %q", a, b, s)
			}
			was, wasA := v.stat("snapmerge-keywords").Ino, v.stat(v.dir("a")+"/snapmerge-keywords").Ino
			put(v.dir("a")+"/dovecot-keywords", "0 y\n1 more\n")
			must(t, v.BringControl())
			if v.stat("snapmerge-keywords").Ino != was || v.stat(v.dir("a")+"/snapmerge-keywords").Ino == wasA {
				t.Error("not the changed file alone was copied")
			}
			if b := read(v.dir("a") + "/snapmerge-keywords"); b != "0 y\n1 more\n" {
				t.Errorf("%q", b)
			}
			if st := v.stat("snapmerge-keywords"); st.Uid != uid {
				t.Errorf("of user %d", st.Uid)
			}
		})
	}
}
