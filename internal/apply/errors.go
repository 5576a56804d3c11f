package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"snapmerge/reflink"
)

// taken turns "the target exists" into a race.
func taken(err error) error {
	if errors.Is(err, reflink.ErrExist) {
		return raceTaken
	}
	return err
}

// gone turns "the source does not exist" into a race.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return raceChanged
	}
	return err
}

// plain refuses a name that would lead out of its directory.
func plain(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q is no file name", name)
	}
	return nil
}
