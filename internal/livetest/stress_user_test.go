package livetest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"snapmerge/internal/dovecottest"
	"snapmerge/merge"
)

// A user is one client session of the stress test.
type user struct {
	*stress
	n    int // even ones are online
	side merge.Side
	name string
	rng  *rand.Rand

	c      *dovecottest.Client
	folder string
	mails  map[int]string // of the selected folder: UID → subject
	own    string         // a folder of its own, or ""
	made   int

	crashed bool // the last command ended the session without a word
}

func (u *user) work() {
	for u.next() {
		if u.c == nil && !u.dial() {
			return
		}
		u.one()
	}
}

func (u *user) dial() bool {
	var err error
	if u.c, err = u.server[u.side].Dial(u.stress.user); err != nil {
		u.problem("%s: %v", u.name, err)
		return false
	}
	u.folder, u.mails = "", nil
	return true
}

// cmd sends a command. A session that ends, as its folder has gone, is begun anew.
func (u *user) cmd(format string, args ...any) (dovecottest.Reply, bool) {
	if u.c == nil {
		return dovecottest.Reply{}, false
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(format, "UID "), " ")
	u.count(word)
	r, err := u.c.Try(format, args...)
	switch text := strings.Join(r.Lines, "\n") + r.Status; {
	case strings.Contains(text, "Internal error") || strings.Contains(text, "SERVERBUG"):
		u.problem("%s, %s: %s", u.name, fmt.Sprintf(format, args...), text)
	case err != nil:
		u.count("BYE to " + word)
	case !r.OK():
		u.count("NO to " + word)
	}
	if err != nil {
		// Only a folder that goes, or gets another name, ends the sessions in it.
		if u.crashed = saves[word] && errors.Is(err, io.EOF) && len(r.Lines) == 0; u.crashed {
			u.crashes.Add(1)
		} else if !strings.HasPrefix(u.folder, "own/") || !strings.Contains(strings.Join(r.Lines, "\n"), "* BYE") {
			u.problem("%s, %s in %s: %v\n%s", u.name, fmt.Sprintf(format, args...), u.folder, err, u.lastLog())
		}
		u.c.Close()
		u.c = nil
		return r, false
	}
	return r, r.OK()
}

// lastLog is what this side's Dovecot has last logged but for logins.
func (u *user) lastLog() string {
	var lines []string
	for line := range strings.Lines(u.server[u.side].Log()) {
		if !strings.Contains(line, "Login: ") && !strings.Contains(line, "Logged out") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-10):], "")
}

// about is cmd for a command that changes the place of a mail.
func (u *user) about(subject, format string, args ...any) {
	in := u.folder
	r, _ := u.cmd(format, args...)
	u.tell(subject, "%s, %s, in %s: %s: %q %s", u.side, u.name, in, fmt.Sprintf(format, args...), r.Lines, r.Status)
	if u.c == nil && u.crashed {
		u.halved(subject)
	}
}

// one does one thing.
func (u *user) one() {
	uids := slices.Sorted(maps.Keys(u.mails))
	own := slices.DeleteFunc(slices.Clone(uids), func(uid int) bool { return !u.mine(u.mails[uid]) })
	switch n := u.rng.IntN(100); {
	case len(uids) == 0 || n < 8:
		u.open(u.anyFolder())
	case n < 11:
		u.save()
	case n < 12:
		u.folders()
	case n < 16:
		u.cmd("NOOP")
	case n < 45 && len(own) > 0:
		u.place(own[u.rng.IntN(len(own))])
	default:
		u.mark(uids[u.rng.IntN(len(uids))])
	}
}

// mark changes what only this side's clients change, or reads.
func (u *user) mark(uid int) {
	switch n := u.rng.IntN(10); {
	case n < 5:
		u.cmd("UID STORE %d %cFLAGS (%s)", uid, "+-"[u.rng.IntN(2)], ownFlag[u.side])
	case n < 8:
		u.cmd("UID STORE %d %cFLAGS (%s)", uid, "+-"[u.rng.IntN(2)], ownKeyword[u.side])
	default:
		u.read(uid, u.mails[uid])
	}
}

