package remote

import (
	"errors"
	"fmt"
	"slices"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// check refuses a request that no client makes.
func (r request) check() error {
	ours := func(name string) error {
		if side, _, ok := snapshot.ParseName(name); !ok || side != snapshot.Online {
			return fmt.Errorf("%s: %q is no name of an online snapshot", r.Verb, text(name))
		}
		return nil
	}
	steps, names := 0, 0
	switch r.Verb {
	case verbLook:
	case verbFreeze, verbSend:
		if err := ours(r.Snapshot); err != nil {
			return err
		}
		if r.Parent != "" {
			if err := ours(r.Parent); err != nil {
				return err
			}
		}
	case verbPrune:
		names = maxNames
	case verbApply:
		names, steps = maxNames, maxSteps
		if r.Snapshot != "" {
			if err := ours(r.Snapshot); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("verb %q: there is none of that name", text(r.Verb))
	}
	if r.Names < 0 || r.Names > names || r.Steps < 0 || r.Steps > steps {
		return fmt.Errorf("%s with %d names and %d steps, at most %d and %d", r.Verb, r.Names, r.Steps, names, steps)
	}
	return nil
}

// checkStep refuses a step that can not be meant. Inode numbers of home mean
// nothing here, so the file comes from the snapshot; that of a Place comes with it.
func checkStep(s *host.Step, l tree.Layout) error {
	if err := checkOp(s, l); err != nil {
		return fmt.Errorf("step %v: %w", s.Op.Kind, err)
	}
	// Whatever home has there is of its own copy.
	s.Op.From.Ino, s.Op.Links = 0, 0
	return nil
}

func checkOp(s *host.Step, l tree.Layout) error {
	if s.Seen != nil {
		if _, err := l.Dir(s.Seen.Folder); err != nil {
			return err
		}
	}
	op := s.Op
	switch op.Kind {
	case apply.MakeFolder, apply.RemoveFolder:
		_, err := l.Dir(op.Folder)
		return err
	case apply.RenameFolder:
		_, err := l.Dir(op.Folder)
		_, err2 := l.Dir(op.NewFolder)
		return errors.Join(err, err2)
	case apply.Subscribe:
		var errs []error
		for _, f := range slices.Concat(op.Add, op.Remove) {
			_, err := l.Dir(f)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	case apply.Place:
		if s.Seen != nil || op.Size < 0 || op.Size > maxMail {
			return fmt.Errorf("%d bytes, at most %d", op.Size, int64(maxMail))
		}
		return checkTarget(op.To, l)
	case apply.Copy, apply.Rename:
		if err := checkTarget(op.To, l); err != nil {
			return err
		}
	case apply.Unlink:
	default:
		return errors.New("is not done over a connection")
	}
	if s.Seen == nil {
		return errors.New("does not say where the snapshot shows its file")
	}
	if _, err := tree.ParseName(s.Seen.Name); err != nil {
		return err
	}
	_, err := l.Dir(op.From.Folder)
	return err
}

func checkTarget(t apply.Target, l tree.Layout) error {
	if _, err := l.Dir(t.Folder); err != nil {
		return err
	}
	if t.Flags >= 1<<26 || t.Letters >= 1<<26 {
		return fmt.Errorf("flags %#x %#x", uint32(t.Flags), uint32(t.Letters))
	}
	n := tree.Name{Unique: t.Unique, Flags: t.Flags, Letters: t.Letters, Extra: t.Extra}
	if back, err := tree.ParseName(n.String()); err != nil {
		return err
	} else if back != n {
		return fmt.Errorf("%q is no name of a mail", n.String())
	}
	return checkKeywords(t.Keywords)
}

// checkKeywords lets pass what a client can have set.
func checkKeywords(names []string) error {
	if len(names) > maxKeywords {
		return fmt.Errorf("%d keywords", len(names))
	}
	for _, name := range names {
		var f tree.KeywordFile
		if _, err := f.Add(name); err != nil {
			return err
		}
	}
	return nil
}
