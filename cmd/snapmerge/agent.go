package main

import (
	"context"
	"fmt"
	"os/signal"
	"path"
	"syscall"

	"github.com/spf13/pflag"

	"snapmerge/internal/config"
	"snapmerge/internal/host"
	"snapmerge/internal/remote"
	"snapmerge/tree"
)

const agentUsage = `Usage:
    snapmerge agent --mailbox NAME --path DIR --snapshots DIR [--layout LAYOUT] [--encoding ENCODING] [--control DIR]
    snapmerge agent [--mailbox NAME] [-c FILE]

The far end of a sync: snapmerge at home starts it over ssh, where the online
store is on another machine, and talks to it over standard input and output. It
is not for use by hand. It takes, sends and deletes snapshots of the store, makes
and removes folders, and copies, moves, flags and removes mail. It does nothing
else, and runs no other program. It must run as root.

    --mailbox NAME       the mailbox that is served
    --path DIR           its Maildir, a btrfs subvolume
    --snapshots DIR      the directory of its snapshots, on the same file system
    --layout LAYOUT      maildir++ (the default) or fs
    --encoding ENCODING  of folder names: mutf-7 (the default) or utf-8
    --control DIR        Dovecot's control files of this user, where they are not in
                         the Maildir (CONTROL= of the mail location)
    -c, --config FILE    without --path: the configuration to take all of these from
                         (default /etc/snapmerge/snapmerge.toml); every mailbox
                         in it with [mailbox.NAME.online] is served, or the named one

What ssh was told to run (SSH_ORIGINAL_COMMAND) is not looked at, so home's key
can be restricted to this one command. In /root/.ssh/authorized_keys here:

    restrict,command="snapmerge agent --mailbox chris --path /srv/mail/chris --snapshots /srv/mail/.snapmerge/chris" ssh-ed25519 AAAA... root@home

EXIT STATUS
    0    home has closed the connection
    1    the connection broke, or home asked for something that no snapmerge asks for
    2    wrong usage or configuration, nothing was touched
    3    another agent holds the lock
    130  interrupted
`

// agentFlags are the options that say what is served.
type agentFlags struct {
	mailbox, path, snapshots, layout, encoding, control string
}

func setupAgent(fs *pflag.FlagSet) runner {
	var f agentFlags
	fs.StringVar(&f.mailbox, "mailbox", "", "")
	fs.StringVar(&f.path, "path", "", "")
	fs.StringVar(&f.snapshots, "snapshots", "", "")
	fs.StringVar(&f.layout, "layout", "", "")
	fs.StringVar(&f.encoding, "encoding", "", "")
	fs.StringVar(&f.control, "control", "", "")
	return func(ctx context.Context, a *app, args []string) error {
		if len(args) > 0 {
			return usageError(fmt.Sprintf("agent: %q: it takes no arguments", args[0]), `see "snapmerge agent --help"`)
		}
		stores, err := f.stores(a)
		if err != nil {
			return err
		}
		if isTerminal(a.in) || isTerminal(a.out) {
			return usageError("agent: standard input and output are a terminal, and not a connection from snapmerge",
				`"snapmerge sync" at home starts the agent over ssh; see "snapmerge agent --help"`)
		}
		return a.serve(ctx, stores)
	}
}

// serve runs the agent on standard input and output.
func (a *app) serve(ctx context.Context, stores map[string]host.Store) error {
	// A write to a connection that is gone shall be an error, not the end: folders
	// may be locked. sshd can also send SIGHUP.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	return remote.Serve(ctx, remote.AgentConfig{Version: version(), Stores: stores}, a.in, a.out)
}

// stores returns what the options or the configuration say.
func (f agentFlags) stores(a *app) (map[string]host.Store, error) {
	if f.path == "" && f.snapshots == "" && f.layout == "" && f.encoding == "" && f.control == "" {
		return f.configured(a)
	}
	wrong := func(text string) (map[string]host.Store, error) {
		return nil, usageError("agent: "+text, `see "snapmerge agent --help"`)
	}
	if a.config != "" {
		return wrong("--config and --path do not go together")
	}
	if f.mailbox == "" || f.path == "" || f.snapshots == "" {
		return wrong("--mailbox, --path and --snapshots are needed, all three")
	}
	s := host.Store{Path: f.path, Snapshots: f.snapshots, Control: f.control}
	for _, p := range []string{s.Path, s.Snapshots, s.Control} {
		if p == "" {
			continue
		}
		if !path.IsAbs(p) || path.Clean(p) != p {
			return wrong(fmt.Sprintf(`%q is no absolute path without "." and "..", doubled or trailing "/"`, p))
		}
	}
	if f.layout != "" {
		l, err := tree.ParseLayout(f.layout)
		if err != nil {
			return wrong(err.Error())
		}
		s.Layout = l
	}
	s.Layout.Control = s.Control != ""
	switch f.encoding {
	case "", "mutf-7":
	case "utf-8":
		s.Layout.UTF8 = true
	default:
		return wrong(fmt.Sprintf("--encoding %q is none of mutf-7, utf-8", f.encoding))
	}
	return map[string]host.Store{f.mailbox: s}, nil
}

// configured returns the stores of the configuration of this machine.
func (f agentFlags) configured(a *app) (map[string]host.Store, error) {
	cfg, err := config.LoadAgent(a.configFile())
	if err != nil {
		return nil, configError(err)
	}
	stores := map[string]host.Store{}
	for _, mb := range cfg.Mailboxes {
		if f.mailbox == "" || f.mailbox == mb.Name {
			stores[mb.Name] = host.Store{Path: mb.Online.Path, Snapshots: mb.Online.Snapshots, Layout: mb.Online.Layout, Control: mb.Online.Control}
		}
	}
	if len(stores) == 0 {
		what := "no mailbox"
		if f.mailbox != "" {
			what = fmt.Sprintf("no mailbox %q", f.mailbox)
		}
		return nil, usageError(fmt.Sprintf("agent: %s has %s with an online store on this machine", a.configFile(), what), "")
	}
	return stores, nil
}
