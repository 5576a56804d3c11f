package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A list of subscribed folders that is longer, in bytes or names, is not read.
const (
	maxSubscriptions = 1 << 20
	maxSubscribed    = 10_000
)

// header2 begins a list of Dovecot 2.2.18 or newer (subscription-file.c). There
// the levels of a name are separated by tabs; before, they were as in a directory's
// name. A list keeps the format that it has.
const header2 = "V\t2\n\n"

// ParseSubscriptions returns the folders that a list names, in its order, each
// once. Lines that are no folder's name in this layout are passed over.
func ParseSubscriptions(list []byte, l Layout) (names []string) {
	names = []string{}
	have := map[string]bool{}
	body, v2 := bytes.CutPrefix(list, []byte(header2))
	for line := range bytes.Lines(body) {
		name, err := l.subscribed(strings.TrimSuffix(string(line), "\n"), v2)
		if err == nil && !have[name] {
			names = append(names, name)
			have[name] = true
		}
	}
	return names
}

// ChangeSubscriptions returns the list without some folders and then with others
// at its end, as Dovecot changes it. All other lines stay as they are. It fails
// for a folder that this layout can not have. An empty list becomes a new one.
func ChangeSubscriptions(list []byte, l Layout, add, remove []string) ([]byte, error) {
	if len(list) == 0 {
		list = []byte(header2)
	}
	body, v2 := bytes.CutPrefix(list, []byte(header2))
	out := slices.Clone(list[:len(list)-len(body)])
	have := map[string]bool{}
	for line := range bytes.Lines(body) {
		name, err := l.subscribed(strings.TrimSuffix(string(line), "\n"), v2)
		if err == nil && slices.Contains(remove, name) {
			continue
		}
		have[name] = have[name] || err == nil
		out = append(out, line...)
	}
	for _, name := range add {
		if have[name] {
			continue
		}
		line, err := l.subscription(name, v2)
		if err != nil {
			return nil, err
		}
		if !bytes.HasSuffix(out, []byte("\n")) && len(out) > 0 {
			out = append(out, '\n') // Dovecot reads a last line without one
		}
		out = append(out, line+"\n"...)
		have[name] = true
	}
	return out, nil
}

// subscribed returns the folder that a line names.
func (l Layout) subscribed(line string, v2 bool) (string, error) {
	switch {
	case strings.EqualFold(line, Inbox):
		return Inbox, nil
	case strings.Contains(line, "\x01"): // an escaped byte that no folder can have
		return "", errors.New("no folder's name")
	case v2 && strings.ContainsAny(line, l.separator()):
		return "", errors.New("holds a separator")
	case v2:
		line = strings.ReplaceAll(line, "\t", l.separator())
	}
	if !l.FS {
		line = "." + line
	}
	if line == "." || line == "" {
		return "", errors.New("empty")
	}
	return l.Folder(line)
}

// subscription returns the line that names a folder.
func (l Layout) subscription(folder string, v2 bool) (string, error) {
	if folder == Inbox {
		return Inbox, nil
	}
	dir, err := l.Dir(folder)
	if err != nil {
		return "", err
	}
	if !l.FS {
		dir = dir[1:]
	}
	if v2 {
		dir = strings.ReplaceAll(dir, l.separator(), "\t")
	}
	return dir, nil
}

func (l Layout) separator() string {
	if l.FS {
		return "/"
	}
	return "."
}

// Subscriptions returns the folders that the store's list names. known is false
// where there is none that could be read: Dovecot never removes it, and one that
// is missing, overlong, or was refused when it was received, says of no folder that
// it was unsubscribed.
func (r *Reader) Subscriptions() (names []string, known bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("subscriptions: %w", err)
		}
	}()
	name := r.layout.Subscriptions()
	st, err := lstat(r.root, name)
	if errors.Is(err, unix.ENOENT) {
		return nil, false, nil
	}
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size == 0 || st.Size > maxSubscriptions {
		return nil, false, err
	}
	if why, err := placeholder(r.root, name, st.Mode); why != "" || err != nil {
		return nil, false, err
	}
	f, err := r.open(name, unix.O_NONBLOCK)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSubscriptions))
	if err != nil {
		return nil, false, err
	}
	names = ParseSubscriptions(data, r.layout)
	return names, len(names) <= maxSubscribed, nil
}
