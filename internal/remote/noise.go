package remote

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	maxNoise  = 200                    // bytes that are quoted
	noiseWait = 500 * time.Millisecond // for the rest of what a shell says
)

// A noise is what came in place of the magic line.
type noise struct {
	mu   sync.Mutex
	said []byte
}

// A noiseError: the far end is no agent, or something speaks before it.
type noiseError struct{ said string }

func (e *noiseError) Error() string { return fmt.Sprintf("the far end said: %q", e.said) }

// readMagic reads the line. If it is another one, the rest of what comes is
// collected for a moment: "Last" alone would be no help.
func (n *noise) readMagic(r *bufio.Reader, fail context.CancelCauseFunc) error {
	for i := range len(magic) {
		c, err := n.readByte(r)
		if err == io.EOF && i > 0 {
			return n.err()
		} else if err != nil {
			return err
		}
		if c != magic[i] {
			late := time.AfterFunc(noiseWait, func() { fail(n.err()) })
			defer late.Stop()
			for range maxNoise - i - 1 {
				if _, err := n.readByte(r); err != nil {
					break
				}
			}
			return n.err()
		}
	}
	return nil
}

func (n *noise) readByte(r *bufio.Reader) (byte, error) {
	c, err := r.ReadByte()
	if err == nil {
		n.mu.Lock()
		n.said = append(n.said, c)
		n.mu.Unlock()
	}
	return c, err
}

func (n *noise) err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &noiseError{string(n.said)}
}
