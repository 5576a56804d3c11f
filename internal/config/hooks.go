package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Hooks are commands that are run around a sync, as root and without a shell.
type Hooks struct {
	After   []string      // after one that changed home; nil: none
	Timeout time.Duration // after which the command is killed
}

func readHooks(t *table, h *Hooks) {
	read(t, "after", &h.After, command)
	read(t, "timeout", &h.Timeout, text(timeout))
	t.end()
}

// command reads a program and its arguments. Nothing splits or expands them.
func command(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, wants(`an array of strings, the program and its arguments: ["notmuch", "new"]`, v)
	}
	var out []string
	for _, elem := range list {
		s, ok := elem.(string)
		if !ok || strings.Contains(s, "\x00") {
			return nil, fmt.Errorf("wants an array of strings, has %s in it", kind(elem))
		}
		out = append(out, s)
	}
	if len(out) > 0 && (out[0] == "" || strings.Contains(out[0], "/") && out[0][0] != '/') {
		return nil, fmt.Errorf("%q is no program, wants a name to be found in PATH or an absolute path", out[0])
	}
	return out, nil
}

func timeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, errors.New(`wants a time from 1s on: "90s", "10m", "2h"`)
	}
	return d, nil
}
