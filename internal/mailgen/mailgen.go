// Package mailgen makes mail that looks like a person's: threads with replies,
// patches, attachments, subjects in UTF-8, spread over folders and years. The
// demo and tests need stores that are more than three files of three bytes.
//
// Everything is drawn from a seed: one seed makes the same mails, byte for byte.
package mailgen

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"snapmerge/tree"
)

// Folders are the logical names of the folders that get mail.
var Folders = []string{tree.Inbox, "work", "lists/linux-btrfs", "Sent", "Äpfel"}

// A Mail is one message file, not yet written.
type Mail struct {
	Folder   string // logical name
	New      bool   // delivered and seen by no client yet: it belongs into new/
	Name     tree.Name
	Received time.Time // becomes the file's mtime, Maildir's INTERNALDATE
	Body     []byte    // header and text, lines end in LF
}

// A Generator draws mails.
type Generator struct {
	rand    *rand.Rand
	threads map[string][]*thread // by folder, the latest last
	count   int
}

// A thread is a conversation; its mails refer to the earlier ones.
type thread struct {
	subject string
	people  []person
	ids     []string
	quote   string // of the last mail, for the next to quote
	patch   bool
}

// New returns a generator.
func New(seed uint64) *Generator {
	return &Generator{rand: rand.New(rand.NewPCG(seed, 0x6d61696c)), threads: map[string][]*thread{}}
}

// Mailbox draws n mails that were received during the two years before until,
// the oldest first, all of them seen by a client: they belong into cur/.
func (g *Generator) Mailbox(n int, until time.Time) []Mail {
	span := 2 * 365 * 24 * time.Hour
	var times []time.Time
	for range n {
		// More of the recent ones, as mailboxes are.
		age := time.Duration(float64(span) * g.rand.Float64() * g.rand.Float64())
		times = append(times, until.Add(-age).Truncate(time.Microsecond))
	}
	slices.SortFunc(times, time.Time.Compare)
	var mails []Mail
	for _, t := range times {
		m := g.Mail(g.folder(), t)
		m.New = false
		m.Name.Flags = g.flags(m.Folder, until.Sub(t))
		mails = append(mails, m)
	}
	return mails
}

// Mail draws one mail to be delivered into new/ of the folder. It answers a
// recent one of the same folder or starts a thread.
func (g *Generator) Mail(folder string, received time.Time) Mail {
	g.count++
	th := g.thread(folder)
	body := g.message(folder, th, received)
	// <seconds>.M<microseconds>P<pid>.<host>,S=<size>,W=<size with CRLF>, as
	// maildir-filename.c:maildir_filename_generate has it.
	name := fmt.Sprintf("%d.M%dP%d.mx,S=%d,W=%d", received.Unix(), received.Nanosecond()/1000,
		1000+g.count, len(body), len(body)+bytes.Count(body, []byte("\n")))
	return Mail{Folder: folder, New: true, Name: tree.Name{Unique: name}, Received: received, Body: body}
}

func (g *Generator) folder() string {
	switch p := g.rand.IntN(100); {
	case p < 40:
		return Folders[0]
	case p < 58:
		return Folders[1]
	case p < 84:
		return Folders[2]
	case p < 95:
		return Folders[3]
	}
	return Folders[4]
}

// flags are what a person leaves behind: most is read, some answered, a little
// flagged; what was sent is read.
func (g *Generator) flags(folder string, age time.Duration) tree.Flags {
	var f tree.Flags
	if folder == "Sent" || age > 30*24*time.Hour || g.chance(70) {
		f |= tree.Seen
	}
	if f != 0 && g.chance(25) {
		f |= 1 << ('R' - 'A')
	}
	if g.chance(6) {
		f |= tree.Flagged
	}
	return f
}

func (g *Generator) chance(percent int) bool { return g.rand.IntN(100) < percent }

func pick[T any](g *Generator, list []T) T { return list[g.rand.IntN(len(list))] }

// thread continues one of the folder's last five threads, or starts one.
func (g *Generator) thread(folder string) *thread {
	list := g.threads[folder]
	recent := list[max(0, len(list)-5):]
	if len(recent) > 0 && g.chance(55) {
		return pick(g, recent)
	}
	th := &thread{people: []person{pick(g, people), pick(g, people)}}
	if folder == "lists/linux-btrfs" {
		th.patch = g.chance(40)
	}
	th.subject = g.subject(folder, th.patch)
	g.threads[folder] = append(list, th)
	return th
}

// Sort puts mails into the order of their folders and names: the order in which
// [Write] makes the files.
func Sort(mails []Mail) {
	slices.SortStableFunc(mails, func(a, b Mail) int {
		return cmp.Or(cmp.Compare(a.Folder, b.Folder), cmp.Compare(a.Name.Unique, b.Name.Unique))
	})
}
