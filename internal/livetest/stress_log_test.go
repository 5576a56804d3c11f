package livetest

import (
	"path/filepath"
	"regexp"
	"time"

	"snapmerge/merge"
)

// Two complaints of Dovecot that can not be avoided, both about a file that a sync
// has rightly put into the folder.
//
// Expunged message reappeared: a client moved the mail out of the folder on the
// other side, and back, and Dovecot has not read the folder in the meantime. The
// mail needs a new UID then.
//
// Unlinked a duplicate: the mail was in two folders, a sync has brought the one
// here, and now a client moves the other one here. Whether the name is free
// Dovecot looks up in dovecot-uidlist, not in the directory
// (maildir_filename_check_conflicts). It is the same file, and one name goes.
//
// Clients alone bring them about as well, with copies of copies: what no sync had
// touched by then is not caused by one.
var excused = regexp.MustCompile(`^(\w+ +\d+ [\d:]+) .*(?:Maildir (\S+): Expunged message reappeared.*file=([^,:)]+)|Unlinked a duplicate: (\S+)/cur/([^,:]+))`)

// crash is what Dovecot 2.3's master logs of an imap process that died of a null
// pointer. Where a MOVE, COPY or APPEND ends, maildir_sync_index is called without
// a maildir_sync_context, and if there is a mail in the folder that another session
// has expunged from the index, maildir_sync_set_racing writes to it. A sync that
// brings a mail back to a folder may help that about. The client logs in again.
var crash = regexp.MustCompile(`service\(imap\): child \d+ killed with signal 11 `)

// saves are the commands that this happens to.
var saves = map[string]bool{"MOVE": true, "COPY": true, "APPEND": true}

// explained tells whether a complaint is one of those, a crash only if a client
// has met it at such a command.
func (s *stress) explained(side merge.Side, line string) bool {
	if crash.MatchString(line) {
		return s.seen.Add(1) <= s.crashes.Load()
	}
	m := excused.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	rel, err := filepath.Rel(s.path(side), m[2]+m[4])
	if err != nil {
		return false
	}
	folder, err := s.layout[side].Folder(rel)
	if err != nil {
		return false
	}
	key := m[3] + m[5]
	here := at(side, folder, key)
	if s.moved[here] {
		return true
	}
	when, err := time.ParseInLocation("2006 Jan _2 15:04:05", s.started.Format("2006 ")+m[1], time.Local)
	if first := s.changed[here]; err == nil && (first.IsZero() || when.Add(time.Second).Before(first)) {
		return true
	}
	s.t.Logf("%s, which is %s:\n%s", key, s.subject[key], s.storyOf(s.subject[key]))
	return false
}
