package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/internal/lock"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// The configuration here is not what the agent has: it refuses, says both, and
// nothing was touched.
func TestMismatch(t *testing.T) {
	w := newWorld(t, 0)
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"path": {func(o *Options) { o.Store.Path = "/srv/other" },
			fmt.Sprintf(`online "mx": the two hosts do not fit together: the agent over there serves path %q, the configuration here says "/srv/other"`, w.store.Path)},
		"snapshots": {func(o *Options) { o.Store.Snapshots = "/snap" }, `the configuration here says "/snap"`},
		"layout":    {func(o *Options) { o.Store.Layout.FS = true }, `the agent over there serves layout "maildir++", the configuration here says "fs"`},
		"encoding":  {func(o *Options) { o.Store.Layout.UTF8 = true }, `the agent over there serves encoding "mutf-7", the configuration here says "utf-8"`},
		"mailbox":   {func(o *Options) { o.Mailbox = "anna" }, `the agent over there does not serve mailbox "anna"`},
	} {
		o := w.options()
		c.change(&o)
		_, p, err := dialPipe(t, w.agent(), o)
		<-p.done
		if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if !errors.Is(p.err, ErrMismatch) {
			t.Errorf("%s: the agent: %v", name, p.err)
		}
	}
	if list, err := os.ReadDir(w.store.Snapshots); err != nil || len(list) > 0 {
		t.Error(list, err)
	}
}

// A client of another protocol: the agent says so, and does nothing.
func TestOtherProtocol(t *testing.T) {
	w := newWorld(t, 0)
	hostileClient(t, w, magic+wire('H', `{"Version":"v9","Protocol":9,"Mailbox":"chris","New":{}}`),
		"snapmerge v1.2.3 here speaks protocol 2, snapmerge v9 over there protocol 9: install the same version on both hosts")
}

// A second session waits until the first has ended, longer than the silence
// that would end it; one that waits in vain says why.
func TestLockWaits(t *testing.T) {
	w := newWorld(t, 1)
	first := session(t, w)
	go func() {
		time.Sleep(1500 * time.Millisecond)
		first.Close()
	}()
	begun := time.Now()
	session(t, w)
	if d := time.Since(begun); d < time.Second {
		t.Errorf("the second session began after %v", d)
	}
	cfg := w.agent()
	cfg.Timing.Lock = 200 * time.Millisecond
	_, _, err := dialPipe(t, cfg, w.options())
	if !errors.Is(err, lock.ErrLocked) || !strings.Contains(err.Error(), "another session with this mailbox did not end within 200ms") {
		t.Error(err)
	}
}

