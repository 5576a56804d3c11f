package remote

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/host"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

// short is the Timing of tests that wait for nothing.
var short = Timing{
	Beat: 20 * time.Millisecond, Silence: time.Second, Progress: 5 * time.Second,
	Dial: 5 * time.Second, Lock: 5 * time.Second, Grace: 5 * time.Second,
}

// A world is a live Maildir on a btrfs, with n mails in INBOX and the folder "work".
type world struct {
	store  host.Store
	stream int64 // bytes of a full send, if it is known
}

func newWorld(t testing.TB, mails int) *world {
	t.Helper()
	return newWorldOn(t, btrfstest.Shared(t), mails)
}

func newWorldOn(t testing.TB, fs *btrfstest.FS, mails int) *world {
	t.Helper()
	w := &world{store: host.Store{Path: fs.Subvolume(t, "live"), Snapshots: filepath.Join(fs.Path, "snapshots")}}
	if err := os.Mkdir(w.store.Snapshots, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"cur", "new", "tmp", ".work/cur", ".work/new", ".work/tmp"} {
		if err := os.MkdirAll(filepath.Join(w.store.Path, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range mails {
		w.write(t, filepath.Join("cur", mailName(i)), fmt.Sprintf("Subject: %d\n\nmail %d\n", i, i))
	}
	return w
}

func mailName(i int) string { return fmt.Sprintf("1700000000.M%dP1.mx:2,S", i) }

func (w *world) write(t testing.TB, rel, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.store.Path, rel), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) agent() AgentConfig {
	return AgentConfig{Version: "v1.2.3", Stores: map[string]host.Store{"chris": w.store}, Timing: short}
}

func (w *world) options() Options {
	return Options{Host: "mx", SSH: "ssh", Agent: "snapmerge", Mailbox: "chris", Store: w.store, Version: "v1.2.3", Timing: short}
}

// pipes are a connection to an agent in this process, in place of ssh.
type pipes struct {
	toAgent, fromAgent *os.File // the client's ends
	agentIn, agentOut  io.ReadWriteCloser
	done               chan struct{} // the agent has ended
	err                error
	once               sync.Once
	hold               chan struct{} // an impostor goes when it is closed
}

// dialPipe connects to an agent that runs over two kernel pipes, as under sshd.
func dialPipe(t testing.TB, cfg AgentConfig, o Options) (*Client, *pipes, error) {
	t.Helper()
	p := newPipe(t)
	go func() {
		defer close(p.done)
		p.err = Serve(context.Background(), cfg, p.agentIn, p.agentOut)
	}()
	c, err := open(context.Background(), o, p, p.fromAgent, p.toAgent)
	return c, p, err
}

func newPipe(t testing.TB) *pipes {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return &pipes{toAgent: inW, fromAgent: outR, agentIn: inR, agentOut: outW, done: make(chan struct{}), hold: make(chan struct{})}
}

// release lets an impostor go.
func (p *pipes) release() {
	close(p.hold)
	p.close(0)
	<-p.done
	p.agentIn.Close()
}

func (p *pipes) said() string { return "" }
func (p *pipes) exited() int  { return -1 }

func (p *pipes) close(grace time.Duration) {
	p.once.Do(func() {
		p.toAgent.Close()
		if grace > 0 {
			select {
			case <-p.done:
			case <-time.After(grace):
			}
		}
		p.fromAgent.Close()
	})
}

// session dials, and checks in the end that nothing is left.
func session(t testing.TB, w *world) *Client {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	c, p, err := dialPipe(t, w.agent(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		select {
		case <-p.done:
			if p.err != nil && !t.Failed() {
				t.Errorf("agent: %v", p.err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the agent does not end")
		}
		goleak.VerifyNone(t, ignore)
	})
	return c
}
