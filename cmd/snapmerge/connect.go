package main

import (
	"context"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/host"
	"snapmerge/internal/remote"
)

// connect returns a mailbox's online side: a path here, or an agent at the other
// end of ssh.
func connect(ctx context.Context, mb config.Mailbox) (host.Host, error) {
	if mb.Online.Host == "" {
		return engine.ConnectLocal(ctx, mb)
	}
	return dial(ctx, mb, false)
}

func dial(ctx context.Context, mb config.Mailbox, look bool) (host.Host, error) {
	return remote.Dial(ctx, remote.Options{
		Host: mb.Online.Host, SSH: mb.Online.SSH, Agent: mb.Online.Agent, Mailbox: mb.Name,
		Store:   host.Store{Path: mb.Online.Path, Snapshots: mb.Online.Snapshots, Layout: mb.Online.Layout, Control: mb.Online.Control},
		Version: version(), Look: look,
	})
}

// look returns the online side for looking at it.
func look(ctx context.Context, mb config.Mailbox) (host.Host, error) {
	if mb.Online.Host == "" {
		return engine.LookOnline(mb)
	}
	return dial(ctx, mb, true)
}
