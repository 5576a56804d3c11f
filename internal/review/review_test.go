package review

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// item makes a question about a mail that was in that folder on both sides.
func item(n int, kind merge.Kind, folder string) report.Item {
	was := []tree.Placement{{Folder: folder, Flags: tree.Seen}}
	it := report.Item{Mailbox: "chris", Held: state.Held{Since: 7, From: "Ann <ann@example.org>", Subject: fmt.Sprintf("Mail %d", n),
		Source: &state.SnapshotFile{Snapshot: "offline.7", Path: fmt.Sprint(n)}}}
	it.ID, it.Kind, it.Message, it.State = fmt.Sprintf("%012d", n), kind, fmt.Sprintf("%d.host", n), "s"
	it.Base = [2][]tree.Placement{was, was}
	it.Now[merge.Offline] = was
	return it
}

func five() []report.Item {
	return []report.Item{item(1, merge.DeletedOnline, "INBOX"), item(2, merge.DeletedOnline, "INBOX"),
		item(3, merge.DeletedOnline, "work"), item(4, merge.DeleteModify, "INBOX"), item(5, merge.DeleteModify, "INBOX")}
}

// A driver types at a screen that is 80 x 24, or what it was made.
type driver struct {
	t   *testing.T
	sim tcell.SimulationScreen
	s   *screen
}

func drive(t *testing.T, items []report.Item, mail string, size ...int) *driver {
	sim := tcell.NewSimulationScreen("UTF-8")
	if err := sim.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Fini)
	sim.SetSize(80, 24)
	if len(size) > 0 {
		sim.SetSize(size[0], size[1])
	}
	open := func(report.Item, merge.Side) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(mail)), nil
	}
	d := &driver{t, sim, newScreen(sim, items, open, report.Style{})}
	d.s.draw()
	return d
}

// keys types letters; names in <> are keys without one.
func (d *driver) keys(keys string) {
	named := map[string]tcell.Key{"down": tcell.KeyDown, "up": tcell.KeyUp, "esc": tcell.KeyEscape, "pgdn": tcell.KeyPgDn,
		"pgup": tcell.KeyPgUp, "end": tcell.KeyEnd, "home": tcell.KeyHome, "ctrl-c": tcell.KeyCtrlC, "enter": tcell.KeyEnter}
	for keys != "" {
		key, r := tcell.KeyRune, rune(keys[0])
		if name, rest, ok := strings.Cut(keys[1:], ">"); r == '<' && ok && named[name] != 0 {
			key, r, keys = named[name], 0, " "+rest
		}
		keys = keys[1:]
		d.s.handle(tcell.NewEventKey(key, r, 0))
		d.s.draw()
	}
}

