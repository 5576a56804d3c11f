package apply

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapmerge/tree"
)

// deadPid returns the number of a process that has ended.
func deadPid(t *testing.T) int {
	cmd := exec.Command("true")
	must(t, cmd.Run())
	return cmd.Process.Pid
}

// livePid returns the number of a process that lives as long as the test.
func livePid(t *testing.T) int {
	cmd := exec.Command("sleep", "600")
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid
}

// flagChange is an operation that needs the lock of INBOX.
func (v *live) flagChange() Op {
	return Op{Kind: Rename, From: v.mail("INBOX", "cur/1.x.h:2,"), To: Target{Folder: "INBOX", Unique: "1.x.h", Flags: tree.Seen}}
}

// Which locks of others are overridden, as Dovecot's file-dotlock.c does. The
// clock is put forward, for ctime can not be put back.
func TestForeignLock(t *testing.T) {
	host, err := os.Hostname()
	must(t, err)
	cases := []struct {
		name    string
		content string
		age     time.Duration // of the lock
		listAge time.Duration // of dovecot-uidlist; 0: there is none
		broken  bool
	}{
		{"live process", fmt.Sprintf("%d:%s", livePid(t), host), time.Hour, time.Hour, false},
		{"live process, newline", fmt.Sprintf("%d:%s\n", livePid(t), host), time.Hour, 0, false},
		{"process 1, of another user", "1:" + host, time.Hour, 0, false},
		{"dead process", fmt.Sprintf("%d:%s", deadPid(t), host), 3 * time.Second, 0, true},
		{"dead process, just made", fmt.Sprintf("%d:%s", deadPid(t), host), time.Second, 0, false},
		{"our own number: an earlier run, killed", fmt.Sprintf("%d:%s", os.Getpid(), host), 3 * time.Second, 0, true},
		{"other host, touched", fmt.Sprintf("%d:elsewhere", deadPid(t)), 119 * time.Second, 0, false},
		{"other host, not touched", fmt.Sprintf("%d:elsewhere", deadPid(t)), 122 * time.Second, 0, true},
		{"other host, number of a live process here", fmt.Sprintf("%d:elsewhere", livePid(t)), 122 * time.Second, 0, true},
		{"empty, young", "", 119 * time.Second, 0, false},
		{"empty, old", "", 122 * time.Second, 0, true},
		{"garbage, old, but the list was written", "-1:" + host, 122 * time.Second, 30 * time.Second, false},
		{"garbage, old", "-1:" + host, 122 * time.Second, time.Hour, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := newLive(t, tree.Layout{})
			op := v.flagChange()
			lock := filepath.Join(v.path, lockName)
			must(t, os.WriteFile(lock, []byte(c.content), 0o600))
			if c.listAge != 0 {
				// The later of the two is what counts; the list's mtime may be ahead.
				must(t, os.WriteFile(v.path+"/dovecot-uidlist", nil, 0o600))
				at := time.Now().Add(c.age - c.listAge)
				must(t, os.Chtimes(v.path+"/dovecot-uidlist", at, at))
			}
			v.now = func() time.Time { return time.Now().Add(c.age) }
			v.uptime = func() time.Duration { return 24 * time.Hour } // the host may have started a minute ago
			v.LockTimeout = 250 * time.Millisecond
			r := v.run(op)[0]
			if c.broken != (r.Outcome == Done) {
				t.Errorf("%v %q %v", r.Outcome, r.Why, r.Err)
			}
			got, _ := os.ReadFile(lock)
			_, err := os.Lstat(lock)
			if c.broken && err == nil || !c.broken && (err != nil || string(got) != c.content) {
				t.Errorf("lock afterwards: %q, %v", got, err)
			}
			if !c.broken && !strings.HasPrefix(r.Why, "folder locked by ") {
				t.Errorf("why %q", r.Why)
			}
		})
	}
}

// The lock that we hold: the user's, with our number in it, gone afterwards.
func TestOwnLock(t *testing.T) {
	v := newLive(t, tree.Layout{})
	host, err := os.Hostname()
	must(t, err)
	must(t, v.Run(context.Background(), []Op{v.flagChange()}, func(int, Result) {
		st := v.stat(lockName)
		data, _ := os.ReadFile(filepath.Join(v.path, lockName))
		if st.Uid != uid || st.Gid != uid || st.Mode&0o7777 != 0o600 || string(data) != fmt.Sprintf("%d:%s", os.Getpid(), host) {
			t.Errorf("lock %q of %d:%d, mode %o", data, st.Uid, st.Gid, st.Mode)
		}
	}))
	if got := v.show(); got != "cur/1.x.h:2,S < cur/1.x.h:2,\n" {
		t.Errorf("store:\n%s", got)
	}
}

