package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// online returns what is to be put back online as well: all that home has or is
// to have.
func (r *restorer) online(list []*wanted) (out []*wanted, err error) {
	for _, w := range list {
		if w.src == nil || w.effect != "" && w.effect != state.There {
			continue
		}
		o := *w
		o.side, o.effect, o.why = merge.Online, "", ""
		out = append(out, &o)
	}
	have, err := r.holdings(merge.Online, out)
	if err == nil && r.hosts.Mirrored {
		err = r.sinceCopy(have, out)
	}
	if err != nil {
		return nil, err
	}
	policy := r.mb.Policy(r.opt.Now())
	for _, w := range out {
		if w.effect == "" {
			if err := have.check(w); err != nil {
				return nil, err
			}
		}
		keep := policy.For(w.to)
		received := time.Unix(0, w.src.file.Mtime)
		if w.effect == "" && policy.Expired(keep.Keep, received) && !(keep.KeepFlagged && w.name.Flags&tree.Flagged != 0) {
			r.notes = append(r.notes, fmt.Sprintf("online keeps nothing so old in %q: the next sync lets %q expire again", w.to, w.message))
		}
	}
	return out, nil
}

// openOnline opens online's store. If that is on another machine, home's copy of
// the last sync's snapshot has to do for what is there already: whatever came
// since then is safe too, as nothing is ever replaced.
func (r *restorer) openOnline() (*frozen, error) {
	if !r.hosts.Mirrored {
		return openLive(storeOf(r.mb.Online))
	}
	if r.rec == nil {
		return nil, &Problem{Subject: "mailbox " + r.mb.Name, Text: "nothing is known of online, as there was no sync yet", Mend: "snapmerge sync " + r.mb.Name}
	}
	name := r.rec.Snapshots[merge.Online]
	z, err := openFrozen(r.readable(name), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Problem{Subject: "mailbox " + r.mb.Name, Text: fmt.Sprintf("home's copy of %s is gone, so what online has is not known", name), Mend: "snapmerge sync " + r.mb.Name + ", or restore without --online"}
	}
	return z, err
}

// sinceCopy corrects what home's copy of the last sync's snapshot shows: that was
// taken before the sync's own changes, and before whatever was restored since then.
// A mail that can not be read is found now, as once it is announced it has to come.
func (r *restorer) sinceCopy(have *holdings, list []*wanted) error {
	back, err := r.restoredSince()
	if err != nil {
		return err
	}
	have.gone = map[[2]string]bool{}
	for _, a := range r.rec.Report.Actions {
		if a.Side == merge.Online && a.Effect == state.Done && slices.Contains([]string{merge.Delete.String(), merge.Expire.String(), merge.Move.String()}, a.Op) {
			have.gone[[2]string{a.Message, a.From}] = true
		}
	}
	for _, w := range list {
		where := func(folder string) bool { return w.whole || folder == w.to }
		for _, a := range r.rec.Report.Actions {
			if a.Side == merge.Online && a.Effect == state.Done && a.Message == w.message && a.After != nil && where(a.To) {
				w.end(state.There, fmt.Sprintf("it is in %q", a.To))
			}
		}
		for _, m := range back {
			switch {
			case m.Side != merge.Online || m.Message != w.message || !where(m.To) || w.effect != "":
			case m.Effect == state.Done:
				w.end(state.There, fmt.Sprintf("it was put into %q since the last sync", m.To))
			case m.Effect == "" || m.Why == notBegun:
				w.end(state.Failed, "an earlier restore was broken off, and may have put it there: sync first")
			}
		}
		if w.effect == "" {
			if err := w.src.readable(); err != nil {
				w.end(state.Failed, err.Error())
			}
		}
	}
	return nil
}

// readable reads all of a mail.
func (s *source) readable() error {
	f, err := s.open()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}
