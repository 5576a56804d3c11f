// Package config reads snapmerge's configuration file, a TOML document: which
// mailboxes there are, where their two stores and snapshots lie, and by which
// policy they are merged.
//
// It is strict: an unknown key and a value of a wrong type are errors, because a misspelled "hold" that is read
// as nothing can cost mail. All errors are reported at once, each with its
// line and column. The package looks at the file only; whether a path exists
// and is a subvolume is for others to check.
package config

import (
	"fmt"
	"os"
	"time"

	"snapmerge/merge"
	"snapmerge/tree"
)

// DefaultPath is the file that is read where the user names none.
const DefaultPath = "/etc/snapmerge/snapmerge.toml"

// A Config is a whole configuration file.
type Config struct {
	StateDir  string    // holds index and lock
	Mailboxes []Mailbox // by name, at least one
}

// A Mailbox is one person's mail: two stores that are kept in step. Every
// value is the mailbox's own, else that of [defaults], else the built-in one.
type Mailbox struct {
	Name    string // letters, digits, ".", "_", "-"; safe as a file name
	Offline Store
	Online  Store
	Merge   Merge
	Folders []merge.Rule // the mailbox's own, then those of [defaults]
	Rotate  Rotate
	Limits  Limits
	Hooks   Hooks
}

// A Store is one side's Maildir. The paths are absolute and clean (path.Clean),
// and neither lies inside the other.
type Store struct {
	Path      string      // the Maildir
	Snapshots string      // the directory of its snapshots
	Layout    tree.Layout // "maildir++" with modified UTF-7 by default
	Control   string      // Dovecot's control files; "": in the Maildir, else Layout.Control is set
	// Of online, if it is on another machine; else all three are "".
	Host  string // ssh's destination
	SSH   string // ssh's command line: words with spaces between, which no shell reads
	Agent string // the program over there
}

// Merge is the policy that a whole mailbox has.
type Merge struct {
	Prefer         merge.Prefer
	DeletedOnline  merge.Deletion
	DeletedOffline merge.Deletion
	MaxDeletions   int // 0: every deletion is held
	MaxExpire      int // mails in one sync; 0 (no key in the file): no limit
	// Timezone is the calendar by which mail ages and is filed; nil (no key in the
	// file) is that of the clock.
	Timezone *time.Location
	// IncludeNew is how long mail is left in new/ for a client to pick it up,
	// before it is taken nevertheless. KeepAll, the default (false in the file):
	// it is never taken; KeepNone (true in the file): it is taken at once.
	IncludeNew merge.Keep
}

// Rotate says which old snapshots stay, in the words of btrbk.conf(5), as
// snapshot.ParseSchedule reads them.
type Rotate struct {
	PreserveMin string // "2d"
	Preserve    string // "14d 8w 12m *y"
}

// Load reads and checks a configuration file. What is wrong in it comes back
// as one error of one line a problem, in the order of the file:
//
//	FILE:LINE:COLUMN: KEY: what is wrong, what is allowed
func Load(path string) (*Config, error) {
	return load(path, true)
}

// LoadPolicies is Load for the planner alone: it checks and fills in the merge
// and folder sections, so a file without any path will do. Offline, Online,
// Rotate, Limits and Hooks are left empty.
func LoadPolicies(path string) (*Config, error) {
	return load(path, false)
}

func load(path string, stores bool) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parse(path, data, stores)
}

// Mailbox returns the mailbox of that name, or nil.
func (c *Config) Mailbox(name string) *Mailbox {
	for i := range c.Mailboxes {
		if c.Mailboxes[i].Name == name {
			return &c.Mailboxes[i]
		}
	}
	return nil
}

// Policy returns what the merge is told about the mailbox, but for LastSync. The
// calendar by which mail ages is that of now's location, unless the mailbox has
// one of its own.
func (m Mailbox) Policy(now time.Time) merge.Policy {
	location := now.Location()
	if m.Merge.Timezone != nil {
		location = m.Merge.Timezone
	}
	return merge.Policy{
		Prefer:         m.Merge.Prefer,
		DeletedOnline:  m.Merge.DeletedOnline,
		DeletedOffline: m.Merge.DeletedOffline,
		MaxDeletions:   m.Merge.MaxDeletions,
		MaxExpire:      m.Merge.MaxExpire,
		Rules:          m.Folders,
		Now:            now,
		Location:       location,
	}
}