// A lock that goes away while we wait is taken; meanwhile no other is held.
func TestWait(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".A")
	op := v.flagChange()
	op.To.Folder = "A"
	foreign := filepath.Join(v.path, lockName) // INBOX comes after A
	must(t, os.WriteFile(foreign, fmt.Appendf(nil, "%d:%s", livePid(t), v.host), 0o600))
	seen, free := 0, 0
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			seen++
			if _, err := os.Lstat(filepath.Join(v.path, ".A", lockName)); err != nil {
				free++
			}
		}
		os.Remove(foreign)
	}()
	start := time.Now()
	r := v.run(op)[0]
	<-gone
	if r.Outcome != Done || time.Since(start) < 350*time.Millisecond {
		t.Errorf("%v %q after %v", r.Outcome, r.Why, time.Since(start))
	}
	if free < seen*3/4 {
		t.Errorf("A was locked in %d of %d looks while we waited for INBOX", seen-free, seen)
	}
}

// A stuck folder is waited for once; other folders go on.
func TestStuck(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".A")
	must(t, os.WriteFile(filepath.Join(v.path, ".A", lockName), fmt.Appendf(nil, "%d:%s", livePid(t), v.host), 0o600))
	v.LockTimeout = 200 * time.Millisecond
	ops := []Op{v.flagChange()}
	for i := range 20 {
		ops = append(ops, v.place(Target{Folder: "A", Unique: fmt.Sprintf("%d.y.h", i)}))
	}
	ops = append(ops, v.place(Target{Folder: "INBOX", Unique: "9.z.h"}))
	start := time.Now()
	rs := v.run(ops...)
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
	for i, r := range rs {
		want := Raced
		if i == 0 || i == len(rs)-1 {
			want = Done
		}
		if r.Outcome != want {
			t.Errorf("%d: %v %q", i, r.Outcome, r.Why)
		}
	}
}

// A lock that somebody took from us is not ours to remove, and no operation is
// carried out under it.
func TestLostLock(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.LockTimeout = 200 * time.Millisecond
	lock := filepath.Join(v.path, lockName)
	foreign := fmt.Sprintf("%d:%s", livePid(t), v.host)
	ops := []Op{v.flagChange(), v.place(Target{Folder: "INBOX", Unique: "9.z.h"})}
	var got []Outcome
	must(t, v.Run(context.Background(), ops, func(i int, r Result) {
		got = append(got, r.Outcome)
		if i == 0 {
			must(t, os.Remove(lock))
			must(t, os.WriteFile(lock, []byte(foreign), 0o600))
		}
	}))
	if got[0] != Done || got[1] != Raced {
		t.Errorf("outcomes %v", got)
	}
	if data, _ := os.ReadFile(lock); string(data) != foreign {
		t.Errorf("the other's lock is %q now", data)
	}
}

// A folder renamed by a client between two operations takes its lock with it:
// nothing is put into it under its old name.
func TestFolderRenamedMeanwhile(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".A")
	ops := []Op{v.place(Target{Folder: "A", Unique: "1.x.h"}), v.place(Target{Folder: "A", Unique: "2.x.h"})}
	var got []string
	must(t, v.Run(context.Background(), ops, func(i int, r Result) {
		if i == 0 {
			must(t, os.Rename(v.path+"/.A", v.path+"/..DOVECOT-TRASHED"))
		}
		got = append(got, r.Outcome.String()+" "+r.Why)
	}))
	if got[0] != "done " || got[1] != "raced folder is gone" {
		t.Errorf("outcomes %q", got)
	}
	if s := v.show(); s != "..DOVECOT-TRASHED/cur/1.x.h:2, < from the snapshot\n" {
		t.Errorf("store (a lock left behind?):\n%s", s)
	}
}

// Clients get their turn: the lock is let go after maxHold, long enough for
// somebody who is woken up by it.
func TestTurns(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maxHold = 30 * time.Millisecond
	var ops []Op
	for i := range 300 {
		ops = append(ops, v.place(Target{Folder: "INBOX", Unique: fmt.Sprintf("%d.x.h", i)}))
	}
	turns := 0
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tmp := filepath.Join(v.path, "client")
		os.WriteFile(tmp, fmt.Appendf(nil, "%d:%s", livePid(t), v.host), 0o600)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if os.Link(tmp, filepath.Join(v.path, lockName)) == nil {
				turns++
				os.Remove(filepath.Join(v.path, lockName))
			}
		}
	}()
	start := time.Now()
	must(t, v.Run(context.Background(), ops, func(i int, r Result) {
		time.Sleep(time.Millisecond)
		if r.Outcome != Done {
			t.Errorf("%d: %v %q", i, r.Outcome, r.Why)
		}
	}))
	took := time.Since(start)
	close(stop)
	<-stopped
	if want := int(took/v.maxHold) / 4; turns < want || want < 2 {
		t.Errorf("the client had %d turns in %v, want %d", turns, took, want)
	}
}

// While it is held, the lock is touched, for those that judge it by its age.
func TestTouch(t *testing.T) {
	v := newLive(t, tree.Layout{})
	l, err := v.createLock(v.root)
	must(t, err)
	before := v.stat(lockName).Mtim
	must(t, l.touch())
	if v.stat(lockName).Mtim != before {
		t.Error("touched at once")
	}
	l.touched = l.touched.Add(-lockTouch)
	time.Sleep(10 * time.Millisecond)
	must(t, l.touch())
	if v.stat(lockName).Mtim == before {
		t.Error("not touched")
	}
	must(t, l.release(v.root))
}
