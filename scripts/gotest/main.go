// Gotest runs "go test -json" with its own arguments and prints what "go test"
// prints: the output of what failed, and one line a package. A test that was
// skipped is a failure: it proves nothing, and who reads only "ok" takes it for
// proof.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is a line of "go tool test2json".
type event struct {
	Action, Package, ImportPath, Test, Output string
}

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	skipped, err := show(out, os.Stdout)
	if waitErr := cmd.Wait(); err == nil {
		err = waitErr
	}
	for _, s := range skipped {
		fmt.Println("FAIL: skipped:", s)
	}
	if err != nil || len(skipped) > 0 {
		os.Exit(1)
	}
}

// show prints events as go test without -v would, and returns the tests that
// were skipped.
func show(in io.Reader, out io.Writer) (skipped []string, err error) {
	held := map[string]*strings.Builder{} // output of tests that have not ended
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return skipped, nil
		} else if err != nil {
			return skipped, err
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			out.Write(line) // not from test2json: it matters all the more
			continue
		}
		id := e.Package + " " + e.Test
		switch {
		case e.Action == "build-output", e.Action == "output" && e.Test == "" && printed(e.Output):
			io.WriteString(out, e.Output)
		case e.Action == "output" && e.Test != "":
			if held[id] == nil {
				held[id] = new(strings.Builder)
			}
			held[id].WriteString(e.Output)
		case e.Test != "" && (e.Action == "fail" || e.Action == "pass" || e.Action == "skip"):
			if e.Action == "skip" {
				skipped = append(skipped, id)
			}
			if e.Action != "pass" && held[id] != nil {
				io.WriteString(out, held[id].String())
			}
			delete(held, id)
		case e.Test == "" && e.Action == "fail":
			// A test that the end of its process cut off has had no end of its own.
			for id, b := range held {
				if strings.HasPrefix(id, e.Package+" ") {
					io.WriteString(out, b.String())
					delete(held, id)
				}
			}
		}
	}
}

// printed tells whether go test without -v prints the line of a package.
func printed(line string) bool { return line != "PASS\n" }