// place moves, copies or expunges a mail.
func (u *user) place(uid int) {
	subject := u.mails[uid]
	switch n := u.rng.IntN(100); {
	case n < 75:
		u.move(uid, subject)
	case n < 90 && subject[0] == free:
		u.about(subject, "UID COPY %d %s", uid, u.anyFolder())
	case n < 95:
		u.gone(subject, u.name)
		u.cmd(`UID STORE %d +FLAGS.SILENT (\Deleted)`, uid)
		u.about(subject, "UID EXPUNGE %d", uid)
		delete(u.mails, uid)
	}
}

// mine tells whether this session may move and expunge a mail. On each side one
// session may: two that MOVE one mail at a time leave it in both places, as each
// makes its link before the other removes the mail (maildir_copy_hardlink).
func (u *user) mine(subject string) bool {
	if n, err := strconv.Atoi(subject[1:]); err != nil || n%4 != u.n/2 {
		return false
	}
	switch subject[0] {
	case free, archive:
		return true
	case ofHome:
		return u.side == home
	case ofMX:
		return u.side == online
	}
	return false
}

// anyFolder is one of those that stay, or the one of its own.
func (u *user) anyFolder() string {
	if n := u.rng.IntN(4 * len(stressFolders)); n == 0 && u.own != "" {
		return u.own
	}
	return stressFolders[u.rng.IntN(len(stressFolders))]
}

func (u *user) open(folder string) {
	u.folder, u.mails = folder, map[int]string{}
	if _, ok := u.cmd("SELECT %s", folder); !ok {
		return
	}
	r, _ := u.cmd("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	for _, m := range dovecottest.ParseFetch(r.Lines) {
		if s := subjectLine.FindStringSubmatch(m.Text); s != nil {
			u.mails[m.UID] = s[1]
		} else {
			u.problem("%s: UID %d of %s has no subject: %q", u.name, m.UID, folder, m.Text)
		}
	}
}

// read looks whether a UID still is the mail that it was. LMTP has put headers
// before it.
func (u *user) read(uid int, subject string) {
	r, _ := u.cmd("UID FETCH %d BODY.PEEK[]", uid)
	u.stress.mu.Lock()
	want := u.stress.mails[subject]
	u.stress.mu.Unlock()
	for _, m := range dovecottest.ParseFetch(r.Lines) {
		if m.UID == uid && m.Text != "" && !strings.HasSuffix(m.Text, want) {
			u.problem("%s: UID %d of %s was %s and is now %q", u.name, uid, u.folder, subject, m.Text)
		}
	}
}

func (u *user) move(uid int, subject string) {
	to := u.anyFolder()
	if to == u.folder {
		return
	}
	if to == u.own {
		if rune(subject[0]) != free {
			return
		}
		u.gone(subject, "moved to "+to) // which will be deleted
	}
	u.about(subject, "UID MOVE %d %s", uid, to)
	delete(u.mails, uid)
}

// save appends a mail: at home it is archive.
func (u *user) save() {
	kind := free
	if u.side == home {
		kind = archive
	}
	subject, text := u.mail(kind)
	flags := []string{"", `\Seen`}[u.rng.IntN(2)]
	if _, ok := u.cmd("APPEND %s (%s) {%d+}\r\n%s", stressFolders[u.rng.IntN(4)], flags, len(text), text); !ok {
		u.gone(subject, "not saved by "+u.name)
	}
}

// folders makes, renames or deletes the folder of its own. Others may have moved
// mail into it on the other side.
func (u *user) folders() {
	name := fmt.Sprintf("own/%s-%d", strings.ReplaceAll(u.name, " ", ""), u.made)
	u.made++
	switch {
	case u.own == "":
		if _, ok := u.cmd("CREATE %s", name); ok {
			u.own = name
		}
	case u.rng.IntN(2) == 0:
		u.tell("", "%s: RENAME %s %s", u.side, u.own, name)
		if _, ok := u.cmd("RENAME %s %s", u.own, name); ok {
			u.own = name
		}
	default:
		u.tell("", "%s: DELETE %s", u.side, u.own)
		u.cmd("DELETE %s", u.own)
		u.own = ""
	}
}
