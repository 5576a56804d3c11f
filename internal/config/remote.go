package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Limits are what online may send in one sync: what exceeds them is refused.
type Limits struct {
	Receive  int64 // bytes of the send stream
	Message  int64 // bytes of one mail
	Messages int   // new mails
}

func readLimits(t *table, l *Limits) {
	read(t, "receive", &l.Receive, text(size))
	read(t, "message", &l.Message, text(size))
	read(t, "messages", &l.Messages, count)
	t.end()
}

// readRemote reads how an online store on another machine is reached.
func readRemote(t *table, s *Store) {
	read(t, "host", &s.Host, text(sshHost))
	for _, key := range []string{"ssh", "agent"} {
		if _, ok := t.keys[key]; ok && !t.hasHost(s) {
			t.fail(key, "is for an online store on another machine, and there is no host")
		}
	}
	read(t, "ssh", &s.SSH, text(sshCommand))
	read(t, "agent", &s.Agent, text(agentName))
}

// hasHost: the store is on another machine, or a host of it is given and wrong,
// which has been said. [defaults] has one for some mailbox, perhaps.
func (t *table) hasHost(s *Store) bool {
	_, own := t.doc.at[joinKey(t.path, "host")]
	_, all := t.doc.at["defaults.online.host"]
	return s.Host != "" || own || all || t.path == "defaults.online"
}

// fillRemote gives ssh and agent their defaults, or takes away what [defaults]
// says of them where the store is on this machine.
func (s *Store) fillRemote() {
	switch {
	case s.Host == "":
		s.SSH, s.Agent = "", ""
		return
	case s.SSH == "":
		s.SSH = "ssh"
	}
	if s.Agent == "" {
		s.Agent = "snapmerge"
	}
}

// sshHost refuses what ssh could take for an option, and what a shell that
// ssh_config starts (ProxyCommand with %h) could take for more than a name.
func sshHost(s string) (string, error) {
	if s == "" || s[0] == '-' || strings.ContainsFunc(s, notInHost) {
		return "", fmt.Errorf(`%q is no ssh destination, wants "host", "user@host" or a name from ssh_config`, s)
	}
	return s, nil
}

func notInHost(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("'\"`$\\;&<>|(){}*?!#,=^", r)
}

// sshCommand refuses what looks as if a shell were to read it: it would be
// passed on as it is.
func sshCommand(s string) (string, error) {
	if strings.TrimSpace(s) == "" || s != strings.TrimSpace(s) {
		return "", fmt.Errorf(`%q is no command, wants words with spaces between: "ssh -F /etc/snapmerge/ssh_config"`, s)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || strings.ContainsRune("'\"`$\\;&<>|", r) {
			return "", fmt.Errorf("%q has %q, but no shell reads it: put what needs it into a file for ssh -F", s, r)
		}
	}
	return s, nil
}

var program = regexp.MustCompile(`^[A-Za-z0-9_./+][A-Za-z0-9_./+-]*$`)

// agentName wants a program that the shell of the far end's sshd takes as it is.
func agentName(s string) (string, error) {
	if !program.MatchString(s) {
		return "", fmt.Errorf(`%q is no name of a program, wants letters, digits and "._/+-", not beginning with "-"`, s)
	}
	return s, nil
}

var sizes = regexp.MustCompile(`^([1-9][0-9]*) ([KMGT])iB$`)

// size reads "200 MiB".
func size(s string) (int64, error) {
	m := sizes.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf(`%q is no size, wants a whole number and KiB, MiB, GiB or TiB: "200 MiB"`, s)
	}
	shift := 10 * (1 + strings.Index("KMGT", m[2]))
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, errors.New(strconv.Quote(s) + " is too much, at most 8388607 TiB")
	}
	return n << shift, nil
}
