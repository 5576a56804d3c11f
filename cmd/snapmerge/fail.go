package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"snapmerge/internal/engine"
	"snapmerge/internal/lock"
	"snapmerge/internal/remote"
	"snapmerge/internal/report"
)

// A statusError is an error with its own exit status and, if one is known, a hint.
type statusError struct {
	err    error
	status int
	hint   string
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func usageError(text, hint string) error {
	return &statusError{errors.New(text), 2, hint}
}

func configError(err error) error {
	hint := ""
	if errors.Is(err, fs.ErrNotExist) {
		hint = "write one, or say with --config where it is"
	}
	return &statusError{err, 2, hint}
}

// A silent error ends the program with that status: everything has been said.
type silent int

func (silent) Error() string { return "" }

// exitStatus is the only place where errors become exit statuses.
func exitStatus(err error) int {
	var own *statusError
	var problem *engine.Problem
	var quiet silent
	switch {
	case err == nil:
		return 0
	case errors.As(err, &quiet):
		return int(quiet)
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &problem): // found before anything was touched
		return 2
	case errors.Is(err, remote.ErrMismatch): // found before anything was touched
		return 2
	case errors.Is(err, lock.ErrLocked):
		return 3
	case errors.Is(err, remote.ErrUnreachable):
		return 75
	case errors.Is(err, context.Canceled):
		return 130
	}
	return 1
}

// combine is the exit status of a call about several mailboxes, each with its
// own. 2 and 3 are for a call that did nothing else: next to a mailbox that was
// worked on "nothing was touched" would not be true.
func combine(statuses []int) int {
	worst := 0
	for i, s := range statuses {
		switch {
		case s == 130:
			return 130
		case i == 0:
			worst = s
		case s != worst:
			worst = 1
		}
	}
	return worst
}

// complain prints an error, a line for each that it joins, with their hints.
// What was said before is not repeated: several mailboxes may have one problem.
func (a *app) complain(about string, err error) {
	var quiet silent
	if err == nil || errors.As(err, &quiet) {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			a.complain(about, e)
		}
		return
	}
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, about) {
			line = about + line
		}
		a.note(line)
	}
	if h := hint(err); h != "" {
		a.note("hint: " + h)
	}
}

func hint(err error) string {
	var own *statusError
	var problem *engine.Problem
	switch {
	case errors.As(err, &own):
		return own.hint
	case errors.As(err, &problem):
		return problem.Mend
	case errors.Is(err, lock.ErrLocked):
		return "wait until it has ended; the lock goes with the process that holds it"
	case errors.Is(err, remote.ErrUnreachable):
		return "nothing was touched; if it is not only the network, try ssh to that host as root"
	case errors.Is(err, context.Canceled):
		return "the next sync finishes the work"
	}
	return ""
}

// note prints a line on standard error, once.
func (a *app) note(line string) {
	line = "snapmerge: " + strings.TrimPrefix(report.Clean(line), "snapmerge: ")
	if a.said[line] {
		return
	}
	a.said[line] = true
	fmt.Fprintln(a.errs, line)
}
