package mirror

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
)

// TestPowerCut: power fails while a full stream and an increment are received,
// and the moment Receive has returned. Under its name a mirror has every mail,
// whole; before that there is nothing under it. (Package snapshot cuts between
// the steps of sealing.)
func TestPowerCut(t *testing.T) {
	s := newStore(t, btrfstest.Shared(t))
	disk := btrfstest.New(t, 300<<20)
	s.home = disk.Path
	const size = 9000
	for n := range 2 {
		s.mails(100, size)
		s.snap()
		b := s.stream(n)
		r, w := openPipe(t)
		done := make(chan error, 1)
		go func() {
			_, err := Receive(t.Context(), s.options(n), r)
			done <- err
		}()
		for i := range 2 {
			if _, err := w.Write(b[i*len(b)/2 : (i+1)*len(b)/2-1]); err != nil {
				t.Fatal(err)
			}
			quiet(t, filepath.Join(s.home, s.options(n).Name+".part/cur"))
			disk.CommitMetadata(t, fmt.Sprintf("other%d.%d", n, i))
			s.afterCut(disk, n, size)
			w.Write(b[(i+1)*len(b)/2-1 : (i+1)*len(b)/2])
		}
		w.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		home, err := os.Open(s.home)
		if err != nil {
			t.Fatal(err)
		}
		defer home.Close()
		if err := home.Sync(); err != nil { // as who writes a record beside it does
			t.Fatal(err)
		}
		s.afterCut(disk, n+1, size)
	}
}

// quiet waits until nothing comes to a directory any more: a cut copies the disk.
func quiet(t *testing.T, dir string) {
	t.Helper()
	for last, same := -1, 0; same < 10; {
		time.Sleep(10 * time.Millisecond)
		list, _ := os.ReadDir(dir)
		if len(list) == last && last > 0 {
			same++
		} else {
			last, same = len(list), 0
		}
	}
}

// afterCut: after a cut now there are n mirrors, with 100 mails each more than the
// one before, and no other.
func (s *store) afterCut(disk *btrfstest.FS, n, size int) {
	s.t.Helper()
	cut := disk.PowerCut(s.t)
	for i := range 2 {
		list, err := os.ReadDir(filepath.Join(cut, fmt.Sprint("online.", i), "cur"))
		if (err == nil) != (i < n) {
			s.t.Errorf("mirror %d of %d: %v", i, n, err)
		}
		if err == nil && len(list) != 100*(i+1) {
			s.t.Errorf("mirror %d has %d mails", i, len(list))
		}
		for _, e := range list {
			b, err := os.ReadFile(filepath.Join(cut, fmt.Sprint("online.", i), "cur", e.Name()))
			if err != nil || len(b) != size || !bytes.HasPrefix(b, []byte("a mail of many words\n")) {
				s.t.Errorf("mirror %d: %s has %d bytes: %v", i, e.Name(), len(b), err)
			}
		}
	}
}