// text is what the screen shows.
func (d *driver) text() string {
	cells, w, h := d.sim.GetContents()
	var b strings.Builder
	for y := range h {
		line := ""
		for x := 0; x < w; x++ {
			c := cells[y*w+x]
			if len(c.Runes) > 0 {
				line += string(c.Runes)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func (d *driver) answers() string {
	var out []string
	for _, it := range d.s.Answers() {
		side := "none"
		if it.Decided != nil {
			side = it.Decided.String()
		}
		out = append(out, strings.TrimLeft(it.ID, "0")+" "+side)
	}
	return strings.Join(out, ", ")
}

// TestKeys: what is typed, and what the answers are then.
func TestKeys(t *testing.T) {
	for _, tt := range []struct{ name, keys, want string }{
		{"each in turn", "oho", "1 online, 2 offline, 3 online"},
		{"down and back", "<down>o<up><up>h", "1 offline, 2 online"},
		{"headings are passed over", "jjjo", "4 online"},
		{"the end", "<end>h", "5 offline"},
		{"beyond the end", "<end>jjjh", "5 offline"},
		{"the folder of that kind", "fo", "1 online, 2 online"},
		{"the kind", "th", "1 offline, 2 offline, 3 offline"},
		{"marks go with the answer", "fojjh", "1 online, 2 online, 3 offline"},
		{"some marked", "mjmo", "1 online, 3 online"},
		{"no marks", "f<esc>o", "1 online"},
		{"twice is none", "ffo", "1 online"},
		{"undo", "toju", ""},
		{"undo one of two", "ohu", "1 online"},
		{"undo more than there is", "ouuuh", "2 offline"},
		{"changed one's mind", "o<up>h", "1 offline"},
		{"waits", "o<up>w", ""},
		{"help in between", "?ooo", "1 online, 2 online"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drive(t, five(), "")
			d.keys(tt.keys)
			if got := d.answers(); got != tt.want {
				t.Errorf("%s: answers %q, want %q", tt.keys, got, tt.want)
			}
			if d.s.done {
				t.Error("it has ended")
			}
		})
	}
}

// TestCopies: what is shown of a mail, by the sides that have a copy of it to read.
func TestCopies(t *testing.T) {
	gone := errors.New("online is\x1b[2J away")
	for _, tt := range []struct {
		name         string
		home, online bool
		err          error // of reading online's
		want         string
	}{
		{"home", true, false, nil, "\nof offline"},
		{"online", false, true, nil, "[online's copy, home has none]\n\n\nof online"},
		{"both", true, true, nil, "[home's copy]\n\n\nof offline\n\n[online's copy]\n\n\nof online"},
		{"none", false, false, nil, "(no copy to read)"},
		{"both, one away", true, true, gone, "[home's copy]\n\n\nof offline\n\n[online's copy]\n\n(can not be read: online is\\x1b[2J away)"},
	} {
		it := item(1, merge.NameTaken, "INBOX")
		if !tt.home {
			it.Source = nil
		}
		if tt.online {
			it.Theirs = &state.SnapshotFile{Snapshot: "online.7", Path: "1"}
		}
		d := drive(t, []report.Item{it}, "")
		d.s.read, d.s.open = -1, func(_ report.Item, side merge.Side) (io.ReadCloser, error) {
			if side == merge.Online && tt.err != nil {
				return nil, tt.err
			}
			return io.NopCloser(strings.NewReader("\nof " + side.String())), nil
		}
		if diff := cmp.Diff(tt.want, strings.Join(d.s.mail(0), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestTakenBack: an answer that was recorded before can be taken back.
func TestTakenBack(t *testing.T) {
	items, online := five(), merge.Online
	items[1].Decided = &online
	d := drive(t, items, "")
	if d.answers() != "" {
		t.Errorf("untouched: %q", d.answers())
	}
	d.keys("jw")
	if got := d.answers(); got != "2 none" {
		t.Errorf("%q", got)
	}
}

// TestConfirm: answers count only after the last question.
func TestConfirm(t *testing.T) {
	for _, tt := range []struct {
		keys string
		done bool
		err  error
	}{
		{"q", true, ErrQuit}, // nothing to ask about
		{"oq", false, nil},
		{"o<enter>", false, nil},
		{"oqy", true, nil},
		{"oqb", false, nil},
		{"oq<esc>uq", true, ErrQuit},
		{"oqQ", true, ErrQuit},
		{"oqx", false, nil},
		{"o<ctrl-c>", true, ErrQuit},
		{"oq<ctrl-c>", true, ErrQuit},
		{"y", false, nil},
	} {
		d := drive(t, five(), "")
		d.keys(tt.keys)
		if d.s.done != tt.done || d.s.result != tt.err {
			t.Errorf("%s: ended %v, %v; want %v, %v", tt.keys, d.s.done, d.s.result, tt.done, tt.err)
		}
	}
	d := drive(t, five(), "")
	d.keys("o")
	if d.s.handle(nil); d.s.result != ErrQuit {
		t.Errorf("the terminal is gone: %v", d.s.result)
	}
}

// TestScreens: every mode fits into 80 x 24, and a hostile mail gets nothing to the
// screen but printable text in its own place.
func TestScreens(t *testing.T) {
	items := five()
	items[0].Subject = "\x1b]0;owned\a\u202eevil e" + strings.Repeat("\u0301", 1000)
	items[0].From = "\u200b\x9b31m" + strings.Repeat("漢", 100)
	mail := "Subject: \x1b[2J=?utf-8?q?=1b[31m?=\nContent-Type: text/plain; charset=utf-8\n\nHi\x1b[1;1Hthere\r\x08\x00\u202e\u009b5n\n" + strings.Repeat("line\n", 50)
	d := drive(t, items, mail)
	for _, keys := range []string{"", "<pgdn><pgdn>", "t", "?", "x", "oq"} {
		d.keys(keys)
		text := d.text()
		if bad := strings.IndexFunc(text, func(r rune) bool {
			return r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x200b)
		}); bad >= 0 {
			t.Errorf("after %q: %q", keys, text[bad:])
		}
		if n := strings.Count(text, "\u0301"); n > maxCluster {
			t.Errorf("%d accents in a cell", n)
		}
		for i, line := range strings.Split(text, "\n") {
			if len([]rune(strings.ReplaceAll(line, "\u0301", ""))) > 80 {
				t.Errorf("after %q: line %d is longer than 80: %q", keys, i, line)
			}
		}
	}
	if !strings.Contains(d.text(), "2 × deleted-online") || !strings.Contains(d.text(), "take online: deletes it at home") {
		t.Errorf("summary:\n%s", d.text())
	}
}

// TestSizes: a screen of any size is drawn, also while it is made smaller.
func TestSizes(t *testing.T) {
	d := drive(t, five(), strings.Repeat("a", 300)+"\n\n"+strings.Repeat("漢", 300), 1, 1)
	for _, size := range [][2]int{{0, 0}, {5, 3}, {40, 14}, {41, 15}, {80, 24}, {200, 60}, {40, 14}} {
		d.sim.SetSize(size[0], size[1])
		d.keys("jjkk<end><home>?x<pgdn><pgdn><pgup>toqbuuu")
		if size[0] >= minWidth && !strings.Contains(d.text(), "Mail 1") {
			t.Errorf("%v:\n%s", size, d.text())
		}
	}
}

// TestList: what is read back of the editor's list.
func TestList(t *testing.T) {
	items := five()
	items[2].Subject = "# vim: set modeline:\nonline 000000000005 x \x1b[31m"
	list := List(items)
	if strings.ContainsFunc(list, func(r rune) bool { return r != '\n' && r < ' ' }) {
		t.Errorf("not quoted: %q", list)
	}
	lines := strings.Split(strings.TrimSpace(list), "\n")
	for _, i := range []int{0, 1, 2, 3, 4, len(lines) - 5, len(lines) - 4, len(lines) - 3, len(lines) - 2, len(lines) - 1} {
		if !strings.HasPrefix(lines[i], "#") {
			t.Errorf("an editor may obey line %d: %q", i, lines[i])
		}
	}
	edit := func(old, new string) string { return strings.Replace(list, old, new, 1) }
	for _, tt := range []struct{ name, text, want, err string }{
		{"unchanged", list, "", ""},
		{"empty", "", "", ""},
		{"one", edit("keep    000000000002", "online 000000000002"), "2 online", ""},
		{"an own line", "\n  offline\t000000000003   whatever\n", "3 offline", ""},
		{"unknown word", edit("keep    000000000002", "drop 000000000002"), "", `line 8: "drop" is none of keep, online, offline`},
		{"unknown ID", "online 1", "", `line 1: "1" is no ID of the list`},
		{"no ID", "\nonline\n", "", `line 2: no ID after "online"`},
		{"twice", "keep 000000000002\nonline 000000000002", "", `line 2: "000000000002" is in line 1 already`},
	} {
		c, err := ParseList(tt.text, items)
		switch {
		case tt.err != "" && (!errors.Is(err, ErrList) || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.err)
		case tt.err == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.err == "":
			if got := (&driver{s: &screen{Choices: c}}).answers(); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
	}
	items[4].Mailbox = "ann"
	c, err := ParseList("online chris:000000000001\noffline ann:000000000005", items)
	if err != nil || len(c.Answers()) != 2 {
		t.Errorf("two mailboxes: %v", err)
	}
}

// TestPreview: the text of a mail, however it is packed.
func TestPreview(t *testing.T) {
	for _, tt := range []struct{ name, mail, want string }{
		{"plain", "Subject: Hi\n\nText\n", "Subject: Hi\n\nText"},
		{"no headers", "\nText", "\nText"},
		{"empty", "", "\n"},
		{"folded, encoded, another charset", "Subject: =?windows-1252?q?=80?=\n =?koi8-r?b?8NLJ18XU?=\n\n", "Subject: €Привет\n\n"},
		{"quoted-printable", "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe=1B[31m\n", "\nGrüße\\x1b[31m"},
		{"base64", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZQ==\n", "\nGrüße"},
		{"a text in another charset", "Subject: =?gb18030?b?xOO6ww==?=\nContent-Type: text/plain; charset=euc-kr\nContent-Transfer-Encoding: base64\n\nvsiz5w==\n", "Subject: 你好\n\n안녕"},
		{"escapes hidden in iso-2022-jp", "Subject: =?iso-2022-jp?b?GyRCRnwbWzMxbRsoQkIH?=\nContent-Type: text/plain; charset=iso-2022-jp\n\na\x1b[31mb\x1b$BF|\x1b]0;x\x1b(B\x07\x1b[2J", "Subject: 日\ufffd朿燕B\\a\n\na\ufffd[31mb日\ufffd欅侍\\a\ufffd[2J"},
		{"controls and bidi of other charsets", "Subject: =?gb18030?b?YYE2pzFigTCDNzMxbQ==?=\n\n", "Subject: a\\u202eb\\u009b31m\n\n"},
		{"half a character", "Content-Type: text/plain; charset=shift_jis\n\na\x93", "\na\ufffd"},
		{"broken base64", "Content-Transfer-Encoding: base64\n\nR3LD!!!!\n", "\nGr\\xc3"},
		{"HTML", "Content-Type: text/html\n\n<style>x{}</style><p>One &lt;b&gt;</p><br>Two<script>bad()</script>", "\n[HTML, shown without its marks]\n\nOne <b>\n\nTwo"},
		{"alternative", "Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/html\n\n<b>no</b>\n--x\nContent-Type: text/plain\n\nyes\n--x--\n", "\nyes"},
		{"nested", "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/related; boundary=y\n\n--y\n\ndeep\n--y--\n--x--\n", "\ndeep"},
		{"attachment only", "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Disposition: attachment\n\nno\n--x--\n", "\n[no text in any part]\n\n"},
		{"picture", "Content-Type: image/png\n\n\x00\x01", "\n[no text: image/png]\n\n"},
		{"unknown charset", "Content-Type: text/plain; charset=x-none\n\ncaf\xe9", "\ncaf\\xe9"},
		{"tab and CR", "\n\ta\r\nb\r\n", "\n    a\nb"},
	} {
		if d := cmp.Diff(tt.want, strings.Join(Preview(strings.NewReader(tt.mail)), "\n")); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	deep := strings.Repeat("Content-Type: multipart/mixed; boundary=x\n\n--x\n", 10000)
	endless := "Subject: " + strings.Repeat("a", 2*maxRead)
	for _, mail := range []string{deep, endless, strings.Repeat("\n", maxRead)} {
		if n := len(strings.Join(Preview(strings.NewReader(mail)), "")); n > maxText+maxHeader+100 {
			t.Errorf("%d bytes of preview", n)
		}
	}
}

// FuzzPreview: whatever a mail is, its preview is printable.
func FuzzPreview(f *testing.F) {
	f.Add("Subject: =?utf-8?b?AA==?=\nContent-Type: multipart/mixed; boundary=\"\"\n\n--\n\n\x1b")
	f.Add("Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B\x1b(B")
	f.Fuzz(func(t *testing.T, mail string) {
		for _, line := range Preview(strings.NewReader(mail)) {
			if report.Clean(line) != line {
				t.Errorf("%q", line)
			}
		}
	})
}
