package mirror

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"snapmerge/internal/stream"
)

// FuzzReport: no report makes the parent panic, or believe what makes no sense.
func FuzzReport(f *testing.F) {
	for _, s := range []string{"", "{", `{"kind":"done"}`, `{"kind":"limit","text":"more than 5\u001b","bytes":7,"commands":1,"data":9,"refused":2}`,
		`{"kind":"done","text":"x"}`, `{"kind":"done","bytes":1e99}`, `{"kind":"done"} {}`, `[]`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readReport(bytes.NewReader(b))
		if err != nil {
			return
		}
		v := verdict{report: r}
		err = v.err()
		if (err == nil) != (r.Kind == kindDone) || r.Bytes < 0 || r.Commands < 0 || r.Data < 0 || r.Refused < 0 {
			t.Errorf("%q: %+v, %v", b, r, err)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\x1b\n\r\x00") || len(err.Error()) > 20*maxText) {
			t.Errorf("%q", err.Error())
		}
	})
}

// TestReport: what the child writes is what the parent reads.
func TestReport(t *testing.T) {
	stats := stream.ReceiveStats{Bytes: 5, Commands: 4, Data: 3, Refused: 2}
	for _, is := range []error{nil, ErrMismatch, ErrLimit, ErrLocal, ErrConfine, errors.New(strings.Repeat("\xff", 9000))} {
		var b bytes.Buffer
		want := newReport(stats, is)
		if err := want.write(&b); err != nil {
			t.Fatal(err)
		}
		got, err := readReport(&b)
		if err != nil || got != want || got.stats() != stats {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		if is == nil || len(is.Error()) > 1000 {
			continue
		}
		if err := got.err(); !errors.Is(err, is) || !strings.Contains(err.Error(), is.Error()) {
			t.Errorf("%v became %v", is, err)
		}
	}
}
