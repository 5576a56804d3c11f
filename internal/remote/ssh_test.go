package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/host"
	"snapmerge/internal/sshtest"
	"snapmerge/snapshot"
)

// program is the real program, built once for all tests.
var program struct {
	sync.Mutex
	path string
}

// forced is the command of an authorized_keys line for the world.
func (w *world) forced(t testing.TB) string {
	t.Helper()
	program.Lock()
	defer program.Unlock()
	if program.path == "" {
		bin := filepath.Join(btrfstest.Shared(t).Path, "snapmerge")
		if out, err := exec.Command("go", "build", "-o", bin, "snapmerge/cmd/snapmerge").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		program.path = bin
	}
	return fmt.Sprintf("%s agent --mailbox chris --path %s --snapshots %s", program.path, w.store.Path, w.store.Snapshots)
}

// overSSH are options for the real program behind a real sshd. Its version is
// that of a build from a checkout.
func (w *world) overSSH(s *sshtest.Server) Options {
	o := w.options()
	o.SSH, o.Version = s.SSH, "(devel)"
	o.Timing = Timing{Beat: 100 * time.Millisecond, Dial: 20 * time.Second, Silence: 25 * time.Second, Grace: 5 * time.Second}
	return o
}

// dialSSH is a session over ssh that ends with the test.
func dialSSH(t testing.TB, o Options) *Client {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	c, err := Dial(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, ignore)
	})
	return c
}

// Every verb through a real sshd with a forced command.
func TestSSH(t *testing.T) {
	w := newWorld(t, 3)
	s := sshtest.Start(t, w.forced(t))
	c := dialSSH(t, w.overSSH(s))
	everyVerb(t, w, c, c.Version())
	if c.Received() < 1000 {
		t.Errorf("received %d bytes", c.Received())
	}
}

