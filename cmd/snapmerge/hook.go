package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"snapmerge/internal/config"
	"snapmerge/internal/hook"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// hooksAllowed refuses hooks that somebody else than root could have written.
func (a *app) hooksAllowed(list []config.Mailbox) error {
	for _, mb := range list {
		if len(mb.Hooks.After) == 0 {
			continue
		}
		st, err := os.Stat(a.configFile())
		if err != nil {
			return err
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 || st.Mode().Perm()&0o022 != 0 {
			return configError(fmt.Errorf("%s: others than root can write to it, and it has hooks: chown root and chmod go-w", a.configFile()))
		}
	}
	return nil
}

// after runs the hook of a mailbox, if its sync has changed home. Both stores are
// unlocked by now, and the sync has happened whatever the hook does.
func (a *app) after(ctx context.Context, mb config.Mailbox, s *report.Sync) {
	if s.Record == nil || s.DryRun || len(mb.Hooks.After) == 0 || !changedHome(s.Record) {
		return
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=" + os.Getenv("LANG"),
		"SNAPMERGE_MAILBOX=" + mb.Name,
		"SNAPMERGE_MAILDIR=" + mb.Offline.Path,
		fmt.Sprintf("SNAPMERGE_SYNC=%d", s.Record.Sync),
		"SNAPMERGE_REPORT=" + filepath.Join(mb.Offline.Snapshots, fmt.Sprintf("sync.%d.json", s.Record.Sync)),
	}
	s.Hook = report.HookDone
	err := a.hooksAllowed([]config.Mailbox{mb}) // not every command has asked before
	if err == nil {
		err = hook.Run(ctx, mb.Hooks.After, env, mb.Hooks.Timeout)
	}
	if err != nil {
		s.Hook = "failed: " + err.Error()
	}
	if ctx.Err() != nil && s.Err == nil {
		s.Err = fmt.Errorf("after the sync, its hook: %w", ctx.Err())
	}
}

// changedHome: mail or folders of home are not what they were.
func changedHome(rec *state.Record) bool {
	c := rec.Report.Offline
	c.Subscriptions = 0
	for _, a := range rec.Report.Actions {
		if a.Side == merge.Offline && a.Effect == state.Failed {
			return true // perhaps in part
		}
	}
	return c != (state.Counts{})
}
