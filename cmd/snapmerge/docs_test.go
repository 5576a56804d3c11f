package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// shown matches a block of a document that is what the program prints:
//
//	<!-- output NAME -->
//	```
//	…
//	```
var shown = regexp.MustCompile("(?s)(<!-- output ([a-z-]+) -->\n```\n)(.*?)(```\n)")

// TestDocs: what the documents show of the program is what it prints in
// testdata/docs. With -update the documents are written anew. The commands there:
//
//	doc NAME ARG...     runs snapmerge; the block NAME is the command and its output
//	docfile NAME FILE   the block NAME is that file
func TestDocs(t *testing.T) {
	blocks := map[string]string{}
	t.Run("scenario", func(t *testing.T) {
		p := params(t, "docs")
		p.Cmds["doc"] = func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(ts.Exec("snapmerge", append([]string{"-c", "snapmerge.toml"}, args[1:]...)...))
			blocks[args[0]] = "$ sudo snapmerge " + strings.Join(args[1:], " ") + "\n" + steady(ts.ReadFile("stdout"), ts.Getenv("FS"))
		}
		p.Cmds["docfile"] = func(ts *testscript.TestScript, _ bool, args []string) {
			blocks[args[0]] = steady(ts.ReadFile(args[1]), ts.Getenv("FS"))
		}
		testscript.Run(t, p)
	})
	docs, _ := filepath.Glob("../../doc/*.md")
	used := map[string]bool{}
	for _, file := range append(docs, "../../README.md") {
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := shown.ReplaceAllStringFunc(string(old), func(block string) string {
			m := shown.FindStringSubmatch(block)
			used[m[2]] = true
			if blocks[m[2]] == "" {
				t.Errorf("%s: the scenario has no %q", file, m[2])
			}
			return m[1] + blocks[m[2]] + m[4]
		})
		if text == string(old) {
			continue
		}
		if !*update {
			t.Errorf("%s is out of date; go test ./cmd/snapmerge -run TestDocs -update (-shown +printed):\n%s", file, cmp.Diff(string(old), text))
		} else if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range blocks {
		if !used[name] {
			t.Errorf("no document shows %q", name)
		}
	}
}

// steady replaces what is another one in each run by something that could be.
func steady(text, fs string) string {
	for _, r := range []struct{ what, with string }{
		{regexp.QuoteMeta(fs) + "/snap", "/srv/mail/.snapmerge"},
		{regexp.QuoteMeta(fs), "/srv/mail"},
		{`\d+\.\d s\b`, "0.4 s"},
		{`(?m)^  time .*\n`, ""},
		{`\d{4}-\d\d-\d\d \d\d:\d\d`, "2016-01-04 04:00"},
		{`, YYYY-MM-DD`, ", 2016-01-04"},
		{`[0-9.]+ [KMGT]iB free`, "1.2 TiB free"},
		{`(timestamp_seconds\S*) [0-9.]+`, "$1 1451880000.000"},
	} {
		text = regexp.MustCompile(r.what).ReplaceAllString(text, r.with)
	}
	return text
}
