package review

import (
	"fmt"

	"snapmerge/internal/report"
	"snapmerge/merge"
)

// The least that a screen must have. Everything fits into 80 columns and 24 rows.
const minWidth, minHeight = 40, 14

// Rows that the list leaves to the rest: title, separator, both sides, what each
// answer leads to, keys.
const otherRows = 7

const listKeys = " o online  h home  w wait  m mark  f folder  t kind  u undo  q finish  ? help"

var helpText = []string{
	"Each line is a question; below the list is what is known about the chosen one,",
	"and the mail. Nothing is recorded before you say so at the end.",
	"",
	"  ↑ ↓ j k        one line up or down     < > Home End   further",
	"  PgUp PgDn      read the mail (also - and the space bar)",
	"",
	"  o              online is right          the line above the keys says what",
	"  h              home (offline) is right  the next sync does then",
	"  w              no answer: it goes on waiting",
	"  u              undo the last answer",
	"",
	"  m              mark this line           The next answer is that of all marked",
	"  f              mark all of this heading lines. The same key once more takes",
	"  t              mark all of this kind    the marks off, Esc all of them.",
	"",
	"  q Enter        see what will happen, then confirm or go back",
	"  Ctrl-C         leave; nothing is done",
	"",
	"Any other key goes back to the list.",
}

func (s *screen) listHeight() int {
	_, h := s.Size()
	return max(3, (h-otherRows)/2)
}

// pageHeight is how much of the preview, or of a page, is visible.
func (s *screen) pageHeight() int {
	_, h := s.Size()
	if s.mode != listing {
		return h - 2
	}
	return h - otherRows - s.listHeight()
}

func (s *screen) draw() {
	w, h := s.Size()
	s.Clear()
	switch {
	case w < minWidth || h < minHeight:
		put(s, 0, 0, w, plain, fmt.Sprintf("%d x %d is too small, %d x %d is enough", w, h, minWidth, minHeight))
	case s.mode == helping:
		s.page("snapmerge review: help", helpText, " PgUp PgDn scroll   any other key: back")
	case s.mode == finishing:
		lines := append([]string{"This is what the next sync will do:", ""}, Summary(s.Answers())...)
		lines = append(lines, "", fmt.Sprintf("%d without an answer: waiting as before.", len(s.items)-s.count()),
			"", "Nothing has been recorded yet.")
		s.page("snapmerge review: record these answers?", lines, " y yes, record them   b back   Q leave, nothing is done   PgUp PgDn scroll")
	default:
		s.drawList(w)
		s.drawItem(w, h)
	}
	s.Show()
}

// page fills the screen with lines that can be scrolled.
func (s *screen) page(title string, lines []string, keys string) {
	w, h := s.Size()
	put(s, 0, 0, w, bar, " "+title)
	s.text(lines, 1, w)
	put(s, 0, h-1, w, bar, keys)
}

// text writes lines from a row on, as far as they are scrolled.
func (s *screen) text(lines []string, y, w int) {
	lines = wrap(lines, w)
	s.scroll = min(s.scroll, max(0, len(lines)-s.pageHeight()))
	for i := range s.pageHeight() {
		if i+s.scroll < len(lines) {
			put(s, 0, y+i, w, plain, lines[i+s.scroll])
		}
	}
}

func (s *screen) drawList(w int) {
	decided := s.count()
	put(s, 0, 0, w, bar, fmt.Sprintf(" snapmerge review: %d waiting, %d with an answer", len(s.items)-decided, decided))
	height := s.listHeight()
	s.top = min(s.top, s.at)
	if s.top > 0 && s.at == s.top && s.rows[s.at-1].item < 0 {
		s.top-- // its heading
	}
	s.top = max(s.top, s.at-height+1)
	if s.at == 1 {
		s.top = 0
	}
	for i := range height {
		if s.top+i < len(s.rows) {
			s.drawRow(1+i, w, s.top+i)
		}
	}
}

func (s *screen) drawRow(y, w, at int) {
	r := s.rows[at]
	if r.item < 0 {
		put(s, 0, y, w, strong, r.heading)
		return
	}
	it, style := s.items[r.item], plain
	if at == s.at {
		style = bar
	}
	mark, answer := " ", "waits"
	if s.marked[r.item] {
		mark = "*"
	}
	if t := s.take[r.item]; t != nil {
		answer = t.String()
	}
	title := it.Subject
	if title == "" {
		title = it.Message
	}
	middle := 11 + (w-11)*3/5
	put(s, 0, y, w, style, mark)
	put(s, 2, y, 10, style, answer)
	put(s, 11, y, middle-2, style, title)
	put(s, middle, y, w, style, it.From)
}

// drawItem shows the chosen item: how it stands, the mail, what each answer does.
func (s *screen) drawItem(w, h int) {
	it := s.items[s.item()]
	date := ""
	if !it.Waiting.IsZero() {
		date = ", " + s.style.Day(it.Waiting)
	}
	y := 1 + s.listHeight()
	put(s, 0, y, w, bar, fmt.Sprintf(" %s  %s  since sync %d%s  %s", it.ID, report.Word(it.Message), it.Since, date, it.Note))
	if it.Kind == merge.Refused {
		put(s, 0, y+1, w, plain, "not mail that could be taken")
	} else {
		put(s, 0, y+1, w, plain, "home    "+report.Since(it.Base[merge.Offline], it.Now[merge.Offline]))
		put(s, 0, y+2, w, plain, "online  "+report.Since(it.Base[merge.Online], it.Now[merge.Online]))
	}
	s.text(s.mail(s.item()), y+3, w)
	put(s, 0, h-3, w, strong, "o  "+report.Consequence(it.Held, merge.Online))
	put(s, 0, h-2, w, strong, "h  "+report.Consequence(it.Held, merge.Offline))
	put(s, 0, h-1, w, bar, listKeys)
}

// mail is the preview of an item; it is read when it is looked at. Home's copy
// comes first, and is alone where nothing else is to be seen online.
func (s *screen) mail(i int) []string {
	if s.read == i {
		return s.preview
	}
	s.read, s.preview = i, nil
	copies := s.items[i].Copies()
	if copies[merge.Offline] != nil {
		if copies[merge.Online] != nil {
			s.preview = append(s.preview, "[home's copy]", "")
		}
		s.preview = append(s.preview, s.copy(i, merge.Offline)...)
	}
	if copies[merge.Online] != nil {
		if s.preview == nil {
			s.preview = []string{"[online's copy, home has none]", ""}
		} else {
			s.preview = append(s.preview, "", "[online's copy]", "")
		}
		s.preview = append(s.preview, s.copy(i, merge.Online)...)
	}
	if s.preview == nil {
		s.preview = []string{"(no copy to read)"}
	}
	return s.preview
}

func (s *screen) copy(i int, side merge.Side) []string {
	f, err := s.open(s.items[i], side)
	if err != nil {
		return []string{"(can not be read: " + report.Clean(err.Error()) + ")"}
	}
	defer f.Close()
	return Preview(f)
}
