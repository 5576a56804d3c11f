package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Send implements [host.Host]. The stream ends with io.EOF only if the agent has
// said that it is complete.
func (c *Client) Send(ctx context.Context, name, parent string) (io.ReadCloser, error) {
	if err := c.begin(ctx, request{Verb: verbSend, Snapshot: name, Parent: parent}, nil); err != nil {
		return nil, err
	}
	s := &stream{waiter: waiter{Client: c, verb: verbSend}}
	s.ctx, s.cancel = context.WithCancel(ctx)
	c.sending = s
	return s, nil
}

// A stream is a send stream that comes in. It may be closed while it is read.
type stream struct {
	waiter
	cancel context.CancelFunc // ends a Read that waits, in order

	mu   sync.Mutex // for what follows, and for who receives from the link
	rest []byte     // of the last frame
	read int        // since the agent was last told
	err  error      // how it ended
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	s.received += int64(n)
	s.read += n
	for ; s.read >= windowPiece && s.err == nil; s.read -= windowPiece {
		if err := s.sendSoon(kindMore); err != nil {
			s.err = s.broken(verbSend, err)
		}
	}
	return n, nil
}

// fill takes a frame.
func (s *stream) fill() {
	f, err := s.next()
	switch {
	case err != nil:
		s.err = s.broken(verbSend, err)
	case f.kind == kindEnd:
		if _, s.err = s.ended(f); s.err == nil {
			s.err = io.EOF
		}
	case f.kind != kindData || len(f.payload) == 0:
		s.err = s.broken(verbSend, fmt.Errorf("%v in the stream", f))
	default:
		s.rest = f.payload
	}
	if s.err != nil {
		s.sending = nil
	}
}

// Close ends the stream. If it was not read to its end the agent is told to
// stop, and what was on its way is thrown away.
func (s *stream) Close() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.stopped.IsZero() {
		if err := s.stop(); err != nil {
			s.err = s.broken(verbSend, err)
		}
	}
	for n := 0; s.err == nil; s.fill() {
		if n += len(s.rest); n > maxUnread {
			s.err = s.broken(verbSend, errors.New("the stream did not stop"))
		}
	}
	s.rest, s.sending = nil, nil
	if s.err == nil || errors.Is(s.err, io.EOF) {
		s.err = errClosed
	}
	return nil
}
