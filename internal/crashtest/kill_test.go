package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
)

// changing are the system calls that change something, or make it durable. The
// process is killed as it enters one, so every state between two of them is
// met. A file that openat(2) creates is met at the next call of these.
var changing = []string{
	"rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat",
	"symlinkat", "mknodat", "truncate", "ftruncate", "fallocate", "write", "writev", "pwrite64", "pwritev",
	"pwritev2", "copy_file_range", "sendfile", "splice", "ioctl", "chown", "fchown", "fchownat", "chmod",
	"fchmod", "fchmodat", "utimensat", "setxattr", "fsetxattr", "fsync", "fdatasync", "syncfs", "sync_file_range",
}

// A kill is a place to be killed at: the nth call, counted from 1.
type kill struct {
	call string
	n    int
}

func (k kill) String() string { return fmt.Sprintf("%s-%d", k.call, k.n) }

// sampled is how many kill points are tried unless SNAPMERGE_KILLS=all.
const sampled = 80

// TestKill: a sync of sixty actions is killed at a system call. The next sync
// ends where an undisturbed one would have; so it does if a user has changed
// something before it.
func TestKill(t *testing.T) {
	calls := countCalls(t)
	points := killPoints(calls)
	all, rng := os.Getenv("SNAPMERGE_KILLS") == "all", random(t)
	chosen := points
	if !all {
		rng.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		chosen = points[:min(sampled, len(points))]
	}
	var hit atomic.Int32
	begin := time.Now()
	t.Run("at", func(t *testing.T) {
		for i, k := range chosen {
			with := []change{{}, changes[rng.IntN(len(changes))]}
			if !all {
				with = with[i%2 : i%2+1]
			}
			for _, c := range with {
				t.Run(strings.TrimSuffix(fmt.Sprintf("%s, %s", k, c.name), ", "), func(t *testing.T) {
					t.Parallel()
					if killed(t, k, c, 0) {
						hit.Add(1)
					}
				})
			}
		}
	})
	t.Logf("%d kill points (%v), %d runs killed in %.0f s", len(points), calls, hit.Load(), time.Since(begin).Seconds())
	if hit.Load() == 0 {
		t.Error("no run was killed")
	}
}

// TestKillThenChange: every change after a kill late in the sync, when what was
// done at home is acknowledged, or all of it and the record is written. Then the
// change always counts.
func TestKillThenChange(t *testing.T) {
	calls := countCalls(t)
	for _, k := range []kill{{"syncfs", 2}, {"pwrite64", calls["pwrite64"]}} {
		for _, c := range changes {
			t.Run(fmt.Sprintf("%s, %s", k, c.name), func(t *testing.T) {
				t.Parallel()
				killed(t, k, c, 0)
			})
		}
	}
}

// TestKillSurvived: one call later than the last there is nothing to be killed
// at. Without it nothing would show that the kill points are all there are.
func TestKillSurvived(t *testing.T) {
	want := wantEnd(t, change{})
	for call, n := range countCalls(t) {
		w := prepare(t, btrfstest.Shared(t).Path)
		if w.killedAt(kill{call, n + 1}) {
			t.Errorf("%s is called more than %d times", call, n)
			continue
		}
		compare(t, w.end(), want, true)
	}
}

// TestKillBetweenBatches: the same where every seven steps are acknowledged. The
// kill comes at what makes them durable, or at a change, in a batch of any number.
func TestKillBetweenBatches(t *testing.T) {
	const batch = 7
	w := prepare(t, btrfstest.Shared(t).Path)
	w.batch = batch
	calls, rng := w.callsByName(), random(t)
	if calls["syncfs"] < 8 {
		t.Fatalf("sixty steps in %d batches", calls["syncfs"])
	}
	var points []kill
	for n := range calls["syncfs"] {
		points = append(points, kill{"syncfs", n + 1}, kill{"fsync", 1 + rng.IntN(calls["fsync"])}, kill{"renameat2", 1 + rng.IntN(calls["renameat2"])})
	}
	for _, k := range points {
		c := changes[rng.IntN(len(changes))]
		t.Run(fmt.Sprintf("%s, %s", k, c.name), func(t *testing.T) {
			t.Parallel()
			killed(t, k, c, batch)
		})
	}
}

