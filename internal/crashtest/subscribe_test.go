package crashtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"snapmerge/internal/apply"
	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/host"
)

// noRoom is a host whose control files are on a disk that is full.
type noRoom struct{ host.Host }

func (n noRoom) Apply(ctx context.Context, b host.Batch, done func(int, apply.Result)) error {
	if len(b.Steps) > 0 && b.Steps[0].Op.Kind == apply.Subscribe {
		return errors.New("no space left on device")
	}
	return n.Host.Apply(ctx, b, done)
}

// TestSubscribeFails: the list of subscriptions can not be written. That is reported,
// the sync is recorded, and the next one does it.
func TestSubscribeFails(t *testing.T) {
	w := fresh(t, "work")
	w.sync()
	list := filepath.Join(w.online.path, "subscriptions")
	must(t, os.WriteFile(filepath.Join(w.offline.path, "subscriptions"), []byte("V\t2\n\nwork\n"), 0o600))
	w.offline.deliver("INBOX", "m", "S", 1)
	res, err := engine.Sync(t.Context(), w.mb, stateDir(w.dir), engine.Options{Connect: func(ctx context.Context, mb config.Mailbox) (host.Host, error) {
		h, err := engine.ConnectLocal(ctx, mb)
		return noRoom{h}, err
	}})
	must(t, err)
	wantDid(t, res, "online subscribe work failed")
	if _, err := os.Stat(filepath.Join(w.mb.Offline.Snapshots, "sync.2.json")); err != nil {
		t.Error(err)
	}
	wantDid(t, w.sync(), "online subscribe work done")
	if got, err := os.ReadFile(list); string(got) != "V\t2\n\nwork\n" {
		t.Errorf("%q, %v", got, err)
	}
	wantDid(t, w.sync())
}
