package stream

import (
	"path/filepath"
	"strings"
	"testing"
)

// hostile says what stops each stream of testdata/hostile: a part of the
// error of the Decoder or Tracker, or why it passes here. What passes is for a
// receiver to judge, which makes files of it; the path of everything is sound.
var hostile = map[string]string{
	"h01-dotdot-mkfile":                 "refused: path \"../../escaped-dotdot\": name \"..\"",
	"h02-symlink-then-write-through":    "refused: a file is used as a directory",
	"h03-absolute-path":                 "refused: empty name",
	"h04-subvol-name-dotdot":            "refused: slash",
	"h05-subvol-name-with-slash":        "refused: slash",
	"h06-clone-from-another-subvolume":  "receiver: the source's UUID",
	"h07-clone-path-dotdot":             "refused: clone_path: path \"../../secret\"",
	"h08-snapshot-of-another-subvolume": "receiver: the parent's UUID",
	"h09-setuid":                        "receiver: takes no mode over",
	"h10-device-node":                   "receiver: makes files and directories only",
	"h11-capability-xattr":              "receiver: takes no xattr over",
	"h12-write-at-huge-offset":          "receiver: limits sizes",
	"h13-truncate-to-8EiB":              "receiver: limits sizes",
	"h14-length-4GiB":                   "refused: 4294967295 bytes, at most",
	"h15-length-beyond-64K":             "refused: 70000 bytes, at most",
	"h16-bad-crc":                       "refused: checksum",
	"h17-truncated":                     "refused: unexpected EOF",
	"h18-no-end":                        "refused: unexpected EOF",
	"h19-trailing-second-stream":        "refused: data after the end",
	"h20-two-subvols":                   "refused: second subvolume",
	"h21-no-subvol":                     "refused: no subvol or snapshot",
	"h22-version-3":                     "refused: protocol 3",
	"h23-version-0":                     "refused: protocol 0",
	"h24-unknown-command":               "refused: unknown in protocol 1",
	"h25-v2-command-in-v1":              "refused: unknown in protocol 1",
	"h26-missing-path":                  "refused: no path",
	"h27-duplicate-path":                "refused: path is there twice",
	"h28-nul-in-path":                   "refused: slash or NUL",
	"h29-empty-path":                    "refused: empty name",
	"h30-dot-components":                "refused: name \".\"",
	"h31-name-of-256-bytes":             "refused: name of 256 bytes",
	"h32-path-of-5000-bytes":            "refused: path of 5001 bytes",
	"h33-rename-root":                   "refused: empty name",
	"h34-rename-into-itself":            "refused: taken it away",
	"h35-rename-over-existing":          "refused: there is something of that name",
	"h36-mkfile-over-existing":          "refused: there is something of that name",
	"h37-link-to-outside":               "refused: path_link: path \"../../secret\"",
	"h38-chown-to-root":                 "receiver: takes no owner over",
	"h39-wrong-attr-size":               "refused: wrong size",
	"h40-many-orphans-never-renamed":    "refused: more than 1000 files and directories at a time",
}

func TestHostile(t *testing.T) {
	files, err := filepath.Glob("testdata/hostile/*.stream")
	if err != nil || len(files) != len(hostile) {
		t.Fatalf("%d streams, %d expected: %v", len(files), len(hostile), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".stream")
		_, err := trackAll(read(t, "hostile/"+filepath.Base(file)), Limits{Unnamed: 1000})
		verdict, why, _ := strings.Cut(hostile[name], ": ")
		switch {
		case verdict == "refused" && (err == nil || !strings.Contains(err.Error(), why)):
			t.Errorf("%s: error %v, want %q", name, err, why)
		case verdict == "receiver" && err != nil:
			t.Errorf("%s: refused here already, the table is wrong: %v", name, err)
		case verdict == "":
			t.Errorf("%s: not in the table", name)
		}
	}
}
