package mirror

import (
	"testing"

	"os"
	"path/filepath"
	"snapmerge/internal/stream"
	"snapmerge/snapshot"
	"snapmerge/tree"

	"snapmerge/internal/btrfstest"
)

// TestReceive: a full stream and two increments; each mirror is what was sent,
// read-only, and known as received from it; the tracker tells what changed.
func TestReceive(t *testing.T) {
	s := newStore(t, btrfstest.Shared(t))
	s.mails(50, 7000)
	for n := range 3 {
		s.snap()
		res := s.must(n)
		s.sameTree(n)
		name := filepath.Join(s.home, s.options(n).Name)
		info, err := snapshot.Read(name)
		if err != nil || !info.ReadOnly || info.ReceivedUUID != s.uuid(n) || info.Stransid == 0 {
			t.Errorf("%+v, %v", info, err)
		}
		if n > 0 {
			added(t, s, n, res.Tracker, n)
		} else if res.Tracker != nil {
			t.Error("a tracker that followed nothing")
		}
		if res.Bytes == 0 || res.Commands == 0 || n == 0 && res.Data != 50*7000 {
			t.Errorf("%+v", res)
		}
		s.mails(n+1, 3000)
	}
	if got := s.inHome(); got != "online.0 online.1 online.2" {
		t.Errorf("home has %s", got)
	}
}

// added checks that Changes finds n mails that came with mirror m.
func added(t *testing.T, s *store, m int, tr *stream.Tracker, n int) {
	t.Helper()
	was, now := s.mirror(m-1), s.mirror(m)
	known, err := tree.Scan(was, tree.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := stream.Changes(tr, now, stream.InMemory(known), tree.Layout{})
	if err != nil || len(c.Added) != n || len(c.Removed) != 0 {
		t.Errorf("mirror %d: %+v, %v, want %d added", m, c, err, n)
	}
}

func (s *store) mirror(n int) *os.File {
	s.t.Helper()
	f, err := os.Open(filepath.Join(s.home, s.options(n).Name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	return f
}
