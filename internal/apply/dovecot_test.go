package apply

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/dovecottest"
	"snapmerge/tree"
)

// bySubject finds the file of a mail, and what a scan would say of it.
func (v *live) bySubject(folder, dir, subject string) tree.File {
	v.t.Helper()
	for _, sub := range []string{"cur", "new"} {
		names, _ := os.ReadDir(filepath.Join(v.path, dir, sub))
		for _, n := range names {
			p := filepath.Join(dir, sub, n.Name())
			if data, _ := os.ReadFile(filepath.Join(v.path, p)); bytes.Contains(data, []byte("Subject: "+subject+"\n")) {
				return v.file(folder, p)
			}
		}
	}
	v.t.Fatalf("no mail %q in %s", subject, folder)
	return tree.File{}
}

func nameOf(t *testing.T, f tree.File) tree.Name {
	n, err := tree.ParseName(f.Name)
	must(t, err)
	return n
}

func message(subject string) string {
	return "From: a@example.org\r\nSubject: " + subject + "\r\n\r\nhello\r\n"
}

// A client that has a folder selected sees what is done to it, and nothing gets
// another UID.
func TestDovecot(t *testing.T) {
	for _, layout := range []tree.Layout{{}, {FS: true}} {
		t.Run(layout.String(), func(t *testing.T) { testDovecot(t, layout) })
	}
}

func testDovecot(t *testing.T, layout tree.Layout) {
	v := newLive(t, layout)
	mail := v.path
	if layout.FS {
		mail += ":LAYOUT=fs"
	}
	c := dovecottest.Start(t, mail).Login(t)
	for i := range 6 {
		c.Append("INBOX", `\Seen`, message(fmt.Sprintf("m%d", i)))
	}
	c.Append("INBOX", `\Seen old`, message("k"))
	c.Do("SELECT INBOX")
	before := map[int]string{1: `\Seen`, 2: `\Seen`, 3: `\Seen`, 4: `\Seen`, 5: `\Seen`, 6: `\Seen`, 7: `\Seen old`}
	if d := cmp.Diff(before, c.Flags()); d != "" {
		t.Fatal(d)
	}

	work, err := layout.Dir("Ärger/b")
	must(t, err)
	flag, keyword, moved, gone := v.bySubject("INBOX", ".", "m0"), v.bySubject("INBOX", ".", "m1"), v.bySubject("INBOX", ".", "m2"), v.bySubject("INBOX", ".", "m3")
	placed := v.place(Target{Folder: "INBOX", Unique: "1450677467.M1P1.mx", Flags: tree.Flagged, Keywords: []string{"$Forwarded"}})
	rs := v.run(
		Op{Kind: Rename, From: flag, Links: 1, To: Target{Folder: "INBOX", Unique: nameOf(t, flag).Unique, Flags: tree.Seen | tree.Flagged}},
		Op{Kind: Rename, From: keyword, Links: 1, To: Target{Folder: "INBOX", Unique: nameOf(t, keyword).Unique, Flags: tree.Seen, Keywords: []string{"$Forwarded", "OLD"}}},
		placed,
		Op{Kind: MakeFolder, Folder: "Ärger/b"},
		Op{Kind: Rename, From: moved, Links: 1, To: Target{Folder: "Ärger/b", Unique: nameOf(t, moved).Unique, Keywords: []string{"there"}}},
		Op{Kind: Unlink, From: gone, Links: 1},
	)
	for i, r := range rs {
		if r.Outcome != Done {
			t.Errorf("%d: %v %q %v", i, r.Outcome, r.Why, r.Err)
		}
	}
	// The client's session runs on: it is told about all of it.
	told := strings.Join(c.Do("NOOP"), "\n")
	for _, want := range []string{`\Flagged`, "$Forwarded", "EXPUNGE", "EXISTS"} {
		if !strings.Contains(told, want) {
			t.Errorf("the client was not told of %s:\n%s", want, told)
		}
	}
	want := map[int]string{1: `\Flagged \Seen`, 2: `$Forwarded \Seen old`, 5: `\Seen`, 6: `\Seen`, 7: `\Seen old`, 8: `$Forwarded \Flagged`}
	if d := cmp.Diff(want, c.Flags()); d != "" {
		t.Errorf("INBOX, UID: flags (-want +got)\n%s", d)
	}
	// The other way round: the client gives the new keyword to another mail.
	c.Do(`UID STORE 5 +FLAGS ($Forwarded)`)
	if f := v.bySubject("INBOX", ".", "m4"); nameOf(t, f).Letters.String() != "b" {
		t.Errorf("the client's $Forwarded made %q", f.Name)
	}

	d := c.Do(`FETCH 6 (INTERNALDATE BODY[])`)
	if !strings.Contains(strings.Join(d, ""), "21-Dec-2015") || !strings.Contains(strings.Join(d, ""), "from the snapshot") {
		t.Errorf("placed mail: %q", d)
	}
	c.Do("SELECT %q", "&AMQ-rger/b")
	if d := cmp.Diff(map[int]string{1: "there"}, c.Flags()); d != "" {
		t.Errorf("the new folder: %s", d)
	}
	c.Do("CLOSE")
	last := v.bySubject("Ärger/b", work, "m2")
	for i, r := range v.run(Op{Kind: Rename, From: last, To: Target{Folder: "INBOX", Unique: nameOf(t, last).Unique}}, Op{Kind: RemoveFolder, Folder: "Ärger/b"}) {
		if r.Outcome != Done {
			t.Errorf("emptying %d: %v %q %v", i, r.Outcome, r.Why, r.Err)
		}
	}
}

