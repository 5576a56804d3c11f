// Package snapmerge holds no code: only this test of how the packages may be
// put together. ARCHITECTURE.md gives the reasons.
package snapmerge

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxLines is the longest that a file may be; most are shorter than 350.
const maxLines = 500

// arrows lists every package with what it may import beside the standard
// library; "ours:" are the packages of this module. A new package does not pass
// before it has a line here.
var arrows = map[string]string{
	"tree":             "golang.org/x/sys/unix",
	"merge":            "ours:tree",
	"snapshot":         "golang.org/x/sys/unix github.com/dennwc/btrfs",
	"reflink":          "golang.org/x/sys/unix",
	"internal/stream":  "golang.org/x/sys/unix ours:snapshot ours:tree",
	"internal/codec":   "",
	"internal/charset": "golang.org/x/text/encoding golang.org/x/text/encoding/htmlindex",
	"internal/lock":    "golang.org/x/sys/unix",
	"internal/pipe":    "golang.org/x/sys/unix",
	"internal/host":    "golang.org/x/sys/unix ours:internal/apply ours:internal/lock ours:internal/pipe ours:reflink ours:snapshot ours:tree",
	"internal/remote":  "golang.org/x/sys/unix ours:internal/apply ours:internal/codec ours:internal/host ours:internal/lock ours:internal/pipe ours:snapshot ours:tree",
	"internal/mirror":  "golang.org/x/sys/unix ours:internal/pipe ours:internal/stream ours:snapshot",
	"internal/state":   "golang.org/x/sys/unix zombiezen.com/go/sqlite zombiezen.com/go/sqlite/sqlitex ours:internal/codec ours:merge ours:tree",
	"internal/apply":   "golang.org/x/sys/unix ours:reflink ours:tree",
	"internal/config":  "github.com/pelletier/go-toml/v2 github.com/pelletier/go-toml/v2/unstable ours:merge ours:snapshot ours:tree",
	"internal/engine":  "golang.org/x/sys/unix ours:internal/apply ours:internal/charset ours:internal/config ours:internal/host ours:internal/mirror ours:internal/sender ours:internal/state ours:internal/stream ours:merge ours:reflink ours:snapshot ours:tree",
	"internal/sender":  "",
	"internal/dovecot": "ours:tree",
	"internal/hook":    "",
	"internal/verify":  "golang.org/x/sys/unix zombiezen.com/go/sqlite zombiezen.com/go/sqlite/sqlitex ours:internal/codec ours:internal/config ours:internal/engine ours:internal/state ours:internal/stream ours:merge ours:reflink ours:snapshot ours:tree",
	"internal/report":  "ours:internal/engine ours:internal/state ours:internal/verify ours:merge ours:tree",
	"cmd/snapmerge": "github.com/spf13/pflag golang.org/x/sys/unix golang.org/x/term " +
		"ours:internal/config ours:internal/dovecot ours:internal/engine ours:internal/hook ours:internal/host ours:internal/lock ours:internal/mirror ours:internal/remote ours:internal/report ours:internal/review ours:internal/state ours:internal/verify ours:merge ours:snapshot ours:tree",

	// The only one that knows of a terminal: nothing but the command line needs it.
	"internal/review": "github.com/gdamore/tcell/v2 github.com/gdamore/tcell/v2/terminfo github.com/rivo/uniseg ours:internal/charset ours:internal/report ours:merge",

	"internal/mailgen": "ours:tree", // for the demo and tests
	"demo/mails":       "ours:internal/mailgen ours:tree",
	"scripts/gotest":   "",
}

// testOnly are packages that only tests import. What they may do is not limited.
var testOnly = []string{"internal/bench", "internal/btrfstest", "internal/crashtest", "internal/dovecottest", "internal/enginetest", "internal/livetest", "internal/sshtest"}

// banned says what a package may not import, call or (go) start. tree opens the
// snapshot that it is given; merge opens nothing and has no clock.
var banned = map[string][]string{
	"merge": {"os", "os/exec", "net", "io", "io/fs", "syscall", "context", "sync", "go",
		"time.Now", "time.Since", "time.Until", "time.After", "time.Sleep", "time.Local"},
	"tree": {"os/exec", "net", "time.Now"},
}

