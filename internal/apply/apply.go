// Package apply carries out a list of file operations in a live Maildir, while
// Dovecot and its clients use it.
//
// An operation names the exact file that a snapshot showed. It is a
// compare-and-swap: under Dovecot's lock of the folder the file must still be
// there with the same inode number, and nothing is ever replaced
// (RENAME_NOREPLACE, link(2)). If a mail client was faster, the result is
// [Raced], nothing was changed, and the next sync decides anew.
//
// The store belongs to an ordinary user and the process is root, so no path in
// it is followed: openat2(2) with RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS
// and NO_XDEV, then directory handles and bare names.
//
// Operations are done one after the other on one thread. btrfs keeps that order:
// after a power cut any prefix of them is there (measured on Linux 6.18), and
// nothing counts as done for good before [Store.Sync]. Run again after a crash,
// MakeFolder, RenameFolder, RemoveFolder and Subscribe are Done where they had been done;
// Place, Copy, Rename and Unlink are Raced there, and the caller's journal knows
// why.
package apply

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"snapmerge/tree"
)

// A Kind says what an operation does.
type Kind int

const (
	MakeFolder   Kind = iota // make the folder Op.Folder, or what is missing of it
	RenameFolder             // rename Op.Folder to Op.NewFolder; fs layout: with its child folders
	Place                    // clone Op.Source to Op.To
	Copy                     // give the file Op.From a further name Op.To, as IMAP COPY does
	Rename                   // rename the file Op.From to Op.To: flags, move, or both
	Unlink                   // remove the file Op.From
	RemoveFolder             // remove Op.Folder if it holds no mail; child folders stay
	Subscribe                // change the list of subscribed folders by Op.Add and Op.Remove
)

// String returns the word for messages: "make folder", "place", …
func (k Kind) String() string {
	words := [...]string{"make folder", "rename folder", "place", "copy", "rename", "unlink", "remove folder", "subscribe"}
	if k < 0 || int(k) >= len(words) {
		return fmt.Sprintf("operation %d", int(k))
	}
	return words[k]
}

// An Op is one operation.
type Op struct {
	Kind Kind

	// From is the file as the snapshot showed it (Copy, Rename, Unlink): its
	// Folder, New, Name and Ino are used. For RenameFolder and RemoveFolder
	// From.Ino, if not 0, is the inode number of the folder's directory.
	From tree.File
	// Links is the file's expected link count (0: not checked). More means that
	// a client's COPY or MOVE is under way: Dovecot links before it locks
	// (maildir_copy_hardlink).
	Links uint64
	// NotLast: an Unlink takes one of several names, and never the last.
	NotLast bool `json:",omitempty"`

	Folder, NewFolder string // MakeFolder, RenameFolder, RemoveFolder: logical names

	To Target // Place, Copy, Rename

	Add, Remove []string `json:",omitempty"` // Subscribe: logical names; what is so already is fine

	// Source opens the snapshot's file for Place; Run closes it.
	Source func() (*os.File, error) `json:"-"`
	Size   int64                    // Place: bytes the source must have
	Mtime  int64                    // Place: nanoseconds since the epoch
}

// A Target says what a file shall be called. It is always in cur/ and its name
// has an info part: left in new/, Dovecot would move it over a file of the same
// name in cur/ (maildir_sync_index moves with plain rename(2)).
type Target struct {
	Folder   string // logical name
	Unique   string // the name up to the info part
	Flags    tree.Flags
	Keywords []string // names; letters are found or made in the folder's dovecot-keywords
	// Letters are further letters to set as they are: those that the folder's
	// table does not name. They mean something in their own folder only, so
	// with another folder than From's they are refused.
	Letters tree.Letters
	Extra   string // a part after the flags, with its comma
}

// An Outcome says how an operation ended.
type Outcome int

const (
	Done   Outcome = iota // carried out, or found carried out (folders)
	Raced                 // not carried out: the store is no longer what the snapshot showed; Result.Why
	Failed                // not carried out; Result.Err
)

// String returns "done", "raced" or "failed".
func (o Outcome) String() string { return [...]string{"done", "raced", "failed"}[o] }

// A Result tells how one operation ended.
type Result struct {
	Outcome Outcome
	// File is the file as it is on disk now (Place, Copy, Rename): everything
	// but Ctime. For MakeFolder and RenameFolder Folder and Ino are set, of the
	// folder's directory.
	File tree.File
	// Missing are keywords that found no free letter, of the 26 a folder has;
	// the operation was carried out without them.
	Missing []string
	Why     string // Raced: for the report
	Err     error  // Failed
}

// A race is the error of an operation that somebody else was faster than. Its
// text is Result.Why.
type race string

func (r race) Error() string { return string(r) }

const (
	raceChanged race = "changed by a mail client since the snapshot"
	raceLinked  race = "a mail client is copying or moving it"
	raceLast    race = "a mail client has removed its other names"
	raceTaken   race = "name taken"
	raceGone    race = "folder is gone"
	// raceElsewhere: see Store.isHere.
	raceElsewhere race = "the folder is another file system or subvolume"
)

// outcome makes the result of an operation that ended with err.
func outcome(res Result, op *Op, err error) Result {
	if err == nil {
		return res
	}
	if why, ok := errors.AsType[race](err); ok {
		return Result{Outcome: Raced, Why: string(why)}
	}
	return Result{Outcome: Failed, Err: fmt.Errorf("%v %s: %w", op.Kind, op.subject(), err)}
}

// subject names what an operation is about, quoted.
func (op *Op) subject() string {
	switch op.Kind {
	case MakeFolder, RenameFolder, RemoveFolder:
		return fmt.Sprintf("%q", op.Folder)
	case Subscribe:
		return fmt.Sprintf("%d folders", len(op.Add)+len(op.Remove))
	case Place:
		return fmt.Sprintf("%q in %q", op.To.Unique, op.To.Folder)
	}
	return fmt.Sprintf("%q in %q", op.From.Name, op.From.Folder)
}

// hopeless reports whether an error would meet every further operation too.
func hopeless(err error) bool {
	for _, e := range []unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
