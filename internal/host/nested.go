package host

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"snapmerge/snapshot"
)

// elsewhere returns the paths below the store at which there is something that no
// snapshot of it holds: other subvolumes, and what is mounted there.
func (s Store) elsewhere() ([]string, error) {
	subvolumes, err := snapshot.Subvolumes(s.Path)
	if err != nil {
		return nil, err
	}
	mounts, err := mountsBelow(s.Path)
	return slices.Compact(slices.Sorted(slices.Values(append(subvolumes, mounts...)))), err
}

// nested returns those of them that are in the place of a folder, of a directory
// above folders, or of a folder's cur/ or new/.
func (s Store) nested() ([]string, error) {
	all, err := s.elsewhere()
	return slices.DeleteFunc(all, func(p string) bool {
		folder := p
		if base := path.Base(p); base == "cur" || base == "new" {
			folder = path.Dir(p)
		}
		_, err := s.Layout.Folder(folder)
		return err != nil
	}), err
}

// mountsBelow returns the paths below dir at which something is mounted
// (proc_pid_mountinfo(5)).
func mountsBelow(dir string) (out []string, err error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if rest, ok := strings.CutPrefix(unescapeMount.Replace(fields[4]), real+"/"); ok {
			out = append(out, rest)
		}
	}
	return out, nil
}

// unescapeMount undoes what the kernel writes for characters that separate.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#")
