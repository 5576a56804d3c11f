package tree

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseKeywords(t *testing.T) {
	tests := []struct {
		what, file string
		want       KeywordTable
	}{
		{"no line", "", KeywordTable{}},
		{"three letters", "0 $Forwarded\n1 Junk\n25 Zeta\n", KeywordTable{0: "$Forwarded", 1: "Junk", 25: "Zeta"}},
		{"CRLF", "0 Junk\r\n", KeywordTable{0: "Junk"}},
		{"the last line of an index counts", "0 Old\n0 Junk\n", KeywordTable{0: "Junk"}},
		{"a name has one letter, whatever its case", "0 Junk\n1 junk\n", KeywordTable{0: "Junk"}},
		{"not lines of this file", "Junk\n\n0\n0 \nx Junk\n-1 A\n+1 A\n26 A\n300 A\n 1 A\n2 Ok\n", KeywordTable{2: "Ok"}},
		{"cut off, so Dovecot does not read it", "0 Junk\n1 $Forw", KeywordTable{0: "Junk"}},
		{"invented names mean unknown", "0 unknown-0\n1 unknown-12??\n2 unknown-x\n3 Unknown-3\n4 unknown-\n",
			KeywordTable{2: "unknown-x", 4: "unknown-"}},
		{"no IMAP atoms", "0 a b\n1 x)\n2 a\x1b[31m\n3 \xff\n4 \u00e4\n5 \"q\"\n6 a\\b\n7 a]\n8 a{1}\n9 *\n10 %\n11 a\x7f\n12 a,b\n",
			KeywordTable{12: "a,b"}},
		{"too long", "0 " + strings.Repeat("x", 256) + "\n1 " + strings.Repeat("x", 255) + "\n", KeywordTable{1: strings.Repeat("x", 255)}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := ParseKeywords(strings.NewReader(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	line := "0 Junk\n"
	if _, err := ParseKeywords(strings.NewReader(strings.Repeat(line, maxKeywordFile/len(line)+1))); err == nil {
		t.Error("a file of more than 64 KiB was read")
	}
}

func TestKeywordTable(t *testing.T) {
	table := KeywordTable{0: "Zeta", 2: "alpha", 25: "Beta"}
	names, unnamed := table.Names(1 | 1<<1 | 1<<2 | 1<<25 | 1<<24)
	if d := cmp.Diff([]string{"alpha", "Beta", "Zeta"}, names); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	if unnamed.String() != "by" {
		t.Errorf("without a name: %q, want %q", unnamed, "by")
	}
	if i, ok := table.Letter("BETA"); i != 25 || !ok {
		t.Errorf("Letter(BETA) = %d, %v", i, ok)
	}
	for _, name := range []string{"", "gamma"} {
		if i, ok := table.Letter(name); ok {
			t.Errorf("Letter(%q) = %d", name, i)
		}
	}
	for i := range table {
		if table[i] != "" {
			continue
		}
		if table.Full() {
			t.Errorf("full with letter %d missing", i)
		}
		table[i] = fmt.Sprint("k", i)
	}
	if !table.Full() {
		t.Error("26 names, and not full")
	}
}

// A letter that Dovecot had to invent a name for is in use in file names: given
// to a new keyword, it would put that keyword on other people's mails.
func TestKeywordFileAdd(t *testing.T) {
	f, err := ReadKeywordFile(strings.NewReader("0 Junk\n1 unknown-1\n2 a b\n4 Zeta\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		want int
	}{{"JUNK", 0}, {"New", 3}, {"zeta", 4}, {"Newer", 5}, {"new", 3}} {
		if i, err := f.Add(tt.name); i != tt.want || err != nil {
			t.Errorf("Add(%q) = %d, %v, want %d", tt.name, i, err, tt.want)
		}
	}
	want := "0 Junk\n1 unknown-1\n2 a b\n3 New\n4 Zeta\n5 Newer\n"
	if d := cmp.Diff(want, string(f.Bytes())); d != "" {
		t.Errorf("file (-want +got):\n%s", d)
	}
	if d := cmp.Diff(KeywordTable{0: "Junk", 3: "New", 4: "Zeta", 5: "Newer"}, f.Table()); d != "" {
		t.Errorf("table (-want +got):\n%s", d)
	}
	for _, name := range []string{"", "unknown-1", "a b", "x)", "a\nb", "\u00e4"} {
		if i, err := f.Add(name); err == nil {
			t.Errorf("Add(%q) = %d, want an error", name, i)
		}
	}
	for i := 6; i < 26; i++ {
		if got, err := f.Add(fmt.Sprint("k", i)); got != i || err != nil {
			t.Fatalf("Add = %d, %v, want %d", got, err, i)
		}
	}
	if _, err := f.Add("one-more"); !errors.Is(err, ErrKeywordsFull) {
		t.Errorf("Add to 26 names: %v", err)
	}
	if i, err := f.Add("k25"); i != 25 || err != nil {
		t.Errorf("a name of a full file: %d, %v", i, err)
	}
	again, err := ReadKeywordFile(strings.NewReader(string(f.Bytes())))
	if err != nil || again != f {
		t.Errorf("written and read: %v, %v, want %v", again, err, f)
	}
}