// Without a directory for snapshots a session begins, so that a look can tell how
// to mend it; what needs the lock says the same.
func TestNoSnapshots(t *testing.T) {
	w := newWorld(t, 1)
	if err := os.Remove(w.store.Snapshots); err != nil {
		t.Fatal(err)
	}
	c := session(t, w)
	f, err := c.Look(context.Background(), false)
	if err != nil || len(f.Problems) != 1 || !strings.HasPrefix(f.Problems[0].Mend, "on mx: mkdir -p -m 700") {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := c.Freeze(context.Background(), "online.1"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.Mkdir(w.store.Snapshots, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Freeze(context.Background(), "online.1"); err != nil {
		t.Error(err)
	}
	if _, _, err := dialPipe(t, func() AgentConfig { a := w.agent(); a.Timing.Lock = time.Millisecond; return a }(), w.options()); !errors.Is(err, lock.ErrLocked) {
		t.Errorf("the first session has no lock: %v", err)
	}
}

// Errors of the far end keep what a caller tells apart.
func TestFarErrors(t *testing.T) {
	w := newWorld(t, 1)
	c := session(t, w)
	prepare := func() error { _, err := c.Freeze(context.Background(), "online.1"); return err }
	if err := prepare(); err != nil {
		t.Fatal(err)
	}
	if err := prepare(); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	r, err := c.Send(context.Background(), "online.1", "online.0")
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, snapshot.ErrNotExist) || !strings.HasPrefix(err.Error(), `online "mx": send: `) {
		t.Error(err)
	}
	err = c.Apply(context.Background(), host.Batch{Steps: []host.Step{{Op: apply.Op{Kind: 99}}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "is not done over a connection") {
		t.Error(err)
	}
	if _, err := c.Look(context.Background(), false); err != nil {
		t.Errorf("the session ended: %v", err)
	}
}

// A client that does not read for longer than any silence: the agent waits and
// does not grow; then the stream comes whole.
func TestBackPressure(t *testing.T) {
	w := newWorld(t, 1)
	w.write(t, "cur/big:2,", strings.Repeat("0123456789", 8<<20/10*2))
	c := session(t, w)
	if _, err := c.Freeze(context.Background(), "online.1"); err != nil {
		t.Fatal(err)
	}
	r, err := c.Send(context.Background(), "online.1", "")
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	time.Sleep(3 * short.Silence / 2)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
	n, err := io.Copy(io.Discard, r)
	if err != nil || n < 16<<20 || c.Received() != n {
		t.Errorf("%d bytes, %v; received %d", n, err, c.Received())
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A stream that is closed half-way ends the kernel's send; the session goes on.
func TestStreamClosed(t *testing.T) {
	w := newWorld(t, 1)
	w.write(t, "cur/big:2,", strings.Repeat("0123456789", 8<<20/10*2))
	c := session(t, w)
	if _, err := c.Freeze(context.Background(), "online.1"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r, err := c.Send(context.Background(), "online.1", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 100000)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Look(context.Background(), false); err == nil {
			t.Error("a verb in the middle of a stream")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read after close: %v", err)
		}
		if _, err := c.Look(context.Background(), false); err != nil {
			t.Fatal(err)
		}
	}
}

// An interrupted apply ends after the step that it is at, with the results until
// then, and no folder stays locked; so does a stream.
func TestInterrupted(t *testing.T) {
	w := newWorld(t, 2000)
	c := session(t, w)
	if _, err := c.Freeze(context.Background(), "online.1"); err != nil {
		t.Fatal(err)
	}
	var steps []host.Step
	for i := range 2000 {
		steps = append(steps, step(apply.Op{Kind: apply.Unlink, From: tree.File{Folder: "INBOX", Name: mailName(i)}}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := 0
	err := c.Apply(ctx, host.Batch{Snapshot: "online.1", Steps: steps}, func(i int, r apply.Result) {
		if r.Outcome != apply.Done || i != done {
			t.Errorf("step %d: %+v", i, r)
		}
		if done++; done == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || done < 5 {
		t.Errorf("%v after %d steps", err, done)
	}
	left, err := filepath.Glob(filepath.Join(w.store.Path, "cur", "*"))
	if err != nil || len(left) != 2000-done {
		t.Errorf("%d results, %d mails left, %v", done, len(left), err)
	}
	if _, err := os.Lstat(filepath.Join(w.store.Path, "dovecot-uidlist.lock")); err == nil {
		t.Error("INBOX is still locked")
	}
	ctx, cancel = context.WithCancel(context.Background())
	r, err := c.Send(ctx, "online.1", "")
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(r, make([]byte, 1000))
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	r.Close()
	if _, err := c.Look(context.Background(), false); err != nil {
		t.Errorf("the session ended: %v", err)
	}
	if _, err := c.Look(ctx, false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A batch longer than a request, with folders to unlock.
func TestManySteps(t *testing.T) {
	w := newWorld(t, 1)
	c := session(t, w)
	if _, err := c.Freeze(context.Background(), "online.1"); err != nil {
		t.Fatal(err)
	}
	b := host.Batch{Snapshot: "online.1", Sync: true}
	for i := range 2*maxSteps + 7 {
		b.Steps = append(b.Steps, step(apply.Op{Kind: apply.Unlink, From: tree.File{Folder: "INBOX", Name: fmt.Sprintf("none-%d:2,", i)}}))
		b.Unlock = append(b.Unlock, fmt.Sprintf("folder-%d", i))
	}
	next := 0
	err := c.Apply(context.Background(), b, func(i int, r apply.Result) {
		if i != next || r.Outcome != apply.Raced {
			t.Fatalf("result %d of %d: %+v", i, next, r)
		}
		next++
	})
	if err != nil || next != len(b.Steps) {
		t.Errorf("%d results, %v", next, err)
	}
}

// A client that is silent, but holds the connection, loses its session and the lock.
func TestSilentClient(t *testing.T) {
	w := newWorld(t, 1)
	o := w.options()
	o.Timing.Beat = time.Hour
	ignore := goleak.IgnoreCurrent()
	c, p, err := dialPipe(t, w.agent(), o)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(3 * short.Silence):
		t.Error("the agent waits")
	}
	if !errors.Is(p.err, errSilent) {
		t.Errorf("agent: %v", p.err)
	}
	w.unlocked(t)
	c.Close()
	goleak.VerifyNone(t, ignore)
}

// A client that reads no results does not keep a folder locked: Dovecot would
// wait for it.
func TestResultsUnread(t *testing.T) {
	w := newWorld(t, 1000)
	prepare(t, w)
	ignore := goleak.IgnoreCurrent()
	me, err := greeting(hello{Version: "x", Protocol: Protocol, Mailbox: "chris", Path: w.store.Path, Snapshots: w.store.Snapshots, Layout: "maildir++"})
	if err != nil {
		t.Fatal(err)
	}
	say := string(me) + wire('Q', `{"Verb":"apply","Snapshot":"online.1","Steps":1000}`)
	for i := range 1000 {
		b, err := encode(kindStep, step(apply.Op{Kind: apply.Rename, From: tree.File{Folder: "INBOX", Name: mailName(i)},
			To: apply.Target{Folder: "INBOX", Unique: fmt.Sprintf("%d%s", i, strings.Repeat("x", 200))}}))
		if err != nil {
			t.Fatal(err)
		}
		say += wire('S', string(b))
	}
	cfg := w.agent()
	cfg.Timing.Silence = time.Minute
	p := newPipe(t)
	go func() {
		defer close(p.done)
		p.err = Serve(context.Background(), cfg, p.agentIn, p.agentOut)
	}()
	go io.WriteString(p.toAgent, say)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		done, _ := filepath.Glob(filepath.Join(w.store.Path, "cur", "*xxx:2,"))
		_, err := os.Lstat(filepath.Join(w.store.Path, "dovecot-uidlist.lock"))
		if len(done) == 1000 && errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d steps are done; lock: %v", len(done), err)
		}
	}
	p.close(0)
	<-p.done
	goleak.VerifyNone(t, ignore)
}

// The command line of ssh: the user's words first, so that their options win, then
// ours; nothing of the configuration is an option by accident.
func TestSSHArgs(t *testing.T) {
	o := Options{Host: "root@mx", SSH: "ssh  -F /etc/x -o BatchMode=no", Agent: "/opt/snapmerge", Mailbox: "chris"}
	got, err := o.sshArgs()
	want := "ssh -F /etc/x -o BatchMode=no -T -o BatchMode=yes -o ForwardAgent=no -o ForwardX11=no -- root@mx /opt/snapmerge agent --mailbox chris"
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []Options{
		{Host: "-x", SSH: "ssh", Agent: "a", Mailbox: "m"}, {Host: "", SSH: "ssh", Agent: "a", Mailbox: "m"},
		{Host: "a b", SSH: "ssh", Agent: "a", Mailbox: "m"}, {Host: "$(x)", SSH: "ssh", Agent: "a", Mailbox: "m"},
		{Host: "h", SSH: " ", Agent: "a", Mailbox: "m"}, {Host: "h", SSH: "ssh", Agent: "-a", Mailbox: "m"},
		{Host: "h", SSH: "ssh", Agent: "a b", Mailbox: "m"}, {Host: "h", SSH: "ssh", Agent: "a\nb", Mailbox: "m"},
		{Host: "h", SSH: "ssh", Agent: "a", Mailbox: "-m"}, {Host: "h", SSH: "ssh", Agent: "a", Mailbox: "m;x"},
	} {
		if got, err := bad.sshArgs(); err == nil {
			t.Errorf("%+v: %q", bad, got)
		}
	}
}

// An agent that ends the session says why, between two verbs or while it is
// written to, and the client tells it.
func TestLastWord(t *testing.T) {
	for _, early := range []bool{true, false} {
		p := newPipe(t)
		go func() {
			defer close(p.done)
			io.WriteString(p.agentOut, magic+wire('H', helloText)+wire('E', "{}"))
			for in, n := bufio.NewReader(p.agentIn), 0; !early && n < 3; n++ {
				if n == 0 {
					in.ReadString('\n')
				}
				if f, _ := readFrame(in); f.kind == kindBeat {
					n--
				}
			}
			io.WriteString(p.agentOut, wire('E', `{"Err":"received a signal"}`))
			p.agentIn.Close()
			if early {
				p.agentOut.Close()
			}
		}()
		c, err := open(context.Background(), (&world{}).options(), p, p.fromAgent, p.toAgent)
		if err != nil {
			t.Fatal(err)
		}
		if early {
			time.Sleep(100 * time.Millisecond)
		}
		var steps []host.Step
		for range 1000 {
			steps = append(steps, oneStep()...)
		}
		err = c.Apply(context.Background(), host.Batch{Snapshot: "online.1", Steps: steps}, func(int, apply.Result) {})
		if _, ok := errors.AsType[*BrokenError](err); !ok || !strings.Contains(err.Error(), "the far end ended it: received a signal") {
			t.Errorf("early %v: %v", early, err)
		}
		c.Close()
		<-p.done
		p.agentOut.Close()
	}
}
