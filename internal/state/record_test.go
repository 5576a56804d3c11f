package state

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"snapmerge/internal/codec"
	"snapmerge/merge"
	"snapmerge/tree"
)

// Every string of every type comes back byte for byte, two different ones never
// as one, and the JSON stays readable where the string is.
func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":            `""`,
		"café \ufffd": `"café ` + "\ufffd" + `"`,
		"caf\xe9":     `"caf\u0000e9"`,
		"\x00":        `"\u000000"`,
		"\x00e9":      `"\u000000e9"`,
		"\xff\u0101":  `"\u0000ffā"`,
	} {
		got, err := codec.Encode(in)
		must(t, err)
		if string(got) != want {
			t.Errorf("%q is written as %s, want %s", in, got, want)
		}
	}
	for _, bad := range []string{`"\u0000"`, `"\u0000e"`, `"\u0000xy"`, `"a\u0000e9\u0000"`} {
		var s string
		if err := codec.Decode([]byte(bad), &s); err == nil {
			t.Errorf("%s is read as %q, want an error", bad, s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		data, err := codec.Encode(map[string]*[]string{in: {in}})
		must(t, err)
		var out map[string]*[]string
		must(t, codec.Decode(data, &out))
		expectSame(t, "decoded", map[string]*[]string{in: {in}}, out)
	})
}

// encode must not change what it is given.
func TestEncodeCopies(t *testing.T) {
	v := Next{Pending: Pending{Folders: []string{"\xff"}, Held: []Held{{Source: &SnapshotFile{Path: "\xfe"}}}, Decisions: map[string]Decided{"\xfd": {Who: "\xfc"}}}}
	_, err := codec.Encode(v.Pending)
	must(t, err)
	want := Pending{Folders: []string{"\xff"}, Held: []Held{{Source: &SnapshotFile{Path: "\xfe"}}}, Decisions: map[string]Decided{"\xfd": {Who: "\xfc"}}}
	expectSame(t, "after encode", want, v.Pending)
}

var genReportAction = rapid.Custom(func(t *rapid.T) ReportAction {
	named := rapid.Ptr(rapid.Custom(func(t *rapid.T) Named {
		return Named{genText.Draw(t, "name"), 3, rapid.SliceOfN(genText, 0, 2).Draw(t, "keywords")}
	}), true)
	return ReportAction{
		Side: genSide.Draw(t, "side"), Op: "move", Message: genText.Draw(t, "message"), From: "a", To: "b", Rule: "4",
		Before: named.Draw(t, "before"), After: named.Draw(t, "after"), Effect: Raced, Why: genText.Draw(t, "why"),
	}
})

var genRecord = rapid.Custom(func(t *rapid.T) *Record {
	r := &Record{
		Meta: genMeta.Draw(t, "meta"), Started: genTime.Draw(t, "started"), Finished: genTime.Draw(t, "finished"),
		Pending: genPending.Draw(t, "pending"),
		Report: Report{
			Totals:  Totals{Offline: Counts{Placed: 5}, Online: Counts{Expired: 3}, Held: 1, Conflicts: 2, Raced: 3, Refused: 4, WaitingInNew: 5, ReceivedBytes: 1 << 40, Seconds: 0.41},
			Actions: rapid.SliceOfN(genReportAction, 0, 2).Draw(t, "actions"),
			Met:     rapid.SliceOfN(genConflict, 0, 1).Draw(t, "met"),
		},
	}
	r.Pending.Pairs = []Pair{{merge.Offline, "a", true, "\xe9", 7, "\xe8"}}
	return r
})

func TestRecord(t *testing.T) {
	dir := openDir(t)
	rapid.Check(t, func(t *rapid.T) {
		want := genRecord.Draw(t, "record")
		must(t, WriteRecord(dir, want))
		got, err := ReadRecord(dir, want.Sync)
		must(t, err)
		expectSame(t, "record", want, got)
		s, err := ReadSummary(dir, want.Sync)
		must(t, err)
		expectSame(t, "summary", &Summary{want.Meta, want.Started, want.Finished, want.Report.Totals}, s)

		if err := WriteRecord(dir, &Record{Meta: Meta{Sync: want.Sync}}); !errors.Is(err, fs.ErrExist) {
			t.Fatalf("second record of a sync: %v, want fs.ErrExist", err)
		}
		again, err := ReadRecord(dir, want.Sync)
		must(t, err)
		expectSame(t, "record after the second", want, again)
		must(t, os.Remove(filepath.Join(dir.Name(), recordName(want.Sync))))
		left, err := os.ReadDir(dir.Name())
		if err != nil || len(left) > 0 {
			t.Fatalf("left behind: %v, %v", left, err)
		}
	})
}

func raw(text string) line { return func() ([]byte, error) { return []byte(text), nil } }

func testRecord(sync int) *Record {
	return &Record{
		Meta: Meta{Mailbox: "chris", Sync: sync}, Started: time.Unix(1450677467, 0),
		Pending: Pending{Folders: []string{tree.Inbox, "work"}},
	}
}

