package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/snapshot"
)

// TestMain is also the child of the tests: the one that is shipped, and those
// that behave badly.
func TestMain(m *testing.M) {
	if IsChild() {
		Child()
	}
	if name, ok := strings.CutPrefix(os.Args[0], "bad child: "); ok {
		badChildren[name]()
		os.Exit(0)
	}
	btrfstest.Main(m)
}

// A store is a subvolume that plays online, and a directory that plays home's
// snapshots.
type store struct {
	t     testing.TB
	fs    *btrfstest.FS
	live  string
	home  string
	snaps []*os.File
	r     *rand.Rand
}

func newStore(t testing.TB, f *btrfstest.FS) *store {
	t.Helper()
	s := &store{t: t, fs: f, live: f.Subvolume(t, "live"), home: filepath.Join(f.Path, "home"), r: rand.New(rand.NewPCG(1, 1))}
	for _, dir := range []string{s.home, s.live + "/cur", s.live + "/new", s.live + "/tmp"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// mails writes n mails of size bytes.
func (s *store) mails(n, size int) {
	s.t.Helper()
	text := bytes.Repeat([]byte("a mail of many words\n"), size/21+1)[:size]
	for i := range n {
		name := fmt.Sprintf("%s/cur/%d.M%d.host:2,", s.live, len(s.snaps), i)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// snap takes online's next snapshot.
func (s *store) snap() *os.File {
	s.t.Helper()
	f, err := os.Open(s.fs.Snapshot(s.t, s.live, fmt.Sprint("online.", len(s.snaps))))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	s.snaps = append(s.snaps, f)
	return f
}

// stream returns what leads to snapshot n, from the one before if there is one.
func (s *store) stream(n int) []byte {
	s.t.Helper()
	var parent *os.File
	if n > 0 {
		parent = s.snaps[n-1]
	}
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		err := snapshot.Send(s.snaps[n], parent, snapshot.SendFlags{}, w)
		w.Close()
		done <- err
	}()
	b, err := io.ReadAll(r)
	r.Close()
	if err := errors.Join(err, <-done); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// options ask for snapshot n.
func (s *store) options(n int) Options {
	s.t.Helper()
	o := Options{Dir: s.home, Name: fmt.Sprint("online.", n), UUID: s.uuid(n)}
	if n > 0 {
		o.Parent, o.ParentUUID = fmt.Sprint("online.", n-1), s.uuid(n-1)
	}
	return o
}

func (s *store) uuid(n int) snapshot.UUID {
	s.t.Helper()
	info, err := snapshot.Read(s.snaps[n].Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return info.UUID
}

// must receives snapshot n.
func (s *store) must(n int) Result {
	s.t.Helper()
	b := s.stream(n)
	check := leaks(s.t)
	res, err := Receive(s.t.Context(), s.options(n), bytesIn(b))
	check()
	if err != nil {
		s.t.Fatal(err)
	}
	return res
}

func bytesIn(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

// sameTree compares what online sent with what is at home, by diff(1).
func (s *store) sameTree(n int) {
	s.t.Helper()
	out, err := exec.Command("diff", "-r", s.snaps[n].Name(), filepath.Join(s.home, fmt.Sprint("online.", n))).CombinedOutput()
	if err != nil {
		s.t.Errorf("mirror %d: %v\n%s", n, err, out)
	}
}

// inHome returns the names in home's directory of snapshots.
func (s *store) inHome() string {
	s.t.Helper()
	list, err := os.ReadDir(s.home)
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// leaks remembers the goroutines, open files and children of this process. What
// it returns fails the test if there are more then.
func leaks(t testing.TB) (check func()) {
	t.Helper()
	now := func() (int, int, int) {
		fds, err := os.ReadDir("/proc/self/fd")
		kids, err2 := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
		all, _ := filepath.Glob("/proc/self/task/*/children")
		n := 0
		for _, f := range all {
			b, _ := os.ReadFile(f)
			n += len(strings.Fields(string(b)))
		}
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err, kids)
		}
		return runtime.NumGoroutine(), len(fds), n
	}
	g, f, c := now()
	gc := debug.SetGCPercent(-1) // it closes what nobody did
	return func() {
		t.Helper()
		defer debug.SetGCPercent(gc)
		var g2, f2, c2 int
		for range 100 {
			if g2, f2, c2 = now(); g2 <= g && f2 <= f && c2 <= c {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stack := make([]byte, 1<<16)
		t.Errorf("goroutines %d -> %d, files %d -> %d, children %d -> %d\n%s", g, g2, f, f2, c, c2, stack[:runtime.Stack(stack, true)])
	}
}

// everything lists inode, mode, size, times and content of all below a directory.
func everything(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		var content []byte
		if d.Type().IsRegular() {
			if content, err = os.ReadFile(p); err != nil {
				return err
			}
		}
		all[p] = fmt.Sprint(st.Ino, st.Dev, st.Mode, st.Size, st.Nlink, st.Mtim, st.Ctim, string(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
