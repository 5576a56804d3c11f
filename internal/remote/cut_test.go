package remote

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// A limit is a budget of bytes for one direction; past it the wire is cut.
type limit struct {
	io.ReadWriteCloser
	left *atomic.Int64
	cut  func()
}

// Write implements [io.Writer].
func (l limit) Write(p []byte) (int, error) {
	left := l.left.Add(-int64(len(p)))
	if left >= 0 {
		return l.ReadWriteCloser.Write(p)
	}
	n := max(0, len(p)+int(left))
	if n > 0 {
		n, _ = l.ReadWriteCloser.Write(p[:n])
	}
	l.cut()
	return n, io.ErrClosedPipe
}

// dialCut dials through a wire that is cut after so many bytes to, or from, the
// agent, in the middle of a frame as well.
func dialCut(t testing.TB, w *world, toAgent, fromAgent int64) (c *Client, p *pipes, sent, got func() int64, err error) {
	t.Helper()
	p = newPipe(t)
	to, from := new(atomic.Int64), new(atomic.Int64)
	to.Store(toAgent)
	from.Store(fromAgent)
	cut := func() {
		for _, f := range []io.Closer{p.agentIn, p.agentOut, p.toAgent, p.fromAgent} {
			f.Close()
		}
	}
	go func() {
		defer close(p.done)
		p.err = Serve(context.Background(), w.agent(), p.agentIn, limit{p.agentOut, from, cut})
	}()
	c, err = open(context.Background(), w.options(), p, p.fromAgent, limit{p.toAgent, to, cut})
	return c, p, func() int64 { return toAgent - to.Load() }, func() int64 { return fromAgent - from.Load() }, err
}

// cuts is how many there are for each verb and direction: SNAPMERGE_CUTS, or 100.
func cuts(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("SNAPMERGE_CUTS"))
	if err != nil {
		return 100
	}
	return n
}

func seeded(t *testing.T) uint64 {
	n := uint64(1)
	switch s := os.Getenv("SNAPMERGE_SEED"); s {
	case "":
	case "random":
		n = uint64(time.Now().UnixNano())
	default:
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("SNAPMERGE_SEED: %v", err)
		}
	}
	t.Logf("SNAPMERGE_SEED=%d", n)
	return n
}

// The connection is cut after any number of bytes, of either direction, at every
// verb. The client returns an error soon, and never takes half of a stream for
// the whole; the agent ends and lets the lock go; nothing is left running; and
// the next session works.
func TestCut(t *testing.T) {
	w := newWorld(t, 30)
	prepare(t, w)
	r := rand.New(rand.NewPCG(seeded(t), 0))
	const plenty = 1 << 40
	for _, v := range w.verbs() {
		// How many bytes go each way, for the session and for the verb.
		c, p, toAgent, fromAgent, err := dialCut(t, w, plenty, plenty)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.do(c); err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		sent, got := toAgent(), fromAgent()
		if v.name == verbSend {
			w.stream = c.Received()
		}
		c.Close()
		<-p.done
		for range cuts(t) {
			cutOnce(t, w, v, r.Int64N(sent), plenty)
			cutOnce(t, w, v, plenty, r.Int64N(got))
		}
		t.Logf("%s: %d bytes to the agent, %d from it", v.name, sent, got)
	}
	c := session(t, w)
	for _, v := range w.verbs() {
		if err := v.do(c); err != nil {
			t.Errorf("%s in the end: %v", v.name, err)
		}
	}
	if n := w.placed(t); n != maxPlaces+6 {
		t.Errorf("%d mails were placed in the end", n)
	}
}

func cutOnce(t *testing.T, w *world, v verb, toAgent, fromAgent int64) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	begun := time.Now()
	c, p, _, _, err := dialCut(t, w, toAgent, fromAgent)
	if err == nil {
		err = v.do(c)
		// No error: beats use up bytes, too, and the verb was done before the cut.
		if _, broken := errors.AsType[*BrokenError](err); err != nil && !broken {
			t.Errorf("%s, cut after %d, %d: %v", v.name, toAgent, fromAgent, err)
		}
		c.Close()
	}
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		t.Fatalf("%s, cut after %d, %d: the agent does not end", v.name, toAgent, fromAgent)
	}
	p.close(0)
	if d := time.Since(begun); d > 4*time.Second {
		t.Errorf("%s, cut after %d, %d: took %v", v.name, toAgent, fromAgent, d)
	}
	w.unlocked(t)
	w.placed(t)
	goleak.VerifyNone(t, ignore)
}
