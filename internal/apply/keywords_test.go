package apply

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/tree"
)

// Each case: the folder's dovecot-keywords and its mail, the keywords that the
// mail shall have, and what is there then.
func TestKeywords(t *testing.T) {
	full := ""
	for i := range 26 {
		full += fmt.Sprintf("%d kw%d\n", i, i)
	}
	cases := []struct {
		name    string
		file    string // "": none
		mail    string // first one is renamed
		want    string // keywords, by comma
		letters string
		after   string
		missing string
	}{
		{"no file yet", "", "cur/1.x.h:2,", "$Forwarded", "a", "0 $Forwarded\n", ""},
		{"known, in another case", "0 One\n1 $forwarded\n", "cur/1.x.h:2,", "$Forwarded", "b", "0 One\n1 $forwarded\n", ""},
		{"lowest free letter", "0 One\n2 Three\n", "cur/1.x.h:2,", "Two,one", "ab", "0 One\n1 Two\n2 Three\n", ""},
		{"a letter without a name is taken", "0 One\n1 unknown-1\n", "cur/1.x.h:2,", "New", "c", "0 One\n1 unknown-1\n2 New\n", ""},
		{"a letter in use that the file does not know", "", "cur/1.x.h:2, cur/2.y.h:2,a new/3.z.h:2,Sc", "New,Newer", "bd",
			"0 unknown-0\n1 New\n2 unknown-2\n3 Newer\n", ""},
		{"the file's name for a letter in use", "0 One\n", "cur/1.x.h:2, cur/2.y.h:2,a", "New", "b", "0 One\n1 New\n", ""},
		{"full", full, "cur/1.x.h:2,", "New,kw3", "d", full, "New"},
		{"no keyword that a client could set", "", "cur/1.x.h:2,", "bad name,unknown-7,good", "a", "0 good\n", "bad name,unknown-7"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := newLive(t, tree.Layout{})
			for _, p := range strings.Fields(c.mail) {
				v.mail("INBOX", p)
			}
			if c.file != "" {
				v.write(keywordsName, c.file)
			}
			r := v.run(Op{Kind: Rename, From: v.file("INBOX", strings.Fields(c.mail)[0]),
				To: Target{Folder: "INBOX", Unique: "1.x.h", Keywords: strings.Split(c.want, ",")}})[0]
			if want := "1.x.h:2," + c.letters; r.Outcome != Done || r.File.Name != want {
				t.Errorf("%v %v: name %q, want %q", r.Outcome, r.Err, r.File.Name, want)
			}
			if got := strings.Join(r.Missing, ","); got != c.missing {
				t.Errorf("missing %q, want %q", got, c.missing)
			}
			data, _ := os.ReadFile(v.path + "/" + keywordsName)
			if d := cmp.Diff(c.after, string(data)); d != "" {
				t.Errorf("file (-want +got)\n%s", d)
			}
		})
	}
}

// The new file has the old one's owner and mode and a later mtime in seconds, even
// if the old one's is ahead of the clock; operations in a row make one new file.
func TestKeywordsFile(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".A")
	v.write(".A/"+keywordsName, "0 One\n")
	must(t, os.Chmod(v.path+"/.A/"+keywordsName, 0o640))
	ahead := time.Now().Add(time.Hour).Truncate(time.Second)
	must(t, os.Chtimes(v.path+"/.A/"+keywordsName, ahead, ahead))
	var ops []Op
	for i := range 5 {
		ops = append(ops, v.place(Target{Folder: "A", Unique: fmt.Sprintf("%d.x.h", i), Keywords: []string{fmt.Sprintf("k%d", i%4)}}))
	}
	inos := map[uint64]bool{}
	must(t, v.Run(context.Background(), ops, func(i int, r Result) { inos[v.stat(".A/"+keywordsName).Ino] = true }))
	st := v.stat(".A/" + keywordsName)
	if len(inos) != 1 || st.Uid != uid || st.Mode&0o7777 != 0o640 || st.Mtim.Sec != ahead.Unix()+1 {
		t.Errorf("%d files; owner %d, mode %o, mtime %d later", len(inos), st.Uid, st.Mode, st.Mtim.Sec-ahead.Unix())
	}
	v.run(v.place(Target{Folder: "A", Unique: "9.x.h", Keywords: []string{"more"}}))
	if st := v.stat(".A/" + keywordsName); st.Mtim.Sec != ahead.Unix()+2 {
		t.Errorf("mtime %d s later", st.Mtim.Sec-ahead.Unix())
	}
	v.run(v.place(Target{Folder: "INBOX", Unique: "10.x.h", Keywords: []string{"new"}}))
	if st := v.stat(keywordsName); st.Uid != uid || st.Mode&0o7777 != 0o600 || time.Since(time.Unix(st.Mtim.Unix())) > 5*time.Second {
		t.Errorf("first file of a folder: %+v", st)
	}
	if names, _ := os.ReadDir(v.path + "/tmp"); len(names) != 0 {
		t.Errorf("left in tmp: %v", names)
	}
}

// What is no regular file is neither read, waited for, nor replaced.
func TestKeywordsAlien(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"symlink":   func(p string) error { return os.Symlink("../outside", p) },
		"fifo":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"too long":  func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("0 One\n", 20000)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			v := newLive(t, tree.Layout{})
			must(t, os.WriteFile(v.path+"/../outside", []byte("0 One\n"), 0o600))
			must(t, make(v.path+"/"+keywordsName))
			before := v.stat(keywordsName).Ino
			r := v.run(v.place(Target{Folder: "INBOX", Unique: "1.x.h", Keywords: []string{"One"}}))[0]
			if r.Outcome != Done || r.File.Name != "1.x.h:2," || len(r.Missing) != 1 || v.stat(keywordsName).Ino != before {
				t.Errorf("%+v", r)
			}
		})
	}
}
