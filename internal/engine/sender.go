package engine

import (
	"snapmerge/internal/sender"
	"snapmerge/merge"
)

// sender returns the addresses in a message's From header, read from home's file,
// which is trusted, else from online's. None if they can not be read, for whatever
// reason: then the mail stays, and the plan says so.
func (r *run) sender(message string) []string {
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		files := r.now[side].all(message)
		if len(files) == 0 {
			continue
		}
		src, err := r.frozen[side].file(files[0])
		if err != nil {
			return nil
		}
		f, err := src.open()
		if err != nil {
			return nil
		}
		defer f.Close()
		return sender.Addresses(readRaw(f, "from")["from"])
	}
	return nil
}