// changing matches what changes a file system. Mail is changed by reflink and
// internal/apply alone; mayChange says who else may use what, and for what.
var changing = regexp.MustCompile(`^(unix|os|syscall)\.(Rename|Link|Symlink|Unlink|Mkdir|Mknod|Remove|Rmdir|Truncate|Ftruncate|Fallocate|` +
	`Chown|Fchown|Lchown|Chmod|Fchmod|Chtimes|Utimes|Futimes|Lutimes|WriteFile|Create|Setxattr|Fsetxattr|Mount|Write|Pwrite|CopyFileRange|IoctlFileClone)`)

var mayChange = map[string]string{
	"reflink":          ".",
	"internal/review":  `^os\.(WriteFile|MkdirTemp|RemoveAll)$`,        // the list, for an editor
	"snapshot":         `^unix\.Renameat2$`,                            // a whole mirror gets its name
	"internal/mirror":  `^unix\.(Mkdirat|Mknodat|Symlinkat|Unlinkat)$`, // to see that it can not
	"internal/stream":  ".",                                            // what online's streams make, in a mirror
	"internal/apply":   ".",
	"internal/state":   ".",                 // the records beside the snapshots, and the index
	"internal/engine":  `^os\.MkdirAll$`,    // the state directory
	"internal/verify":  `^os\.MkdirAll$`,    // the state directory
	"cmd/snapmerge":    `^os\.Mkdir(All)?$`, // init: the directories that the configuration names
	"internal/mailgen": ".",
	"demo/mails":       `^os\.Chown$`,
}

