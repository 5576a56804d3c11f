package snapshot

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	prefetchers   = 8        // enough to keep an SSD busy
	prefetchAhead = 32 << 20 // bytes: what even a small host can keep in its page cache
	prefetchPause = 2 * time.Millisecond
	// A mail costs this in a stream beside its bytes, at least; with long names 250
	// more, by which the readers get further ahead. Behind they would be useless.
	streamCost = 350
)

// Prefetch reads the files of a read-only snapshot into the page cache, ahead of
// a full [Send] of it, until stop is called. sent are the bytes of the stream that
// have been read so far; the caller counts them.
//
// The kernel reads one mail after the other, each when it needs it, in the order
// of inode numbers, and throws away what it has read; what is there already it
// takes and leaves. With eight readers ahead, a first sync sends about twice as
// fast from an SSD. It is advice: if it fails, nothing is said.
func Prefetch(snap *os.File, sent *atomic.Int64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	info, err := readInfo(snap)
	if err != nil {
		cancel()
		return func() {}
	}
	var wg sync.WaitGroup
	files := make(chan inode)
	wg.Go(func() {
		defer close(files)
		ahead := int64(0)
		_ = eachInode(snap, func(i inode) bool {
			if !i.regular || i.size == 0 {
				return ctx.Err() == nil
			}
			for ahead-sent.Load() > prefetchAhead {
				select {
				case <-time.After(prefetchPause):
				case <-ctx.Done():
					return false
				}
			}
			if ahead += i.size + streamCost; ahead < sent.Load() {
				return true // the kernel has been faster
			}
			select {
			case files <- i:
				return true
			case <-ctx.Done():
				return false
			}
		})
	})
	for range prefetchers {
		wg.Go(func() {
			for i := range files {
				i.read(snap, info.ID, ctx)
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// read reads the inode's data into the page cache. readahead(2) alone would not
// wait for it, and so run away from the eight.
func (i inode) read(snap *os.File, root uint64, ctx context.Context) {
	fd, err := i.open(snap, root)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var buf [32 << 10]byte
	for off := int64(0); ctx.Err() == nil; {
		n, err := unix.Pread(fd, buf[:], off)
		if n <= 0 || err != nil {
			return
		}
		off += int64(n)
	}
}
