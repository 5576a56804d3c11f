package config

import (
	"maps"
	"regexp"
	"slices"
	"time"

	"snapmerge/merge"
)

// mailboxName keeps a name usable as a file name and as an argument.
var mailboxName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

// parse reads a whole file; stores as for load and LoadPolicies.
func parse(file string, data []byte, stores bool) (*Config, error) {
	return parseFor(file, data, stores, (*document).checkStores)
}

// parseFor is parse with another check of the stores.
func parseFor(file string, data []byte, stores bool, check func(*document, []Mailbox)) (*Config, error) {
	d, err := newDocument(file, data)
	if err != nil {
		return nil, err
	}
	c := &Config{StateDir: "/var/lib/snapmerge"}
	top := d.table()
	if stores {
		read(top, "state_dir", &c.StateDir, text(absolutePath))
	} else {
		top.take("state_dir")
	}
	base := builtin()
	readMailbox(top.sub("defaults"), &base, stores)
	mailboxes := top.sub("mailbox")
	top.end()

	for _, name := range slices.Sorted(maps.Keys(mailboxes.keys)) {
		m := base
		m.Name, m.Folders = name, nil
		if !mailboxName.MatchString(name) {
			mailboxes.fail(name, "wants a name of letters, digits, \".\", \"_\" and \"-\", not beginning with \".\" or \"-\"")
		}
		readMailbox(mailboxes.sub(name), &m, stores)
		m.Folders = append(m.Folders, base.Folders...)
		m.Online.fillRemote()
		c.Mailboxes = append(c.Mailboxes, m)
	}
	if len(c.Mailboxes) == 0 {
		d.fail("mailbox", "there is none, wants a section [mailbox.NAME.offline] and [mailbox.NAME.online]")
	}
	if stores {
		check(d, c.Mailboxes)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

var archiveKeys = [2]string{merge.Online: "archive_online", merge.Offline: "archive_offline"}

// builtin is a mailbox that configures nothing.
func builtin() Mailbox {
	p := merge.DefaultPolicy()
	return Mailbox{
		Merge: Merge{Prefer: p.Prefer, DeletedOnline: p.DeletedOnline,
			DeletedOffline: p.DeletedOffline, MaxDeletions: p.MaxDeletions},
		Rotate: Rotate{PreserveMin: "2d", Preserve: "14d 8w 12m *y"},
		Limits: Limits{Receive: 20 << 30, Message: 200 << 20, Messages: 1000000},
		Hooks:  Hooks{Timeout: 10 * time.Minute},
	}
}

// readMailbox reads [defaults] or one [mailbox.NAME] over what m holds already.
func readMailbox(t *table, m *Mailbox, stores bool) {
	offline, online := t.sub("offline"), t.sub("online")
	readMerge(t.sub("merge"), &m.Merge)
	rotate := t.sub("rotate")
	for _, folder := range t.list("folder") {
		m.Folders = append(m.Folders, readRule(folder))
	}
	if stores {
		readStore(offline, &m.Offline)
		readRemote(online, &m.Online)
		readStore(online, &m.Online)
		readRotate(rotate, &m.Rotate)
		readLimits(t.sub("limits"), &m.Limits)
		readHooks(t.sub("hooks"), &m.Hooks)
	} else {
		m.Rotate, m.Limits, m.Hooks = Rotate{}, Limits{}, Hooks{}
		delete(t.keys, "limits")
		delete(t.keys, "hooks")
	}
	t.end()
}

func readStore(t *table, s *Store) {
	read(t, "path", &s.Path, text(absolutePath))
	read(t, "snapshots", &s.Snapshots, text(absolutePath))
	read(t, "layout", &s.Layout.FS, text(layoutFS))
	read(t, "encoding", &s.Layout.UTF8, text(encodingUTF8))
	read(t, "control", &s.Control, text(absolutePath))
	s.Layout.Control = s.Control != ""
	t.end()
}

func readMerge(t *table, m *Merge) {
	read(t, "prefer", &m.Prefer, text(merge.ParsePrefer))
	read(t, "deleted_online", &m.DeletedOnline, text(merge.ParseDeletion))
	read(t, "deleted_offline", &m.DeletedOffline, text(merge.ParseDeletion))
	read(t, "max_deletions", &m.MaxDeletions, count)
	read(t, "max_expire", &m.MaxExpire, maxExpire)
	read(t, "timezone", &m.Timezone, text(timezone))
	read(t, "include_new", &m.IncludeNew, includeNew)
	t.end()
}

func readRotate(t *table, r *Rotate) {
	read(t, "preserve_min", &r.PreserveMin, text(preserveMin))
	read(t, "preserve", &r.Preserve, text(preserve))
	t.end()
}

func readRule(t *table) merge.Rule {
	var r merge.Rule
	if _, ok := t.keys["match"]; !ok {
		t.doc.fail(t.path, "match is missing, the pattern of the folders that this is about")
	}
	read(t, "match", &r.Match, text(pattern))
	read(t, "skip", &r.Skip, boolean)
	read(t, "deleted_online", &r.DeletedOnline, optional(text(merge.ParseDeletion)))
	read(t, "deleted_offline", &r.DeletedOffline, optional(text(merge.ParseDeletion)))
	read(t, "keep", &r.Keep, optional(text(merge.ParseKeep)))
	read(t, "keep_flagged", &r.KeepFlagged, optional(boolean))
	read(t, "keep_from", &r.KeepFrom, senders)
	for side, key := range archiveKeys {
		if _, ok := t.keys[key]; ok && r.Skip {
			t.fail(key, "the folders are skipped: nothing is filed in them")
		}
		read(t, key, &r.Archive[side], text(merge.ParsePattern))
	}
	t.end()
	return r
}
