package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"snapmerge/internal/stream"
)

// run has a child carry the stream out, and follows what it did. written is false
// if there was nothing to carry out.
func run(ctx context.Context, o Options, root, parent *os.File, in io.ReadCloser) (res Result, ctransid uint64, written bool, err error) {
	begun, res, ctransid, err := peek(ctx, o, in)
	if err != nil || res.Tracker != nil {
		return res, ctransid, false, err
	}
	c, err := start(job{UUID: o.UUID, ParentUUID: o.ParentUUID, Limits: o.Limits, Increment: parent != nil}, root, parent)
	if err != nil {
		return Result{}, 0, false, err
	}
	stop := context.AfterFunc(ctx, c.kill)
	fed := make(chan error, 1)
	go func() { fed <- feed(c.stdin, io.MultiReader(bytes.NewReader(begun), in), o.Progress) }()

	told := make(chan error, 1)
	var rep report
	go func() {
		var err error
		if rep, err = readReport(c.report); err != nil {
			c.kill() // it may be stuck in writing more
		} else {
			defer c.expectEnd().Stop()
		}
		told <- err
		<-c.exited
	}()
	f := follower{o: o}
	followErr := f.follow(c.applied)
	if !errors.Is(followErr, io.ErrUnexpectedEOF) && followErr != nil {
		c.kill() // it may be stuck in writing to us
	}
	defer c.expectEnd().Stop()
	repErr := <-told
	<-c.exited
	stop()
	in.Close() // feed may wait for more than the child wanted
	fedErr := <-fed
	c.close()

	err = verdict{context.Cause(ctx), followErr, rep, repErr, c.exit, fedErr, c.stderr.String()}.err()
	return Result{f.tracker, rep.stats()}, f.ctransid, true, err
}

// feed copies the stream to the child. Its error is one of reading: that the
// child does not want more is not one.
func feed(to *os.File, in io.Reader, progress func(int64)) error {
	defer to.Close()
	buf := make([]byte, 128<<10)
	var sum int64
	for {
		n, err := in.Read(buf)
		if _, err := to.Write(buf[:n]); err != nil {
			return nil
		}
		if sum += int64(n); n > 0 && progress != nil {
			progress(sum)
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// A follower reads the filtered stream. It comes from a process that has read
// hostile bytes, so it is trusted no more than these.
type follower struct {
	o        Options
	tracker  *stream.Tracker // of an increment
	ctransid uint64
	commands int // after the first
}

func (f *follower) follow(r io.Reader) error {
	d := stream.NewDecoder(r, f.o.Limits.Stream())
	for n := 0; ; n++ {
		c, err := d.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n == 0:
			err = f.begin(c)
		case f.tracker == nil:
			err = fmt.Errorf("%s in a full stream", c.Op)
		default:
			f.commands++
			err = f.tracker.Apply(c)
		}
		if err != nil {
			return err
		}
	}
}

func (f *follower) begin(c stream.Command) error {
	full := f.o.Parent == ""
	if (c.Op == stream.Subvol) != full || c.UUID != f.o.UUID || !full && c.ParentUUID != f.o.ParentUUID {
		return fmt.Errorf("%s of another stream", c.Op)
	}
	f.ctransid = c.Transid
	if !full {
		f.tracker = stream.NewTracker(f.o.Limits.Stream())
	}
	return nil
}

// A verdict is all that is known of how a receive went.
type verdict struct {
	ctx    error // why it was ended from outside
	follow error // what is wrong with the filtered stream
	report report
	told   error // why there is no report
	exit   error // how the child ended
	fed    error // of reading the stream
	stderr string
}

// err returns nil, or the cause behind the others.
func (v verdict) err() error {
	switch {
	case v.ctx != nil:
		return v.ctx
	case v.follow != nil && !errors.Is(v.follow, io.ErrUnexpectedEOF):
		return fmt.Errorf("what the receiving process says is wrong: %w", v.follow)
	case v.told != nil:
		return fmt.Errorf("the receiving process: %w%s", errors.Join(v.told, v.exit), v.said())
	case v.report.Kind == kindEnded && v.fed != nil:
		return fmt.Errorf("%w: %w", ErrInput, v.fed)
	case v.report.Kind != kindDone:
		return v.report.err()
	case v.follow != nil || v.exit != nil:
		return fmt.Errorf("the receiving process ended badly: %w%s", errors.Join(v.follow, v.exit), v.said())
	}
	return nil
}

func (v verdict) said() string {
	if v.stderr == "" {
		return ""
	}
	return fmt.Sprintf("; it said %q", v.stderr)
}
