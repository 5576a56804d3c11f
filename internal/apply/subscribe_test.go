package apply

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"snapmerge/tree"
)

// subscribe runs one change, and returns the list after it.
func (v *live) subscribe(want Outcome, add, remove []string) string {
	v.t.Helper()
	if r := v.run(Op{Kind: Subscribe, Add: add, Remove: remove})[0]; r.Outcome != want {
		v.t.Errorf("%+v, want %v", r, want)
	}
	dir := v.path
	if v.ctl != "" {
		dir = v.ctl
	}
	if _, err := os.Lstat(filepath.Join(dir, "subscriptions.lock")); err == nil && want == Done {
		v.t.Error("a lock is left")
	}
	b, _ := os.ReadFile(filepath.Join(dir, "subscriptions"))
	return string(b)
}

// A list is made, changed in its order, and left alone where there is nothing to
// change. It belongs to the user.
func TestSubscribe(t *testing.T) {
	for name, v := range map[string]*live{"in the Maildir": newLive(t, tree.Layout{}), "control": newControl(t, tree.Layout{})} {
		t.Run(name, func(t *testing.T) {
			v.t = t
			if got := v.subscribe(Done, []string{"a/b", "INBOX"}, []string{"c"}); got != "V\t2\n\na\tb\nINBOX\n" {
				t.Errorf("made: %q", got)
			}
			if got := v.subscribe(Done, []string{"c", "a/b"}, []string{"INBOX"}); got != "V\t2\n\na\tb\nc\n" {
				t.Errorf("changed: %q", got)
			}
			dir := v.path
			if v.ctl != "" {
				dir = v.ctl
			}
			was, err := os.Stat(filepath.Join(dir, "subscriptions"))
			must(t, err)
			v.subscribe(Done, []string{"c"}, []string{"INBOX"})
			is, err := os.Stat(filepath.Join(dir, "subscriptions"))
			must(t, err)
			if !os.SameFile(was, is) || is.Mode().Perm() != 0o600 || owner(is) != uid {
				t.Errorf("written again, or with mode %v of %d", is.Mode(), owner(is))
			}
			if got := v.subscribe(Failed, []string{"a//b"}, nil); got != "V\t2\n\na\tb\nc\n" {
				t.Errorf("after a failure: %q", got)
			}
		})
	}
}

// A lock of Dovecot's is waited for; one that nobody has changed for 30 s is dead.
func TestSubscribeLocked(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.write("subscriptions.lock", "")
	v.LockTimeout = 20*time.Millisecond - subscriptionsAge
	if got := v.subscribe(Raced, []string{"a"}, nil); got != "" {
		t.Errorf("%q", got)
	}
	go func() {
		time.Sleep(200 * time.Millisecond)
		os.Remove(filepath.Join(v.path, "subscriptions.lock"))
	}()
	v.LockTimeout = 0
	v.subscribe(Done, []string{"a"}, nil)
	v.write("subscriptions.lock", "")
	v.now = func() time.Time { return time.Now().Add(time.Minute) }
	if got := v.subscribe(Done, []string{"b"}, nil); got != "V\t2\n\na\nb\n" {
		t.Errorf("%q", got)
	}
}

// What is no list, is not read, followed or replaced.
func TestSubscribeNoFile(t *testing.T) {
	v := newLive(t, tree.Layout{})
	outside := filepath.Join(filepath.Dir(v.path), "outside")
	must(t, os.WriteFile(outside, []byte("secret\n"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(v.path, "subscriptions")))
	v.subscribe(Raced, []string{"a"}, nil)
	if _, err := os.Lstat(filepath.Join(v.path, "subscriptions.lock")); err == nil {
		t.Error("a lock is left")
	}
	if st, err := os.Lstat(filepath.Join(v.path, "subscriptions")); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v %v", st, err)
	}
	if b, _ := os.ReadFile(outside); string(b) != "secret\n" {
		t.Errorf("%q", b)
	}
}
