package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
)

// An item is a frame that follows a request, and for a Place the mail.
type item struct {
	kind    kind
	payload []byte
	mail    *apply.Op
}

// begin starts an operation. Frames that nobody has asked for end the session.
func (c *Client) begin(ctx context.Context, r request, items []item) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("online %q: %s: %w", c.opts.Host, r.Verb, err)
	}
	if c.sending != nil {
		return fmt.Errorf("online %q: %s: a stream was not read to its end", c.opts.Host, r.Verb)
	}
	select {
	case f := <-c.in:
		return c.broken(r.Verb, lastWord(f, unexpected(f)))
	default:
	}
	err := sendJSON(c.link, kindRequest, r)
	for _, i := range items {
		if err == nil {
			err = c.send(i.kind, i.payload)
		}
		if err == nil && i.mail != nil {
			err = c.sendMail(ctx, *i.mail)
			if bad, ok := errors.AsType[*mailError](err); ok {
				c.link.fail(bad) // what was announced does not come: there is no way on
				return fmt.Errorf("online %q: %s: send %q: %w", c.opts.Host, r.Verb, i.mail.To.Unique, bad.err)
			}
		}
	}
	if err == nil {
		return nil
	}
	// The agent may have said why it does not read any more.
	if f, rerr := c.recv(context.Background(), c.timing.Grace); rerr == nil {
		err = lastWord(f, err)
	}
	return c.broken(r.Verb, err)
}

// lastWord is why the agent has ended the session, if the frame says so; else err.
func lastWord(f frame, err error) error {
	if e, derr := decode[end](f, kindEnd); derr == nil && e.Err != "" {
		return fmt.Errorf("the far end ended it: %s", text(e.Err))
	}
	return err
}

// A waiter takes the frames of one operation.
type waiter struct {
	*Client
	verb    string
	ctx     context.Context
	stopped time.Time // when the agent was told to stop; zero: it was not
}

// next returns the next frame. When ctx ends the agent is told to stop, and has
// a moment to end the step that it is at and to say so.
func (w *waiter) next() (frame, error) {
	if w.stopped.IsZero() {
		f, err := w.recv(w.ctx, w.timing.Progress)
		if err == nil || w.link.ctx.Err() != nil {
			return f, err
		}
		if err := w.stop(); err != nil {
			return f, err
		}
	}
	left := w.timing.Grace - time.Since(w.stopped)
	f, err := w.recv(context.Background(), max(left, 1))
	if err != nil {
		err = errors.Join(fmt.Errorf("the operation did not stop: %w", err), w.ctx.Err())
	}
	return f, err
}

// stop tells the agent to end the operation.
func (w *waiter) stop() error {
	w.stopped = time.Now()
	return w.sendSoon(kindStop)
}

// ended returns what an end frame says.
func (w *waiter) ended(f frame) (end, error) {
	e, err := decode[end](f, kindEnd)
	if err != nil {
		return e, w.broken(w.verb, err)
	}
	if e.Err != "" && !w.stopped.IsZero() && w.ctx.Err() != nil {
		return e, fmt.Errorf("online %q: %s: %w", w.opts.Host, w.verb, w.ctx.Err())
	}
	return e, w.far(w.verb, e)
}

// call carries out a request; on takes the frames before its end.
func (c *Client) call(ctx context.Context, r request, items []item, on func(frame) error) (end, error) {
	if err := c.begin(ctx, r, items); err != nil {
		return end{}, err
	}
	w := &waiter{Client: c, verb: r.Verb, ctx: ctx}
	for {
		f, err := w.next()
		if err != nil {
			return end{}, c.broken(r.Verb, err)
		}
		if f.kind == kindEnd {
			return w.ended(f)
		}
		if err := on(f); err != nil {
			return end{}, c.broken(r.Verb, err)
		}
	}
}

func unexpected(f frame) error { return fmt.Errorf("%v that nobody asked for", f) }

