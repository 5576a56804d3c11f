package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/tree"
)

// Online on another machine: what is not given has a default; the limits too.
func TestRemote(t *testing.T) {
	c, err := Load("testdata/remote.toml")
	if err != nil {
		t.Fatal(err)
	}
	type values struct {
		Host, SSH, Agent string
		Limits           Limits
	}
	want := []values{
		{"root@mx.example.net", "ssh -F /etc/snapmerge/ssh_config", "/opt/bin/snapmerge-2", Limits{3 << 40, 1 << 10, 0}},
		{"mx2", "/usr/bin/ssh -4", "snapmerge", Limits{7 << 30, 5 << 20, 1000000}},
		{"", "", "", Limits{7 << 30, 200 << 20, 1000000}},
	}
	var got []values
	for _, m := range c.Mailboxes {
		got = append(got, values{m.Online.Host, m.Online.SSH, m.Online.Agent, m.Limits})
		if m.Offline.Host+m.Offline.SSH+m.Offline.Agent != "" {
			t.Errorf("offline: %+v", m.Offline)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The far end's own file needs no offline store; a store on a third machine is
// not its business.
func TestLoadAgent(t *testing.T) {
	c, err := LoadAgent("testdata/agent.toml")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Store{}
	for _, m := range c.Mailboxes {
		got[m.Name] = m.Online
	}
	if diff := cmp.Diff(map[string]Store{
		"anna": {Path: "/srv/mail/anna", Snapshots: "/srv/mail/.snapmerge/anna", Layout: tree.Layout{FS: true}},
		"carl": {Path: "/srv/mail/carl", Snapshots: "/srv/mail/.snapmerge/carl"},
	}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := Load("testdata/agent.toml"); err == nil {
		t.Error("Load takes a file without stores of home")
	}
	// With home's own file nothing is served: its online stores are elsewhere.
	if c, err = LoadAgent("testdata/remote.toml"); err != nil || len(c.Mailboxes) != 1 || c.Mailboxes[0].Name != "carl" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestLoadAgentErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.toml")
	text := `
[mailbox.a.online]
path = "/srv/a"
[mailbox.b.online]
path = "/srv/b"
snapshots = "/srv/b/snap"
[mailbox.c]
[mailbox.d.online]
path = "/srv/d"
snapshots = "/snap"
[mailbox.e.online]
path = "/srv/e"
snapshots = "/snap"
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadAgent(file)
	want := strings.ReplaceAll(`F:2:12: mailbox.a.online: snapshots is missing, wants an absolute path
F:6:1: mailbox.b.online.snapshots: "/srv/b/snap" lies inside online.path, wants a path outside
F:7:10: mailbox.c.online: path is missing, wants an absolute path
F:7:10: mailbox.c.online: snapshots is missing, wants an absolute path
F:13:1: mailbox.e.online.snapshots: "/snap" has the online snapshots of mailbox "d" already`, "F", file)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := LoadAgent("testdata/nowhere.toml"); !os.IsNotExist(unwrap(err)) {
		t.Errorf("got %v", err)
	}
}

func unwrap(err error) error {
	for u, ok := err.(interface{ Unwrap() error }); ok; u, ok = err.(interface{ Unwrap() error }) {
		err = u.Unwrap()
	}
	return err
}
