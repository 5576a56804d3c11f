// Command snapmerge keeps two Dovecot Maildir stores of the same person in
// step: one at a provider, one at home. See the usage text of each command.
//
// Results go to standard output. Everything else goes to standard error, with
// a "snapmerge:" prefix, without capitals and full stops at the end. A hint
// says what can be done about the error before it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/spf13/pflag"

	"snapmerge/internal/mirror"
)

const usage = `Usage:
    snapmerge init       [MAILBOX...]        check and prepare what a sync needs
    snapmerge sync       [MAILBOX...] [-n]   bring both sides in step
    snapmerge status     [MAILBOX...]        how the mailboxes stand
    snapmerge conflicts  [list|show|resolve] what waits for a decision
    snapmerge review     [MAILBOX...]        decide it in the terminal, mail by mail
    snapmerge log        [N]                 past syncs, or one in full
    snapmerge rotate     [MAILBOX...] [-n]   thin out old snapshots
    snapmerge restore    MAILBOX --sync N    bring back what a sync deleted, or other mail
    snapmerge verify     [MAILBOX...]        look whether everything is as it should be
    snapmerge merge-tree ONLINE-BASE ONLINE OFFLINE-BASE OFFLINE
                                             the planner alone, on tables of text
    snapmerge agent                          the far end of a sync over ssh, not run by hand
    snapmerge help       [COMMAND]

Options of every command:
    -c, --config FILE   the configuration (default /etc/snapmerge/snapmerge.toml)
        --json          print one JSON document instead of text
    -q, --quiet         print nothing but what needs attention
    -v, --verbose       print every single action
        --color WHEN    auto, always or never; auto heeds NO_COLOR
    -h, --help          print the usage of the command
        --version       print the version

snapmerge keeps two Dovecot Maildir stores of the same person in step: online,
where mail arrives, and offline, at home, where all of it is kept. It freezes
both in btrfs snapshots, compares each with its snapshot of the last sync, and
merges the changes three-way, as git does.

EXIT STATUS
    0    done, also if something waits for a decision
    1    something was not done, the message says what
    2    wrong usage or configuration, nothing was touched
    3    another run holds the lock
    5    verify has found something
    75   online cannot be reached, nothing was touched
    130  interrupted, the next sync finishes the work

Example:
    $ sudo snapmerge init
    $ sudo snapmerge sync -n -v
    $ sudo snapmerge sync
`

// A command is one word after "snapmerge". setup adds its own options and
// returns what runs it with the arguments that are left.
type command struct {
	name  string
	usage string
	setup func(*pflag.FlagSet) runner
}

type runner func(ctx context.Context, a *app, args []string) error

var commands = []command{
	{"init", initUsage, setupInit},
	{"sync", syncUsage, setupSync},
	{"status", statusUsage, setupStatus},
	{"conflicts", conflictsUsage, setupConflicts},
	{"review", reviewUsage, setupReview},
	{"log", logUsage, setupLog},
	{"rotate", rotateUsage, setupRotate},
	{"restore", restoreUsage, setupRestore},
	{"verify", verifyUsage, setupVerify},
	{"merge-tree", mergeTreeUsage, setupMergeTree},
	{"agent", agentUsage, setupAgent},
}

func find(name string) *command {
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return &commands[i]
}

func main() {
	if mirror.IsChild() {
		mirror.Child()
	}
	// A first sync holds some kilobytes of every mail: on a small machine at home
	// memory is dearer than the tenth of its processor time that this costs.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range signals {
			if s == os.Interrupt && editing.Load() {
				continue
			}
			// A signal ends the work after the current operation, a second one at once.
			signal.Stop(signals)
			cancel()
		}
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// editing: an editor has the terminal, and Ctrl-C there is for it, as with git.
var editing atomic.Bool

// run is the whole program; it returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{in: in, out: out, errs: errs, said: map[string]bool{}}
	err := a.command(ctx, args)
	if err == nil {
		err = a.outErr
	}
	a.complain("", err)
	return exitStatus(err)
}

// command finds the command and runs it. Options may stand before it.
func (a *app) command(ctx context.Context, args []string) error {
	before := a.flagSet("snapmerge")
	before.SetInterspersed(false)
	if err := before.Parse(args); err != nil {
		return usageError(err.Error(), `see "snapmerge --help"`)
	}
	args = before.Args()
	switch {
	case a.version:
		a.print("snapmerge " + version() + "\n")
		return nil
	case len(args) == 0 && a.help:
		a.print(usage)
		return nil
	case len(args) == 0:
		fmt.Fprint(a.errs, usage)
		return silent(2)
	case args[0] == "help":
		return a.helpOn(args[1:])
	}
	c := find(args[0])
	if c == nil {
		return usageError(fmt.Sprintf("command %q: there is none of that name", args[0]), `see "snapmerge --help"`)
	}
	fs := a.flagSet(c.name)
	runCommand := c.setup(fs)
	if err := fs.Parse(args[1:]); err != nil {
		return usageError(c.name+": "+err.Error(), fmt.Sprintf("see \"snapmerge %s --help\"", c.name))
	}
	switch {
	case a.help:
		a.print(c.usage)
		return nil
	case a.version:
		a.print("snapmerge " + version() + "\n")
		return nil
	}
	if err := a.setStyle(); err != nil {
		return err
	}
	return runCommand(ctx, a, fs.Args())
}

func (a *app) helpOn(args []string) error {
	if len(args) == 0 {
		a.print(usage)
		return nil
	}
	c := find(args[0])
	if c == nil || len(args) > 1 {
		return usageError(fmt.Sprintf("help: command %q: there is none of that name", args[len(args)-1]), `see "snapmerge --help"`)
	}
	a.print(c.usage)
	return nil
}

// version is that of the module, or "(devel)" for a build from a checkout.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
