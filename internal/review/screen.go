package review

import (
	"context"
	"fmt"
	"os"

	"github.com/gdamore/tcell/v2"
	"github.com/gdamore/tcell/v2/terminfo"

	"snapmerge/internal/report"
	"snapmerge/merge"
)

// A row of the list is an item or, with item -1, the heading of those below it.
type row struct {
	item    int
	heading string
}

// A mode is what the screen shows and what keys mean.
type mode uint8

const (
	listing mode = iota
	helping
	finishing // the last question
)

// A screen is the review in a terminal.
type screen struct {
	tcell.Screen
	*Choices
	open    Open
	style   report.Style
	rows    []row
	at      int // the row that is chosen; always an item's
	top     int // the first row that is shown
	mode    mode
	preview []string // of the chosen item
	read    int      // the item that preview is of, -1: none
	scroll  int      // lines of the preview, or of the page, that are above the screen
	result  error
	done    bool
}

// Run shows the items in the terminal, in their order, and returns the answers when
// the person has confirmed them. Errors: [ErrQuit], [ErrNoTerminal], that of ctx.
func Run(ctx context.Context, items []report.Item, open Open, st report.Style) ([]report.Item, error) {
	// A name that tcell's own list lacks would make it start a program to ask.
	if _, err := terminfo.LookupTerminfo(os.Getenv("TERM")); err != nil {
		return nil, fmt.Errorf("%w: TERM is %q", ErrNoTerminal, os.Getenv("TERM"))
	}
	t, err := tcell.NewTerminfoScreen()
	if err == nil {
		err = t.Init()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	defer t.Fini()
	s := newScreen(t, items, open, st)
	defer context.AfterFunc(ctx, func() { t.PostEvent(tcell.NewEventInterrupt(ctx.Err())) })()
	for !s.done {
		s.draw()
		s.handle(t.PollEvent())
	}
	if s.result != nil {
		return nil, s.result
	}
	return s.Answers(), nil
}

func newScreen(t tcell.Screen, items []report.Item, open Open, st report.Style) *screen {
	s := &screen{Screen: t, Choices: NewChoices(items), open: open, style: st, read: -1}
	for i, it := range items {
		if i == 0 || !SameFolder(it, items[i-1]) {
			n := 0
			for _, other := range items[i:] {
				if !SameFolder(it, other) {
					break
				}
				n++
			}
			s.rows = append(s.rows, row{-1, fmt.Sprintf("%s  %s  %s  (%d)", it.Kind, report.Word(it.Mailbox), report.Word(it.Folder()), n)})
		}
		s.rows = append(s.rows, row{item: i})
	}
	s.at = 1
	return s
}

func (s *screen) item() int { return s.rows[s.at].item }

// move goes to the next item in that direction, at most n rows away.
func (s *screen) move(n int) {
	step := 1
	if n < 0 {
		step, n = -1, -n
	}
	for to := s.at + step; to >= 0 && to < len(s.rows) && n > 0; to += step {
		n--
		if s.rows[to].item < 0 {
			n++ // a heading does not count
			continue
		}
		s.at = to
	}
	s.scroll = 0
}

// handle acts on what the terminal tells; nil is that it is gone.
func (s *screen) handle(e tcell.Event) {
	switch e := e.(type) {
	case nil:
		s.leave(ErrQuit)
	case *tcell.EventInterrupt:
		err, _ := e.Data().(error)
		s.leave(err)
	case *tcell.EventResize:
		s.Sync()
	case *tcell.EventKey:
		switch {
		case e.Key() == tcell.KeyCtrlC:
			s.leave(ErrQuit)
		case e.Key() == tcell.KeyCtrlL:
			s.Sync()
		case s.mode == listing:
			s.listKey(e)
		case s.mode == finishing:
			s.finishKey(e)
		case !s.scrolled(e):
			s.show(listing)
		}
	}
}

func (s *screen) leave(err error) { s.done, s.result = true, err }

func (s *screen) show(m mode) { s.mode, s.scroll = m, 0 }

func (s *screen) listKey(e *tcell.EventKey) {
	page := max(1, s.listHeight()-1)
	online, offline := merge.Online, merge.Offline
	switch e.Key() {
	case tcell.KeyUp:
		s.move(-1)
	case tcell.KeyDown:
		s.move(1)
	case tcell.KeyHome:
		s.move(-len(s.rows))
	case tcell.KeyEnd:
		s.move(len(s.rows))
	case tcell.KeyEscape:
		s.Unmark()
	case tcell.KeyEnter:
		s.finish()
	default:
		if s.scrolled(e) {
			return
		}
	}
	switch e.Rune() {
	case 'k':
		s.move(-1)
	case 'j':
		s.move(1)
	case '<':
		s.move(-page)
	case '>':
		s.move(page)
	case 'o':
		s.answer(&online)
	case 'h':
		s.answer(&offline)
	case 'w':
		s.answer(nil)
	case 'm':
		s.Mark(s.item(), SameItem)
		s.move(1)
	case 'f':
		s.Mark(s.item(), SameFolder)
	case 't':
		s.Mark(s.item(), SameKind)
	case 'u':
		s.Undo()
	case '?':
		s.show(helping)
	case 'q':
		s.finish()
	}
}

// answer gives an answer, and goes on if it was for one item only.
func (s *screen) answer(side *merge.Side) {
	one := true
	for _, m := range s.marked {
		one = one && !m
	}
	s.Take(s.item(), side)
	if one {
		s.move(1)
	}
}

// finish asks the last question, if there is anything to ask.
func (s *screen) finish() {
	if len(s.Answers()) == 0 {
		s.leave(ErrQuit)
		return
	}
	s.show(finishing)
}

func (s *screen) finishKey(e *tcell.EventKey) {
	switch {
	case s.scrolled(e):
	case e.Rune() == 'y':
		s.leave(nil)
	case e.Rune() == 'Q':
		s.leave(ErrQuit)
	case e.Key() == tcell.KeyEscape, e.Rune() == 'n', e.Rune() == 'b':
		s.show(listing)
	}
}

// scrolled moves the page, or the preview, and reports whether the key does that.
func (s *screen) scrolled(e *tcell.EventKey) bool {
	step := max(1, s.pageHeight()-1)
	switch {
	case e.Key() == tcell.KeyPgDn, e.Rune() == ' ':
		s.scroll += step
	case e.Key() == tcell.KeyPgUp, e.Rune() == '-':
		s.scroll -= step
	case s.mode != listing && e.Key() == tcell.KeyDown:
		s.scroll++
	case s.mode != listing && e.Key() == tcell.KeyUp:
		s.scroll--
	default:
		return false
	}
	s.scroll = max(0, s.scroll) // draw keeps it below the end
	return true
}
