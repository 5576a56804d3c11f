package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
)

// TestProportional: a sync with nothing to do, and one with a mail flagged on each
// side, a new one and a deleted one, take as many system calls in a mailbox of two
// thousand mails as in one of two hundred. Time is not measured: it depends on the
// machine, and what is done does not.
func TestProportional(t *testing.T) {
	var calls [2][2]int
	for i, mails := range []int{200, 2000} {
		w := newWorld(t, btrfstest.Shared(t).Path)
		for n := range mails {
			w.online.deliver("INBOX", fmt.Sprintf("m%04d", n), "S", n%50)
		}
		w.sync()
		w.sync()
		calls[0][i] = w.callsOfSync()
		w.online.flag("INBOX", "m0011", "F")
		w.offline.flag("INBOX", "m0022", "R")
		w.online.deliver("INBOX", "new", "", 7)
		w.offline.delete("INBOX", "m0033")
		calls[1][i] = w.callsOfSync()
		for key, want := range map[string]string{"m0011": "INBOX:FS", "m0022": "INBOX:RS", "new": "INBOX:", "m0033": ""} {
			w.wantWhere(key, [2]string{want, want})
		}
	}
	t.Logf("calls: nothing to do %v, four changes %v", calls[0], calls[1])
	for i, c := range calls {
		// Names in the folders that changed are listed, some hundred a call, and a
		// mail that is placed is looked for among them.
		if few, many := c[0], c[1]; few < 100 || many > few*3/2 {
			t.Errorf("%s: %d system calls with 200 mails, %d with 2000", []string{"nothing to do", "four changes"}[i], few, many)
		}
	}
}

// TestProportionalExpiry: twenty mails that are due cost as much in a folder of two
// thousand as in one of two hundred.
func TestProportionalExpiry(t *testing.T) {
	var calls, memory [2]int
	for i, mails := range []int{200, 2000} {
		w := newWorld(t, btrfstest.Shared(t).Path)
		retired(w, 20, mails)
		memory[i] = w.memoryOfSync()
		calls[i] = w.callsOfSync()
		if n := len(files(t, w.online.path)); n != mails {
			t.Errorf("online has %d mails, want %d", n, mails)
		}
		if n := len(files(t, w.offline.path)); n != mails+20 {
			t.Errorf("home has %d mails, want %d", n, mails+20)
		}
	}
	t.Logf("calls: %v, bytes: %v", calls, memory)
	if few, many := calls[0], calls[1]; few < 100 || many > few*3/2 {
		t.Errorf("twenty mails expire: %d system calls with 200 mails, %d with 2000", few, many)
	}
	if few, many := memory[0], memory[1]; many > few*3/2 {
		t.Errorf("twenty mails expire: %d bytes of memory with 200 mails, %d with 2000", few, many)
	}
}

// TestProportionalFiling: twenty mails whose month has ended are filed at the same
// cost among two thousand of the new month as among two hundred.
func TestProportionalFiling(t *testing.T) {
	var calls, memory [2]int
	for i, mails := range []int{200, 2000} {
		w := newWorld(t, btrfstest.Shared(t).Path)
		now := time.Now()
		before := now.AddDate(0, 0, -40)
		w.online.makeFolder("list")
		for n := range mails + 20 {
			key, at := fmt.Sprintf("m%04d", n), now
			if n < 20 {
				key, at = fmt.Sprintf("old%02d", n), before
			}
			w.online.deliver("list", key, "S", 3)
			must(t, os.Chtimes(w.online.mustFind("list", key), at, at))
		}
		for range 2 {
			res, err := w.trySync(engine.Options{Now: func() time.Time { return before }})
			must(t, err)
			if n := res.Record.Report.Online.Moved; n > 0 {
				t.Fatalf("%d filed before the month has ended", n)
			}
		}
		memory[i] = w.memoryOfSync()
		calls[i] = w.callsOfSync()
		old := names(t, filepath.Join(w.online.dirOf("list/"+before.Format("2006-01")), "cur"))
		if left := names(t, filepath.Join(w.online.dirOf("list"), "cur")); len(old) != 20 || len(left) != mails {
			t.Errorf("filed are %d mails, left %d", len(old), len(left))
		}
	}
	t.Logf("calls: %v, bytes: %v", calls, memory)
	if few, many := calls[0], calls[1]; few < 100 || many > few*3/2 {
		t.Errorf("twenty mails are filed: %d system calls with 200 mails, %d with 2000", few, many)
	}
	if few, many := memory[0], memory[1]; many > few*3/2 {
		t.Errorf("twenty mails are filed: %d bytes of memory with 200 mails, %d with 2000", few, many)
	}
}

// memoryOfSync plans a sync, and counts what is allocated for it in all: that tells
// how many mails it looks at, which no system call does. The index asks little.
func (w *world) memoryOfSync() int {
	w.t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := w.trySync(engine.Options{DryRun: true})
	must(w.t, err)
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// callsOfSync runs a sync in a process of its own and counts its system calls, but
// for those that Go makes by its own clock.
func (w *world) callsOfSync() (n int) {
	w.t.Helper()
	log := filepath.Join(w.t.TempDir(), "calls")
	if out, err := w.strace("-o", log, "-e", "trace=!futex,nanosleep,epoll_pwait,sched_yield,madvise,mmap,munmap,rt_sigreturn,tgkill,getpid,clone,clone3,rt_sigprocmask"); err != nil {
		w.t.Fatalf("strace: %v\n%s", err, out)
	}
	data, err := os.ReadFile(log)
	must(w.t, err)
	return strings.Count(string(data), "\n")
}
