// Package dovecot asks this machine's Dovecot for its settings, and knows which of
// them get in a sync's way. It asks about nobody's user: what a user database sets
// for one (doveadm user) is not seen.
package dovecot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Settings are those that are not Dovecot's defaults, by name; inside blocks the
// block goes before: "plugin/lazy_expunge", "protocol imap/mail_plugins".
type Settings map[string]string

const (
	patience  = 10 * time.Second
	maxOutput = 1 << 20
)

// Ask runs "doveconf -n". Without a Dovecot here there are no settings.
func Ask(ctx context.Context) (Settings, error) { return ask(ctx, "-n") }

func ask(ctx context.Context, args ...string) (Settings, error) {
	program, err := exec.LookPath("doveconf")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("doveconf: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("doveconf: %w", err)
	}
	text, readErr := io.ReadAll(io.LimitReader(out, maxOutput))
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("doveconf: %w", err)
	}
	return parse(text), nil
}

// parse reads what doveconf prints: "name = value", and blocks in braces.
func parse(text []byte) Settings {
	s := Settings{}
	var blocks []string
	for line := range bytes.Lines(text) {
		l := strings.TrimSpace(string(line))
		name, value, isSetting := strings.Cut(l, " = ")
		switch {
		case strings.HasPrefix(l, "#"):
		case l == "}" && len(blocks) > 0:
			blocks = blocks[:len(blocks)-1]
		case !isSetting && strings.HasSuffix(l, "{"):
			blocks = append(blocks, strings.TrimSpace(strings.TrimSuffix(l, "{")))
		case isSetting:
			s[strings.Join(append(blocks, name), "/")] = strings.Trim(value, `"`)
		}
	}
	return s
}
