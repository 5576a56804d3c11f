package engine

import (
	"errors"
	"fmt"
	"os"

	"snapmerge/internal/state"
)

// NewIndex makes a mailbox's index anew from that state. Nobody else may be at
// work on the mailbox.
func NewIndex(stateDir, mailbox string, s *state.State) error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	path := IndexPath(stateDir, mailbox)
	if err := state.Discard(path); err != nil {
		return err
	}
	x, err := state.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(x.Replace(s), x.Close())
}
