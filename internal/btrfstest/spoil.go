package btrfstest

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Spoil flips a bit in each block on disk that holds the text, as a bad disk does:
// reading such a file fails with EIO then, as its checksum is wrong. The text must
// lie within one block of a file that is larger than 2 KiB. The file system must be
// one of [New].
func (fs *FS) Spoil(t testing.TB, text []byte) {
	t.Helper()
	unix.Sync()
	f, err := os.OpenFile(fs.image, os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("spoil: %v", err)
	}
	defer f.Close()
	spoiled := 0
	buf := make([]byte, 1<<20)
	for at := int64(0); ; {
		// Holes are passed over: an image is sparse.
		if at, err = f.Seek(at, unix.SEEK_DATA); err != nil {
			break
		}
		at = at / 4096 * 4096 // btrfs' blocks are aligned in it
		n, err := f.ReadAt(buf, at)
		for i := 0; i < n; {
			j := bytes.Index(buf[i:n], text)
			if j < 0 {
				break
			}
			if _, err := f.WriteAt([]byte{buf[i+j] ^ 1}, at+int64(i+j)); err != nil {
				t.Fatalf("spoil: %v", err)
			}
			spoiled++
			i += j + len(text)
		}
		if at += int64(n); err != nil || n == 0 {
			break
		}
	}
	if spoiled == 0 {
		t.Fatalf("spoil: %q is nowhere on disk", text)
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		t.Fatalf("spoil: %v", err)
	}
}
