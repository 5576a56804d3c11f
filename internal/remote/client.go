package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"snapmerge/internal/host"
)

// ErrUnreachable: there is no connection to the far end. Nothing was touched;
// a later try may succeed.
var ErrUnreachable = errors.New("cannot be reached")

// Options say how to reach an agent, and what it shall serve. All of it is from
// home's own configuration.
type Options struct {
	Host    string // ssh's destination
	SSH     string // ssh's command line, words separated by spaces; no shell reads it
	Agent   string // the program over there
	Mailbox string
	Store   host.Store // as the configuration says; the agent must serve the same
	Version string     // of this program
	// Look: the session is for looking. The store is not locked, and another session
	// may be at work.
	Look   bool
	Timing Timing
}

// A Client is a store that an agent serves. It implements [host.Host], and
// believes nothing that the agent says without having looked at it.
//
// After a broken connection every call fails; Close is due all the same.
type Client struct {
	*link
	opts     Options
	hello    hello // the agent's
	conn     connection
	sending  *stream // not ended yet
	received int64
}

// A connection is what a client talks over: ssh, or in tests a pipe.
type connection interface {
	said() string              // what to add to an error; "" for nothing
	exited() int               // see process
	close(grace time.Duration) // ends it, and with it all reading and writing
}

var _ host.Host = (*Client)(nil)

// Dial starts the agent and waits until it has locked the store. Errors:
// [ErrUnreachable], [ErrMismatch], lock.ErrLocked, and others where ssh connects
// but no agent answers.
func Dial(ctx context.Context, o Options) (*Client, error) {
	args, err := o.sshArgs()
	if err != nil {
		return nil, fmt.Errorf("online: %w", err)
	}
	p, err := start(args)
	if err != nil {
		return nil, fmt.Errorf("online %q %w: %w", o.Host, ErrUnreachable, err)
	}
	return open(ctx, o, p, p.out, p.in)
}

// open begins a session over a connection. If it fails the connection is closed.
func open(ctx context.Context, o Options, conn connection, r io.Reader, w io.Writer) (*Client, error) {
	c := &Client{opts: o, conn: conn}
	first, err := greeting(hello{
		Version: o.Version, Protocol: Protocol, Mailbox: o.Mailbox,
		Path: o.Store.Path, Snapshots: o.Store.Snapshots, Layout: o.Store.Layout.String(), UTF8: o.Store.Layout.UTF8,
		Control: o.Store.Control, Look: o.Look,
	})
	if err != nil {
		conn.close(0)
		return nil, err
	}
	// Not ctx: a verb that is under way when that ends is stopped in order.
	c.link = newLink(context.WithoutCancel(ctx), r, w, o.Timing.orDefault(), first, nil)
	if err := c.greet(ctx); err != nil {
		c.fail(err)
		c.conn.close(0)
		c.end(err)
		return nil, err
	}
	return c, nil
}

// greet waits for the agent's hello, and then for the store to be locked.
func (c *Client) greet(ctx context.Context) error {
	f, err := c.recv(ctx, c.timing.Dial)
	if err != nil {
		return c.noHello(ctx, err)
	}
	if c.hello, err = readHello(f); err != nil {
		return fmt.Errorf("online %q: %w", c.opts.Host, err)
	}
	if c.hello.Protocol != Protocol {
		return fmt.Errorf("online %q: %w", c.opts.Host, differ(c.opts.Version, c.hello))
	}
	f, err = c.recv(ctx, c.timing.Lock+c.timing.Silence)
	if err != nil {
		return c.broken("greeting", err)
	}
	e, err := decode[end](f, kindEnd)
	if err != nil {
		return c.broken("greeting", err)
	}
	return c.far("", e)
}

// noHello tells apart why there is no agent to talk to.
func (c *Client) noHello(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("online %q: %w", c.opts.Host, context.Cause(ctx))
	}
	silent := errors.Is(err, errSilent) || errors.Is(err, errIdle)
	if !silent && !ended(err) {
		return fmt.Errorf("online %q: no agent answers there: %w", c.opts.Host, err)
	}
	c.fail(err)
	c.conn.close(time.Second) // that it can say why
	said, status := c.conn.said(), c.conn.exited()
	switch {
	case status >= 0 && status != 255:
		return fmt.Errorf("online %q: the agent %q did not start%s", c.opts.Host, c.opts.Agent, quoted(said))
	case silent && status < 0:
		said = fmt.Sprintf("no answer within %v", min(c.timing.Dial, c.timing.Silence)) + quoted(said)
	case said == "":
		said = c.why(err)
	}
	return fmt.Errorf("online %q %w: %s", c.opts.Host, ErrUnreachable, said)
}

func quoted(said string) string {
	if said != "" {
		return ": " + said
	}
	return ""
}

// ended: the other side has closed the connection.
func ended(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE)
}

// why is the text of an error of the link.
func (c *Client) why(err error) string {
	switch {
	case ended(err):
		return "the far end closed the connection"
	case errors.Is(err, errSilent):
		return fmt.Sprintf("nothing came for %v", c.timing.Silence)
	}
	return err.Error()
}

// broken ends the session after an error of the connection or the protocol.
func (c *Client) broken(verb string, err error) error {
	c.fail(err)
	c.conn.close(min(time.Second, c.timing.Grace)) // that ssh can say why
	return &BrokenError{Host: c.opts.Host, Verb: verb, Why: c.why(err) + quoted(c.conn.said()), err: err}
}

// A BrokenError is the end of a session in the middle of a sync: by the network,
// or by an agent that does not keep to the protocol.
type BrokenError struct {
	Host, Verb, Why string
	err             error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("online %q: connection lost at %q: %s; the next sync finishes the work", e.Host, e.Verb, e.Why)
}

func (e *BrokenError) Unwrap() error { return e.err }

// A FarError is what an operation over there failed with, in the agent's words.
type FarError struct {
	Host, Verb, Text string
	err              error
}

func (e *FarError) Error() string {
	if e.Verb == "" {
		return fmt.Sprintf("online %q: %s", e.Host, e.Text)
	}
	return fmt.Sprintf("online %q: %s: %s", e.Host, e.Verb, e.Text)
}

func (e *FarError) Unwrap() error { return e.err }

// far returns the error of an end.
func (c *Client) far(verb string, e end) error {
	if e.Err == "" {
		return nil
	}
	out := &FarError{Host: c.opts.Host, Verb: verb, Text: text(e.Err)}
	for _, known := range codes {
		if e.Code == known.code {
			out.err = known.err
		}
	}
	return out
}

// Version is that of the program over there.
func (c *Client) Version() string { return c.hello.Version }

// Received is how many bytes of send streams have come.
func (c *Client) Received() int64 { return c.received }

// Close implements [host.Host]. The agent ends after the step that it is at.
func (c *Client) Close() error {
	grace := c.timing.Grace
	if c.ctx.Err() != nil {
		grace = 0 // it is broken
	}
	c.fail(errClosed)
	c.conn.close(grace)
	c.end(errClosed)
	return nil
}

var errClosed = errors.New("the session is closed")