// While a client changes flags as fast as it can in a folder that is changed too,
// no mail is lost and none gets another UID. Without the lock both happen at once.
func TestDovecotUnderLoad(t *testing.T) {
	v := newLive(t, tree.Layout{})
	const n = 2000
	for i := range n {
		v.mail("INBOX", fmt.Sprintf("cur/%d.M1P1.h:2,", 1e9+i))
	}
	s := dovecottest.Start(t, v.path)
	c := s.Login(t)
	c.Do("SELECT INBOX")
	uids := slices.Sorted(maps.Keys(c.Flags()))
	if len(uids) != n {
		t.Fatalf("%d mails", len(uids))
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				c.Do(`UID STORE %d:%d %cFLAGS (\Answered)`, 1+i%100, 20+i%100, "+-"[i%2])
			}
		}
	}()
	count := map[Outcome]int{}
	v.maxHold = 100 * time.Millisecond
	for range 6 {
		var ops []Op
		names, err := os.ReadDir(v.path + "/cur")
		must(t, err)
		for i := len(names) - 1; i >= 0; i -= 2 {
			f := v.fileNow("INBOX", "cur/"+names[i].Name())
			name := nameOf(t, f)
			ops = append(ops, Op{Kind: Rename, From: f, Links: 1, To: Target{Folder: "INBOX", Unique: name.Unique, Flags: name.Flags ^ tree.Flagged}})
		}
		for _, r := range v.run(ops...) {
			count[r.Outcome]++
		}
	}
	close(stop)
	<-stopped
	c.Do("NOOP")
	if d := cmp.Diff(uids, slices.Sorted(maps.Keys(c.Flags()))); d != "" {
		t.Errorf("UIDs (-before +after)\n%s", d)
	}
	if names, _ := os.ReadDir(v.path + "/cur"); len(names) != n {
		t.Errorf("%d files", len(names))
	}
	if count[Done] < n || count[Failed] != 0 {
		t.Errorf("outcomes %v", count)
	}
	t.Logf("outcomes %v", count)
}

// fileNow is file for a name that the client may have changed by now.
func (v *live) fileNow(folder, path string) tree.File {
	f := tree.File{Folder: folder, Name: filepath.Base(path), Ino: 1}
	if fi, err := os.Lstat(filepath.Join(v.path, path)); err == nil {
		f.Ino = fi.Sys().(*syscall.Stat_t).Ino
	}
	return f
}
