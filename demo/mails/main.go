// Mails fills a Maildir++ store with mail that looks like a person's.
//
//	mails [-seed N] [-n COUNT] [-uid UID] [-new FOLDER] DIR
//	mails -subject FILE
//
// Without -new it makes the mail of two years in five folders, all of it seen by
// a client (cur/). With -new it delivers COUNT mails of this minute into new/ of
// that folder, and prints the path of each. -subject prints a mail's subject, decoded.
package main

import (
	"flag"
	"fmt"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"time"

	"snapmerge/internal/mailgen"
	"snapmerge/tree"
)

func main() {
	seed := flag.Uint64("seed", 1, "one seed makes the same mail at the same `N`")
	n := flag.Int("n", 300, "how many mails")
	uid := flag.Int("uid", 0, "user and group that the files belong to")
	folder := flag.String("new", "", "deliver into new/ of this `FOLDER`")
	file := flag.String("subject", "", "print the subject of this `FILE`")
	flag.Parse()
	if *file != "" && flag.NArg() == 0 {
		if err := subject(*file); err != nil {
			fmt.Fprintln(os.Stderr, "mails:", err)
			os.Exit(1)
		}
		return
	}
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *seed, *n, *uid, *folder); err != nil {
		fmt.Fprintln(os.Stderr, "mails:", err)
		os.Exit(1)
	}
}

func run(root string, seed uint64, n, uid int, folder string) error {
	if err := os.Chown(root, uid, uid); err != nil {
		return err
	}
	g := mailgen.New(seed)
	now := time.Now().Truncate(time.Microsecond)
	if folder == "" {
		return mailgen.Write(root, g.Mailbox(n, now), uid, uid)
	}
	dir, err := (tree.Layout{}).Dir(folder)
	if err != nil {
		return err
	}
	var mails []mailgen.Mail
	for i := range n {
		m := g.Mail(folder, now.Add(time.Duration(i-n)*time.Second))
		mails = append(mails, m)
		fmt.Println(filepath.Join(root, dir, "new", m.Name.Unique))
	}
	return mailgen.Write(root, mails, uid, uid)
}

func subject(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := mail.ReadMessage(f)
	if err != nil {
		return err
	}
	s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	fmt.Println(s)
	return err
}
