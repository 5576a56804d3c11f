package config

import (
	"fmt"
	"os"
	"slices"
)

// LoadAgent is Load for the far end of a sync: it checks the online stores only
// and returns the mailboxes whose online store is on this machine, possibly none.
// Of a mailbox only Name and Online count.
func LoadAgent(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parseAgent(path, data)
}

func parseAgent(file string, data []byte) (*Config, error) {
	elsewhere := func(m Mailbox) bool { return m.Online.Host != "" }
	c, err := parseFor(file, data, true, func(d *document, list []Mailbox) {
		var own []Mailbox
		for _, m := range list {
			if !elsewhere(m) {
				own = append(own, m)
			}
		}
		d.checkOnline(own)
	})
	if err != nil {
		return nil, err
	}
	c.Mailboxes = slices.DeleteFunc(c.Mailboxes, elsewhere)
	return c, nil
}
