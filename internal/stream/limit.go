package stream

import (
	"errors"
	"fmt"
)

// Errors that a caller of [Receive] tells apart with errors.Is. A stream that
// ends too early is an io.ErrUnexpectedEOF; any other error is a stream that no
// kernel sends, or not this one.
var (
	// ErrMismatch: the increment speaks of a file or directory that the parent
	// mirror has not, or has too much. The mirror is not what online's parent
	// snapshot was; a full stream does without it.
	ErrMismatch = errors.New("the mirror is not what the stream was made against")
	// ErrLimit: a limit on a whole stream is exceeded.
	ErrLimit = errors.New("limit exceeded")
	// ErrLocal: this host is at fault: no space, no memory, an I/O error.
	ErrLocal = errors.New("can not write home's copy")
)

// A limitError tells which limit is exceeded; key is the one to raise in
// the configuration, if there is one.
type limitError struct{ text, key string }

func (e *limitError) Error() string { return e.text }

// Is makes it an [ErrLimit].
func (e *limitError) Is(target error) bool { return target == ErrLimit }

func overLimit(key, format string, a ...any) error {
	return &limitError{fmt.Sprintf(format, a...), key}
}

// withKey adds to an error of a limit what to do about it.
func withKey(err error) error {
	var l *limitError
	if errors.As(err, &l) && l.key != "" {
		return fmt.Errorf("%w; if this is right, raise %s in [mailbox.NAME.limits]", err, l.key)
	}
	return err
}

// ReceiveLimits bound what a stream may make of a mirror. A field that is 0
// stands for that of [DefaultReceiveLimits].
type ReceiveLimits struct {
	Receive  int64 // bytes of the stream; also of the files' data that it writes or clones, holes counted
	Messages int   // files and directories that it makes
	Message  int64 // bytes of a file; a larger one is refused, not an error
	Depth    int   // names in a path
	Unnamed  int   // as of [Limits]
}

// DefaultReceiveLimits suit a mailbox of some million mails.
var DefaultReceiveLimits = ReceiveLimits{Receive: 1 << 40, Messages: 4 << 20, Message: 256 << 20, Depth: 128, Unnamed: DefaultLimits.Unnamed}

func (l ReceiveLimits) orDefault() ReceiveLimits {
	d := DefaultReceiveLimits
	if l.Receive != 0 {
		d.Receive = l.Receive
	}
	if l.Messages != 0 {
		d.Messages = l.Messages
	}
	if l.Message != 0 {
		d.Message = l.Message
	}
	if l.Depth != 0 {
		d.Depth = l.Depth
	}
	if l.Unnamed != 0 {
		d.Unnamed = l.Unnamed
	}
	return d
}

// Stream returns the limits for who follows the stream, or the filtered form of
// it. A file that is made has two names, the first and the final one; an increment
// names each file that it moves twice, and those it removes.
func (l ReceiveLimits) Stream() Limits {
	l = l.orDefault()
	return Limits{Bytes: l.Receive, Names: 2*l.Messages + 2<<20, Unnamed: l.Unnamed}
}
