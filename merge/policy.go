package merge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Deletion says what becomes of a message that one side has deleted. The
// zero value is the careful one.
type Deletion uint8

const (
	Hold   Deletion = iota // a person decides
	Apply                  // it is deleted on the other side too
	Ignore                 // it stays on the other side and is not asked about again
)

var deletionNames = []string{Hold: "hold", Apply: "apply", Ignore: "ignore"}

// String returns the word that the configuration uses.
func (d Deletion) String() string { return word(deletionNames, uint8(d)) }

// ParseDeletion reads "hold", "apply" or "ignore".
func ParseDeletion(s string) (Deletion, error) {
	i, err := parseWord(deletionNames, s)
	return Deletion(i), err
}

// Prefer says which side wins where both moved the same message.
type Prefer uint8

const (
	Newest        Prefer = iota // the side that moved last, by ctime; unknown or equal: offline
	PreferOffline               // always the offline side
	PreferOnline                // always the online side
)

var preferNames = []string{Newest: "newest", PreferOffline: "offline", PreferOnline: "online"}

// String returns the word that the configuration uses.
func (p Prefer) String() string { return word(preferNames, uint8(p)) }

// ParsePrefer reads "newest", "offline" or "online".
func ParsePrefer(s string) (Prefer, error) {
	i, err := parseWord(preferNames, s)
	return Prefer(i), err
}

func word(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return strconv.Itoa(int(i))
}

func parseWord(names []string, s string) (int, error) {
	for i, name := range names {
		if s == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q is none of %s", s, strings.Join(names, ", "))
}

// A Rule is what the configuration says about the folders that a pattern
// matches. What it leaves nil is the policy's.
type Rule struct {
	Match          string // see Match
	Skip           bool   // the folders are not synced
	DeletedOnline  *Deletion
	DeletedOffline *Deletion
	Keep           *Keep
	KeepFlagged    *bool
	// KeepFrom are senders whose mail is not expired, see MatchSender.
	KeepFrom []string
	// Archive are the names of archive subfolders on each side; with one of them
	// set the folders are the bases of archive families.
	Archive [2]Pattern
}

// A Policy is everything that the merge is told about a mailbox.
type Policy struct {
	Prefer         Prefer
	DeletedOnline  Deletion // for what was deleted online
	DeletedOffline Deletion // for what was deleted offline
	// MaxDeletions is the largest number of new deletions in one sync that is
	// still acted upon; with one more all of them are held.
	MaxDeletions int
	// Allowed, if not nil, is a person's word for this sync alone: so many new
	// deletions a side are acted upon, whatever MaxDeletions says and however
	// large a part of the mail they are.
	Allowed *int
	// MaxExpire is the largest number of mails that one plan expires; the oldest
	// go first and the rest waits. 0 is no limit.
	MaxExpire int
	Rules     []Rule         // the first that matches a folder counts, alone
	Now       time.Time      // the clock of this sync
	LastSync  time.Time      // the clock of the last one; zero if there was none
	Location  *time.Location // home's calendar; nil is that of Now
}

// DefaultPolicy is the policy of a mailbox that configures nothing. Now is
// left zero.
func DefaultPolicy() Policy {
	return Policy{Prefer: Newest, DeletedOnline: Hold, DeletedOffline: Apply, MaxDeletions: 100}
}

// Effective is what a Policy says about one folder.
type Effective struct {
	Skip bool // the folder is not synced
	// SkipDeletedOnline and SkipDeletedOffline are the skip rule's own words on
	// mail that was moved into the folder and so is gone. Nil: the policy of the
	// folder that it came from decides. Both are nil unless Skip.
	SkipDeletedOnline, SkipDeletedOffline *Deletion

	DeletedOnline, DeletedOffline Deletion
	Keep                          Keep
	KeepFlagged                   bool     // mail with \Flagged is not expired
	KeepFrom                      []string // nor that of these senders
}

// For returns what holds for the folder, a logical name. What holds for the
// base of an archive family holds for all of it.
func (p *Policy) For(folder string) Effective {
	e := Effective{DeletedOnline: p.DeletedOnline, DeletedOffline: p.DeletedOffline, KeepFlagged: true}
	base, _ := p.Family(folder)
	r := p.rule(base)
	if r == nil {
		return e
	}
	set(&e.DeletedOnline, r.DeletedOnline)
	set(&e.DeletedOffline, r.DeletedOffline)
	set(&e.Keep, r.Keep)
	set(&e.KeepFlagged, r.KeepFlagged)
	e.KeepFrom = r.KeepFrom
	if r.Skip {
		e.Skip, e.SkipDeletedOnline, e.SkipDeletedOffline = true, r.DeletedOnline, r.DeletedOffline
	}
	return e
}

// rule returns the first rule whose pattern matches, or nil.
func (p *Policy) rule(folder string) *Rule {
	if i := p.match(folder); i >= 0 {
		return &p.Rules[i]
	}
	return nil
}

func (p *Policy) match(folder string) int {
	return slices.IndexFunc(p.Rules, func(r Rule) bool { return Match(r.Match, folder) })
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

// Expired reports whether mail received at that moment is too old for k, by
// the policy's clock and calendar.
func (p *Policy) Expired(k Keep, received time.Time) bool {
	return k.Expired(received, p.clock())
}
