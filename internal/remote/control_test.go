package remote

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/tree"
)

// Dovecot's control files over there are elsewhere: the keywords are in what is
// sent, and a keyword that home sets gets its letter there. Where the two hosts
// do not agree about that, nothing is done.
func TestControl(t *testing.T) {
	w := newWorld(t, 1)
	if _, _, err := dialPipe(t, w.agent(), func() Options { o := w.options(); o.Store.Control = "/elsewhere"; return o }()); !errors.Is(err, ErrMismatch) {
		t.Errorf("control that the agent has not: %v", err)
	}
	w.store.Control = filepath.Join(filepath.Dir(w.store.Path), "control")
	w.store.Layout.Control = true
	table := filepath.Join(w.store.Control, ".INBOX", "dovecot-keywords")
	if err := os.MkdirAll(filepath.Dir(table), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(table, []byte("0 x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := session(t, w)
	if _, err := c.Freeze(context.Background(), "online.1"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(w.store.Snapshots, "online.1", "snapmerge-keywords"))
	if string(b) != "0 x\n" {
		t.Errorf("%q %v", b, err)
	}
	seen := &tree.File{Folder: tree.Inbox, Name: mailName(0)}
	step := host.Step{Seen: seen, Op: apply.Op{Kind: apply.Rename, From: *seen,
		To: apply.Target{Folder: tree.Inbox, Unique: strings.TrimSuffix(mailName(0), ":2,S"), Keywords: []string{"x", "y"}}}}
	err = c.Apply(context.Background(), host.Batch{Snapshot: "online.1", Steps: []host.Step{step}}, func(_ int, r apply.Result) {
		if r.Outcome != apply.Done {
			t.Errorf("%+v", r)
		}
	})
	if b, _ := os.ReadFile(table); err != nil || string(b) != "0 x\n1 y\n" {
		t.Errorf("%q %v", b, err)
	}
}

// Subscriptions are changed over there, and only by names that are folders'.
func TestSubscribe(t *testing.T) {
	w := newWorld(t, 1)
	c := session(t, w)
	subscribe := func(name string) error {
		step := host.Step{Op: apply.Op{Kind: apply.Subscribe, Add: []string{name}}}
		return c.Apply(context.Background(), host.Batch{Steps: []host.Step{step}, Sync: true}, func(_ int, r apply.Result) {
			if r.Outcome != apply.Done {
				t.Errorf("%q: %+v", name, r)
			}
		})
	}
	if err := subscribe("work/ö"); err != nil {
		t.Error(err)
	}
	if err := subscribe("a\nb"); err == nil {
		t.Error("a name with two lines was sent")
	}
	if b, err := os.ReadFile(filepath.Join(w.store.Path, "subscriptions")); string(b) != "V\t2\n\nwork\t&APY-\n" {
		t.Errorf("%q %v", b, err)
	}
}
