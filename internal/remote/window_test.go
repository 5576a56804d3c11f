package remote

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"snapmerge/snapshot"
)

// A client that reads all that comes, but does not say so, gets a window of the
// stream and no more; for each "more" it gets another piece. The stream is of 3 MB.
func TestWindow(t *testing.T) {
	w := newWorld(t, 0)
	for i := range 3 {
		w.write(t, filepath.Join("cur", mailName(i)), string(make([]byte, 1<<20)))
	}
	if err := snapshot.Take(w.store.Path, w.store.Snapshots, "online.1"); err != nil {
		t.Fatal(err)
	}
	p, cfg := newPipe(t), w.agent()
	cfg.Timing.Silence = time.Minute // no beats come
	go func() {
		defer close(p.done)
		p.err = Serve(context.Background(), cfg, p.agentIn, p.agentOut)
	}()
	defer p.close(time.Second)
	me, err := greeting(hello{Version: "x", Protocol: Protocol, Mailbox: "chris", Path: w.store.Path, Snapshots: w.store.Snapshots, Layout: "maildir++"})
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := p.fromAgent.Read(buf)
			if got.Add(int64(n)); err != nil {
				return
			}
		}
	}()
	io.WriteString(p.toAgent, string(me)+wire('Q', `{"Verb":"send","Snapshot":"online.1"}`))
	const slack = 96 << 10 // a frame more, the headers, beats
	for want := int64(windowSize); want <= windowSize+4*windowPiece; want += windowPiece {
		if n := settled(&got); n < want || n > want+slack {
			t.Errorf("%d bytes have come, want %d to %d", n, want, want+slack)
		}
		io.WriteString(p.toAgent, wire('M', ""))
	}
}

// settled waits until a number has stopped growing.
func settled(n *atomic.Int64) int64 {
	for last := int64(-1 << 20); ; time.Sleep(500 * time.Millisecond) {
		now := n.Load()
		if now-last < 1000 { // beats
			return now
		}
		last = now
	}
}

// A window gives no more than what was taken.
func TestWindowWidens(t *testing.T) {
	w := newWindow()
	w.open()
	if w.widen() {
		t.Error("wider than a window")
	}
	if err := w.use(t.Context(), windowSize); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.use(ctx, 1); !os.IsTimeout(err) {
		t.Errorf("there was room: %v", err)
	}
	for i := range windowSize/windowPiece + 1 {
		if got, want := w.widen(), i < windowSize/windowPiece; got != want {
			t.Errorf("piece %d: %v, want %v", i, got, want)
		}
	}
}

// A stream is closed while another goroutine reads it, as when a sync is
// interrupted: the agent is told to stop once, its answer reaches whom it is for,
// and the session goes on.
func TestCloseWhileRead(t *testing.T) {
	w := newWorld(t, 0)
	for i := range 3 {
		w.write(t, filepath.Join("cur", mailName(i)), string(make([]byte, 1<<20)))
	}
	if err := snapshot.Take(w.store.Path, w.store.Snapshots, "online.1"); err != nil {
		t.Fatal(err)
	}
	c := session(t, w)
	for i := range 30 {
		s, err := c.Send(t.Context(), "online.1", "")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, s)
			ended <- err
		}()
		time.Sleep(time.Duration(i) * 100 * time.Microsecond)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-ended
		if err := c.Prune(t.Context(), []string{"online.7"}); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
}

// Frames that do nothing may come for as long as a slow stream takes, but not many
// at a time.
func TestFlood(t *testing.T) {
	var f flood
	for range 5 {
		for range maxBeats {
			if f.add(time.Hour) {
				t.Fatal("a flood")
			}
		}
		f.since = f.since.Add(-2 * time.Hour)
	}
	f = flood{}
	for i := range maxBeats + 1 {
		if f.add(time.Hour) != (i == maxBeats) {
			t.Fatalf("frame %d", i)
		}
	}
}
