package enginetest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"snapmerge/merge"
)

// An op is one thing that a client or a sender does. The numbers choose among
// what there is at that moment, so an op still means something when others are
// left out before it.
type op struct {
	Kind string
	Side merge.Side
	A, B int
}

// opKinds are drawn as often as they are listed.
var opKinds = strings.Fields(`
	deliver deliver deliver deliver-cur pick-up pick-up
	flag flag flag flag keyword keyword letter mark
	move move move move-new-name copy copy expunge expunge expunge-many
	make-folder rename-folder remove-folder save-home drag-home return`)

// A client works on one side; sh is what it sees there.
type client struct {
	*world
	side    merge.Side
	sh      shelf
	shelves [2]shelf
	view    map[int][2]places
	a, b    int
}

// do carries out an op, or nothing where there is nothing to do it to or where
// the table does not say what would become of it.
func (w *world) do(o op) {
	w.t.Helper()
	c := &client{world: w, side: o.Side, a: o.A, b: o.B}
	c.view, c.shelves = w.view()
	c.sh = c.shelves[o.Side]
	var said string
	switch o.Kind {
	case "deliver", "deliver-cur":
		said = c.deliver(o.Kind == "deliver")
	case "pick-up":
		said = c.pickUp()
	case "flag", "keyword", "letter", "mark":
		said = c.setFlag(o.Kind)
	case "move", "move-new-name":
		said = c.move(o.Kind == "move-new-name")
	case "copy":
		said = c.copy()
	case "expunge":
		said = c.expunge()
	case "expunge-many":
		for range 4 {
			said += c.expunge()
			c.view, c.shelves = w.view()
			c.sh = c.shelves[o.Side]
			c.a += 3
		}
	case "make-folder":
		said = c.makeOne()
	case "rename-folder":
		said = c.renameFolder()
	case "remove-folder":
		said = c.removeFolder()
	case "save-home":
		said = c.saveHome()
	case "drag-home":
		said = c.dragHome()
	case "return":
		said = c.giveBack()
	}
	if said != "" {
		w.log("  %s: %s", o.Side, said)
	}
}

// file chooses a mail file of the client's side.
func (c *client) file(ok func(file) bool) (file, bool) {
	var fs []file
	for _, f := range c.sh.files {
		if ok(f) {
			fs = append(fs, f)
		}
	}
	slices.SortFunc(fs, func(x, y file) int {
		if x.mail != y.mail {
			return x.mail - y.mail
		}
		return strings.Compare(x.folder, y.folder)
	})
	if len(fs) == 0 {
		return file{}, false
	}
	return fs[c.a%len(fs)], true
}

func anyFile(file) bool { return true }

func (c *client) folder() string { ns := c.sh.names(); return ns[c.b%len(ns)] }

// allowed tells whether the merge's answer is known if the client's side has
// the mail in these places.
func (c *client) allowed(mail int, change func(places)) bool {
	ps := c.view[mail]
	ps[c.side] = maps.Clone(ps[c.side])
	if ps[c.side] == nil {
		ps[c.side] = places{}
	}
	change(ps[c.side])
	return c.predictable(mail, ps, c.view)
}

// deliver: new mail comes online, in new/ or, filed with a flag, in cur/.
func (c *client) deliver(unread bool) string {
	c.side = online
	c.sh = c.shelves[online]
	folder, age := "INBOX", c.rng.IntN(200)/(1+c.rng.IntN(20))
	if c.b%3 == 0 {
		folder = c.folder()
	}
	if keep := c.oracle.folders["old"].keepDays; c.b%4 == 1 && keep > 0 && slices.Contains(c.sh.names(), "old") {
		folder, age = "old", keep-c.rng.IntN(15) // its time is nearly over
	}
	if _, there := c.sh.folders[lists]; there && c.b%4 == 2 && c.oracle.filing() {
		folder, age = lists, c.rng.IntN(500)
	}
	id := c.newMail(time.Duration(age) * 24 * time.Hour)
	name, sub := c.unique(id), "new"
	if !unread {
		name, sub = name+c.info(online, folder, c.attrs()), "cur"
	}
	c.write(online, id, folder, sub, name, c.mails[id].received)
	return fmt.Sprintf("mail %d arrives in %s/%s", id, folder, sub)
}

