package state

import (
	"fmt"
	"maps"
	"os"
)

const (
	decisionsName = "decisions.json"
	decisionsKind = "decisions"
)

// ReadDecisions returns the answers that wait for the next sync, by conflict
// ID. No file is no answers. Errors: [ErrDamaged], [ErrVersion].
func ReadDecisions(dir *os.File) (map[string]Decided, error) {
	d, err := readDecisions(dir)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", decisionsName, err)
	}
	return d, nil
}

func readDecisions(dir *os.File) (map[string]Decided, error) {
	f, err := open(dir, decisionsName)
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var d map[string]Decided
	err = unsealOne(f, decisionsKind, &d)
	return d, err
}

// WriteDecisions replaces the answers that wait by d. A sync calls it after
// WriteRecord, with those that it neither acted on nor took into its
// [Pending]. If a crash comes in between, the next sync finds answers to
// conflicts that are gone; they hold for the State that the person saw, so
// nothing happens.
func WriteDecisions(dir *os.File, d map[string]Decided) error {
	if len(d) == 0 {
		if err := remove(dir, decisionsName); err != nil {
			return fmt.Errorf("remove %q: %w", decisionsName, err)
		}
		return nil
	}
	f, err := publish(dir, decisionsName, true, sealed(decisionsKind, encoded(d)))
	if err != nil {
		return fmt.Errorf("write %q: %w", decisionsName, err)
	}
	return f.Close()
}

// Decide adds answers to those that wait; a later one to the same conflict
// replaces the earlier. The caller holds the [Lock].
func Decide(dir *os.File, answers map[string]Decided) error {
	d, err := ReadDecisions(dir)
	if err != nil {
		return err
	}
	all := map[string]Decided{}
	maps.Copy(all, d)
	maps.Copy(all, answers)
	return WriteDecisions(dir, all)
}