// killed runs one case, with batches of that many steps if it is not 0. It returns
// whether the process was killed.
func killed(t *testing.T, k kill, c change, batch int) bool {
	plain, want := wantEnd(t, change{}), wantEnd(t, c)
	w := prepare(t, btrfstest.Shared(t).Path)
	w.batch = batch
	before := files(t, w.offline.path)
	if !w.killedAt(k) {
		t.Error("the process was not killed")
	}
	made, sure := false, true
	if c.do != nil {
		sure = c.undoes == nil || w.acknowledged(c.undoes)
		made = c.do(w)
	}
	for ino, f := range files(t, w.offline.path) {
		if _, ok := before[ino]; !ok && f.Key == "x02" {
			before[ino] = f // came in between
		}
	}
	w.sync()
	got := w.end()
	switch {
	case !made:
		compare(t, got, plain, true)
	case sure || diffEnds(got, plain, false) != "":
		compare(t, got, want, false)
	}
	w.untouched(before)
	w.settled()
	return true
}

// killedAt runs a sync in a process of its own that is killed at k, and returns
// whether it came to that. Another failure of the process is one of the test.
func (w *world) killedAt(k kill) bool {
	w.t.Helper()
	// Not --seccomp-bpf: with it the signal is never delivered.
	out, err := w.strace("-o", "/dev/null", "-e", "trace="+k.call,
		"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", k.call, k.n))
	if err == nil {
		return false
	}
	// strace ends itself by the signal that its child ended by.
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == syscall.SIGKILL {
			w.awaitDeath()
			return true
		}
	}
	w.t.Fatalf("the sync to be killed at %v failed by itself: %v\n%s", k, err, out)
	return false
}

// awaitDeath waits until the killed process has let go of the mailbox: strace may
// be gone before the last of its threads is.
func (w *world) awaitDeath() {
	w.t.Helper()
	dir := w.records()
	defer dir.Close()
	must(w.t, syscall.Flock(int(dir.Fd()), syscall.LOCK_EX))
	must(w.t, syscall.Flock(int(dir.Fd()), syscall.LOCK_UN))
}

func (w *world) strace(args ...string) (string, error) {
	w.t.Helper()
	self, err := os.Executable()
	must(w.t, err)
	cmd := exec.Command("strace", append(append([]string{"-f", "-qq"}, args...), self)...)
	cmd.Env = append(os.Environ(), childDir+"="+w.dir, fmt.Sprint(childBatch, "=", w.batch))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// counted is the number of changing calls of an undisturbed sync, made once.
var counted = struct {
	sync.Mutex
	calls map[string]int
}{}

func countCalls(t *testing.T) map[string]int {
	t.Helper()
	counted.Lock()
	defer counted.Unlock()
	if counted.calls != nil {
		return counted.calls
	}
	calls := prepare(t, btrfstest.Shared(t).Path).callsByName()
	if calls["renameat2"] < 20 || calls["linkat"] < 10 || calls["pwrite64"] == 0 || calls["syncfs"] != 2 {
		t.Fatalf("these can not be all changing calls: %v", calls)
	}
	counted.calls = calls
	return calls
}

// callsByName runs a sync in a process of its own and counts the changing calls
// of the thread that does the work. Go's runtime wakes its other threads by
// signals and by a write now and then, and any of them may come first.
func (w *world) callsByName() map[string]int {
	w.t.Helper()
	log := filepath.Join(w.t.TempDir(), "log")
	if out, err := w.strace("-o", log, "-e", "signal=none", "-e", "trace="+strings.Join(changing, ",")); err != nil {
		w.t.Fatalf("strace: %v\n%s", err, out)
	}
	data, err := os.ReadFile(log)
	must(w.t, err)
	byThread, total, worker := map[string]map[string]int{}, map[string]int{}, ""
	for line := range strings.Lines(string(data)) {
		tid, rest, _ := strings.Cut(line, " ")
		name, _, ok := strings.Cut(strings.TrimSpace(rest), "(")
		if !ok {
			continue
		}
		if byThread[tid] == nil {
			byThread[tid] = map[string]int{}
		}
		byThread[tid][name]++
		if total[tid]++; total[tid] > total[worker] {
			worker = tid
		}
	}
	return byThread[worker]
}

func killPoints(calls map[string]int) (points []kill) {
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		for n := range calls[call] {
			points = append(points, kill{call, n + 1})
		}
	}
	return points
}

// random returns the test's random numbers, of the seed that SNAPMERGE_SEED says:
// a number, or "random" (make soak). The seed is printed.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	switch s := os.Getenv("SNAPMERGE_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64() >> 32
	default:
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("SNAPMERGE_SEED: %v", err)
		}
	}
	t.Logf("SNAPMERGE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
