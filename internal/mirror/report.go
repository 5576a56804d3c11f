package mirror

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"snapmerge/internal/stream"
)

// A kind says how a receive ended.
type kind string

const (
	kindDone     kind = "done"
	kindEnded    kind = "ended" // the stream ended too early
	kindStream   kind = "stream"
	kindMismatch kind = "mismatch"
	kindLimit    kind = "limit"
	kindLocal    kind = "local"
	kindConfine  kind = "confine"
)

// sentinels are the errors of the kinds that are errors.
var sentinels = map[kind]error{kindEnded: ErrInput, kindStream: ErrStream, kindMismatch: ErrMismatch,
	kindLimit: ErrLimit, kindLocal: ErrLocal, kindConfine: ErrConfine}

// A report is the child's last word.
type report struct {
	Kind     kind   `json:"kind"`
	Text     string `json:"text"` // of the error
	Bytes    int64  `json:"bytes"`
	Commands int    `json:"commands"`
	Data     int64  `json:"data"`
	Refused  int    `json:"refused"`
}

const (
	maxReport = 16 << 10 // bytes of a report
	maxText   = 2 << 10  // of its text; a path has up to 4 KiB and nobody reads that
)

func newReport(stats stream.ReceiveStats, err error) report {
	r := report{Kind: kindDone, Bytes: stats.Bytes, Commands: stats.Commands, Data: stats.Data, Refused: stats.Refused}
	if err == nil {
		return r
	}
	r.Kind, r.Text = kindStream, err.Error()
	for k, is := range map[kind]error{kindEnded: io.ErrUnexpectedEOF, kindMismatch: ErrMismatch, kindLimit: ErrLimit,
		kindLocal: ErrLocal, kindConfine: ErrConfine} {
		if errors.Is(err, is) {
			r.Kind = k
		}
	}
	r.Text = strings.ToValidUTF8(r.Text[:min(len(r.Text), maxText)], "?")
	return r
}

func (r report) stats() stream.ReceiveStats {
	return stream.ReceiveStats{Bytes: r.Bytes, Commands: r.Commands, Data: r.Data, Refused: r.Refused}
}

// err returns the error that a report tells of. Its text is the child's, so it is
// quoted where it could do harm to a terminal.
func (r report) err() error {
	text := printable(r.Text)
	if r.Kind == kindStream || r.Kind == kindEnded { // the others say so themselves
		text = sentinels[r.Kind].Error() + ": " + text
	}
	return &toldError{text, r.Kind}
}

// A toldError is an error of the child's.
type toldError struct {
	text string
	kind kind
}

func (e *toldError) Error() string { return e.text }

// Is makes it the error of its kind.
func (e *toldError) Is(target error) bool {
	return target == sentinels[e.kind] || e.kind == kindEnded && target == io.ErrUnexpectedEOF
}

func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

func (r report) write(w io.Writer) error {
	b, err := json.Marshal(r)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

// readReport reads a report to the end of r, and no more of it than that.
func readReport(r io.Reader) (report, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxReport+1))
	if err != nil {
		return report{}, fmt.Errorf("read report: %w", err)
	}
	return decodeReport(b)
}

func decodeReport(b []byte) (r report, err error) {
	if len(b) == 0 {
		return r, errors.New("no report")
	}
	if len(b) > maxReport {
		return r, fmt.Errorf("report of more than %d bytes", maxReport)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return report{}, fmt.Errorf("report: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return report{}, errors.New("report: data after it")
	}
	_, failed := sentinels[r.Kind]
	switch {
	case !failed && r.Kind != kindDone, failed != (r.Text != ""), len(r.Text) > maxText:
		return report{}, errors.New("report: makes no sense")
	case r.Bytes < 0 || r.Commands < 0 || r.Data < 0 || r.Refused < 0:
		return report{}, errors.New("report: negative number")
	}
	return r, nil
}
