package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"snapmerge/internal/codec"
	"snapmerge/internal/host"
	"snapmerge/internal/lock"
	"snapmerge/snapshot"
)

// AgentConfig is what an agent serves. All of it comes from its own machine.
type AgentConfig struct {
	Version string                // of the program
	Stores  map[string]host.Store // by the mailbox's name
	Timing  Timing
}

// An agent is one session.
type agent struct {
	*link
	store *host.Local
	// locked: nobody else changes the store. It is not at first, if there is no
	// directory of snapshots yet: that a look shall tell.
	locked   bool
	layout   host.Store
	mu       sync.Mutex
	asked    int                     // requests that have come
	begun    int                     // operations that were begun
	stopped  int                     // the request that was to be stopped last
	stopCurr context.CancelCauseFunc // of the operation that is under way, or nil
	window   *window                 // of the stream
}

// Serve is the agent: it answers one client until that closes the connection (nil),
// or something is wrong. in and out are closed, if they can be. A read of in that
// does not end is not waited for.
//
// When the connection breaks, or ctx ends, the operation that is under way is
// ended after the step that it is at, and Serve waits for that.
func Serve(ctx context.Context, cfg AgentConfig, in io.Reader, out io.Writer) error {
	a := &agent{window: newWindow()}
	t := cfg.Timing.orDefault()
	first, err := greeting(hello{Version: cfg.Version, Protocol: Protocol})
	if err != nil {
		return err
	}
	a.link = newLink(ctx, in, out, t, first, a.control)
	err = a.serve(cfg)
	a.fail(err)
	for _, c := range []any{in, out} {
		if c, ok := c.(io.Closer); ok {
			c.Close()
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// greeting is what a side writes first.
func greeting(h hello) ([]byte, error) {
	b, err := codec.Encode(h)
	if err != nil {
		return nil, err
	}
	return appendFrame([]byte(magic), kindHello, b)
}

func (a *agent) serve(cfg AgentConfig) error {
	f, err := a.recv(a.ctx, 0)
	if err != nil {
		return err
	}
	h, err := readHello(f)
	if err != nil {
		return err
	}
	select {
	case <-a.said: // whatever comes now, the client knows who we are
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
	if h.Protocol != Protocol {
		// What this client takes for an end of ours is unknown: it says so itself.
		return differ(cfg.Version, h)
	}
	if err := a.open(cfg, h); err != nil {
		return a.bye(err)
	}
	defer a.store.Close()
	if err := sendJSON(a.link, kindEnd, end{}); err != nil {
		return err
	}
	for {
		f, err := a.recv(a.ctx, 0)
		if err != nil {
			return err
		}
		r, err := decode[request](f, kindRequest)
		if err != nil {
			return a.refuse(err)
		}
		if err := a.operation(r); err != nil {
			return err
		}
	}
}

// refuse tells a client that does not keep to the protocol, and ends.
func (a *agent) refuse(err error) error {
	return a.bye(fmt.Errorf("refused: %w", err))
}

// bye tells the client why the session ends, if it can still be told.
func (a *agent) bye(err error) error {
	_ = sendJSON(a.link, kindEnd, endOf(err))
	return err
}

// readHello reads the other side's hello, of whatever version.
func readHello(f frame) (h hello, err error) {
	if f.kind != kindHello {
		return h, fmt.Errorf("%v in place of a hello", f)
	}
	if err := codec.Decode(f.payload, &h); err != nil {
		return h, fmt.Errorf("hello: %w", err)
	}
	h.Version = text(h.Version)
	return h, nil
}

// differ is the error of both sides if they speak different protocols.
func differ(version string, far hello) error {
	return fmt.Errorf("%w: snapmerge %s here speaks protocol %d, snapmerge %s over there protocol %d: install the same version on both hosts",
		ErrMismatch, version, Protocol, far.Version, far.Protocol)
}

// open opens the store that the client wants, if it is the one that the client
// believes it to be, and locks it.
func (a *agent) open(cfg AgentConfig, h hello) error {
	s, ok := cfg.Stores[h.Mailbox]
	if !ok {
		return fmt.Errorf("%w: the agent over there does not serve mailbox %q", ErrMismatch, h.Mailbox)
	}
	for _, c := range []struct{ what, there, here string }{
		{"path", s.Path, h.Path},
		{"snapshots", s.Snapshots, h.Snapshots},
		{"layout", s.Layout.String(), h.Layout},
		{"encoding", encoding(s.Layout.UTF8), encoding(h.UTF8)},
		{"control", s.Control, h.Control},
	} {
		if c.there != c.here {
			return fmt.Errorf("%w: the agent over there serves %s %q, the configuration here says %q", ErrMismatch, c.what, c.there, c.here)
		}
	}
	a.layout = s
	a.store = host.Open(s, snapshot.Online)
	if h.Look {
		// Whatever else it asks for waits for the lock then. What is wrong with the
		// store is for Look to tell.
		_ = s.Settle()
		return nil
	}
	// A missing directory is for Look to tell, with how to mend it.
	if err := a.lock(a.ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func encoding(utf8 bool) string {
	if utf8 {
		return "utf-8"
	}
	return "mutf-7"
}

// lock waits until the session before has ended: an agent whose connection broke
// may still be at its last step. The client gets beats meanwhile.
func (a *agent) lock(ctx context.Context) error {
	if a.locked {
		return nil
	}
	err := a.store.Lock(ctx, a.timing.Lock)
	if errors.Is(err, lock.ErrLocked) {
		return fmt.Errorf("another session with this mailbox did not end within %v: %w", a.timing.Lock, lock.ErrLocked)
	}
	a.locked = err == nil
	return err
}

// control takes a frame that may come at any time, and tells whether it had to be
// expected. It is called in the order in which the frames come.
func (a *agent) control(k kind) bool {
	switch k {
	case kindMore:
		return a.window.widen()
	case kindStop:
		a.stopAsked()
	case kindRequest:
		a.mu.Lock()
		a.asked++
		a.mu.Unlock()
	}
	return false
}

// stopAsked ends the operation that was asked for last, if it has not ended. A stop
// can come before it has begun.
func (a *agent) stopAsked() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = a.asked
	if a.stopCurr != nil && a.begun == a.asked {
		a.stopCurr(errStopped)
	}
}

// begin makes stop what ends the operation that begins.
func (a *agent) begin(stop context.CancelCauseFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun++
	a.stopCurr = stop
	if a.stopped == a.begun {
		stop(errStopped)
	}
}

// ended: a stop comes too late.
func (a *agent) ended() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopCurr = nil
}
