package sender

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		from string
		want []string
	}{
		{"torvalds@linux-foundation.org", []string{"torvalds@linux-foundation.org"}},
		{"Linus Torvalds <torvalds@Linux-Foundation.org>", []string{"torvalds@Linux-Foundation.org"}},
		{"\"Torvalds, Linus\" <a@b>", []string{"a@b"}},
		{"Torvalds, Linus <a@b>", []string{"a@b"}}, // a comma that should have been quoted
		{"a@b (Linus, (the one) at c@d)", []string{"a@b"}},
		{"a@b, C <c@d>", []string{"a@b", "c@d"}},
		{"list: a@b, c@d;", []string{"a@b", "c@d"}},
		{"undisclosed-recipients:;", nil},
		{"=?utf-8?q?Bj=C3=B6rn?= <a@b>", []string{"a@b"}},
		{"Bj\xf6rn <a@b>", []string{"a@b"}},
		{"<@relay,@other:a@b>", []string{"a@b"}},
		{"Linus\r\n <a@b>", []string{"a@b"}},
		{"bjørn@exämple.org", []string{"bjørn@exämple.org"}},
		// A name that looks like an address is none.
		{`"torvalds@kernel.org" <evil@x>`, []string{"evil@x"}},
		{"torvalds@kernel.org <evil@x>", []string{"evil@x"}},
		{"<torvalds@kernel.org> <evil@x>", []string{"evil@x"}},
		{`"<torvalds@kernel.org>" evil@x`, []string{"evil@x"}},
		{"(<torvalds@kernel.org>) evil@x", []string{"evil@x"}},
		{`"a\" <torvalds@kernel.org>" <evil@x>`, []string{"evil@x"}},
		// Nothing to be read.
		{"", nil}, {"Linus", nil}, {"<>", nil}, {"@", nil}, {"a@", nil}, {"@b", nil}, {"a@b c@d", nil},
		{"<a b@c>", nil}, {"<a\x00@c>", nil}, {"<a@\xff>", nil}, {"\"a@b", nil}, {"(a@b", nil}, {`\`, nil},
	} {
		if got := Addresses(test.from); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.from, got, test.want)
		}
	}
}

// TestAddressesBounded: a mail can say anything, and as much of it as it likes.
func TestAddressesBounded(t *testing.T) {
	for _, s := range []string{"a@b,", "<", "(", "\"", ":", "<a@b>", "\\"} {
		if n := len(Addresses(strings.Repeat(s, 1<<20))); n > maxAddresses {
			t.Errorf("%d addresses", n)
		}
	}
	if got := Addresses(strings.Repeat("a", 400) + "@b"); got != nil {
		t.Errorf("an address of %d bytes", len(got[0]))
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add("Linus <a@b>")
	f.Add(`"a\" (b) <c@d>, e@f`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, a := range Addresses(s) {
			if !strings.Contains(a, "@") || !utf8.ValidString(a) || strings.ContainsAny(a, " \t\r\n\x00") {
				t.Errorf("%q from %q", a, s)
			}
		}
	})
}
