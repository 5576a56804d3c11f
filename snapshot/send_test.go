package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// sendPair makes two snapshots between which n files have come.
func sendPair(t *testing.T, n int) (f *btrfstest.FS, base, now *os.File) {
	t.Helper()
	f = btrfstest.Shared(t)
	live := f.Subvolume(t, "live")
	write(t, filepath.Join(live, "first"), "here before\n")
	snaps := []*os.File{nil, nil}
	for i := range snaps {
		var err error
		if snaps[i], err = os.Open(f.Snapshot(t, live, fmt.Sprint("snap", i))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { snaps[i].Close() })
		for k := range n {
			write(t, filepath.Join(live, fmt.Sprintf("file%0200d", k)), "a mail\n")
		}
	}
	return f, snaps[0], snaps[1]
}

// sent returns what Send writes into a pipe, read as slowly as read wants.
func sent(t *testing.T, snap, parent *os.File, flags SendFlags, slow func()) []byte {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan error, 1)
	go func() {
		err := Send(snap, parent, flags, w)
		w.Close()
		done <- err
	}()
	slow()
	b, err := io.ReadAll(r)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSendReceive: btrfs-receive(8) makes of both streams, the full one and the
// difference, what was sent; they are of protocol 1.
func TestSendReceive(t *testing.T) {
	f, base, now := sendPair(t, 20)
	to := mkdir(t, f, "received")
	for _, s := range []struct {
		snap, parent *os.File
	}{{base, nil}, {now, base}} {
		b := sent(t, s.snap, s.parent, SendFlags{}, func() {})
		if !bytes.HasPrefix(b, []byte("btrfs-stream\x00\x01\x00\x00\x00")) {
			t.Fatalf("stream begins with %q", b[:min(len(b), 17)])
		}
		if full := bytes.Contains(b, []byte("here before")); full != (s.parent == nil) {
			t.Errorf("parent %v, and the stream is a full one: %v", s.parent, full)
		}
		c := exec.Command("btrfs", "receive", to)
		c.Stdin = bytes.NewReader(b)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		run(t, "diff", "-r", s.snap.Name(), filepath.Join(to, filepath.Base(s.snap.Name())))
	}
}

// TestSendNoData: sizes and names, no contents.
func TestSendNoData(t *testing.T) {
	_, base, now := sendPair(t, 20)
	with, without := sent(t, now, base, SendFlags{}, func() {}), sent(t, now, base, SendFlags{NoData: true}, func() {})
	if n := bytes.Count(with, []byte("a mail\n")); n != 20 {
		t.Errorf("%d contents in a stream with data, want 20", n)
	}
	if n := bytes.Count(without, []byte("a mail\n")); n != 0 {
		t.Errorf("%d contents in a stream without data", n)
	}
}

// TestSendSignals: signals that come while the pipe is full change nothing in
// the stream.
func TestSendSignals(t *testing.T) {
	_, base, now := sendPair(t, 1500)
	quiet := sent(t, now, base, SendFlags{NoData: true}, func() {})
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGUSR1)
	defer signal.Stop(ch)
	disturbed := sent(t, now, base, SendFlags{NoData: true}, func() {
		time.Sleep(100 * time.Millisecond) // the pipe's 64 KiB are full
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			var tid int
			fmt.Sscan(task.Name(), &tid)
			unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1) // a thread can have ended
		}
		time.Sleep(100 * time.Millisecond)
	})
	if len(quiet) < 500_000 || !bytes.Equal(quiet, disturbed) {
		t.Errorf("%d bytes undisturbed, %d with signals; equal %v", len(quiet), len(disturbed), bytes.Equal(quiet, disturbed))
	}
}

// TestSendErrors: what is refused, and that a reader which goes away ends it.
func TestSendErrors(t *testing.T) {
	f, base, now := sendPair(t, 1500)
	open := func(p string) *os.File {
		t.Helper()
		o, err := os.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { o.Close() })
		return o
	}
	live, dir := open(filepath.Join(f.Path, "live")), open(f.Path)
	for _, c := range []struct {
		what         string
		snap, parent *os.File
		want         error
	}{
		{"a subvolume that is not read-only", live, nil, unix.EPERM},
		{"one as parent", now, live, unix.EPERM},
		{"a directory", dir, nil, ErrNotSubvolume},
		{"one as parent", now, dir, ErrNotSubvolume},
		{"a reader that goes away", now, base, unix.EPIPE},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			r.Read(make([]byte, 100))
			r.Close()
		}()
		if err := Send(c.snap, c.parent, SendFlags{}, w); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		w.Close()
	}
}