// words are what no file says.
var words = []struct {
	bad *regexp.Regexp
	why string
}{
	{regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`), "unfinished"},
	{regexp.MustCompile(`\bfacts(/|: ?\w+\.md)|-lab/|/work/`), "cites a file that is not here"},
}

type source struct {
	path, pkg string // below the module
	test      bool
	text      string
	ast       *ast.File
}

func TestArchitecture(t *testing.T) {
	fset := token.NewFileSet()
	files := sources(t, fset)
	if len(files) < 40 {
		t.Fatalf("only %d Go files found", len(files))
	}
	for _, f := range files {
		for _, p := range problems(fset, f) {
			t.Error(p)
		}
	}
}

// TestArchitectureFails shows that each rule can fail.
func TestArchitectureFails(t *testing.T) {
	long := strings.Repeat("\n", maxLines+1)
	for _, c := range []struct{ path, text, want string }{
		{"merge/x.go", "package merge\nimport \"os\"", "may not import os"},
		{"merge/x.go", "package merge\nimport \"snapmerge/snapshot\"", "may not import ours:snapshot"},
		{"merge/x.go", "package merge\nimport \"time\"\nvar _ = time.Now()", "may not use time.Now"},
		{"merge/x.go", "package merge\nfunc f() { go f() }", "may not use a go statement"},
		{"tree/x.go", "package tree\nimport \"os/exec\"", "may not import os/exec"},
		{"tree/x.go", "package tree\nimport \"github.com/dennwc/btrfs\"", "may not import github.com/dennwc/btrfs"},
		{"internal/engine/x.go", "package engine\nimport \"github.com/dennwc/btrfs\"", "may not import github.com/dennwc/btrfs"},
		{"internal/engine/x.go", "package engine\nimport \"golang.org/x/sys/unix\"\nvar _ = unix.Unlinkat(0, \"\", 0)", "may not call unix.Unlinkat"},
		{"internal/engine/x.go", "package engine\nimport \"os\"\nvar _ = os.Remove(\"a\")", "may not call os.Remove"},
		{"internal/engine/x.go", "package engine\nimport \"os/exec\"", "start processes"},
		{"internal/new/x.go", "package new", "no line in arrows"},
		{"tree/x.go", "package tree\nfunc Loud() {}", "Loud is exported and has no comment"},
		{"tree/x.go", "package tree\ntype Loud int", "Loud is exported and has no comment"},
		{"tree/x.go", "package tree\nvar Loud int", "Loud is exported and has no comment"},
		{"tree/x.go", "package tree" + long, "lines, at most"},
		{"tree/x_test.go", "package tree\n// TO" + "DO: more", "unfinished"},
		{"tree/x.go", "package tree\n// see fac" + "ts/dovecot.md", "cites a file that is not here"},
	} {
		fset := token.NewFileSet()
		f, err := parse(fset, c.path, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(problems(fset, f)); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q: problems are %s, want %q", c.path, c.text, got, c.want)
		}
	}
}

// sources reads every Go file of the module.
func sources(t *testing.T, fset *token.FileSet) (files []*source) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parse(fset, path, string(text))
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(fset *token.FileSet, path, text string) (*source, error) {
	f, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	pkg := filepath.ToSlash(filepath.Dir(path))
	test := strings.HasSuffix(path, "_test.go") || slices.Contains(testOnly, pkg)
	return &source{path, pkg, test, text, f}, err
}

// problems applies every rule to one file.
func problems(fset *token.FileSet, f *source) (out []string) {
	add := func(pos token.Pos, format string, args ...any) {
		out = append(out, fmt.Sprintf("%s:%d: ", f.path, fset.Position(pos).Line)+fmt.Sprintf(format, args...))
	}
	if n := strings.Count(f.text, "\n"); n > maxLines {
		add(f.ast.Pos(), "%d lines, at most %d", n, maxLines)
	}
	if f.path != "arch_test.go" {
		for _, w := range words {
			if m := w.bad.FindString(f.text); m != "" {
				add(f.ast.Pos(), "%q: %s", m, w.why)
			}
		}
	}
	if f.test {
		return out
	}
	allowed, ok := arrows[f.pkg]
	if !ok {
		add(f.ast.Pos(), "package %s has no line in arrows", f.pkg)
	}
	for _, i := range f.ast.Imports {
		if p := importPath(i); strings.Contains(p, ".") || strings.HasPrefix(p, "ours:") {
			if !slices.Contains(strings.Fields(allowed), p) {
				add(i.Pos(), "%s may not import %s", f.pkg, p)
			}
		} else if slices.Contains(banned[f.pkg], p) {
			add(i.Pos(), "%s may not import %s", f.pkg, p)
		} else if p == "os/exec" && !slices.Contains([]string{"internal/dovecot", "internal/hook", "internal/mirror", "internal/remote", "internal/review", "scripts/gotest"}, f.pkg) {
			add(i.Pos(), "%s may not import os/exec: only internal/remote (ssh), internal/dovecot (doveconf), internal/hook, internal/mirror (itself) and internal/review (an editor) start processes", f.pkg)
		}
	}
	checkCalls(f, add)
	checkComments(f, add)
	return out
}

func importPath(i *ast.ImportSpec) string {
	p, _ := strconv.Unquote(i.Path.Value)
	if ours, ok := strings.CutPrefix(p, "snapmerge/"); ok {
		return "ours:" + ours
	}
	return p
}

type adder func(pos token.Pos, format string, args ...any)

func checkCalls(f *source, add adder) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if slices.Contains(banned[f.pkg], "go") {
				add(n.Pos(), "%s may not use a go statement", f.pkg)
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			name := x.Name + "." + n.Sel.Name
			if slices.Contains(banned[f.pkg], name) {
				add(n.Pos(), "%s may not use %s", f.pkg, name)
			}
			may, listed := mayChange[f.pkg]
			if changing.MatchString(name) && (!listed || !regexp.MustCompile(may).MatchString(name)) {
				add(n.Pos(), "%s may not call %s", f.pkg, name)
			}
		}
		return true
	})
}

// checkComments wants a comment on every exported declaration; one comment on a
// group of constants or variables is enough.
func checkComments(f *source, add adder) {
	if f.ast.Name.Name == "main" {
		return
	}
	need := func(id *ast.Ident, docs ...*ast.CommentGroup) {
		if id.IsExported() && !slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil }) {
			add(id.Pos(), "%s is exported and has no comment", id.Name)
		}
	}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			// String and Error are what their names say.
			if d.Recv == nil || !slices.Contains([]string{"String", "Error", "Unwrap"}, d.Name.Name) {
				need(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					need(s.Name, d.Doc, s.Doc)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						need(id, d.Doc, s.Doc, s.Comment)
					}
				}
			}
		}
	}
}
