package stream

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
)

// Written returns the paths in now of those files of base whose content the
// kernel's stream between the two says was written to, sorted: two snapshots of
// one subvolume on this host, handles of their root directories. That a file is
// among them does not mean that its bytes are others: defragmentation writes the
// same ones elsewhere.
func Written(ctx context.Context, base, now *os.File) ([]string, error) {
	t, _, err := track(ctx, base, now)
	if err != nil {
		return nil, fmt.Errorf("what was written between %q and %q: %w", base.Name(), now.Name(), err)
	}
	var out []string
	t.root.written("", &out)
	return out, nil
}

func (n *node) written(at string, out *[]string) {
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		kid := n.kids[name]
		if kid == nil { // known to be free
			continue
		}
		if kid.inode.written && kid.inode.made == 0 {
			*out = append(*out, path.Join(at, name))
		}
		kid.written(path.Join(at, name), out)
	}
}
