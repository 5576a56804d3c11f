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
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/apply"
	"snapmerge/internal/btrfstest"
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
		{verbApply, func(c *Client) error {
			return c.Apply(ctx, host.Batch{Steps: w.mails(), Sync: true}, func(int, apply.Result) {})
		}},
		{verbPrune, func(c *Client) error { return c.Prune(ctx, []string{"online.2", "online.3"}) }},
	}
}

// mails are to be placed: more than one request may have, the last in several frames.
func (w *world) mails() []host.Step {
	steps := []host.Step{{Op: apply.Op{Kind: apply.MakeFolder, Folder: "back"}}}
	for i := range maxPlaces + 6 {
		steps = append(steps, w.mail("back", fmt.Sprintf("1800000000.M%dP1.mx", i), placedBody(i)))
	}
	return steps
}

func placedBody(i int) string {
	return strings.Repeat(fmt.Sprintf("mail %d comes back\n", i), 20+60*i)
}

func (w *world) mail(folder, unique, body string) host.Step {
	return host.Step{Op: apply.Op{
		Kind: apply.Place, Size: int64(len(body)), Mtime: 1.7e18,
		To: apply.Target{Folder: folder, Unique: unique, Flags: tree.Seen, Keywords: []string{"work"}},
		Source: func() (*os.File, error) {
			f, err := os.CreateTemp("", "")
			if err == nil {
				err = errors.Join(os.Remove(f.Name()), second(f.WriteString(body)), second(f.Seek(0, io.SeekStart)))
			}
			return f, err
		},
	}}
}

func second[T any](_ T, err error) error { return err }

// placed checks that what was placed is whole and has its date, and that nothing
// else is left of it. It returns how many there are.
func (w *world) placed(t *testing.T) (n int) {
	t.Helper()
	for i := range maxPlaces + 6 {
		path := filepath.Join(w.store.Path, ".back/cur", fmt.Sprintf("1800000000.M%dP1.mx:2,Sa", i))
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		n++
		st, serr := os.Stat(path)
		if err != nil || serr != nil || string(b) != placedBody(i) || st.ModTime().UnixNano() != 1.7e18 {
			t.Errorf("mail %d: %d bytes of %d: %v", i, len(b), len(placedBody(i)), errors.Join(err, serr))
		}
	}
	for dir, want := range map[string]int{".back/cur": n, ".back/tmp": 0, "tmp": 0} {
		if list, err := os.ReadDir(filepath.Join(w.store.Path, dir)); err == nil && len(list) != want {
			t.Errorf("%s has %d files", dir, len(list))
		}
	}
	return n
}

// TestPlace: mail of home's goes into an online store whole, with its date, flags
// and keywords; a second time it is left as it is.
func TestPlace(t *testing.T) {
	w := newWorld(t, 1)
	c := session(t, w)
	for round, want := range []apply.Outcome{apply.Done, apply.Raced} {
		var got []apply.Result
		err := c.Apply(t.Context(), host.Batch{Steps: w.mails(), Sync: true}, func(_ int, r apply.Result) { got = append(got, r) })
		if err != nil || len(got) != maxPlaces+7 {
			t.Fatalf("%d results, %v", len(got), err)
		}
		for i, r := range got[1:] {
			if r.Outcome != want || want == apply.Done && (r.File.Name != fmt.Sprintf("1800000000.M%dP1.mx:2,Sa", i) || r.File.Ino != 0 || r.File.Size != int64(len(placedBody(i)))) {
				t.Errorf("round %d, mail %d: %+v", round, i, r)
			}
		}
		if n := w.placed(t); n != maxPlaces+6 {
			t.Errorf("%d mails", n)
		}
	}
}

// TestPlaceFails: a disk over there that is full, and a mail at home that is
// shorter than it was. Nothing gets a name, and after the first the session goes on.
func TestPlaceFails(t *testing.T) {
	w := newWorldOn(t, btrfstest.New(t, 256<<20), 1)
	c := session(t, w)
	big := w.mail("INBOX", "big", "")
	big.Op.Size = 400 << 20
	big.Op.Source = func() (*os.File, error) { return os.Open("/dev/zero") }
	err := c.Apply(t.Context(), host.Batch{Steps: []host.Step{w.mail("INBOX", "small", "small"), big}}, func(int, apply.Result) { t.Error("a result") })
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("full: %v", err)
	}
	if _, err := c.Look(t.Context(), false); err != nil {
		t.Errorf("after that: %v", err)
	}
	c.Close()
	c, p, _, _, err := dialCut(t, w, 1<<40, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close(0)
	defer c.Close()
	short := w.mail("INBOX", "short", "not all")
	short.Op.Size++
	err = c.Apply(t.Context(), host.Batch{Steps: []host.Step{short}}, func(int, apply.Result) { t.Error("a result") })
	if err == nil || !strings.Contains(err.Error(), "shorter than it was") {
		t.Errorf("short: %v", err)
	}
	list, err := filepath.Glob(filepath.Join(w.store.Path, "*", "*[lgt]:2,*"))
	if len(list) > 0 || err != nil {
		t.Errorf("%q, %v", list, err)
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
