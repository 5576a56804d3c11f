package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"snapmerge/internal/engine"
	"snapmerge/internal/report"
)

// A progress is the line on a terminal that says what a sync is at. It comes
// only after patience, since most syncs are over by then.
type progress struct {
	mu      sync.Mutex
	w       io.Writer // nil: no terminal
	prefix  string
	text    string
	visible bool
	drawn   time.Time
	begun   time.Time // the receive
}

const (
	patience = time.Second
	// redraw bounds how often the line is written: the engine tells of every mail.
	redraw = 100 * time.Millisecond
	erase  = "\r\x1b[K" // ECMA-48 EL, erase to the end of the line
)

func (a *app) progress(mailbox string) *progress {
	if a.quiet || !isTerminal(a.errs) {
		return &progress{}
	}
	return newProgress(a.errs, "snapmerge: "+mailbox)
}

func newProgress(w io.Writer, prefix string) *progress {
	p := &progress{w: w, prefix: prefix}
	time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.w != nil { // not over yet
			p.visible = true
			p.draw()
		}
	})
	return p
}

// update is [engine.Options.Progress]. A long stage may call it only once, at
// its beginning, so the line is kept until the timer shows it.
func (p *progress) update(stage string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = stage
	switch {
	case stage == engine.StageReceive:
		p.text = p.receiving(done)
	case total > 0:
		p.text = fmt.Sprintf("%s %d/%d", stage, done, total)
	}
	if p.visible && time.Since(p.drawn) >= redraw {
		p.draw()
	}
}

// receiving says how much has come, and how fast it comes.
func (p *progress) receiving(bytes int) string {
	if p.begun.IsZero() {
		p.begun = time.Now()
	}
	text := engine.StageReceive + " " + report.Bytes(uint64(bytes))
	if took := time.Since(p.begun); took > redraw {
		text += ", " + report.Bytes(uint64(float64(bytes)/took.Seconds())) + "/s"
	}
	return text
}

func (p *progress) draw() {
	p.drawn = time.Now()
	fmt.Fprintf(p.w, "%s%s: %s", erase, p.prefix, p.text)
}

// stop takes the line away again.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.visible {
		io.WriteString(p.w, erase)
	}
	p.w, p.visible = nil, false
}