// No byte of a record can change, and none go missing or be added at the end of
// a line, without being noticed.
func TestRecordDamaged(t *testing.T) {
	dir := openDir(t)
	must(t, WriteRecord(dir, testRecord(7)))
	path := filepath.Join(dir.Name(), "sync.7.json")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	good, err := os.ReadFile(path)
	must(t, err)
	want, err := ReadRecord(dir, 7)
	must(t, err)
	check := func(what string, i int, data []byte) {
		t.Helper()
		must(t, os.WriteFile(path, data, 0o600))
		r, err := ReadRecord(dir, 7)
		if err == nil {
			// A field of the seal in another case, or a longer number, is the same to JSON.
			expectSame(t, what, want, r)
			if bytes.IndexByte(good, '\n') < i {
				t.Errorf("%s at byte %d of %d is not noticed", what, i, len(good))
			}
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
			t.Errorf("%s at byte %d: %v", what, i, err)
		}
	}
	for i := range good {
		for _, bit := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			check("bit flip", i, bad)
		}
		check("cut", i, good[:i])
	}
}

func TestNewestRecord(t *testing.T) {
	dir := openDir(t)
	path := func(name string) string { return filepath.Join(dir.Name(), name) }
	newest := func(sync, damaged int) {
		t.Helper()
		r, bad, err := NewestRecord(dir)
		if err != nil || len(bad) != damaged || (r == nil) != (sync == 0) || r != nil && r.Sync != sync {
			t.Errorf("newest is %+v, damaged %v, error %v; want sync %d, %d damaged", r, bad, err, sync, damaged)
		}
	}
	newest(0, 0)
	for _, n := range []int{9, 2, 10} {
		must(t, WriteRecord(dir, testRecord(n)))
	}
	for _, other := range []string{"sync.011.json", "sync.12.json.tmp", "sync.-1.json", "sync.0.json", "sync.x.json", "12.json", "sync.12", "online.12"} {
		must(t, os.WriteFile(path(other), nil, 0o600))
	}
	syncs, err := ListRecords(dir)
	must(t, err)
	expectSame(t, "list", []int{2, 9, 10}, syncs)
	newest(10, 0)
	must(t, os.WriteFile(path("sync.11.json"), nil, 0o600))
	must(t, unix.Mkfifo(path("sync.12.json.fifo"), 0o600))
	must(t, os.Rename(path("sync.12.json.fifo"), path("sync.12.json")))
	must(t, os.Rename(path("sync.9.json"), path("sync.13.json")))                                       // the right content under a wrong name
	f, err := publish(dir, "sync.15.json", false, sealed(decisionsKind, raw(`{"Sync":15}`), raw("{}"))) // another kind of file
	must(t, err)
	must(t, f.Close())
	newest(10, 4)
	must(t, os.Remove(path("sync.15.json")))
	must(t, os.WriteFile(path("sync.14.json"), []byte(`{"Snapmerge":"sync","Version":3,"New":"field"}`+"\n"), 0o600))
	if _, _, err := NewestRecord(dir); !errors.Is(err, ErrVersion) {
		t.Errorf("record of a newer program: %v, want ErrVersion", err)
	}
	if _, err := ReadRecord(dir, 99); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no record: %v", err)
	}
}

// Fields that a later version has added are left out.
func TestUnknownFields(t *testing.T) {
	dir := openDir(t)
	f, err := publish(dir, recordName(3), false, sealed(recordKind, raw(`{"Sync":3,"Later":{"a":[1]}}`), raw(`{"Later":1,"Pending":{"Later":2,"Folders":["a"]}}`)))
	must(t, err)
	must(t, f.Close())
	r, err := ReadRecord(dir, 3)
	must(t, err)
	expectSame(t, "record", &Record{Meta: Meta{Sync: 3}, Pending: Pending{Folders: []string{"a"}}}, r)
}

func TestDecisions(t *testing.T) {
	dir := openDir(t)
	read := func(want map[string]Decided) {
		t.Helper()
		got, err := ReadDecisions(dir)
		must(t, err)
		expectSame(t, "decisions", want, got)
	}
	online := Decided{merge.Decision{State: "s1", Take: merge.Online}, "1.h", "chris", time.Unix(1450677467, 0)}
	offline := Decided{merge.Decision{State: "s2", Take: merge.Offline}, "\xff.h", "ro\xf6t", time.Unix(1450677468, 0)}
	read(nil)
	must(t, WriteDecisions(dir, nil))
	must(t, Decide(dir, map[string]Decided{"a": online, "b": online}))
	must(t, Decide(dir, map[string]Decided{"b": offline, "c": offline}))
	read(map[string]Decided{"a": online, "b": offline, "c": offline})
	must(t, WriteDecisions(dir, map[string]Decided{"c": offline}))
	read(map[string]Decided{"c": offline})

	path := filepath.Join(dir.Name(), decisionsName)
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, bytes.Replace(data, []byte("s2"), []byte("s3"), 1), 0o600))
	if _, err := ReadDecisions(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("changed by hand: %v, want ErrDamaged", err)
	}
	// Answers must not be thrown away because others can not be read.
	if err := Decide(dir, map[string]Decided{"d": online}); !errors.Is(err, ErrDamaged) {
		t.Errorf("decide on top of damage: %v, want ErrDamaged", err)
	}
	must(t, WriteDecisions(dir, nil))
	read(nil)
}
