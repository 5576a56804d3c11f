package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// errSilent: the other side may be there, but no frame came in time.
var errSilent = errors.New("nothing came from the far end for too long")

// errIdle: beats came, but nothing else.
var errIdle = errors.New("the far end lives, but has done nothing")

// A link is one end of a connection: a goroutine that reads and one that writes,
// until ctx ends, whose cause then is what went wrong. A frame that nobody takes
// keeps the reader from reading the next one.
type link struct {
	timing Timing
	ctx    context.Context
	fail   context.CancelCauseFunc
	in     chan frame
	out    chan outgoing
	// control, of an agent, takes stop and more, and tells whether it had to be
	// expected; it is told of requests, too.
	control func(kind) bool
	said    chan struct{} // closed when the greeting is written
	wg      sync.WaitGroup
	noise   noise
}

// outgoing is what the writer shall write.
type outgoing struct {
	bytes []byte
	done  chan error // of room for one
}

// newLink starts an end. It writes first, the magic line and the hello, at once;
// control is nil for a client, which nobody controls.
func newLink(ctx context.Context, r io.Reader, w io.Writer, t Timing, first []byte, control func(kind) bool) *link {
	l := &link{timing: t, in: make(chan frame), out: make(chan outgoing), control: control, said: make(chan struct{})}
	l.ctx, l.fail = context.WithCancelCause(ctx)
	l.wg.Add(2)
	go func() {
		defer l.wg.Done()
		l.fail(l.read(r))
	}()
	go func() {
		defer l.wg.Done()
		l.fail(l.write(w, first))
	}()
	return l
}

// read passes on what comes, but for beats and stops. The clock of silence runs
// only while it waits for the other side.
func (l *link) read(r io.Reader) error {
	silence := time.AfterFunc(l.timing.Silence, func() { l.fail(errSilent) })
	defer silence.Stop()
	br := bufio.NewReaderSize(r, 64<<10)
	if err := l.noise.readMagic(br, l.fail); err != nil {
		return err
	}
	var flood flood
	for {
		silence.Reset(l.timing.Silence)
		f, err := readFrame(br)
		silence.Stop()
		switch {
		case err != nil:
			return err
		case f.kind == kindBeat:
			if flood.add(l.timing.Silence) {
				return errors.New("a flood of beats")
			}
			continue
		case (f.kind == kindStop || f.kind == kindMore) && l.control != nil:
			if l.control(f.kind) {
				continue
			}
			if flood.add(l.timing.Silence) {
				return fmt.Errorf("a flood of frames %q", byte(f.kind))
			}
			continue
		}
		if f.kind == kindRequest && l.control != nil {
			l.control(kindRequest)
		}
		select {
		case l.in <- f:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
}

// A flood counts frames that may come at any time and do nothing.
type flood struct {
	n     int
	since time.Time
}

// add counts one, and tells whether there were more than maxBeats within so long.
func (f *flood) add(within time.Duration) bool {
	if now := time.Now(); now.Sub(f.since) > within {
		f.n, f.since = 0, now
	}
	f.n++
	return f.n > maxBeats
}

// sendSoon sends a frame without a payload, which the other side reads at once
// whatever it is doing: if it does not, the link ends.
func (l *link) sendSoon(k kind) error {
	late := time.AfterFunc(l.timing.Silence, func() { l.fail(errSilent) })
	defer late.Stop()
	return l.send(k, nil)
}

// write writes what send hands over, and beats. That writing fails does not end
// the link: why the other side has closed it may still be on its way here. Every
// send fails then.
func (l *link) write(w io.Writer, first []byte) error {
	beat, err := appendFrame(nil, kindBeat, nil)
	if err != nil {
		return err
	}
	_, err = w.Write(first)
	close(l.said)
	tick := time.NewTicker(l.timing.Beat)
	defer tick.Stop()
	for {
		select {
		case o := <-l.out:
			if err == nil {
				_, err = w.Write(o.bytes)
			}
			o.done <- err
		case <-tick.C:
			if err == nil {
				_, err = w.Write(beat)
			}
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
}

// send writes a frame. The other side may take its time to read, as long as it
// sends beats.
func (l *link) send(k kind, payload []byte) error {
	b, err := appendFrame(nil, k, payload)
	if err != nil {
		return err
	}
	o := outgoing{b, make(chan error, 1)}
	select {
	case l.out <- o:
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
	select {
	case err := <-o.done:
		return err
	case <-l.ctx.Done():
	}
	select {
	case err := <-o.done: // written, and then the other side closed
		return err
	default:
		return context.Cause(l.ctx)
	}
}

// recv returns the next frame. limit is how long it may take, 0 for ever; the
// error is ctx's if that ends first.
func (l *link) recv(ctx context.Context, limit time.Duration) (frame, error) {
	var late <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		late = t.C
	}
	select {
	case f := <-l.in:
		return f, nil
	case <-l.ctx.Done():
		return frame{}, context.Cause(l.ctx)
	case <-ctx.Done():
		return frame{}, context.Cause(ctx)
	case <-late:
		err := fmt.Errorf("%w for %v", errIdle, limit)
		l.fail(err)
		return frame{}, err
	}
}

// end ends the link and waits for its goroutines. What they read and write must
// be closed before.
func (l *link) end(err error) {
	l.fail(err)
	l.wg.Wait()
}
