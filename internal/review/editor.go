package review

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"snapmerge/internal/report"
	"snapmerge/merge"
)

// ErrList: a line of the list can not be understood. Nothing was answered.
var ErrList = errors.New("the list is wrong")

const keepWord = "keep"

// listHead and listHelp frame the list. Editors obey settings in the first and
// last lines of a file ("vim:", "-*-", "Local Variables:"); what a mail says must
// not get there, so each has more lines than they look at.
const listHead = `# snapmerge review: the first word of a line is the answer.
#
#   keep     it goes on waiting
#   online   online is right
#   offline  home is right
#
`

const listHelp = `
# Change the first words, save, and leave the editor: the answers are recorded
# then, and the next sync acts on them. Only the first two words of a line
# count. A line that you delete is kept; so is everything if you change nothing,
# or save an empty file.
#
# What the next sync does, by kind:
#
#   deleted-online   online: deletes it at home
#                    offline: keeps it at home; archive only from now on
#   deleted-offline  online: puts it back at home from its snapshot
#                    offline: deletes it online
#   delete-modify    the state of the side that is taken: deleted or changed
#   the other kinds  closed until the facts change, either way
`

// List is the text for the editor: a line an item, "keep ID kind folder subject".
func List(items []report.Item) string {
	var b strings.Builder
	b.WriteString(listHead)
	for i, it := range items {
		if i > 0 && !SameFolder(it, items[i-1]) {
			b.WriteString("\n")
		}
		answer := keepWord
		if it.Decided != nil {
			answer = it.Decided.String()
		}
		fmt.Fprintf(&b, "%-7s %s %s %s %s\n", answer, name(items, it), it.Kind, report.Word(it.Folder()), report.Quote(it.Subject))
	}
	b.WriteString(listHelp)
	return b.String()
}

// name is an item's ID, with its mailbox where there are several.
func name(items []report.Item, it report.Item) string {
	if slices.ContainsFunc(items, func(o report.Item) bool { return o.Mailbox != it.Mailbox }) {
		return it.Mailbox + ":" + it.ID
	}
	return it.ID
}

// ParseList reads the list back into choices: items whose line is gone keep what
// they had. The error is an [ErrList] that names the line.
func ParseList(text string, items []report.Item) (*Choices, error) {
	byName := map[string]int{}
	for i, it := range items {
		byName[name(items, it)] = i
	}
	c := NewChoices(items)
	seen := map[int]int{}
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		bad := func(format string, args ...any) error {
			return fmt.Errorf("%w: line %d: %s", ErrList, n, fmt.Sprintf(format, args...))
		}
		var side *merge.Side
		switch online, offline := merge.Online, merge.Offline; words[0] {
		case keepWord:
		case online.String():
			side = &online
		case offline.String():
			side = &offline
		default:
			return nil, bad("%q is none of keep, online, offline", words[0])
		}
		if len(words) < 2 {
			return nil, bad("no ID after %q", words[0])
		}
		i, ok := byName[words[1]]
		if !ok {
			return nil, bad("%q is no ID of the list", words[1])
		}
		if seen[i] > 0 {
			return nil, bad("%q is in line %d already", words[1], seen[i])
		}
		seen[i] = n
		c.take[i] = side
	}
	return c, nil
}

// Edit lets the person change the list in his editor and returns the answers. If
// the list can not be understood, again is asked whether to open it once more.
// Errors: [ErrQuit] if nothing was changed, [ErrList], that of the editor.
func Edit(ctx context.Context, items []report.Item, again func(error) bool) ([]report.Item, error) {
	dir, err := os.MkdirTemp("", "snapmerge-review-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "review")
	if err := os.WriteFile(file, []byte(List(items)), 0o600); err != nil {
		return nil, err
	}
	for {
		if err := edit(ctx, file); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		c, err := ParseList(string(text), items)
		switch {
		case err == nil && len(c.Answers()) == 0:
			return nil, ErrQuit
		case err == nil:
			return c.Answers(), nil
		case !again(err):
			return nil, err
		}
	}
}

// edit runs the editor. Its name may have arguments; no shell reads it.
func edit(ctx context.Context, file string) error {
	words := []string{"vi"}
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if f := strings.Fields(os.Getenv(name)); len(f) > 0 {
			words = f
		}
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it puts the terminal right
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("editor %q: %w", words[0], err)
	}
	return nil
}
