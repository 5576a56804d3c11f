package livetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/internal/dovecottest"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

const online, home = merge.Online, merge.Offline

// A setup says how the two servers of a pair are configured.
type setup struct {
	layout [2]tree.Layout // online, home
	more   [2]string      // further configuration of Dovecot
	sets   bool           // it can make several files of a mail in one folder
	ctl    bool           // Dovecot's control files are elsewhere
}

// A pair is a Dovecot on each side, for many users.
type pair struct {
	setup
	dir    string // on btrfs; the side's mail of user u is in dir/<side>/u
	server [2]*dovecottest.Server
}

// hosts are different, or the servers would make the same names.
var hosts = [2]string{"online.example", "home.example"}

// script is what deliveries run through.
const script = `require "fileinto";
if header :contains "subject" "list" { fileinto "lists"; }
`

func startPair(t *testing.T, s setup) *pair {
	t.Helper()
	p := &pair{setup: s, dir: btrfstest.Shared(t).Path}
	must(t, os.Chmod(p.dir, 0o755))
	for _, side := range merge.Sides {
		dir := filepath.Join(p.dir, side.String())
		must(t, os.Mkdir(dir, 0o755))
		mail := dir + "/%u"
		if s.layout[side].FS {
			mail += ":LAYOUT=fs"
		}
		if s.layout[side].UTF8 {
			mail += ":UTF-8"
		}
		if s.ctl {
			ctl := filepath.Join(p.dir, "control", side.String())
			must(t, os.MkdirAll(ctl, 0o755))
			must(t, os.Chown(ctl, dovecottest.UID, dovecottest.UID))
			mail += ":CONTROL=" + ctl + "/%u"
		}
		p.server[side] = dovecottest.StartWith(t, dovecottest.Options{Mail: mail, Host: hosts[side], Sieve: script, More: s.more[side]})
	}
	return p
}

// A world is one user's mailbox on both servers.
type world struct {
	t    testing.TB
	user string
	*pair
	mb config.Mailbox
}

// newWorld makes two empty stores.
func (p *pair) newWorld(t testing.TB, user string) *world {
	t.Helper()
	w := &world{t: t, user: user, pair: p}
	w.mb = config.Mailbox{
		Name: user,
		Merge: config.Merge{Prefer: merge.Newest, DeletedOnline: merge.Apply,
			DeletedOffline: merge.Apply, MaxDeletions: 1_000_000},
		Rotate: config.Rotate{PreserveMin: "2d", Preserve: "14d"},
	}
	for side, s := range map[merge.Side]*config.Store{online: &w.mb.Online, home: &w.mb.Offline} {
		*s = config.Store{Path: w.path(side), Snapshots: filepath.Join(p.dir, "snapshots", side.String(), user), Layout: p.layout[side]}
		must(t, os.MkdirAll(s.Snapshots, 0o700))
		if p.ctl {
			s.Control, s.Layout.Control = filepath.Join(p.dir, "control", side.String(), user), true
		}
		if out, err := exec.Command("btrfs", "subvolume", "create", s.Path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		must(t, os.Chmod(s.Path, 0o700))
		must(t, os.Chown(s.Path, dovecottest.UID, dovecottest.UID))
		w.login(side).Do("SELECT INBOX") // Dovecot makes its directories
	}
	return w
}

func (w *world) path(side merge.Side) string { return filepath.Join(w.dir, side.String(), w.user) }

func (w *world) login(side merge.Side) *dovecottest.Client {
	w.t.Helper()
	return w.server[side].LoginAs(w.t, w.user)
}

// sync runs a sync. It must work.
func (w *world) sync() *state.Record {
	w.t.Helper()
	rec, err := w.trySync()
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func (w *world) trySync() (*state.Record, error) {
	res, err := engine.Sync(context.Background(), w.mb, filepath.Join(w.dir, "state", w.user), engine.Options{})
	if err != nil {
		return nil, err
	}
	if len(res.Notes) > 0 {
		return nil, fmt.Errorf("notes: %q", res.Notes)
	}
	return res.Record, nil
}

// message is a mail whose subject is its name.
func message(subject string) string {
	return fmt.Sprintf("From: a@example.org\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\n\r\nThis is %s.\r\n", subject, subject, subject) +
		strings.Repeat(subject+" and more of it.\r\n", len(subject)*len(subject)%50)
}

func actions(rec *state.Record) string {
	var b strings.Builder
	for _, a := range rec.Report.Actions {
		fmt.Fprintf(&b, "  %s: %s %q from %q to %q, rule %s: %s %s\n", a.Side, a.Op, a.Message, a.From, a.To, a.Rule, a.Effect, a.Why)
	}
	for _, h := range rec.Pending.Held {
		fmt.Fprintf(&b, "  held: %s %q %s\n", h.Kind, h.Message, h.Note)
	}
	return b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
