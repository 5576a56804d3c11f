package livetest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wrongSizes: Dovecot believes S= and W= in a name. A wrong S= makes FETCH fail,
// a wrong W= makes it rename the file and give the mail another UID.
func wrongSizes(t *testing.T, w *world) {
	text := strings.ReplaceAll(message("sized"), "\r\n", "\n")
	n := len(text)
	wire := n + strings.Count(text, "\n")
	for i, sizes := range []string{
		fmt.Sprintf(",S=%d,W=%d", n, wire), "", fmt.Sprintf(",S=%d", n),
		fmt.Sprintf(",S=%d,W=%d", n+7, wire), fmt.Sprintf(",S=%d,W=%d", n, wire+7), ",S=1,W=1", ",S=999999999999999999999",
	} {
		w.write(filepath.Join(w.path(online), "cur", fmt.Sprintf("17000000%02d.M1P1.mx%s:2,S", i, sizes)), text)
	}
	w.sync()
	before := w.look(home)
	c := w.login(home)
	c.Open("SELECT", "INBOX")
	sized := 0
	for _, m := range c.Mails() {
		if strings.Contains(m.Text, "Subject: sized\r\n") {
			sized++
		}
	}
	c.Do("UID FETCH 1:* (RFC822.SIZE BODYSTRUCTURE ENVELOPE)")
	c.Do("NOOP")
	after := w.look(home)
	if d := cmp.Diff(uids(before), uids(after)); d != "" || sized != 7 {
		t.Errorf("%d mails; UIDs before and after they were read:\n%s", sized, d)
	}
	// Home's own moves find them as well.
	c.Do("UID MOVE 1:* Archive")
	checkQuietAfter(t, w)
}

func checkQuietAfter(t *testing.T, w *world) {
	t.Helper()
	w.sync()
	checkQuiet(t, w.sync())
}

func uids(v view) (out []string) {
	for _, m := range v.mails {
		out = append(out, fmt.Sprintf("%s %d %q", m, m.uid, m.text))
	}
	return out
}

// oddNames: entries of a Maildir that are no mail, or strange. Home's Dovecot
// follows symbolic links, removes directories and complains of line ends: none of
// them may come there. What is a mail is one, whatever its name.
func oddNames(t *testing.T, w *world) {
	cur := filepath.Join(w.path(online), "cur")
	mails := map[string]string{ // subject → name
		"bang": "1700000001.M1P1.mx!2,S", "semi": "1700000002.M1P1.mx;2,S", "utf8": "1700000003.Märchen.mx:2,S",
		"upper": "1700000004.M1P1.mx:2,FPSX", "more": "1700000005.M1P1.mx:2,F,foo", "one": "1700000006.M1P1.mx:1,S", "bare": "1700000007.M1P1.mx",
	}
	for subject, name := range mails {
		w.write(filepath.Join(cur, name), message(subject))
	}
	w.write(filepath.Join(cur, "1700000001.M9P1.mx:extra:2,S"), message("colons"))
	w.write(filepath.Join(cur, ":2,S"), message("empty"))
	w.write(filepath.Join(cur, ".1700000001.M8P1.mx:2,S"), message("hidden"))
	w.write(filepath.Join(cur, "1700000001.M7P1.mx\r\n:2,S"), message("lines"))
	must(t, os.Symlink("/etc/hostname", filepath.Join(cur, "1700000001.M6P1.mx:2,S")))
	must(t, syscall.Mkfifo(filepath.Join(cur, "1700000001.M5P1.mx:2,S"), 0o666))
	must(t, os.Mkdir(filepath.Join(cur, "1700000001.M4P1.mx:2,S"), 0o777))
	rec := w.sync()
	v := w.sees(home, `INBOX bang
	                   INBOX semi
	                   INBOX utf8 \Seen
	                   INBOX upper \Flagged \Seen
	                   INBOX more \Flagged
	                   INBOX one
	                   INBOX bare`)
	if want := 5 + len(mails); len(v.mails) != want {
		t.Errorf("home has %d mails, want %d: %q", len(v.mails), want, v.lines())
	}
	var refused []string
	for _, h := range rec.Pending.Held {
		refused = append(refused, fmt.Sprintf("%q", h.Message))
	}
	t.Logf("refused: %s", strings.Join(refused, " "))
	if len(refused) < 5 {
		t.Errorf("refused only %q", refused)
	}
	// Unknown letters and a further part stay, through Dovecot's changes and ours.
	w.do(home, "SELECT INBOX\nUID STORE {upper} +FLAGS (\\Answered)\nUID STORE {more} +FLAGS (\\Answered)")
	w.sync()
	names, err := os.ReadDir(cur)
	must(t, err)
	for _, want := range []string{`1700000004\.M1P1\.mx:2,FPRSX$`, `1700000005\.M1P1\.mx:2,FR,foo$`} {
		if !slices.ContainsFunc(names, func(n os.DirEntry) bool { return regexp.MustCompile(want).MatchString(n.Name()) }) {
			t.Errorf("online has no %s: %q", want, names)
		}
	}
}
