package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A document is a TOML file as generic values, with the place of every key.
// go-toml's own strict mode stops at the first wrong type and forgets where a
// value stood; this keeps both, so that all problems are found in one pass.
type document struct {
	file     string
	root     map[string]any
	at       map[string]unstable.Position // by path, as joinKey and joinIndex make it
	problems []problem
}

// A problem is one line of Load's error.
type problem struct {
	file      string
	line, col int
	key, text string // key is "" for a syntax error
}

func (p problem) Error() string {
	s := fmt.Sprintf("%s:%d:%d: ", p.file, p.line, p.col)
	if p.key != "" {
		s += p.key + ": "
	}
	return s + p.text
}

// newDocument reads TOML. An error is that of the syntax, with its position.
func newDocument(file string, data []byte) (*document, error) {
	d := &document{file: file, at: map[string]unstable.Position{}}
	if err := toml.Unmarshal(data, &d.root); err != nil {
		p := problem{file: file, line: 1, col: 1, text: oneLine(strings.TrimPrefix(err.Error(), "toml: "))}
		if de := (*toml.DecodeError)(nil); errors.As(err, &de) {
			p.line, p.col = de.Position()
		}
		return nil, p
	}
	d.locate(data)
	return d, nil
}

// oneLine replaces control characters: go-toml repeats keys as they are.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// fail notes a problem of the key. It is placed at the first of the given
// paths that is in the file; with none given at the key itself.
func (d *document) fail(key, text string, paths ...string) {
	p := problem{file: d.file, line: 1, col: 1, key: key, text: text}
	for _, path := range append(paths, key) {
		if pos, ok := d.at[path]; ok {
			p.line, p.col = pos.Line, pos.Column
			break
		}
	}
	d.problems = append(d.problems, p)
}

// err joins the problems in the order of the file; nil if there are none.
func (d *document) err() error {
	slices.SortStableFunc(d.problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col))
	})
	var errs []error
	for _, p := range d.problems {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// locate fills d.at. The syntax is known to be right.
func (d *document) locate(data []byte) {
	var p unstable.Parser
	p.Reset(data)
	l := locator{&p, d.at, map[string]int{}}
	section := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			section = l.keys("", e)
		case unstable.KeyValue:
			l.value(l.keys(section, e), e.Value())
		}
	}
}

type locator struct {
	p      *unstable.Parser
	at     map[string]unstable.Position
	tables map[string]int // how many [[path]] there have been
}

// keys places the dotted key of a header or a value below path, and returns
// the path of the whole. A path keeps the place where it is first named.
func (l *locator) keys(path string, e *unstable.Node) string {
	for it := e.Key(); it.Next(); {
		path = joinKey(path, string(it.Node().Data))
		pos := l.p.Shape(it.Node().Raw).Start
		l.place(path, pos)
		if e.Kind == unstable.ArrayTable && it.IsLast() {
			l.tables[path]++
		}
		// A header below an array of tables speaks of its latest element.
		if n := l.tables[path]; n > 0 {
			path = joinIndex(path, n-1)
			l.place(path, pos)
		}
	}
	return path
}

// value places the keys inside inline tables and arrays of them.
func (l *locator) value(path string, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			l.value(l.keys(path, it.Node()), it.Node().Value())
		}
	case unstable.Array:
		pos := l.at[path]
		for i, it := 0, v.Children(); it.Next(); i++ {
			l.place(joinIndex(path, i), pos)
			l.value(joinIndex(path, i), it.Node())
		}
	}
}

func (l *locator) place(path string, pos unstable.Position) {
	if _, ok := l.at[path]; !ok {
		l.at[path] = pos
	}
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// joinKey writes paths as TOML does: mailbox.chris, mailbox."a.b".
func joinKey(path, key string) string {
	if !bareKey.MatchString(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// joinIndex writes an element of an array, counted from 1. No key is written
// so, for a bare one has no bracket.
func joinIndex(path string, i int) string {
	return fmt.Sprintf("%s[%d]", path, i+1)
}
