package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// step is a step whose file the snapshot shows as From.
func step(op apply.Op) host.Step {
	seen := op.From
	return host.Step{Op: op, Seen: &seen}
}

// A sync's worth of verbs: look, freeze, a full send, changes, an increment, prune. Each
// does what host.Local does on this machine.
func TestVerbs(t *testing.T) {
	w := newWorld(t, 3)
	everyVerb(t, w, session(t, w), "v1.2.3")
}

// everyVerb wants three mails in the world, and no snapshot.
func everyVerb(t *testing.T, w *world, c *Client, version string) {
	ctx := context.Background()
	local := host.Open(w.store, snapshot.Online)

	f, err := c.Look(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	if f.Mails != 3 || f.Folders != 2 || f.Version != version || f.Free == 0 || len(f.Snapshots) > 0 || len(f.Problems) > 0 {
		t.Errorf("look: %+v", f)
	}
	frozen, err := c.Freeze(ctx, "online.1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := snapshot.Read(filepath.Join(w.store.Snapshots, "online.1"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, frozen.Snapshot); diff != "" {
		t.Errorf("frozen, -want +got:\n%s", diff)
	}
	compareSend(t, c, local, "online.1", "")

	from := tree.File{Folder: "INBOX", Name: mailName(0), Ino: 4711, Size: 5, Mtime: 6}
	steps := []host.Step{
		{Op: apply.Op{Kind: apply.MakeFolder, Folder: "lists/caf\u00e9"}},
		step(apply.Op{Kind: apply.Rename, From: from, To: apply.Target{Folder: "work", Unique: "1700000000.M0P1.mx",
			Flags: tree.Seen | tree.Flagged, Keywords: []string{"urgent"}}}),
		step(apply.Op{Kind: apply.Unlink, From: tree.File{Folder: "INBOX", Name: "no-such:2,"}}),
		step(apply.Op{Kind: apply.Unlink, From: tree.File{Folder: "INBOX", Name: mailName(1)}}),
		step(apply.Op{Kind: apply.Copy, From: tree.File{Folder: "INBOX", Name: mailName(2), Ino: 12},
			To: apply.Target{Folder: "work", Unique: "copied"}}),
		// Into a folder of another mode: a new file, so home's inode number is not its.
		step(apply.Op{Kind: apply.Copy, From: tree.File{Folder: "INBOX", Name: mailName(2), Ino: 12},
			To: apply.Target{Folder: "lists/caf\u00e9", Unique: "cloned"}}),
	}
	steps[5].OwnLinks = 1
	var got []apply.Result
	err = c.Apply(ctx, host.Batch{Snapshot: "online.1", Steps: steps, Unlock: []string{"INBOX", "work"}, Sync: true}, func(i int, r apply.Result) {
		if i != len(got) {
			t.Errorf("result %d after %d", i, len(got))
		}
		got = append(got, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]apply.Result{
		{File: tree.File{Folder: "lists/caf\u00e9"}},
		{File: tree.File{Folder: "work", Name: "1700000000.M0P1.mx:2,FSa", Ino: 4711, Size: 5, Mtime: 6}},
		{Outcome: apply.Raced, Why: "the snapshot does not show it"},
		{},
		{File: tree.File{Folder: "work", Name: "copied:2,", Ino: 12}},
		{File: tree.File{Folder: "lists/caf\u00e9", Name: "cloned:2,"}},
	}, got); diff != "" {
		t.Errorf("results, -want +got:\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(w.store.Path, ".work/cur/1700000000.M0P1.mx:2,FSa")); err != nil {
		t.Error(err)
	}

	if _, err := c.Freeze(ctx, "online.2"); err != nil {
		t.Fatal(err)
	}
	compareSend(t, c, local, "online.2", "online.1")
	if err := c.Prune(ctx, []string{"online.1", "online.0"}); err != nil {
		t.Fatal(err)
	}
	if f, err = c.Look(ctx, false); err != nil || len(f.Snapshots) != 1 || f.Snapshots[0].Name != "online.2" {
		t.Errorf("look: %+v, %v", f, err)
	}
}

// compareSend wants the same bytes from both.
func compareSend(t *testing.T, a, b host.Host, name, parent string) {
	t.Helper()
	var got [2][]byte
	for i, h := range []host.Host{a, b} {
		r, err := h.Send(context.Background(), name, parent)
		if err != nil {
			t.Fatal(err)
		}
		if got[i], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(got[0], got[1]) || len(got[0]) < 100 {
		t.Errorf("send %s from %q: %d bytes and %d bytes", name, parent, len(got[0]), len(got[1]))
	}
}

// A verb is one call of a client, for tests that break it. Each can be made any
// number of times in a world that was prepared.
type verb struct {
	name string
	do   func(*Client) error
}

// prepare takes the snapshots that the verbs want.
func prepare(t testing.TB, w *world) {
	t.Helper()
	h := host.Open(w.store, snapshot.Online)
	defer h.Close()
	if _, err := h.Freeze(context.Background(), "online.1"); err != nil {
		t.Fatal(err)
	}
}

func (w *world) verbs() []verb {
	ctx := context.Background()
	return []verb{
		{verbLook, func(c *Client) error { _, err := c.Look(ctx, true); return err }},
		{verbFreeze, func(c *Client) error {
			// Whatever a broken call has left is in the way, and that is told.
			_, err := c.Freeze(ctx, "online.2")
			if errors.Is(err, fs.ErrExist) {
				err = nil
			}
			return err
		}},
		{verbSend, func(c *Client) error {
			r, err := c.Send(ctx, "online.1", "")
			if err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, r)
			if err == nil && w.stream != 0 && n != w.stream {
				err = fmt.Errorf("%d bytes of %d are taken for the whole stream", n, w.stream)
			}
			return errors.Join(err, r.Close())
		}},
		{verbApply, func(c *Client) error {
			return c.Apply(ctx, host.Batch{Snapshot: "online.1", Steps: w.manySteps(), Unlock: []string{"work"}, Sync: true}, func(int, apply.Result) {})
		}},
		{verbPrune, func(c *Client) error { return c.Prune(ctx, []string{"online.2", "online.3"}) }},
	}
}

// manySteps give flags to 200 mails, or find them changed.
func (w *world) manySteps() (steps []host.Step) {
	for i := range 200 {
		from := tree.File{Folder: "INBOX", Name: mailName(i)}
		steps = append(steps, step(apply.Op{Kind: apply.Rename, From: from,
			To: apply.Target{Folder: "INBOX", Unique: fmt.Sprintf("1700000000.M%dP1.mx", i), Flags: tree.Flagged, Keywords: []string{"a"}}}))
	}
	return steps
}
