package tree

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lists as Dovecot writes them, now and before 2.2.18, in both layouts.
func TestSubscriptions(t *testing.T) {
	const inV2 = "V\t2\n\nINBOX\na\tb\n&AOQ-pfel\n"
	for name, c := range map[string]struct {
		l            Layout
		list         string
		names        []string
		add, remove  []string
		after, fails string
	}{
		"now": {list: inV2, names: []string{"INBOX", "a/b", "äpfel"},
			add: []string{"x/y", "a/b", "ö"}, remove: []string{"INBOX"}, after: "V\t2\n\na\tb\n&AOQ-pfel\nx\ty\n&APY-\n"},
		"now, fs": {l: Layout{FS: true}, list: inV2, names: []string{"INBOX", "a/b", "äpfel"},
			add: []string{"v1.2/y"}, remove: []string{"a/b"}, after: "V\t2\n\nINBOX\n&AOQ-pfel\nv1.2\ty\n"},
		"utf-8":        {l: Layout{UTF8: true}, list: "V\t2\n\näpfel\n", names: []string{"äpfel"}, add: []string{"ö"}, after: "V\t2\n\näpfel\nö\n"},
		"before":       {list: "INBOX\na.b\nc\n", names: []string{"INBOX", "a/b", "c"}, add: []string{"x/y"}, remove: []string{"c"}, after: "INBOX\na.b\nx.y\n"},
		"before, fs":   {l: Layout{FS: true}, list: "a/b\n", names: []string{"a/b"}, add: []string{"x/y"}, after: "a/b\nx/y\n"},
		"none":         {list: "", names: []string{}, add: []string{"x/y"}, after: "V\t2\n\nx\ty\n"},
		"escaped name": {list: "V\t2\n\nv1\\2e2\tx\n", names: []string{"v1.2/x"}, add: []string{"w.2"}, after: "V\t2\n\nv1\\2e2\tx\nw\\2e2\n"},
		"odd lines stay": {list: "V\t2\n\n\nno.name\n&&\na\n../b\nx\x01ty\na\n/etc\nlast", names: []string{"a", "last"}, add: []string{"b"}, remove: []string{"a"},
			after: "V\t2\n\n\nno.name\n&&\n../b\nx\x01ty\n/etc\nlast\nb\n"},
		"folder of another layout": {l: Layout{FS: true}, list: "V\t2\n\n", names: []string{}, add: []string{"cur/x"}, fails: `folder "cur/x": level "cur" is no folder in this layout`},
	} {
		if d := cmp.Diff(c.names, ParseSubscriptions([]byte(c.list), c.l)); d != "" {
			t.Errorf("%s: names -want +got\n%s", name, d)
		}
		out, err := ChangeSubscriptions([]byte(c.list), c.l, c.add, c.remove)
		if why := ""; err != nil {
			why = err.Error()
			if why != c.fails {
				t.Errorf("%s: %v, want %q", name, err, c.fails)
			}
		} else if d := cmp.Diff(c.after, string(out)); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
}
