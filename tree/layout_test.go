package tree

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var layouts = map[string]Layout{
	"maildir++": {}, "maildir++ UTF-8": {UTF8: true}, "fs": {FS: true}, "fs UTF-8": {FS: true, UTF8: true},
}

func TestLayoutNames(t *testing.T) {
	tests := []struct {
		folder                      string
		maildir, maildir8, fs, fsU8 string // directories, "" if the layout can not hold the folder
	}{
		{"INBOX", ".", ".", ".", "."},
		{"a", ".a", ".a", "a", "a"},
		{"a/b/c", ".a.b.c", ".a.b.c", "a/b/c", "a/b/c"},
		{"INBOX/sub", ".INBOX.sub", ".INBOX.sub", "INBOX/sub", "INBOX/sub"},
		{"a/inbox", ".a.inbox", ".a.inbox", "a/inbox", "a/inbox"},
		{"Äpfel", ".&AMQ-pfel", ".Äpfel", "&AMQ-pfel", "Äpfel"},
		{"R&D", ".R&-D", ".R&D", "R&-D", "R&D"},
		{"~peter/mail/台北/日本語", ".\\7epeter.mail.&U,BTFw-.&ZeVnLIqe-", ".\\7epeter.mail.台北.日本語",
			"\\7epeter/mail/&U,BTFw-/&ZeVnLIqe-", "\\7epeter/mail/台北/日本語"}, // RFC 3501 5.1.3
		{"😀", ".&2D3eAA-", ".😀", "&2D3eAA-", "😀"},
		{"a/~b", ".a.~b", ".a.~b", "a/~b", "a/~b"},
		{"v1.2", ".v1\\2e2", ".v1\\2e2", "v1.2", "v1.2"},
		{`a\b`, `.a\b`, `.a\b`, `a\b`, `a\b`},              // "b" alone is no hex number
		{`a\bc`, `.a\5cbc`, `.a\5cbc`, `a\5cbc`, `a\5cbc`}, // "bc" is
		{`a\bq`, `.a\bq`, `.a\bq`, `a\bq`, `a\bq`},
		{`a\2e`, `.a\5c2e`, `.a\5c2e`, `a\5c2e`, `a\5c2e`},
		{`a\.b`, `.a\\2eb`, `.a\\2eb`, `a\.b`, `a\.b`},
		{".hidden", `.\2ehidden`, `.\2ehidden`, "", ""},
		{"cur", ".cur", ".cur", "", ""},
		{"a/new", ".a.new", ".a.new", "", ""},
		{"subscriptions", ".subscriptions", ".subscriptions", "", ""},
		{"dovecot.index.d", `.dovecot\2eindex\2ed`, `.dovecot\2eindex\2ed`, "", ""},
		{"dovecot", ".dovecot", ".dovecot", "dovecot", "dovecot"},
		{"a b", ".a b", ".a b", "a b", "a b"},
		{strings.Repeat("x", 254), "." + strings.Repeat("x", 254), "." + strings.Repeat("x", 254), strings.Repeat("x", 254), strings.Repeat("x", 254)},
		{strings.Repeat("x", 255), "", "", strings.Repeat("x", 255), strings.Repeat("x", 255)},
		{strings.Repeat("ä", 100), "", "." + strings.Repeat("ä", 100), "", strings.Repeat("ä", 100)},
		{strings.Repeat("x", 256), "", "", "", ""},
		{strings.Repeat("/"+strings.Repeat("x", 250), 16)[1:], "", "", "", ""}, // PATH_MAX
	}
	for _, tt := range tests {
		for name, dir := range map[string]string{"maildir++": tt.maildir, "maildir++ UTF-8": tt.maildir8, "fs": tt.fs, "fs UTF-8": tt.fsU8} {
			l := layouts[name]
			got, err := l.Dir(tt.folder)
			if got != dir || (err == nil) != (dir != "") {
				t.Errorf("%s: Dir(%q) = %q, %v, want %q", name, tt.folder, got, err, dir)
			}
			if dir == "" {
				continue
			}
			if back, err := l.Folder(dir); back != tt.folder || err != nil {
				t.Errorf("%s: Folder(%q) = %q, %v, want %q", name, dir, back, err, tt.folder)
			}
		}
	}
}

func TestLayoutRefusesFolders(t *testing.T) {
	for _, folder := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "./a", "a\x00b", "a\nb", "a\tb", "a\x7f", "a\u0085b", "\xff", "a\xc3",
		"inbox", "Inbox", "iNBOX/sub",
	} {
		for name, l := range layouts {
			if dir, err := l.Dir(folder); err == nil {
				t.Errorf("%s: Dir(%q) = %q, want an error", name, folder, dir)
			}
		}
	}
}

