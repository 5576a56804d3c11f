package dovecot

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapmerge/tree"
)

// Settings as the real doveconf prints them, and the line that each asks for.
func TestAdvice(t *testing.T) {
	for _, c := range []struct {
		what, conf string
		store      Store
		want       []string // a part of each sentence
	}{
		{"Dovecot's defaults", "", Store{}, nil},
		{"an ordinary Maildir", "mail_location = maildir:~/Maildir", Store{}, nil},
		{"a Maildir as configured", "mail_location = maildir:~/Maildir:LAYOUT=fs:UTF-8:CONTROL=/var/control/%u",
			Store{Layout: tree.Layout{FS: true, UTF8: true}, Control: "/var/control/anna"}, nil},
		{"mail elsewhere", "mail_location = mbox:~/mail:INBOX=/var/mail/%u", Store{Both: true, Control: "/x"}, nil},
		{"no hard links", "maildir_copy_with_hardlinks = no", Store{}, []string{"maildir_copy_with_hardlinks = yes"}},
		{"late", "maildir_very_dirty_syncs = yes", Store{}, []string{"maildir_very_dirty_syncs = no"}},
		{"compressed", "mail_plugins = $mail_plugins quota zlib", Store{}, []string{"the plugin zlib"}},
		{"encrypted by one protocol", "protocol imap {\n mail_plugins = $mail_plugins mail_crypt\n}", Store{}, []string{"the plugin mail_crypt"}},
		{"expunged late", "plugin {\n lazy_expunge = Expunged\n}", Store{}, []string{"lazy_expunge_only_last_instance = yes"}},
		{"expunged late, once", "plugin {\n lazy_expunge = Expunged\n lazy_expunge_only_last_instance = yes\n}", Store{}, nil},
		{"another layout", "mail_location = maildir:~/Maildir:LAYOUT=fs", Store{}, []string{`layout here is "maildir++"`}},
		{"no layout", "mail_location = maildir:~/Maildir:LAYOUT=index", Store{}, []string{"LAYOUT=index"}},
		{"another encoding", "mail_location = maildir:~/Maildir:UTF-8", Store{}, []string{`encoding = "utf-8"`}},
		{"control elsewhere", "mail_location = maildir:~/Maildir:CONTROL=/c/%u", Store{}, []string{"CONTROL=/c/%u: set control"}},
		{"control not elsewhere", "mail_location = maildir:~/Maildir", Store{Control: "/c"}, []string{"take control away"}},
		{"one host", "mail_location = maildir:~/Maildir", Store{Both: true}, []string{"DOVECOT_HOSTNAME=home.example"}},
		{"one host with two names", "mail_location = maildir:~/Maildir\nimport_environment = TZ DOVECOT_HOSTNAME=a.example", Store{Both: true}, nil},
	} {
		file := filepath.Join(t.TempDir(), "dovecot.conf")
		if err := os.WriteFile(file, []byte("ssl = no\n"+c.conf+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := ask(context.Background(), "-c", file, "-n")
		if err != nil {
			t.Fatal(err)
		}
		if c.what == "Dovecot's defaults" && s["ssl"] != "no" {
			t.Fatalf("doveconf was not read: %v", s)
		}
		got := s.Advice(c.store)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
			continue
		}
		for i, w := range c.want {
			if !strings.Contains(got[i], w) {
				t.Errorf("%s: %q, want %q", c.what, got[i], w)
			}
		}
	}
}

// One that can not read its configuration says so; a machine without Dovecot has
// no settings, and nothing to say.
func TestAskFails(t *testing.T) {
	if _, err := ask(context.Background(), "-c", "/nonexistent", "-n"); err == nil {
		t.Error("no error")
	}
	t.Setenv("PATH", t.TempDir())
	if s, err := Ask(context.Background()); s != nil || err != nil {
		t.Errorf("%v, %v", s, err)
	}
}
