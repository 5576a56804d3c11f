package crashtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/host"
	"snapmerge/internal/remote"
	"snapmerge/internal/sshtest"
)

// In these tests online is on another machine: an agent is at the other end of
// ssh, or of this test binary in the place of ssh where a connection is to be cut.

// connect is how the engine gets at online.
func (w *world) connect(ctx context.Context, mb config.Mailbox) (host.Host, error) {
	if w.ssh == "" {
		return engine.ConnectLocal(ctx, mb)
	}
	return remote.Dial(ctx, remote.Options{
		Host: "mx", SSH: w.ssh, Agent: "snapmerge", Mailbox: mb.Name, Version: "test",
		Store: host.Store{Path: mb.Online.Path, Snapshots: mb.Online.Snapshots, Layout: mb.Online.Layout, Control: mb.Online.Control},
	})
}

// farArg makes the test binary the far end, in the place of ssh. Its arguments
// are the directory of the world, and what goes wrong:
//
//   - nothing
//     count FILE  nothing; the bytes of both directions are written into the file
//     die N       after N bytes, of both directions together, the agent is killed
//     cut N       after N bytes the connection is gone, and the agent notices at once
const farArg = "snapmerge-crashtest-far"

func farEnd(args []string) int {
	dir, what, arg := args[0], args[1], args[2]
	limit := int64(1 << 62)
	if what == "die" || what == "cut" {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return 2
		}
		limit = n
	}
	c := &counter{limit: limit, over: func() {
		if what == "die" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		os.Stdin.Close()
		os.Stdout.Close()
	}}
	signal.Ignore(syscall.SIGPIPE)
	mb := mailbox(dir)
	err := remote.Serve(context.Background(), remote.AgentConfig{Version: "test", Stores: map[string]host.Store{
		mb.Name: {Path: mb.Online.Path, Snapshots: mb.Online.Snapshots, Layout: mb.Online.Layout, Control: mb.Online.Control},
	}}, streams{os.Stdin, nil, c}, streams{nil, os.Stdout, c})
	if what == "count" {
		os.WriteFile(arg, []byte(strconv.FormatInt(c.n.Load(), 10)), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A counter ends a connection after so many bytes.
type counter struct {
	n     atomic.Int64
	limit int64
	over  func()
}

func (c *counter) add(n int) error {
	if was := c.n.Add(int64(n)) - int64(n); was <= c.limit && was+int64(n) > c.limit {
		c.over()
		return io.ErrClosedPipe
	}
	return nil
}

type streams struct {
	r *os.File
	w *os.File
	c *counter
}

func (s streams) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if over := s.c.add(n); over != nil {
		return 0, over
	}
	return n, err
}

// Write lets the bytes before the limit through: a frame can be cut anywhere.
func (s streams) Write(p []byte) (int, error) {
	if left := s.c.limit - s.c.n.Load(); left >= 0 && left < int64(len(p)) {
		s.w.Write(p[:left])
	}
	if err := s.c.add(len(p)); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// farWorld is a world before its third sync whose online side is elsewhere.
func farWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, btrfstest.Shared(t).Path)
	w.ssh = w.far("-", "-")
	w.toThird(func() {})
	return w
}

// far is the command in the place of ssh.
func (w *world) far(what, arg string) string {
	w.t.Helper()
	self, err := os.Executable()
	must(w.t, err)
	return strings.Join([]string{self, farArg, w.dir, what, arg}, " ")
}

// TestFar: a mailbox's life with a real sshd, and a key that may run one command
// only, whatever is asked for: three syncs with changes of every kind on both
// sides end as they do on one machine.
func TestFar(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "snapmerge")
	if out, err := exec.Command("go", "build", "-o", bin, "snapmerge/cmd/snapmerge").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w := newWorld(t, btrfstest.Shared(t).Path)
	forced := fmt.Sprintf("%s agent --mailbox chris --path %s --snapshots %s", bin, w.mb.Online.Path, w.mb.Online.Snapshots)
	w.ssh = sshtest.Start(t, forced).SSH
	w.toThird(func() {})
	before := files(t, w.offline.path)
	w.sync()
	compare(t, w.end(), wantEnd(t, change{}), true)
	w.untouched(before)
	w.settled()
}

// TestFarCut: the connection breaks after any number of bytes, or the agent is
// killed there. Nothing is half done at home, and the next sync ends where an
// undisturbed one would have.
//
// SNAPMERGE_CUTS is the number of cuts.
func TestFarCut(t *testing.T) {
	total := farBytes(t)
	cuts := 40
	if s := os.Getenv("SNAPMERGE_CUTS"); s != "" {
		var err error
		cuts, err = strconv.Atoi(s)
		must(t, err)
	}
	rng := random(t)
	var failed atomic.Int32
	begin := time.Now()
	t.Run("after", func(t *testing.T) {
		for i := range cuts {
			what, n := []string{"cut", "die"}[i%2], rng.Int64N(total)
			t.Run(fmt.Sprintf("%d bytes, %s", n, what), func(t *testing.T) {
				t.Parallel()
				w := farWorld(t)
				before := files(t, w.offline.path)
				w.ssh = w.far(what, strconv.FormatInt(n, 10))
				if _, err := w.trySync(engine.Options{}); err != nil {
					failed.Add(1)
				}
				w.ssh = w.far("-", "-")
				w.sync()
				compare(t, w.end(), wantEnd(t, change{}), true)
				w.untouched(before)
				w.settled()
			})
		}
	})
	t.Logf("%d cuts of %d bytes, %d syncs failed, in %.0f s", cuts, total, failed.Load(), time.Since(begin).Seconds())
	if int(failed.Load()) < cuts/2 {
		t.Errorf("only %d of %d cuts were noticed", failed.Load(), cuts)
	}
}

// farBytes counts the bytes of an undisturbed third sync.
func farBytes(t *testing.T) int64 {
	w := farWorld(t)
	file := filepath.Join(t.TempDir(), "count")
	w.ssh = w.far("count", file)
	w.sync()
	var data []byte
	for end := time.Now().Add(10 * time.Second); len(data) == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		data, _ = os.ReadFile(file)
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	must(t, err)
	return n
}

// TestFarKill: the agent is killed as it enters a system call that changes
// something: while it takes a snapshot, sends, changes mail, syncs, prunes.
func TestFarKill(t *testing.T) {
	var hit atomic.Int32
	t.Run("at", func(t *testing.T) {
		for _, k := range []kill{
			{"ioctl", 1}, {"ioctl", 2}, {"ioctl", 3}, {"ioctl", 4}, {"linkat", 1}, {"linkat", 3}, {"renameat2", 1}, {"renameat2", 4},
			{"renameat2", 9}, {"unlinkat", 1}, {"unlinkat", 5}, {"unlinkat", 12}, {"mkdirat", 1}, {"mkdirat", 4}, {"syncfs", 1}, {"write", 3}, {"write", 30},
		} {
			t.Run(k.String(), func(t *testing.T) {
				t.Parallel()
				w := farWorld(t)
				before := files(t, w.offline.path)
				w.ssh = fmt.Sprintf("strace -f -qq -o /dev/null -e trace=%s -e inject=%s:signal=SIGKILL:when=%d ", k.call, k.call, k.n) + w.far("-", "-")
				if _, err := w.trySync(engine.Options{}); err != nil {
					hit.Add(1)
				}
				w.ssh = w.far("-", "-")
				w.sync()
				compare(t, w.end(), wantEnd(t, change{}), true)
				w.untouched(before)
				w.settled()
			})
		}
	})
	if hit.Load() < 10 {
		t.Errorf("only %d agents were killed", hit.Load())
	}
}