func TestLayoutRefusesDirectories(t *testing.T) {
	tests := []struct{ layout, dir, why string }{
		{"maildir++", "", "empty"},
		{"maildir++", "a", "no dot"},
		{"maildir++", "..", "empty levels"},
		{"maildir++", "..DOVECOT-TRASHED", "being deleted"},
		{"maildir++", ".a..b", "empty level"},
		{"maildir++", ".a.", "empty level"},
		{"maildir++", ".INBOX", "would be INBOX"},
		{"maildir++", ".inbox.a", "other spelling of INBOX"},
		{"maildir++", ".a/b", "slash"},
		{"maildir++", ".ä", "8-bit in mUTF-7"},
		{"maildir++", ".&", "unterminated"},
		{"maildir++", ".&AMQ", "unterminated"},
		{"maildir++", ".&AMQ-&AMQ-", "two shifts for one"},
		{"maildir++", ".&AGE-", "printable ASCII in base64"},
		{"maildir++", ".&AC8-", "a slash in base64"},
		{"maildir++", ".&AAo-", "a line feed in base64"},
		{"maildir++", ".&2D0-", "lone surrogate"},
		{"maildir++", ".&AMR-", "bits left over"},
		{"maildir++", ".&AM-", "odd number of bytes"},
		{"maildir++", ".&AMQ=-", "padding"},
		{"maildir++", `.a\2E`, "upper-case escape: would be read as is, and escaped"},
		{"maildir++", `.a\41`, "an escape that nobody writes"},
		{"maildir++", `.a\5cq`, "an escape that was not needed"},
		{"maildir++", `.a.\7eb`, "escaped ~ not at the beginning"},
		{"maildir++", `.~a`, "~ not escaped"},
		{"maildir++", `.a\2e` + "\x1b", "control character"},
		{"maildir++ UTF-8", ".\xff", "not UTF-8"},
		{"fs", "INBOX", "would be INBOX"},
		{"fs", "Inbox/a", "other spelling of INBOX"},
		{"fs", "a/cur", "a Maildir's own"},
		{"fs", ".a", "hidden"},
		{"fs", "a/.b", "hidden"},
		{"fs", "a/../b", "dots"},
		{"fs", "./a", "dots"},
		{"fs", "/a", "absolute"},
		{"fs", "a//b", "empty level"},
		{"fs", `a\2eb`, "an escape of the other layout"},
	}
	for _, tt := range tests {
		if folder, err := layouts[tt.layout].Folder(tt.dir); err == nil {
			t.Errorf("%s, %s: Folder(%q) = %q, want an error", tt.layout, tt.why, tt.dir, folder)
		}
	}
}

// The two halves on their own: Layout.Folder would refuse these names anyway.
func TestMUTF7(t *testing.T) {
	for _, bad := range []string{"&", "&AMQ", "ä", "\xff", "\x00", "&AGE-", "&AMQ-&AMQ-", "&AMR-", "&AM-", "&2D0-", "&3gDYPQ-", "&AMQ=-", "&/w-"} {
		if s, err := decodeMUTF7(bad); err == nil {
			t.Errorf("%q is decoded as %q", bad, s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		code := encodeMUTF7(s)
		if back, err := decodeMUTF7(code); back != s || err != nil {
			t.Fatalf("%q is encoded as %q and decoded as %q, %v", s, code, back, err)
		}
		if strings.ContainsFunc(code, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is encoded as %q", s, code)
		}
	})
}

func TestParseLayout(t *testing.T) {
	for _, name := range []string{"maildir++", "fs"} {
		if l, err := ParseLayout(name); err != nil || l.String() != name || l.UTF8 {
			t.Errorf("ParseLayout(%q) = %+v, %v", name, l, err)
		}
	}
	if l, err := ParseLayout("Maildir++"); err == nil {
		t.Errorf("ParseLayout(Maildir++) = %+v", l)
	}
}

// Two folders never share a directory, nor two directories a folder.
func TestLayoutRoundTrip(t *testing.T) {
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				folder := rapid.StringOf(rapid.RuneFrom([]rune(`ab2e5c7E/.\~&-+,äß日😀 INBOX`))).Draw(t, "folder")
				if dir, err := l.Dir(folder); err == nil {
					if back, err := l.Folder(dir); back != folder || err != nil {
						t.Fatalf("Dir(%q) = %q, Folder gives %q, %v", folder, dir, back, err)
					}
				}
				dir := rapid.StringOf(rapid.RuneFrom([]rune(`ab2e5c7E/.\~&-+,AMQ4ä`))).Draw(t, "dir")
				checkFolderDir(t, l, dir)
			})
		})
	}
}

func checkFolderDir(t rapid.TB, l Layout, dir string) {
	folder, err := l.Folder(dir)
	if err != nil {
		return
	}
	if back, err := l.Dir(folder); back != dir || err != nil {
		t.Errorf("Folder(%q) = %q, Dir gives %q, %v", dir, folder, back, err)
	}
	if !utf8.ValidString(folder) || folder == "" || strings.ContainsAny(folder, "\x00\n\r\t\x1b") {
		t.Errorf("Folder(%q) = %q", dir, folder)
	}
}

func FuzzLayout(f *testing.F) {
	for _, dir := range []string{".", ".a.b", "a/b", ".&AMQ-", `.\2e`, "~", ".INBOX", "..", ".&2D3eAA-"} {
		f.Add(dir)
	}
	f.Fuzz(func(t *testing.T, dir string) {
		for _, l := range layouts {
			checkFolderDir(t, l, dir)
		}
	})
}
