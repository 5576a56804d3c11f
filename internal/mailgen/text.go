package mailgen

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"time"
)

type person struct{ name, address string }

var me = person{"Chris Example", "chris@example.net"}

var people = []person{
	{"Jana Nováková", "jana@example.cz"},
	{"Piotr Żak", "piotr.zak@example.org"},
	{"Anke Müller-Lüdenscheidt", "anke@example.de"},
	{"David S.", "dsx@example.com"},
	{"Tomoko Arai", "tomoko@example.jp"},
	{"Qu W.", "quw@kernel.example"},
	{"Grandma", "ilse.example@example.de"},
	{"Building Management", "no-reply@haus.example"},
	{"Ирина Соколова", "irina@example.ru"},
}

var subjects = map[string][]string{
	"INBOX": {"Dinner on Friday?", "Your invoice for October", "Photos from the lake", "Grüße aus Köln",
		"Re-reading that book", "Train tickets to Brno", "привет из Казани", "Umzug: wer hilft am Samstag?"},
	"work": {"Quarterly report, second draft", "Meeting notes", "Rack 4 is too warm", "Angebot für die Außenstelle",
		"Contract renewal", "Backup restore test: results", "On call next week"},
	"lists/linux-btrfs": {"btrfs: fix inline extent length on send", "space_cache=v2 and old kernels",
		"qgroup counters wrong after snapshot delete", "btrfs: tests for renameat2 on subvolume roots",
		"Unmountable after power loss", "btrfs: avoid a leaf search on clone"},
	"Sent":  {"Directions to our place", "Kündigung zum Jahresende", "Thanks!", "Slides for Monday"},
	"Äpfel": {"Boskoop oder Gravensteiner?", "Ernte am Wochenende", "Süßmost 🍎 bestellen", "Obstbaumschnitt"},
}

var sentences = []string{
	"I had a look at it this morning and it is not as bad as it seemed.",
	"The numbers in the second table do not add up, could you check them again?",
	"We should be there around seven, traffic permitting.",
	"Das passt mir gut, ich bringe die Körbe mit.",
	"With this applied the test box has been running for three days.",
	"Please keep me in Cc, I am not subscribed.",
	"Ich bin bis Mittwoch unterwegs und lese nur abends.",
	"The log says nothing between 03:12 and 03:40, which is odd in itself.",
	"Let us talk about it next week; there is no hurry at all.",
	"Nobody remembers why the limit is 4096, but removing it broke two scripts.",
	"Можно перенести на вторник?",
	"As far as I can tell the kernel does what the manual page promises.",
}

func (g *Generator) subject(folder string, patch bool) string {
	list := subjects[folder]
	if list == nil {
		list = subjects["INBOX"]
	}
	s := pick(g, list)
	if patch {
		return fmt.Sprintf("[PATCH v%d %d/%d] %s", 1+g.rand.IntN(4), 1+g.rand.IntN(3), 3, s)
	}
	return s
}

// message writes the next mail of a thread.
func (g *Generator) message(folder string, th *thread, received time.Time) []byte {
	from, to := pick(g, th.people), me
	if folder == "Sent" {
		from, to = me, from
	}
	listed := strings.HasPrefix(folder, "lists/")
	if listed {
		to = person{"", "linux-btrfs@lists.example"}
	}
	id := fmt.Sprintf("<%d.%08x@%s>", received.Unix(), g.rand.Uint32(), from.address[strings.IndexByte(from.address, '@')+1:])
	sent := received.Add(-time.Duration(1+g.rand.IntN(90)) * time.Second)

	var b bytes.Buffer
	h := func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, fold(value)) }
	h("Return-Path", "<"+from.address+">")
	h("Received", fmt.Sprintf("from relay.example by mx with ESMTPS id %08X; %s", g.rand.Uint32(), received.Format(time.RFC1123Z)))
	h("From", from.String())
	h("To", to.String())
	subject := th.subject
	if len(th.ids) > 0 {
		subject = "Re: " + subject
	}
	h("Subject", mime.QEncoding.Encode("utf-8", subject))
	h("Date", sent.Format(time.RFC1123Z))
	h("Message-ID", id)
	if n := len(th.ids); n > 0 {
		h("In-Reply-To", th.ids[n-1])
		h("References", strings.Join(th.ids[max(0, n-10):], " "))
	}
	if listed {
		h("List-Id", "<linux-btrfs.lists.example>")
	}
	h("MIME-Version", "1.0")
	g.content(&b, folder, th, from)
	th.ids = append(th.ids, id)
	return b.Bytes()
}

