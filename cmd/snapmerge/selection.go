package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"snapmerge/internal/report"
	"snapmerge/merge"
)

// selective tells whether any option leaves some conflicts out.
func (o conflictOptions) selective() bool { return o.kind+o.folder+o.older != "" }

// selection returns what the options choose of all that waits.
func (o conflictOptions) selection(now time.Time) (func(report.Item) bool, error) {
	if o.kind != "" && !slices.Contains(merge.Kinds, merge.Kind(o.kind)) {
		return nil, usageError(fmt.Sprintf("--kind %q: none of %s", o.kind, kinds()), "")
	}
	var age merge.Keep
	if o.older != "" {
		var err error
		if age, err = parseAge(o.older); err != nil {
			return nil, usageError("--older-than "+err.Error(), "")
		}
	}
	return func(it report.Item) bool {
		return (o.kind == "" || string(it.Kind) == o.kind) &&
			(o.folder == "" || merge.Match(o.folder, it.Folder())) &&
			(o.older == "" || age.Expired(it.Waiting, now))
	}, nil
}

// parseAge reads "2 weeks", as the configuration has it, or "2w".
func parseAge(s string) (merge.Keep, error) {
	long := s
	for letter, unit := range map[string]string{"d": "days", "w": "weeks", "m": "months", "y": "years"} {
		if n, ok := strings.CutSuffix(s, letter); ok {
			long = n + " " + unit
		}
	}
	k, err := merge.ParseKeep(long)
	if err != nil || k.Unit == merge.KeepAll || k.Unit == merge.KeepNone {
		return k, fmt.Errorf(`%q: none of "N days", "N weeks", "N months", "N years", or Nd, Nw, Nm, Ny`, s)
	}
	return k, nil
}

func kinds() string {
	var out []string
	for _, k := range merge.Kinds {
		out = append(out, string(k))
	}
	return strings.Join(out, ", ")
}
