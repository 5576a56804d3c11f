package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/snapshot"
)

// operation carries out one request and sends its end. An error ends the
// session; what only the operation failed with is in the end.
func (a *agent) operation(r request) error {
	if err := r.check(); err != nil {
		return a.refuse(err)
	}
	// Before the items: a stop may come at once after them.
	ctx, stop := context.WithCancelCause(a.ctx)
	defer stop(nil)
	a.begin(stop)
	defer a.ended()
	names, err := a.names(r)
	if err != nil {
		return a.refuse(err)
	}
	spool := &spool{dir: a.layout.Snapshots}
	defer spool.close()
	steps, err := a.steps(r, spool)
	if err != nil {
		return a.refuse(err)
	}
	var e end
	if err = spool.err; err == nil && r.Verb != verbLook {
		err = a.lock(ctx)
	}
	if err == nil {
		e, err = a.do(ctx, r, names, steps)
	}
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(errStopped, err)
		}
		e = endOf(err)
	}
	a.ended()
	return sendJSON(a.link, kindEnd, e)
}

// do is what the verbs mean.
func (a *agent) do(ctx context.Context, r request, names []string, steps []host.Step) (e end, err error) {
	switch r.Verb {
	case verbLook:
		e.Facts, err = a.look(ctx, r.Thorough)
	case verbFreeze:
		e.Frozen, err = a.freeze(ctx, r.Snapshot)
	case verbSend:
		err = a.sendStream(ctx, r.Snapshot, r.Parent)
	case verbApply:
		err = a.apply(ctx, host.Batch{Snapshot: r.Snapshot, Steps: steps, Unlock: names, Sync: r.Sync})
	case verbPrune:
		err = a.store.Prune(ctx, names)
	}
	return e, err
}

// freeze takes a snapshot. Whoever has got hold of the key must not fill the disk
// with what users delete, so there is an end to it.
func (a *agent) freeze(ctx context.Context, name string) (*host.Frozen, error) {
	all, err := os.ReadDir(a.layout.Snapshots)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, e := range all {
		if side, _, ok := snapshot.ParseName(e.Name()); ok && side == snapshot.Online {
			n++
		}
	}
	if n >= maxFrozen {
		return nil, fmt.Errorf("%q has %d snapshots, far more than a rotation keeps: delete those that nobody needs", a.layout.Snapshots, n)
	}
	f, err := a.store.Freeze(ctx, name)
	if err != nil {
		return nil, err
	}
	trimNested(f)
	return f, nil
}

// trimNested leaves out paths that have no room in a frame.
func trimNested(f *host.Frozen) {
	n := 0
	for i, p := range f.Nested {
		if n += len(p); n > maxNested {
			f.Nested, f.NestedMore = f.Nested[:i], len(f.Nested)-i
			return
		}
	}
}

// names reads the request's names. What they may be is checked where they are
// used: [host.Local.Prune] takes names of snapshots only, and a folder's goes
// through the layout.
func (a *agent) names(r request) ([]string, error) {
	var names []string
	for range r.Names {
		f, err := a.recv(a.ctx, a.timing.Progress)
		if err != nil {
			return nil, err
		}
		name, err := decode[string](f, kindName)
		if err != nil {
			return nil, err
		}
		if r.Verb == verbApply {
			if _, err := a.layout.Layout.Dir(name); err != nil {
				return nil, err
			}
		}
		names = append(names, name)
	}
	return names, nil
}

func (a *agent) steps(r request, spool *spool) ([]host.Step, error) {
	var steps []host.Step
	total := 0
	for range r.Steps {
		f, err := a.recv(a.ctx, a.timing.Progress)
		if err != nil {
			return nil, err
		}
		if total += len(f.payload); total > maxStepBytes {
			return nil, fmt.Errorf("steps of more than %d bytes", maxStepBytes)
		}
		s, err := decode[host.Step](f, kindStep)
		if err == nil {
			err = checkStep(&s, a.layout.Layout)
		}
		if err == nil && s.Op.Kind == apply.Place {
			s.Op.Source, err = a.mail(spool, s.Op.Size)
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// look sends the lists and returns the rest.
func (a *agent) look(ctx context.Context, thorough bool) (*host.Facts, error) {
	f, err := a.store.Look(ctx, thorough)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Snapshots {
		if err := sendJSON(a.link, kindSnapshot, s); err != nil {
			return nil, err
		}
	}
	for _, p := range f.Problems {
		p.Subject, p.Text, p.Mend = text(p.Subject), text(p.Text), text(p.Mend)
		if err := sendJSON(a.link, kindProblem, p); err != nil {
			return nil, err
		}
	}
	rest := *f
	rest.Snapshots, rest.Problems = nil, nil
	return &rest, nil
}

// sendStream copies the stream as it is. It is closed after a stop, too: the kernel ends
// at its next write then.
func (a *agent) sendStream(ctx context.Context, name, parent string) error {
	r, err := a.store.Send(ctx, name, parent)
	if err != nil {
		return err
	}
	defer r.Close()
	a.window.open()
	buf := make([]byte, limits[kindData])
	for ctx.Err() == nil {
		n, err := r.Read(buf)
		if n > 0 {
			if err := a.window.use(ctx, n); err != nil {
				return err
			}
			if err := a.send(kindData, buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// apply carries out the steps while it sends their results. These have room to
// wait: they come while folders are locked, and a client that is slow to read must
// not keep Dovecot from its mail.
func (a *agent) apply(ctx context.Context, b host.Batch) error {
	results := make(chan result, len(b.Steps))
	done := make(chan error, 1)
	go func() {
		defer close(results)
		done <- a.store.ApplyOps(ctx, b, func(i int, op apply.Op, r apply.Result) {
			results <- resultOf(i, op, r)
		})
	}()
	var sent error
	for r := range results {
		if sent == nil {
			sent = sendJSON(a.link, kindResult, r)
		}
	}
	return errors.Join(<-done, sent)
}

func resultOf(i int, op apply.Op, r apply.Result) result {
	w := result{
		Index: i, Outcome: r.Outcome, Name: r.File.Name, Missing: r.Missing,
		Same: r.File.Ino != 0 && r.File.Ino == op.From.Ino,
		Why:  text(r.Why),
	}
	if r.Err != nil {
		w.Err = text(r.Err.Error())
	}
	return w
}