func (c *client) attrs() attrs {
	return attrs(1) << ([]int{'S' - 'A', 'S' - 'A', 'F' - 'A', 'R' - 'A', firstWord, firstWord + 1}[c.rng.IntN(6)])
}

// pickUp: a client opens a folder.
func (c *client) pickUp() string {
	folder, n := c.folder(), 0
	if c.b%2 == 0 {
		folder = "INBOX"
	}
	for _, f := range c.sh.files {
		if f.folder != folder || !f.fresh {
			continue
		}
		g := f
		g.fresh, g.name = false, f.unique()+":2,"+strings.TrimPrefix(f.name[len(f.unique()):], ":2,")
		c.must(os.Rename(c.path(c.side, f), c.path(c.side, g)))
		n++
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("opens %s with %d unread", folder, n)
}

// setFlag sets or clears a letter or a keyword.
func (c *client) setFlag(kind string) string {
	f, ok := c.file(func(f file) bool { return !f.fresh })
	if !ok {
		return ""
	}
	var bit attrs
	switch kind {
	case "flag":
		bit = 1 << ("SSFRD"[c.b%5] - 'A')
	case "letter":
		bit = 1 << ("PX"[c.b%2] - 'A') // Dovecot keeps what it does not know
	case "mark":
		bit = deleted
	case "keyword":
		bit = 1 << (firstWord + c.b%len(keywordNames))
	}
	to := f.attrs ^ bit
	if !c.allowed(f.mail, func(ps places) { p := ps[f.folder]; p.attrs = to; ps[f.folder] = p }) {
		return ""
	}
	g := f
	g.name = f.unique() + c.info(c.side, f.folder, to)
	c.must(os.Rename(c.path(c.side, f), c.path(c.side, g)))
	return fmt.Sprintf("mail %d in %s: %q becomes %q", f.mail, f.folder, f.attrs, to)
}

// target is the file that a client's MOVE or COPY makes: unflagged mail lands
// in new/ (maildir-save.c:maildir_get_dest_filename).
func (c *client) target(f file, folder, unique string) file {
	g := file{folder: folder, name: unique, fresh: f.attrs == 0}
	if !g.fresh {
		g.name += c.info(c.side, folder, f.attrs)
	}
	return g
}

func (c *client) move(newName bool) string {
	f, ok := c.file(anyFile)
	to := c.folder()
	if !ok || c.has(f.mail, to) || c.oracle.family(f.folder) != c.oracle.family(to) && c.inFamily(f.mail, to) {
		return ""
	}
	if !c.allowed(f.mail, func(ps places) { ps[to] = ps[f.folder]; delete(ps, f.folder) }) {
		return ""
	}
	unique := f.unique()
	// A mail that has just come back is known by its name only.
	if newName && (len(c.oracle.of(f.mail).base[c.side]) > 0 || len(c.view[f.mail][c.side.Other()]) == 0) {
		unique = c.unique(f.mail)
	}
	// Which side moved last must not depend on the kernel's coarse clock.
	time.Sleep(11 * time.Millisecond)
	g := c.target(f, to, unique)
	c.must(os.Rename(c.path(c.side, f), c.path(c.side, g)))
	return fmt.Sprintf("mail %d moves from %s to %s/%s as %s", f.mail, f.folder, to, g.sub(), g.name)
}

func (c *client) has(mail int, folder string) bool {
	_, ok := c.view[mail][c.side][folder]
	return ok
}

func (c *client) copy() string {
	f, ok := c.file(anyFile)
	to := c.folder()
	if !ok || c.inFamily(f.mail, to) || !c.allowed(f.mail, func(ps places) { ps[to] = ps[f.folder] }) {
		return ""
	}
	g := c.target(f, to, f.unique())
	c.must(os.Link(c.path(c.side, f), c.path(c.side, g)))
	return fmt.Sprintf("mail %d is copied from %s to %s/%s", f.mail, f.folder, to, g.sub())
}

func (c *client) expunge() string {
	f, ok := c.file(func(f file) bool { return !f.fresh })
	if !ok || !c.allowed(f.mail, func(ps places) { delete(ps, f.folder) }) {
		return ""
	}
	c.must(os.Remove(c.path(c.side, f)))
	return fmt.Sprintf("mail %d goes from %s; ", f.mail, f.folder)
}

// saveHome: a client saves a mail at home, or a sender's copy is kept there.
func (c *client) saveHome() string {
	c.sh = c.shelves[offline]
	folder := c.folder()
	id := c.newMail(time.Duration(c.rng.IntN(300)) * 24 * time.Hour)
	c.write(offline, id, folder, "cur", c.unique(id)+c.info(offline, folder, c.attrs()), c.mails[id].received)
	return fmt.Sprintf("mail %d is saved at home in %s", id, folder)
}

// dragHome: a client moves a mail from online home, with APPEND and EXPUNGE.
// The new file has the same bytes, another name, and an mtime in whole seconds.
func (c *client) dragHome() string {
	c.side, c.sh = online, c.shelves[online]
	f, ok := c.file(func(f file) bool {
		m := c.mails[f.mail]
		return !f.fresh && !m.dragged && m.dragOf < 0 && !c.oracle.folders[f.folder].skip && c.oracle.of(f.mail).held == ""
	})
	c.sh = c.shelves[offline]
	to := c.folder()
	// Before the first sync two equal mails in one folder are one.
	if !ok || c.oracle.folders[to].skip || len(c.oracle.agreed) == 0 {
		return ""
	}
	old := c.mails[f.mail]
	id := len(c.mails)
	c.mails = append(c.mails, &mail{body: old.body, dragOf: f.mail, dragged: true, received: old.received})
	after := maps.Clone(c.view)
	after[id] = [2]places{{}, {to: {attrs: f.attrs}}}
	on := maps.Clone(c.view[f.mail][online])
	delete(on, f.folder)
	if !c.predictable(f.mail, [2]places{on, c.view[f.mail][offline]}, after) {
		c.mails = c.mails[:id]
		return ""
	}
	old.dragged = true
	second := old.received - old.received%1e9
	c.write(offline, id, to, "cur", c.unique(id)+c.info(offline, to, f.attrs), second)
	c.must(os.Remove(c.path(online, f)))
	return fmt.Sprintf("mail %d is moved home from %s to %s, as mail %d", f.mail, f.folder, to, id)
}

// giveBack: an archived mail comes back online under its name.
func (c *client) giveBack() string {
	c.side, c.sh = offline, c.shelves[offline]
	f, ok := c.file(func(f file) bool {
		return !c.oracle.folders[f.folder].skip && len(c.view[f.mail][online]) == 0 &&
			len(c.oracle.of(f.mail).base[online]) == 0 && c.mails[f.mail].dragOf < 0 && !c.mails[f.mail].dragged
	})
	c.side, c.sh = online, c.shelves[online]
	to := c.folder()
	if ok && c.b%2 == 0 {
		to = f.folder
	}
	if _, there := c.sh.folders[to]; !ok || !there || c.oracle.folders[to].skip {
		return ""
	}
	p := place{attrs: c.attrs(), received: c.mails[f.mail].received}
	if !c.allowed(f.mail, func(ps places) { ps[to] = p }) {
		return ""
	}
	time.Sleep(11 * time.Millisecond)
	c.write(online, f.mail, to, "cur", f.unique()+c.info(online, to, p.attrs), p.received)
	return fmt.Sprintf("mail %d returns to %s as %q", f.mail, to, p.attrs)
}
