package mailgen

import (
	"bytes"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/tree"
)

var until = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestSameSeed(t *testing.T) {
	a, b := New(7).Mailbox(50, until), New(7).Mailbox(50, until)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed, two mailboxes")
	}
	if reflect.DeepEqual(a, New(8).Mailbox(50, until)) {
		t.Error("two seeds, one mailbox")
	}
}

// Every mail is one that a strict reader takes, with a name that tells the truth.
func TestMails(t *testing.T) {
	g := New(1)
	keys, ids, folders := map[string]bool{}, map[string]bool{}, map[string]int{}
	replies, encoded := 0, 0
	for _, m := range append(g.Mailbox(400, until), g.Mail(tree.Inbox, until)) {
		folders[m.Folder]++
		s, w := m.Name.Sizes()
		if s != int64(len(m.Body)) || w != s+int64(bytes.Count(m.Body, []byte("\n"))) {
			t.Errorf("%s: sizes are %d and %d", m.Name, s, w)
		}
		if keys[m.Name.Key()] {
			t.Errorf("%s: a key twice", m.Name)
		}
		keys[m.Name.Key()] = true
		if len(m.Body) < 500 || len(m.Body) > 40<<10 {
			t.Errorf("%s: %d bytes", m.Name, len(m.Body))
		}
		msg, err := mail.ReadMessage(bytes.NewReader(m.Body))
		if err != nil {
			t.Fatalf("%s: %v\n%s", m.Name, err, m.Body)
		}
		for _, h := range []string{"From", "To"} {
			if _, err := msg.Header.AddressList(h); err != nil {
				t.Errorf("%s: %s: %v", m.Name, h, err)
			}
		}
		if d, err := msg.Header.Date(); err != nil || d.After(m.Received) {
			t.Errorf("%s: date %v, %v", m.Name, d, err)
		}
		raw := msg.Header.Get("Subject")
		if s, err := new(mime.WordDecoder).DecodeHeader(raw); err != nil || s == "" {
			t.Errorf("%s: subject %q: %v", m.Name, raw, err)
		} else if s != raw {
			encoded++
		}
		if to := msg.Header.Get("In-Reply-To"); to != "" {
			replies++
			if !ids[to] {
				t.Errorf("%s: answers %s, which is not earlier", m.Name, to)
			}
		}
		ids[msg.Header.Get("Message-ID")] = true
	}
	for _, f := range Folders {
		if folders[f] < 5 {
			t.Errorf("folder %s has %d mails", f, folders[f])
		}
	}
	if replies < 100 || encoded < 20 {
		t.Errorf("%d replies, %d encoded subjects", replies, encoded)
	}
}

// What Write makes is read back by the program as what was meant.
func TestWrite(t *testing.T) {
	root := t.TempDir()
	g := New(3)
	mails := append(g.Mailbox(60, until), g.Mail("Äpfel", until))
	if err := Write(root, mails, os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	got, err := tree.Scan(dir, tree.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		Folder, Name string
		New          bool
		Size, Mtime  int64
	}
	want, have := map[file]bool{}, map[file]bool{}
	for _, m := range mails {
		name := m.Name.String()
		if m.New {
			name = m.Name.Unique
		}
		want[file{m.Folder, name, m.New, int64(len(m.Body)), m.Received.UnixNano()}] = true
	}
	for _, f := range got.Files {
		have[file{f.Folder, f.Name, f.New, f.Size, f.Mtime}] = true
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Error(d)
	}
	if len(got.Refused) > 0 {
		t.Errorf("refused: %v", got.Refused)
	}
	if _, err := os.Stat(filepath.Join(root, ".&AMQ-pfel", "cur")); err != nil {
		t.Errorf("folder Äpfel: %v", err)
	}
}
