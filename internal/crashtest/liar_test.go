package crashtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"snapmerge/internal/apply"
	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/host"
	"snapmerge/merge"
)

// retired is the mailbox of the tests about expiry: mail in old/ leaves online
// after a year.
func retired(w *world, due, young int) (before, now time.Time) {
	w.t.Helper()
	now = time.Now()
	before = now.AddDate(0, 0, -20)
	w.online.makeFolder("old")
	put := func(key string, at time.Time) {
		w.online.deliver("old", key, "S", 3)
		must(w.t, os.Chtimes(w.online.mustFind("old", key), at, at))
	}
	for i := range due {
		put(fmt.Sprintf("due%03d", i), now.AddDate(-1, 0, -5).Add(time.Duration(i)*time.Minute))
	}
	for i := range young {
		put(fmt.Sprintf("young%04d", i), now.AddDate(0, -2, 0).Add(time.Duration(i)*time.Minute))
	}
	for range 2 {
		res, err := w.trySync(engine.Options{Now: func() time.Time { return before }})
		must(w.t, err)
		if res.Record.Report.Online.Expired > 0 {
			w.t.Fatal("expired before its time")
		}
	}
	return before, now
}

// A liar is an online host that tells of removals what is not true.
type liar struct {
	host.Host
	lie  string
	mail string // its Maildir
}

func (l liar) Apply(ctx context.Context, b host.Batch, done func(int, apply.Result)) error {
	removal := len(b.Steps) > 0 && b.Steps[0].Op.Kind == apply.Unlink
	switch {
	case removal && l.lie == "claims":
		for i := range b.Steps {
			done(i, apply.Result{Outcome: apply.Done})
		}
		return nil
	case removal && l.lie == "denies":
		return l.Host.Apply(ctx, b, func(i int, _ apply.Result) { done(i, apply.Result{Outcome: apply.Raced, Why: "not me"}) })
	case removal && l.lie == "deletes more":
		names, _ := filepath.Glob(filepath.Join(l.mail, ".old", "cur", "young*"))
		for _, n := range names {
			os.Remove(n)
		}
	}
	return l.Host.Apply(ctx, b, done)
}

// TestLiar: whatever online says of the mail that it is asked to expire, home loses
// none, neither in that sync nor in those that follow, in which it is honest.
func TestLiar(t *testing.T) {
	for _, tt := range []struct {
		lie  string
		held int
	}{{"claims", 0}, {"denies", 0}, {"deletes more", 5}} {
		t.Run(tt.lie, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, btrfstest.Shared(t).Path)
			retired(w, 4, 5)
			had := files(t, w.offline.path)
			_, err := engine.Sync(context.Background(), w.mb, stateDir(w.dir), engine.Options{
				Connect: func(ctx context.Context, mb config.Mailbox) (host.Host, error) {
					h, err := engine.ConnectLocal(ctx, mb)
					return liar{h, tt.lie, mb.Online.Path}, err
				}})
			must(t, err)
			for range 2 {
				res := w.sync()
				if n := len(res.Record.Pending.Held); n != tt.held {
					t.Errorf("%d held, want %d: %+v", n, tt.held, res.Record.Pending.Held)
				}
				for _, h := range res.Record.Pending.Held {
					if h.Kind != merge.DeletedOnline {
						t.Errorf("held as %s", h.Kind)
					}
				}
			}
			w.untouched(had)
			if now := files(t, w.offline.path); len(now) != len(had) {
				t.Errorf("home had %d mails and has %d", len(had), len(now))
			}
		})
	}
}
