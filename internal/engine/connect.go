package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"snapmerge/internal/config"
	"snapmerge/internal/host"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// A Problem is something that a sync would fail on, and how to mend it.
type Problem = host.Problem

// Connect returns the host of a mailbox's online side, and takes its lock.
type Connect func(ctx context.Context, mb config.Mailbox) (host.Host, error)

// Hosts are the machines of both sides of a mailbox, locked for one run.
type Hosts struct {
	Side [2]host.Host
	// Facts are what the hosts said of their stores after they were locked.
	Facts [2]*host.Facts
	// Dir is home's snapshots directory, with records and journal.
	Dir *os.File
	// Mirrored: online is on another machine. What a sync reads of it are received
	// copies of its snapshots, in Dir.
	Mirrored bool
}

// OpenHosts locks both sides and looks at them. Each of a [*Problem] is an error
// of its own, all joined; [lock.ErrLocked] if another run is at work. connect nil
// is for an online side that is a path here; thorough is for [host.Host.Look].
func OpenHosts(ctx context.Context, mb config.Mailbox, connect Connect, thorough bool) (*Hosts, error) {
	return openHosts(ctx, mb, connect, thorough, func(*os.File) error { return nil })
}

// openHosts is OpenHosts for who has something to do at home while the other side
// is called, which takes far longer than all of a quiet sync. meanwhile gets
// home's snapshots directory; home is locked, and found fit.
func openHosts(ctx context.Context, mb config.Mailbox, connect Connect, thorough bool, meanwhile func(*os.File) error) (*Hosts, error) {
	h := &Hosts{}
	if err := h.open(ctx, mb, connect, thorough, meanwhile); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Hosts) open(ctx context.Context, mb config.Mailbox, connect Connect, thorough bool, meanwhile func(*os.File) error) error {
	home := host.Open(storeOf(mb.Offline), snapshot.Offline)
	h.Side[merge.Offline] = home
	if err := lock(ctx, home); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	called := call(ctx, mb, connect)
	unfit := h.look(ctx, mb, merge.Offline, thorough)
	var err error
	if unfit == nil {
		if h.Dir, err = os.Open(mb.Offline.Snapshots); err == nil {
			err = meanwhile(h.Dir)
		}
		if err != nil {
			cancel(err)
		}
	}
	if c := <-called; c.err == nil {
		h.Side[merge.Online] = c.host
		_, local := c.host.(*host.Local)
		h.Mirrored = !local
	} else if err == nil {
		return errors.Join(unfit, c.err)
	}
	if err != nil {
		return err
	}
	return errors.Join(unfit, h.look(ctx, mb, merge.Online, thorough))
}

type called struct {
	host host.Host
	err  error
}

func call(ctx context.Context, mb config.Mailbox, connect Connect) <-chan called {
	if connect == nil {
		connect = ConnectLocal
	}
	out := make(chan called, 1)
	go func() {
		online, err := connect(ctx, mb)
		out <- called{online, err}
	}()
	return out
}

func storeOf(s config.Store) host.Store {
	return host.Store{Path: s.Path, Snapshots: s.Snapshots, Layout: s.Layout, Control: s.Control}
}

// lock takes a store's lock. A directory that is missing or not ours to open is
// a problem that Look has the words for.
func lock(ctx context.Context, l *host.Local) error {
	err := l.Lock(ctx, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// LookHome returns a mailbox's home for looking at it. Nothing is locked.
func LookHome(mb config.Mailbox) (host.Host, error) {
	return current(mb.Offline, snapshot.Offline)
}

// LookOnline returns an online side that is a path here for looking at it.
// Nothing is locked.
func LookOnline(mb config.Mailbox) (host.Host, error) {
	return current(mb.Online, snapshot.Online)
}

// current opens a store of this machine as it is now.
func current(s config.Store, side string) (host.Host, error) {
	if err := storeOf(s).Settle(); err != nil {
		return nil, err
	}
	return host.Open(storeOf(s), side), nil
}

// ConnectLocal opens an online side that is a path on this machine. Both sides
// may keep their snapshots in one directory, which is locked already then.
func ConnectLocal(ctx context.Context, mb config.Mailbox) (host.Host, error) {
	l := host.Open(storeOf(mb.Online), snapshot.Online)
	home, err := os.Stat(mb.Offline.Snapshots)
	online, err2 := os.Stat(mb.Online.Snapshots)
	if err == nil && err2 == nil && os.SameFile(home, online) {
		return l, nil
	}
	return l, lock(ctx, l)
}

func (h *Hosts) look(ctx context.Context, mb config.Mailbox, side merge.Side, thorough bool) error {
	f, err := h.Side[side].Look(ctx, thorough)
	if err != nil {
		return fmt.Errorf("%s: %w", side, err)
	}
	h.Facts[side] = f
	var errs []error
	for i := range f.Problems {
		p := &f.Problems[i]
		switch {
		case p.Subject != "snapmerge":
			errs = append(errs, fmt.Errorf("mailbox %s: %s: %w", mb.Name, side, p))
		case side == merge.Offline: // not root: it is said once
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

// Close ends both sessions.
func (h *Hosts) Close() error {
	var errs []error
	if h.Dir != nil {
		errs = append(errs, h.Dir.Close())
	}
	for _, s := range h.Side {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
