package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// manyMails makes n files of random bytes in three directories, of a size between
// that of an inline extent and 20 KiB.
func manyMails(t testing.TB, dir string, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	data := make([]byte, 24<<10)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf(".folder%d", i%3), "cur")
		if i < 3 {
			if err := os.MkdirAll(sub, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		off, size := r.IntN(4<<10), 500+r.IntN(5000)
		if r.IntN(10) == 0 {
			size = r.IntN(20 << 10)
		}
		name := fmt.Sprintf("1700000000.M%dP12345.mx.example.net,S=%d:2,S", i, size)
		if err := os.WriteFile(filepath.Join(sub, name), data[off:off+size], 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Every file can be opened by its number, as the search finds it.
func TestOpenInode(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	manyMails(t, live, 300)
	snap, err := os.Open(fs.Snapshot(t, live, "snap"))
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	info, err := readInfo(snap)
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	search := NewSearch(snap, Key{Object: rootIno}, MaxKey, 0)
	for {
		item, err := search.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if item.Type != InodeItemType {
			continue
		}
		i, err := item.Inode()
		if err != nil || i.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		files++
		fd, err := i.open(snap, info.ID)
		if err != nil {
			t.Fatal(err)
		}
		var st, root unix.Stat_t
		if err := errors.Join(unix.Fstat(fd, &st), unix.Fstat(int(snap.Fd()), &root)); err != nil || st.Ino != i.Ino || st.Dev != root.Dev || st.Size != i.Size {
			t.Errorf("opened %+v for %+v, %v", st, i, err)
		}
		unix.Close(fd)
	}
	if files != 300 {
		t.Errorf("%d files", files)
	}
}

// A prefetch changes nothing in the stream, does not run away from a stream that
// nobody reads, and ends when it is told to.
func TestPrefetch(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	manyMails(t, live, 1000)
	snap, err := os.Open(fs.Snapshot(t, live, "snap"))
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	ahead := sendAll(t, snap, true)
	if plain := sendAll(t, snap, false); !bytes.Equal(plain, ahead) {
		t.Errorf("%d bytes without, %d bytes with a prefetch", len(plain), len(ahead))
	}

	big := bytes.Repeat([]byte("big mail "), 12<<20/9)
	for i := range 6 { // 72 MiB
		if err := os.WriteFile(filepath.Join(live, fmt.Sprintf("zbig%d", i)), big, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Another snapshot has other inodes: nothing of it is in the page cache.
	cold, err := os.Open(fs.Snapshot(t, live, "cold"))
	if err != nil {
		t.Fatal(err)
	}
	defer cold.Close()
	var sent atomic.Int64
	stop := Prefetch(cold, &sent)
	time.Sleep(time.Second / 2)
	begun := time.Now()
	stop()
	if d := time.Since(begun); d > time.Second {
		t.Errorf("stopping took %v", d)
	}
	if n := cached(t, filepath.Join(cold.Name(), "zbig5")); n != 0 {
		t.Errorf("%d bytes of the last file were read, 60 MiB ahead", n)
	}
	if n := cached(t, filepath.Join(cold.Name(), "zbig0")); n == 0 {
		t.Error("nothing was read of the first big file")
	}
}

// cached returns how many bytes of a file are in the page cache.
func cached(t *testing.T, path string) (n int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	vec := make([]byte, (len(m)+os.Getpagesize()-1)/os.Getpagesize())
	if err := mincore(m, vec); err != nil {
		t.Fatal(err)
	}
	for _, v := range vec {
		n += int(v&1) * os.Getpagesize()
	}
	return n
}

// sendAll returns a full stream.
func sendAll(t testing.TB, snap *os.File, ahead bool) []byte {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	c := &counter{File: r}
	go func() {
		stop := func() {}
		if ahead {
			stop = Prefetch(snap, &c.n)
		}
		err := Send(snap, nil, SendFlags{}, w)
		stop()
		w.Close()
		done <- err
	}()
	b, err := io.ReadAll(c)
	if err == nil {
		err = <-done
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type counter struct {
	*os.File
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// dropCaches makes everything cold.
func dropCaches(t testing.TB) {
	t.Helper()
	unix.Sync()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		t.Fatal(err)
	}
}

// A full send of 20,000 mails that are not in the page cache, without and with
// readers ahead.
func BenchmarkSendCold(b *testing.B) {
	fs := btrfstest.New(b)
	live := fs.Subvolume(b, "live")
	manyMails(b, live, 20000)
	snap, err := os.Open(fs.Snapshot(b, live, "snap"))
	if err != nil {
		b.Fatal(err)
	}
	defer snap.Close()
	for _, ahead := range []bool{false, true} {
		b.Run(fmt.Sprintf("prefetch=%v", ahead), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				dropCaches(b)
				b.StartTimer()
				sendAll(b, snap, ahead)
			}
		})
	}
}

func mincore(m, vec []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&vec[0])))
	if errno != 0 {
		return errno
	}
	return nil
}