// Look implements [host.Host].
func (c *Client) Look(ctx context.Context, thorough bool) (*host.Facts, error) {
	l := &looking{host: c.opts.Host}
	e, err := c.call(ctx, request{Verb: verbLook, Thorough: thorough}, nil, l.add)
	if err != nil {
		return nil, err
	}
	f, err := l.facts(e.Facts, c.hello.Version)
	if err != nil {
		return nil, c.broken(verbLook, err)
	}
	return f, nil
}

// Freeze implements [host.Host].
func (c *Client) Freeze(ctx context.Context, name string) (*host.Frozen, error) {
	e, err := c.call(ctx, request{Verb: verbFreeze, Snapshot: name}, nil, unexpected)
	if err != nil {
		return nil, err
	}
	if err := checkFrozen(e.Frozen); err != nil {
		return nil, c.broken(verbFreeze, err)
	}
	return e.Frozen, nil
}

// Prune implements [host.Host].
func (c *Client) Prune(ctx context.Context, names []string) error {
	return c.eachNames(names, func(r request, items []item) error {
		r.Verb = verbPrune
		_, err := c.call(ctx, r, items, unexpected)
		return err
	})
}

// eachNames makes requests of a list, as many as it needs.
func (c *Client) eachNames(names []string, do func(request, []item) error) error {
	for len(names) > 0 {
		n := min(len(names), maxNames)
		var items []item
		for _, name := range names[:n] {
			b, err := encode(kindName, name)
			if err != nil {
				return err
			}
			items = append(items, item{kind: kindName, payload: b})
		}
		if err := do(request{Names: n}, items); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// Apply implements [host.Host]. A step must say where its file was seen, but for
// Place: the mail is sent along. The results' inode numbers are those of the steps.
func (c *Client) Apply(ctx context.Context, b host.Batch, done func(i int, r apply.Result)) error {
	err := c.eachNames(b.Unlock, func(r request, items []item) error {
		r.Verb = verbApply
		_, err := c.call(ctx, r, items, unexpected)
		return err
	})
	if err != nil {
		return err
	}
	for at := 0; ; {
		items, err := c.portion(b.Steps[at:])
		if err != nil {
			return err
		}
		steps := b.Steps[at : at+len(items)]
		last := at+len(items) == len(b.Steps)
		if len(items) == 0 && !b.Sync {
			return nil
		}
		// What has come with mails is durable before the next portion: a caller
		// believes what was done, also if the connection breaks then.
		mails := slices.ContainsFunc(items, func(i item) bool { return i.mail != nil })
		r := request{Verb: verbApply, Snapshot: b.Snapshot, Steps: len(items), Sync: b.Sync && (last || mails)}
		if err := c.applySome(ctx, r, items, steps, func(i int, r apply.Result) { done(at+i, r) }); err != nil {
			return err
		}
		if at += len(items); last {
			return nil
		}
	}
}

// portion makes items of as many steps as one request may have.
func (c *Client) portion(steps []host.Step) (items []item, err error) {
	total, mails := 0, 0
	for i, s := range steps {
		if err := checkStep(&s, c.opts.Store.Layout); err != nil {
			return nil, fmt.Errorf("online %q: %w", c.opts.Host, err)
		}
		b, err := encode(kindStep, s)
		if err != nil {
			return nil, err
		}
		one := item{kind: kindStep, payload: b}
		if s.Op.Kind == apply.Place {
			one.mail = &steps[i].Op
			mails++
		}
		if total += len(b); i == maxSteps || total > maxStepBytes || mails > maxPlaces {
			break
		}
		items = append(items, one)
	}
	return items, nil
}

func (c *Client) applySome(ctx context.Context, r request, items []item, steps []host.Step, done func(i int, r apply.Result)) error {
	got := &results{steps: steps}
	_, err := c.call(ctx, r, items, func(f frame) error {
		i, res, err := got.add(f)
		if err == nil {
			done(i, res)
		}
		return err
	})
	if err == nil && got.count != len(steps) {
		err = c.broken(verbApply, errors.New("steps without a result"))
	}
	return err
}
