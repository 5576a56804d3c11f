package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"snapmerge/internal/config"
	"snapmerge/internal/report"
)

// An app is what every command has: the common options and the three streams.
type app struct {
	config  string // "" if it was not given
	json    bool
	quiet   bool
	verbose bool
	color   string
	help    bool
	version bool

	style     report.Style
	in        io.Reader
	out, errs io.Writer
	outErr    error           // the first error of writing to out
	said      map[string]bool // lines that are on errs already
}

// flagSet returns the options that every command has. What was read before is
// the default now, so an option may stand on either side of the command.
func (a *app) flagSet(name string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVarP(&a.config, "config", "c", a.config, "")
	fs.BoolVar(&a.json, "json", a.json, "")
	fs.BoolVarP(&a.quiet, "quiet", "q", a.quiet, "")
	fs.BoolVarP(&a.verbose, "verbose", "v", a.verbose, "")
	fs.StringVar(&a.color, "color", a.color, "")
	fs.BoolVarP(&a.help, "help", "h", a.help, "")
	fs.BoolVar(&a.version, "version", a.version, "")
	return fs
}

// setStyle decides about colours. https://no-color.org: any value but the
// empty one turns them off.
func (a *app) setStyle() error {
	a.style.Zone = time.Local
	switch a.color {
	case "always":
		a.style.Color = true
	case "never":
	case "", "auto":
		a.style.Color = isTerminal(a.out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	default:
		return usageError(fmt.Sprintf("--color %q: neither auto, always nor never", a.color), "")
	}
	return nil
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// print writes a result.
func (a *app) print(text string) {
	if _, err := io.WriteString(a.out, text); err != nil && a.outErr == nil {
		a.outErr = fmt.Errorf("write the result: %w", err)
	}
}

// show writes a text that --quiet and --json leave out.
func (a *app) show(text string) {
	if !a.quiet && !a.json {
		a.print(text)
	}
}

func (a *app) configFile() string {
	if a.config == "" {
		return config.DefaultPath
	}
	return a.config
}

// mailboxes reads the configuration and returns the mailboxes of those names,
// all if there are none.
func (a *app) mailboxes(names []string) (*config.Config, []config.Mailbox, error) {
	cfg, err := config.Load(a.configFile())
	if err != nil {
		return nil, nil, configError(err)
	}
	if len(names) == 0 {
		return cfg, cfg.Mailboxes, nil
	}
	var list []config.Mailbox
	for _, name := range names {
		mb := cfg.Mailbox(name)
		if mb == nil {
			return nil, nil, unknownMailbox(a.configFile(), name, cfg)
		}
		if !slices.ContainsFunc(list, func(m config.Mailbox) bool { return m.Name == name }) {
			list = append(list, *mb)
		}
	}
	return cfg, list, nil
}

func unknownMailbox(file, name string, cfg *config.Config) error {
	hint := "it has"
	for _, mb := range cfg.Mailboxes {
		hint += " " + mb.Name
	}
	return usageError(fmt.Sprintf("mailbox %q: not in %s", name, file), hint)
}