func (p person) String() string {
	if p.name == "" {
		return p.address
	}
	return (&mail.Address{Name: p.name, Address: p.address}).String()
}

// fold breaks a header between words, as RFC 5322 section 2.2.3 wants of long ones.
func fold(value string) string {
	line, out := 0, ""
	for i, w := range strings.Split(value, " ") {
		if i > 0 {
			if line+len(w) > 66 {
				out, line = out+"\n", 0
			}
			out += " "
		}
		out += w
		line += len(w) + 1
	}
	return out
}

func (g *Generator) content(b *bytes.Buffer, folder string, th *thread, from person) {
	text := g.text(th, from)
	const plain = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
	if folder != "work" && folder != "Sent" || !g.chance(30) {
		b.WriteString(plain + "\n" + text)
		return
	}
	boundary := fmt.Sprintf("=_%016x", g.rand.Uint64())
	fmt.Fprintf(b, "Content-Type: multipart/mixed;\n boundary=%q\n\n--%[1]s\n%s\n%s\n", boundary, plain, text)
	fmt.Fprintf(b, "--%s\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=report.bin\n\n", boundary)
	data := make([]byte, 2000+g.rand.IntN(15000))
	for i := range data {
		data[i] = byte(g.rand.Uint32())
	}
	for enc := base64.StdEncoding.EncodeToString(data); enc != ""; {
		n := min(76, len(enc))
		b.WriteString(enc[:n] + "\n")
		enc = enc[n:]
	}
	fmt.Fprintf(b, "--%s--\n", boundary)
}

// text is what a person writes: a quotation, paragraphs, a patch, a name.
func (g *Generator) text(th *thread, from person) string {
	var b strings.Builder
	if th.quote != "" {
		fmt.Fprintf(&b, "> %s\n\n", th.quote)
	}
	for range 2 + g.rand.IntN(6) {
		for range 2 + g.rand.IntN(5) {
			th.quote = pick(g, sentences)
			b.WriteString(th.quote + "\n")
		}
		b.WriteString("\n")
	}
	if th.patch && len(th.ids) == 0 {
		g.patch(&b)
	}
	name, _, _ := strings.Cut(from.name, " ")
	b.WriteString("-- \n" + name + "\n")
	return b.String()
}

func (g *Generator) patch(b *strings.Builder) {
	b.WriteString("---\n")
	for range 1 + g.rand.IntN(6) {
		file := pick(g, []string{"inode.c", "send.c", "ioctl.c", "qgroup.c", "tree-log.c"})
		fmt.Fprintf(b, "diff --git a/fs/btrfs/%[1]s b/fs/btrfs/%[1]s\n--- a/fs/btrfs/%[1]s\n+++ b/fs/btrfs/%[1]s\n", file)
		for range 1 + g.rand.IntN(8) {
			fmt.Fprintf(b, "@@ -%[1]d,7 +%[1]d,9 @@\n", 100+g.rand.IntN(7000))
			for range 4 + g.rand.IntN(14) {
				fmt.Fprintf(b, "%s\tret = btrfs_search_slot(NULL, root, &key, path, %d, %d);\n",
					pick(g, []string{" ", " ", "+", "-"}), g.rand.IntN(2), g.rand.IntN(2))
			}
		}
	}
	b.WriteString("\n")
}
