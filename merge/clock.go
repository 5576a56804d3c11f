package merge

import (
	"fmt"
	"time"
)

// A NoteKind is a reason why mail that is too old stays online, or why deletions wait.
type NoteKind uint8

// The reasons.
const (
	ClockBack     NoteKind = iota // the clock is behind the last sync's
	ClockAhead                    // the last sync is longer ago than the mail is kept
	FutureMail                    // received after now
	UnknownSender                 // a rule keeps some senders' mail, and this one's is not known
	ExpireLimit                   // Policy.MaxExpire
	ManyOnline                    // Policy.MaxDeletions, or half of the side's mail, deleted online
	ManyOffline                   // the same at home
	HiddenOnline                  // deleted online, where a part of the store can not be read
	HiddenOffline                 // the same at home
)

// A Note says that something was not done, and why.
type Note struct {
	Kind  NoteKind
	Count int // mails
}

// String is the note in a sentence's words.
func (n Note) String() string {
	mails := fmt.Sprintf("%d mails", n.Count)
	if n.Count == 1 {
		mails = "1 mail"
	}
	switch n.Kind {
	case ClockBack:
		return "the clock is behind that of the last sync: nothing expires and nothing is filed"
	case ClockAhead:
		return mails + " not expired, for the last sync is more than 30 days ago and longer than they are kept: if the clock is right, the next sync expires them"
	case FutureMail:
		return mails + " not expired, received in the future by this clock"
	case UnknownSender:
		return mails + " not expired, for the sender can not be read and a rule keeps mail by its sender"
	}
	const (
		many   = ", which is more than is allowed at once"
		hidden = ", where a folder can not be read"
		wait   = ": each deletion waits, whatever the policy is (snapmerge conflicts)"
	)
	switch n.Kind {
	case ManyOnline:
		return mails + " deleted online" + many + wait
	case ManyOffline:
		return mails + " deleted at home" + many + wait
	case HiddenOnline:
		return mails + " deleted online" + hidden + wait
	case HiddenOffline:
		return mails + " deleted at home" + hidden + wait
	}
	return mails + " not expired yet, for max_expire is reached: the next sync goes on"
}

// maxGap is how long after the last sync a clock is believed without more ado.
const maxGap = 30 * 24 * time.Hour

// clockBack tells whether the clock is behind that of the last sync: one of the
// two was wrong.
func (p *Policy) clockBack() bool { return p.Now.Before(p.LastSync) }

// clockAhead tells whether the clock is so far ahead of the last sync that mail
// which came just before it would be too old by now. A clock that has jumped
// looks like this; so does a holiday, after which the second sync expires.
func (p *Policy) clockAhead(k Keep) bool {
	return !p.LastSync.IsZero() && p.Now.Sub(p.LastSync) > maxGap && p.Expired(k, p.LastSync)
}

// latest is the clock by which mail is the oldest.
func (p *Policy) latest() time.Time {
	if p.clockBack() {
		return p.LastSync.In(p.clock().Location())
	}
	return p.clock()
}
