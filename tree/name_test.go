package tree

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func flags(t testing.TB, s string) Flags {
	t.Helper()
	f, err := ParseFlags(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseName(t *testing.T) {
	const dovecot = "1450677467.M20046P2137.mx,S=4542,W=4629"
	long := strings.Repeat("x", 252)
	tests := []struct {
		what, file string
		want       Name
		written    string // in cur/
	}{
		{"fresh, in new/", dovecot, Name{Unique: dovecot}, dovecot + ":2,"},
		{"no flags", "a:2,", Name{Unique: "a"}, "a:2,"},
		{"flags and keywords", "a:2,FSac", Name{Unique: "a", Flags: flags(t, "FS"), Letters: 5}, "a:2,FSac"},
		{"unsorted, twice", "a:2,SbRSFb", Name{Unique: "a", Flags: flags(t, "FRS"), Letters: 2}, "a:2,FRSb"},
		{"upper-case letters unknown to Dovecot stay", "a:2,PSX", Name{Unique: "a", Flags: flags(t, "PSX")}, "a:2,PSX"},
		{"other bytes among flags are ignored", "a:2,S1=5\xff?", Name{Unique: "a", Flags: Seen}, "a:2,S"},
		{"a further part stays", "a:2,S,foo,S=1", Name{Unique: "a", Flags: Seen, Extra: ",foo,S=1"}, "a:2,S,foo,S=1"},
		{"an empty further part stays", "a:2,,", Name{Unique: "a", Extra: ","}, "a:2,,"},
		{"experimental info has no flags", "a:1,S", Name{Unique: "a"}, "a:2,"},
		{"other info has no flags", "a:2S", Name{Unique: "a"}, "a:2,"},
		{"bare colon", "a:", Name{Unique: "a"}, "a:2,"},
		{"VFAT spelling is the unique part's", "a!2,S", Name{Unique: "a!2,S"}, "a!2,S:2,"},
		{"Windows spelling is the unique part's", "a;2,S", Name{Unique: "a;2,S"}, "a;2,S:2,"},
		{"bytes", "\xff\x1b[31m \u00e4:2,S", Name{Unique: "\xff\x1b[31m \u00e4", Flags: Seen}, "\xff\x1b[31m \u00e4:2,S"},
		{"all 52 letters", "a:2,ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
			Name{Unique: "a", Flags: 1<<26 - 1, Letters: 1<<26 - 1}, "a:2,ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"},
		{"longest", long, Name{Unique: long}, long + ":2,"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := ParseName(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("ParseName(%q) (-want +got):\n%s", tt.file, d)
			}
			if got.String() != tt.written {
				t.Errorf("written as %q, want %q", got.String(), tt.written)
			}
		})
	}
}

func TestParseNameRefuses(t *testing.T) {
	tests := []struct{ what, file, why string }{
		{"empty", "", "empty"},
		{"hidden", ".a:2,S", "dot"},
		{"parent", "..", "dot"},
		{"slash", "a/b:2,S", "slash"},
		{"slash in info", "a:2,S,/b", "slash"},
		{"NUL", "a\x00:2,", "NUL"},
		{"CR", "a\r", "CR"},
		{"LF", "a:2,S\n", "LF"},
		{"second colon", "a:2,S:2,F", "more than one colon"},
		{"empty unique part", ":2,S", "no unique part"},
		{"empty key", ",S=5:2,", "no unique part"},
		{"256 bytes", "a:2," + strings.Repeat("S", 252), "255 bytes"},
		{"no room for info", strings.Repeat("x", 253), "no room"},
		{"no room for flags after bare colon", strings.Repeat("x", 254) + ":", "no room"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if n, err := ParseName(tt.file); err == nil {
				t.Errorf("ParseName(%q) = %+v, want an error", tt.file, n)
			} else if !strings.Contains(err.Error(), tt.why) {
				t.Errorf("ParseName(%q): %v, want %q in it", tt.file, err, tt.why)
			}
		})
	}
}

func TestNameSizes(t *testing.T) {
	tests := []struct {
		file    string
		key     string
		s, w    int64
		without string
	}{
		{"a.b", "a.b", -1, -1, "a.b:2,"},
		{"a,S=10,W=12:2,S", "a", 10, 12, "a:2,S"},
		{"a,W=12,U=7,S=10:2,S", "a", 10, 12, "a,U=7:2,S"},
		{"a,U=7,FMD5=09ab:2,S", "a", -1, -1, "a,U=7,FMD5=09ab:2,S"},
		{"S=5,x", "S=5", -1, -1, "S=5,x:2,"},
		{"a,S=:2,", "a", 0, -1, "a:2,"},
		{"a,S=5x:2,", "a", -1, -1, "a:2,"},
		{"a,S=-5", "a", -1, -1, "a:2,"},
		{"a,S=x,S=5", "a", -1, -1, "a:2,"}, // the first counts
		{"a,S=18446744073709551621", "a", math.MaxInt64, -1, "a:2,"},
		{"a:2,S,S=5,W=6,x", "a", 5, 6, "a:2,S,x"}, // Dovecot looks behind the flags too
		{"a,S=4:2,S,S=5", "a", 4, -1, "a:2,S"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			n, err := ParseName(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if n.Key() != tt.key {
				t.Errorf("key %q, want %q", n.Key(), tt.key)
			}
			if s, w := n.Sizes(); s != tt.s || w != tt.w {
				t.Errorf("sizes %d, %d, want %d, %d", s, w, tt.s, tt.w)
			}
			bare := n.WithoutSizes()
			if bare.String() != tt.without {
				t.Errorf("without sizes %q, want %q", bare, tt.without)
			}
			if s, w := bare.Sizes(); s != -1 || w != -1 {
				t.Errorf("without sizes there are still %d, %d", s, w)
			}
		})
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"", "a", "a,S=1,W=2:2,FSab,foo", "a:1,x", "a!2,S", strings.Repeat("x", 253), ",", ":2,S,S=9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		n, err := ParseName(file)
		if err != nil {
			return
		}
		for _, m := range []Name{n, n.WithoutSizes()} {
			back, err := ParseName(m.String())
			if err != nil || back != m {
				t.Errorf("%q: %+v is written as %q and read as %+v, %v", file, m, m, back, err)
			}
			if m.Key() == "" || m.Key() != n.Key() {
				t.Errorf("%q: key %q of %+v", file, m.Key(), m)
			}
		}
		if s, w := n.WithoutSizes().Sizes(); s != -1 || w != -1 {
			t.Errorf("%q: sizes %d, %d are left", file, s, w)
		}
	})
}
