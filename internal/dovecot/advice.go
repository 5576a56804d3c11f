package dovecot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"snapmerge/tree"
)

// A Store is what snapmerge's configuration says of a store that this machine's
// Dovecot serves.
type Store struct {
	Layout  tree.Layout
	Control string
	// Both: the stores of both sides are on this machine.
	Both bool
}

// Advice returns a sentence for each setting that gets in the way, with the line
// to set.
func (s Settings) Advice(st Store) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if s["maildir_copy_with_hardlinks"] == "no" {
		add(`mail that is moved becomes another file, and is compared byte by byte: set "maildir_copy_with_hardlinks = yes"`)
	}
	for _, plugin := range []string{"zlib", "mail_compress", "mail_crypt"} {
		if s.loads(plugin) {
			add(`the plugin %s gives mail a new name with every COPY and MOVE: take it out of "mail_plugins", btrfs can compress (mount -o compress)`, plugin)
		}
	}
	if folder := s["plugin/lazy_expunge"]; folder != "" && s["plugin/lazy_expunge_only_last_instance"] != "yes" {
		add(`lazy_expunge leaves a copy of each moved mail in %s, which travels: set "lazy_expunge_only_last_instance = yes" in "plugin { }"`, folder)
	}
	if s["maildir_very_dirty_syncs"] == "yes" {
		add(`Dovecot looks less often for changes that are not its own: set "maildir_very_dirty_syncs = no" if clients see a sync's late`)
	}
	return append(out, s.location(st)...)
}

// loads reports whether mail processes have a plugin, all or those of a protocol.
func (s Settings) loads(plugin string) bool {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if (name == "mail_plugins" || strings.HasSuffix(name, "/mail_plugins")) && slices.Contains(strings.Fields(s[name]), plugin) {
			return true
		}
	}
	return false
}

// location compares the mail location with the store. Where it is no Maildir, this
// Dovecot, or its user database, has another one for the store.
func (s Settings) location(st Store) (out []string) {
	rest, ok := strings.CutPrefix(s["mail_location"], "maildir:")
	if !ok {
		return nil
	}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	options := strings.Split(rest, ":")[1:]
	has := func(option string) (string, bool) {
		for _, o := range options {
			if v, ok := strings.CutPrefix(o, option); ok {
				return v, true
			}
		}
		return "", false
	}
	layout, _ := has("LAYOUT=")
	switch {
	case strings.EqualFold(layout, "index"):
		add(`LAYOUT=index has no directory for a folder: set "LAYOUT=fs" or none in "mail_location"`)
	case strings.EqualFold(layout, "fs") != st.Layout.FS:
		add("mail_location is %q, and layout here is %q: set the layout that Dovecot has", s["mail_location"], st.Layout)
	}
	if _, utf8 := has("UTF-8"); utf8 != st.Layout.UTF8 {
		add(`folder names are UTF-8 on disk: %v, and encoding here says otherwise: set encoding = "%s"`, utf8, map[bool]string{true: "utf-8", false: "mutf-7"}[utf8])
	}
	switch control, is := has("CONTROL="); {
	case is && st.Control == "":
		add("mail_location has CONTROL=%s: set control to that directory, or locks and keywords are looked for in the wrong place", control)
	case !is && st.Control != "":
		add("control is set, and mail_location has no CONTROL=: take control away")
	}
	if st.Both && !strings.Contains(s["import_environment"], "DOVECOT_HOSTNAME=") {
		add(`two Dovecots on one host give mail equal names: set "import_environment = $import_environment DOVECOT_HOSTNAME=home.example" in one of them`)
	}
	return out
}
