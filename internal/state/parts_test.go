package state

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"snapmerge/tree"
)

// Whatever a list holds, it comes back in its order from parts of any length; and
// no part is longer: a slice that somebody adds to [Pending] or a record is either
// cut or in notLong below.
func TestParts(t *testing.T) {
	notLong := map[string]bool{ // of folders and of snapshots
		"Notes": true, "Expiry": true,
		"Folders": true, "OwnFolders": true, "Undo": true, "Subscribed": true,
	}
	const long = 7
	var want details
	fill := func(v reflect.Value) {
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Slice {
				f.Set(reflect.MakeSlice(f.Type(), long, long))
				for k := range long {
					number(f.Index(k), k)
				}
			}
		}
	}
	fill(reflect.ValueOf(&want).Elem())
	fill(reflect.ValueOf(&want.Pending).Elem())
	want.Previous, want.Pending.Limit, want.Pending.Rules = 3, 4, "5"
	for n := 1; n <= long+1; n++ {
		parts := want.parts(n)
		got := parts[0]
		for _, p := range parts[1:] {
			got.add(p)
		}
		expectSame(t, fmt.Sprint("in parts of ", n), want, got)
		for i, p := range parts {
			for _, v := range []reflect.Value{reflect.ValueOf(p), reflect.ValueOf(p.Pending)} {
				for k := range v.NumField() {
					if f := v.Field(k); f.Kind() == reflect.Slice && f.Len() > n && !notLong[v.Type().Field(k).Name] {
						t.Errorf("part %d of at most %d elements has %d of %s", i, n, f.Len(), v.Type().Field(k).Name)
					}
				}
			}
		}
	}
}

// number makes a value unlike others: the first string in it.
func number(v reflect.Value, k int) bool {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("v", k))
		return true
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && number(v.Field(i), k) {
				return true
			}
		}
	}
	return false
}

// A first sync's record has several parts, and so has the index.
func TestLong(t *testing.T) {
	const n = 2*partLen + 1
	want := testRecord(7)
	for i := range n {
		name := fmt.Sprint(i, ".h")
		want.Report.Actions = append(want.Report.Actions, ReportAction{Op: "place", Message: name, Effect: Done})
		want.Pending.Agreed = append(want.Pending.Agreed, AgreedMessage{Message: name})
		want.Pending.Own = append(want.Pending.Own, OwnFile{Message: name, File: tree.File{Ino: uint64(i), Name: name + ":2,S"}})
	}
	dir := openDir(t)
	must(t, WriteRecord(dir, want))
	got, err := ReadRecord(dir, 7)
	must(t, err)
	expectSame(t, "record", want, got)
	s, damaged, err := NewestSummary(dir)
	if err != nil || len(damaged) > 0 || s.Sync != 7 {
		t.Fatalf("summary %+v, damaged %v, %v", s, damaged, err)
	}

	x, err := Open(filepath.Join(t.TempDir(), "chris.db"))
	must(t, err)
	defer x.Close()
	for range 2 { // what a long one leaves must not be there after a short one
		must(t, x.Commit(Next{Meta: want.Meta, Pending: want.Pending}))
		p, err := x.Pending()
		must(t, err)
		expectSame(t, "pending", want.Pending, p)
		short := Pending{Folders: []string{"a"}}
		must(t, x.Commit(Next{Meta: want.Meta, Pending: short}))
		p, err = x.Pending()
		must(t, err)
		expectSame(t, "short one", short, p)
	}

	// Every line counts: one more than the seal has, or one that is gone from the
	// end, is damage.
	path := filepath.Join(dir.Name(), recordName(7))
	data, err := os.ReadFile(path)
	must(t, err)
	end := len(data) - 1
	for data[end-1] != '\n' {
		end--
	}
	for what, bad := range map[string][]byte{"without its last line": data[:end], "with a line more": append(data[:len(data):len(data)], "{}\n"...)} {
		must(t, os.WriteFile(path, bad, 0o600))
		if _, damaged, err = NewestSummary(dir); err != nil || len(damaged) != 1 {
			t.Fatalf("%s: damaged %v, %v", what, damaged, err)
		}
	}
}

// What the first version wrote, with all details in one line, is read.
func TestRecordVersion1(t *testing.T) {
	dir := openDir(t)
	summary, rest := `{"Mailbox":"chris","Sync":3}`, `{"Actions":[{"Side":1,"Op":"place","Message":"1.h","Effect":"done"}],"Met":null,"Pending":{"Agreed":null,"Folders":["INBOX"]}}`
	text := fmt.Sprintf("{\"Snapmerge\":\"sync\",\"Version\":1,\"SHA256\":[%q,%q]}\n%s\n%s\n", sum([]byte(summary)), sum([]byte(rest)), summary, rest)
	must(t, os.WriteFile(filepath.Join(dir.Name(), recordName(3)), []byte(text), 0o600))
	r, err := ReadRecord(dir, 3)
	must(t, err)
	want := &Record{Meta: Meta{Mailbox: "chris", Sync: 3}, Pending: Pending{Folders: []string{tree.Inbox}}}
	want.Report.Actions = []ReportAction{{Side: 1, Op: "place", Message: "1.h", Effect: Done}}
	expectSame(t, "record", want, r)
}
