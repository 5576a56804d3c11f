package stream

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestEncode: what the encoder writes the Decoder reads as the same command, for
// every command of the corpus.
func TestEncode(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*/*.stream")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d streams, %v", len(files), err)
	}
	seen := map[Op]bool{}
	for _, file := range files {
		if strings.Contains(file, "-v2") {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := decodeAll(b)
		if err != nil {
			t.Fatal(err)
		}
		again := AppendHeader(nil)
		for _, c := range want {
			again = AppendCommand(again, c)
			seen[c.Op] = true
		}
		got, err := decodeAll(AppendCommand(again, Command{Op: End}))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", file, err, diff)
		}
	}
	if len(seen) != len(commands)-2 { // without 0 and End
		t.Errorf("commands seen: %v", seen)
	}
}

// fuzzLimits are small enough that a mirror that keeps to them is soon removed.
var fuzzLimits = ReceiveLimits{Receive: 1 << 20, Messages: 200, Message: 64 << 10, Depth: 20, Unnamed: 50}

// FuzzReceive: no stream makes the applying core panic, change anything beside the
// mirror, take more memory than its limits allow, or keep a file open. In most runs
// checksums and UUIDs of the input are made right first. The mirror is a directory
// of no btrfs: what the core asks of a file system all have.
func FuzzReceive(f *testing.F) {
	for _, file := range corpusFiles(f) {
		b, err := os.ReadFile(strings.Replace(file, "nodata.stream", "incr.stream", 1))
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 32<<10 {
			f.Add(b, true)
			f.Add(b, false)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend {
			b = mendSums(bytes.Clone(b))
		}
		dir := fuzzTemp(t)
		o := ReceiveOptions{Limits: fuzzLimits, Applied: io.Discard}
		if c, err := NewDecoder(bytes.NewReader(b), Limits{}).Next(); err == nil {
			o.UUID, o.ParentUUID = c.UUID, c.ParentUUID
			if c.Op == Snapshot {
				o.Parent = fuzzDir(t, dir+"/parent")
			}
		}
		o.Root = fuzzDir(t, dir+"/mirror")
		if err := os.WriteFile(dir+"/canary", []byte("sings"), 0o600); err != nil {
			t.Fatal(err)
		}
		files := openFiles(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		stats, err := Receive(bytes.NewReader(b), o)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20+40*uint64(len(b)) {
			t.Errorf("%d bytes of memory for a stream of %d", n, len(b))
		}
		if n := openFiles(t); n != files {
			t.Errorf("%d files open, were %d", n, files)
		}
		if stats.Data > fuzzLimits.Receive+fuzzLimits.Message {
			t.Errorf("%+v, %v", stats, err)
		}
		checkFuzzed(t, dir, o.Parent != nil)
	})
}

// fuzzTemp returns a directory in memory, if there is one that takes extended
// attributes: making files is what a run costs.
func fuzzTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "snapmerge-fuzz-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if unix.Setxattr(dir, RefusedXattr, []byte("x"), 0) != nil { // tmpfs has them since Linux 6.6
		return t.TempDir()
	}
	return dir
}

// fuzzDir makes a directory with a few names that streams of the corpus speak of.
func fuzzDir(t *testing.T, dir string) *os.File {
	t.Helper()
	for _, d := range []string{"", "/cur", "/new", "/tmp", "/.a", "/.a/cur"} {
		if err := os.Mkdir(dir+d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/cur/1", []byte("mail"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func checkFuzzed(t *testing.T, dir string, parent bool) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if want := map[bool]int{true: 3, false: 2}[parent]; err != nil || len(list) != want {
		t.Errorf("beside the mirror: %v, %v", list, err)
	}
	if b, err := os.ReadFile(dir + "/canary"); err != nil || string(b) != "sings" {
		t.Errorf("canary: %q, %v", b, err)
	}
	if parent {
		if b, err := os.ReadFile(dir + "/parent/cur/1"); err != nil || string(b) != "mail" {
			t.Errorf("parent: %q, %v", b, err)
		}
	}
	err = filepath.WalkDir(dir+"/mirror", func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil && (!st.IsDir() && !st.Mode().IsRegular() || st.Mode().Perm()&0o077 != 0 || st.Mode().IsRegular() && st.Size() > fuzzLimits.Message) {
			t.Errorf("%s: %v, %d bytes", p, st.Mode(), st.Size())
		}
		return err
	})
	if err != nil && !strings.Contains(err.Error(), "file name too long") {
		t.Error(err)
	}
}
