package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"snapmerge/internal/apply"
	"snapmerge/internal/codec"
	"snapmerge/internal/host"
	"snapmerge/internal/lock"
)

// hello introduces a side. Its frame stays as it is in every protocol, and
// fields may be added: it must be understood by a program of another version.
type hello struct {
	Version  string // of the program
	Protocol int
	// Of the client: the mailbox, and where its store is as its configuration says.
	Mailbox   string `json:",omitempty"`
	Path      string `json:",omitempty"`
	Snapshots string `json:",omitempty"`
	Layout    string `json:",omitempty"` // "maildir++" or "fs"
	UTF8      bool   `json:",omitempty"`
	Control   string `json:",omitempty"`
	Look      bool   `json:",omitempty"` // only look: do not wait for another session to end
}

// verbs are all that an agent does.
const (
	verbLook   = "look"
	verbFreeze = "freeze"
	verbSend   = "send"
	verbApply  = "apply"
	verbPrune  = "prune"
)

// request asks for an operation.
type request struct {
	Verb     string
	Thorough bool   `json:",omitempty"` // look
	Snapshot string `json:",omitempty"` // freeze, send; apply: where the steps were seen
	Parent   string `json:",omitempty"` // send
	Names    int    `json:",omitempty"` // how many name frames follow
	Steps    int    `json:",omitempty"` // how many step frames follow
	Sync     bool   `json:",omitempty"` // apply
}

// result is the end of one step.
type result struct {
	Index   int
	Outcome apply.Outcome
	Name    string   `json:",omitempty"` // of the file now
	Same    bool     `json:",omitempty"` // the file or folder is the inode that it was before
	Missing []string `json:",omitempty"`
	Why     string   `json:",omitempty"`
	Err     string   `json:",omitempty"`
}

// end is the last frame of an operation.
type end struct {
	Err    string       `json:",omitempty"` // "": it was carried out
	Code   string       `json:",omitempty"` // which of codes the error is
	Facts  *host.Facts  `json:",omitempty"` // look; snapshots and problems came before
	Frozen *host.Frozen `json:",omitempty"` // freeze
}

// codes are the errors that a caller tells apart on whatever machine they happen.
var codes = []struct {
	code string
	err  error
}{
	{"mismatch", ErrMismatch},
	{"locked", lock.ErrLocked},
	{"stopped", errStopped},
	{"no-space", unix.ENOSPC},
	{"quota", unix.EDQUOT},
	{"read-only", unix.EROFS},
	{"io", unix.EIO},
	{"exists", fs.ErrExist},
	{"not-exist", fs.ErrNotExist},
}

// errStopped: the operation was ended because the client wanted it.
var errStopped = errors.New("stopped")

// ErrMismatch: program or configuration here do not fit those over there.
// Nothing was touched.
var ErrMismatch = errors.New("the two hosts do not fit together")

// endOf makes the end frame of an operation.
func endOf(err error) end {
	if err == nil {
		return end{}
	}
	e := end{Err: text(err.Error())}
	for _, known := range codes {
		if errors.Is(err, known.err) {
			e.Code = known.code
			break
		}
	}
	return e
}

// encode returns v as a frame's payload.
func encode[T any](k kind, v T) ([]byte, error) {
	b, err := codec.Encode(v)
	if err == nil && len(b) > int(limits[k]) {
		err = fmt.Errorf("%d bytes of JSON, at most %d", len(b), limits[k])
	}
	if err != nil {
		return nil, fmt.Errorf("frame %q: %w", byte(k), err)
	}
	return b, nil
}

// sendJSON sends v.
func sendJSON[T any](l *link, k kind, v T) error {
	b, err := encode(k, v)
	if err != nil {
		return err
	}
	return l.send(k, b)
}

// decode reads a frame that must be of kind k.
func decode[T any](f frame, k kind) (v T, err error) {
	if f.kind != k {
		return v, fmt.Errorf("%v where %q is due", f, byte(k))
	}
	if err := codec.DecodeStrict(f.payload, &v); err != nil {
		return v, fmt.Errorf("%v: %w", f, err)
	}
	return v, nil
}

// text makes a line for people safe to send and to print, and short.
func text(s string) string {
	var b strings.Builder
	for i, r := range s {
		if b.Len() > maxText {
			return b.String() + "…"
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n': // errors that are joined
			b.WriteString("; ")
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
