package config

import "fmt"

// LoadAgent is Load for the far end: only the online stores are read and
// checked, and they must be on this machine. Offline, Merge, Folders and Rotate
// are not.
func LoadAgent(path string) (*Config, error) {
	return nil, fmt.Errorf("%s", path)
}
