package tree

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestTable(t *testing.T) {
	const table = "# online, base\n" +
		"work/Äpfel\tm2\tFS\tJunk,$Forwarded\n" +
		"\n" +
		"INBOX\tm1\t-\n" +
		"   \n" +
		"INBOX\tm2\tSF\t-\t2015-12-21T04:31:17+01:00\r\n" +
		"INBOX\tm3\tS\ta\t-\t2015-12-21T03:31:17.25Z\n" +
		"INBOX\tm4\t-\t-\t-\t-"
	at := time.Date(2015, 12, 21, 3, 31, 17, 0, time.UTC)
	want := []Row{
		{"m2", Placement{Folder: "work/Äpfel", Flags: flags(t, "FS"), Keywords: []string{"$Forwarded", "Junk"}}},
		{"m1", Placement{Folder: Inbox}},
		{"m2", Placement{Folder: Inbox, Flags: flags(t, "FS"), Received: at}},
		{"m3", Placement{Folder: Inbox, Flags: Seen, Keywords: []string{"a"}, Ctime: at.Add(time.Second / 4)}},
		{"m4", Placement{Folder: Inbox}},
	}
	got, err := ReadTable(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	const written = "INBOX\tm1\t-\n" +
		"INBOX\tm2\tFS\t-\t2015-12-21T03:31:17Z\n" +
		"INBOX\tm3\tS\ta\t-\t2015-12-21T03:31:17.25Z\n" +
		"INBOX\tm4\t-\n" +
		"work/Äpfel\tm2\tFS\t$Forwarded,Junk\n"
	var b strings.Builder
	if err := WriteTable(&b, got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(written, b.String()); d != "" {
		t.Errorf("written (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("writing changed the rows (-want +got):\n%s", d)
	}
}

func TestReadTableRefuses(t *testing.T) {
	tests := []struct{ what, line, why string }{
		{"two fields", "INBOX\tm", "2 fields"},
		{"seven fields", "INBOX\tm\t-\t-\t-\t-\t-", "7 fields"},
		{"spaces for tabs", "INBOX m S", "1 fields"},
		{"no folder", "\tm\t-", "empty level"},
		{"bad folder", "a//b\tm\t-", "empty level"},
		{"another INBOX", "Inbox\tm\t-", "INBOX"},
		{"no key", "INBOX\t\t-", "not the key"},
		{"unique name for a key", "INBOX\tm,S=5\t-", "not the key"},
		{"file name for a key", "INBOX\tm:2,S\t-", "not the key"},
		{"empty flags", "INBOX\tm\t", "no flags"},
		{"keyword letters", "INBOX\tm\tSa", "no letter"},
		{"flag and none", "INBOX\tm\t-S", "no letter"},
		{"empty keywords", "INBOX\tm\t-\t", "no keyword"},
		{"empty keyword", "INBOX\tm\t-\ta,,b", "no keyword"},
		{"none among keywords", "INBOX\tm\t-\ta,-", "no keyword"},
		{"keyword twice", "INBOX\tm\t-\tJunk,junk", "twice"},
		{"time without zone", "INBOX\tm\t-\t-\t2015-12-21T03:31:17", "no time"},
		{"empty time", "INBOX\tm\t-\t-\t", "no time"},
		{"bad ctime", "INBOX\tm\t-\t-\t-\tnow", "ctime"},
		{"escape", "INBOX\tm\x1b[31m\t-", "control character"},
		{"CR inside", "INBOX\tm\r\t-", "control character"},
		{"NUL", "INBOX\x00\tm\t-", "control character"},
		{"C1 control", "INBOX\tm\u0085\t-", "control character"},
		{"not UTF-8", "INBOX\tm\xff\t-", "UTF-8"},
		{"same message in the same folder", "INBOX\tfirst\tS", "in line 2"},
		{"too long", "INBOX\t" + strings.Repeat("x", maxLine), "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			rows, err := ReadTable(strings.NewReader("# comment\nINBOX\tfirst\t-\n\n" + tt.line + "\n"))
			if err == nil {
				t.Fatalf("%q is read as %+v", tt.line, rows)
			}
			if !strings.Contains(err.Error(), "line 4:") || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%v, want line 4 and %q in it", err, tt.why)
			}
		})
	}
}

func TestWriteTableRefuses(t *testing.T) {
	for what, row := range map[string]Row{
		"in new/":               {"m", Placement{Folder: Inbox, New: true}},
		"unnamed letters":       {"m", Placement{Folder: Inbox, Unnamed: true}},
		"no folder":             {"m", Placement{}},
		"would be a comment":    {"m", Placement{Folder: "#a"}},
		"tab in the key":        {"a\tb", Placement{Folder: Inbox}},
		"newline in the folder": {"m", Placement{Folder: "a\nb"}},
		"comma in a keyword":    {"m", Placement{Folder: Inbox, Keywords: []string{"a,b"}}},
		"keyword named none":    {"m", Placement{Folder: Inbox, Keywords: []string{"-"}}},
		"empty keyword":         {"m", Placement{Folder: Inbox, Keywords: []string{""}}},
		"keywords not sorted":   {"m", Placement{Folder: Inbox, Keywords: []string{"b", "a"}}},
		"year 10000":            {"m", Placement{Folder: Inbox, Received: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}},
		"unknown flag bits":     {"m", Placement{Folder: Inbox, Flags: 1 << 30}},
		"twice":                 {"first", Placement{Folder: Inbox}},
	} {
		var b strings.Builder
		if err := WriteTable(&b, []Row{{"first", Placement{Folder: Inbox}}, row}); err == nil || b.Len() > 0 {
			t.Errorf("%s: error %v, written %q", what, err, b.String())
		}
	}
	full := errors.New("disk full")
	if err := WriteTable(failing{full}, nil); !errors.Is(err, full) {
		t.Errorf("error of the writer: %v", err)
	}
}

type failing struct{ err error }

func (w failing) Write([]byte) (int, error) { return 0, w.err }

// Whatever is written without an error is read back as it was.
func TestTableRoundTrip(t *testing.T) {
	// Mostly good text, sometimes with what a column can not hold.
	text := rapid.Custom(func(t *rapid.T) string {
		good := rapid.StringOfN(rapid.RuneFrom([]rune("abä #-.")), 1, 4, -1).Draw(t, "good")
		return good + rapid.SampledFrom([]string{"", "", "", "", "", "", "", "", ",", "/b", ":", "\t", "\u0085"}).Draw(t, "end")
	})
	rapid.Check(t, func(t *rapid.T) {
		when := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "unknown") {
				return time.Time{}
			}
			return time.Unix(0, rapid.Int64().Draw(t, "ns"))
		})
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Row {
			return Row{text.Draw(t, "message"), Placement{
				Folder:   text.Draw(t, "folder"),
				Flags:    Flags(rapid.Uint32Range(0, 1<<26-1).Draw(t, "flags")),
				Keywords: SortKeywords(rapid.SliceOfN(text, 0, 3).Draw(t, "keywords")),
				Received: when.Draw(t, "received"), Ctime: when.Draw(t, "ctime"),
			}}
		}), 1, 2).Draw(t, "rows")
		var b strings.Builder
		if err := WriteTable(&b, rows); err != nil {
			t.Skip(err) // rapid draws another, and fails if too few are left
		}
		got, err := ReadTable(strings.NewReader(b.String()))
		if err != nil {
			t.Fatalf("%v in %q", err, b.String())
		}
		less := func(a, b Row) bool { return compareRows(a, b) < 0 }
		if d := cmp.Diff(rows, got, cmpopts.SortSlices(less), cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	})
}
