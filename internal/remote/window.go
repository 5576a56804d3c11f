package remote

import (
	"context"
	"sync"

	"snapmerge/internal/pipe"
)

// A stream's window: as much as a wide pipe takes. What the client has not read
// yet and the pipe does not take is kept by ssh, in a buffer that it makes anew,
// and copies, for every packet: a third of the processor's time of a first sync.
const (
	windowSize  = pipe.Size
	windowPiece = 256 << 10 // the client says "more" for each that it has read
)

// A window is how much of a stream an agent may send before the client has read
// of it.
type window struct {
	mu   sync.Mutex
	room int
	more chan struct{} // of room for one: room has grown
}

func newWindow() *window { return &window{more: make(chan struct{}, 1)} }

// open begins a stream.
func (w *window) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room = windowSize
}

// widen takes in that the client has read a piece. It returns false if the client
// can not have: there was no such piece.
func (w *window) widen() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.room > windowSize-windowPiece {
		return false
	}
	w.room += windowPiece
	select {
	case w.more <- struct{}{}:
	default:
	}
	return true
}

// use waits until there is room, and takes n bytes of it: it can be overdrawn by
// one frame.
func (w *window) use(ctx context.Context, n int) error {
	for {
		w.mu.Lock()
		if w.room > 0 {
			w.room -= n
			w.mu.Unlock()
			return nil
		}
		w.mu.Unlock()
		select {
		case <-w.more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