// Whatever the client asks sshd to run, the forced command runs, and nothing
// else: SSH_ORIGINAL_COMMAND is not looked at.
func TestOriginalCommand(t *testing.T) {
	w := newWorld(t, 1)
	s := sshtest.Start(t, w.forced(t))
	canary := filepath.Join(s.Dir, "canary")
	for _, command := range []string{
		"touch " + canary,
		"snapmerge agent; touch " + canary + "\ntouch " + canary + "\n",
		"$(touch " + canary + ") `touch " + canary + "`",
		`" ; touch ` + canary + ` #`,
		"agent --path / --snapshots " + s.Dir,
		strings.Repeat("x", 100000),
	} {
		// Not by Dial, which would not send such a thing.
		args := append(strings.Fields(s.SSH), "-T", "--", "mx", command)
		c := dialArgs(t, w.overSSH(s), args)
		if f, err := c.Look(context.Background(), true); err != nil || f.Mails != 1 {
			t.Errorf("%.80q: %+v, %v", command, f, err)
		}
		c.Close()
		if _, err := os.Lstat(canary); err == nil {
			t.Fatalf("%q was executed", command)
		}
	}
	// The canary does sing where the command runs.
	s = sshtest.Start(t, "")
	args := append(strings.Fields(s.SSH)[1:], "-T", "--", "mx", "echo; touch "+canary)
	if out, err := exec.Command("ssh", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Lstat(canary); err != nil {
		t.Error(err)
	}
}

// dialArgs is Dial with a command line of its own.
func dialArgs(t testing.TB, o Options, args []string) *Client {
	t.Helper()
	p, err := start(args)
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(context.Background(), o, p, p.out, p.in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What keeps a session from coming about, and what the user reads.
func TestDialErrors(t *testing.T) {
	w := newWorld(t, 1)
	good := w.overSSH(sshtest.Start(t, w.forced(t)))
	plain := w.overSSH(sshtest.Start(t, "")) // the client's command runs
	noisy := w.overSSH(sshtest.Start(t, "echo Last login: yesterday; "+w.forced(t)))
	mute := w.overSSH(sshtest.Start(t, "sleep 100"))
	quick := func(o Options) Options { o.Timing.Dial = time.Second; return o }
	with := func(o Options, f func(*Options)) Options { f(&o); return o }
	ignore := goleak.IgnoreCurrent()
	for _, c := range []struct {
		name        string
		opts        Options
		unreachable bool
		want        string // in the error's text
	}{
		{"no route", with(good, func(o *Options) { o.Host = "wrong-port" }), true,
			`online "wrong-port" cannot be reached: ssh: exit status 255: "ssh: connect to host 127.0.0.1 port`},
		{"key unknown", with(good, func(o *Options) { o.Host = "wrong-key" }), true, `Permission denied (publickey)`},
		{"another host", with(good, func(o *Options) { o.Host = "wrong-host-key" }), true, `Host key verification failed`},
		{"no such name", with(good, func(o *Options) { o.SSH, o.Host = "ssh -F none", "no-such-host.invalid" }), true,
			`cannot be reached: ssh: exit status 255: "ssh: Could not resolve hostname`},
		{"hung", quick(with(good, func(o *Options) { o.SSH, o.Host = sshtest.Hung(t), "127.0.0.1" })), true,
			`online "127.0.0.1" cannot be reached: no answer within 1s`},
		{"no ssh", with(good, func(o *Options) { o.SSH = "no-such-ssh" }), true,
			`cannot be reached: exec: "no-such-ssh": executable file not found in $PATH`},
		{"no agent", with(plain, func(o *Options) { o.Agent = "no-such-agent" }), false,
			`online "mx": the agent "no-such-agent" did not start: ssh: exit status 127: "`},
		{"noise", noisy, false, `online "mx": no agent answers there: the far end said: "Last login: yesterday\nsnapmerge agent`},
		{"other program", with(plain, func(o *Options) { o.Agent = "/bin/echo" }), false, `the far end said: "agent --mailbox chris\n"`},
		{"no hello", quick(mute), true, `cannot be reached: no answer within 1s`},
		{"mailbox", with(good, func(o *Options) { o.Mailbox = "anna" }), false,
			`online "mx": the two hosts do not fit together: the agent over there does not serve mailbox "anna"`},
		{"option", with(good, func(o *Options) { o.Host = "-oProxyCommand=touch /tmp/canary" }), false, `is no ssh destination`},
		{"shell", with(good, func(o *Options) { o.Agent = "snapmerge;reboot" }), false, `is no name of a program`},
	} {
		begun := time.Now()
		client, err := Dial(context.Background(), c.opts)
		if client != nil {
			client.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUnreachable) != c.unreachable {
			t.Errorf("%s: got %v, want %s, unreachable %v", c.name, err, c.want, c.unreachable)
		}
		if d := time.Since(begun); d > 15*time.Second {
			t.Errorf("%s: took %v", c.name, d)
		}
		t.Logf("%s: %v", c.name, err)
	}
	goleak.VerifyNone(t, ignore)
}

// The agent, the real program, is killed before each verb and in the middle of
// it: the client says at which verb, the lock is free, and the next session works.
func TestAgentKilled(t *testing.T) {
	w := newWorld(t, 300)
	args := strings.Fields(w.forced(t))
	o := w.options()
	o.Version = "(devel)"
	o.Timing.Silence = 25 * time.Second // the program beats every 10 s
	ignore := goleak.IgnoreCurrent()
	prepare(t, w)
	for _, v := range w.verbs() {
		for _, after := range []time.Duration{0, 1, 2, 5, 10, 20} {
			c := dialArgs(t, o, args)
			agent := c.conn.(*process)
			kill := time.AfterFunc(after*time.Millisecond, func() { agent.cmd.Process.Kill() })
			if after == 0 {
				<-agent.done
			}
			err := v.do(c)
			kill.Stop()
			b, broken := errors.AsType[*BrokenError](err)
			if after == 0 && !broken || broken && b.Verb != v.name || !broken && err != nil {
				t.Errorf("%s, killed after %d ms: %v", v.name, after, err)
			}
			if broken && v.do(c) == nil {
				t.Errorf("%s: works on a dead connection", v.name)
			}
			c.Close()
			w.unlocked(t)
		}
	}
	c := dialArgs(t, o, args)
	for _, v := range w.verbs() {
		if err := v.do(c); err != nil {
			t.Errorf("%s in the end: %v", v.name, err)
		}
	}
	w.placed(t)
	c.Close()
	goleak.VerifyNone(t, ignore)
}

// ssh is killed, as by a network that goes away: the agent ends by itself and
// lets the lock go, so that this machine can take it.
func TestConnectionKilled(t *testing.T) {
	w := newWorld(t, 3)
	o := w.overSSH(sshtest.Start(t, w.forced(t)))
	c, err := Dial(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	here := host.Open(w.store, snapshot.Online)
	if err := here.Lock(context.Background(), 0); err == nil {
		t.Fatal("the agent holds no lock")
	}
	c.conn.(*process).kill()
	if err := here.Lock(context.Background(), 10*time.Second); err != nil {
		t.Error(err)
	}
	here.Close()
	c.Close()
}
