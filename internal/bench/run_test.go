package bench

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A result is one run of the program.
type result struct {
	wall   time.Duration
	cpu    time.Duration // of the program at home and what it has started; not of the agent
	memory int64         // bytes: the largest of its processes
	stages []stage
	sync   syncJSON
}

type stage struct {
	Stage   string
	Seconds float64
}

type syncJSON struct {
	Sync     int
	Received int64 `json:"received_bytes"`
	Offline  map[string]int
	Online   map[string]int
	Stages   []stage
}

// run syncs once.
func (r *rig) run() result {
	r.Helper()
	out, u := measured(r.B, r.bin, "-c", r.config, "--json", "-v", "sync")
	var doc struct{ Mailboxes []syncJSON }
	must(r.B, json.Unmarshal([]byte(out), &doc))
	return result{u.Wall, u.CPU, u.Memory, doc.Mailboxes[0].Stages, doc.Mailboxes[0]}
}

// floors are what the kernel alone needs for parts of a sync.
type floors []struct {
	what string
	took time.Duration
}

func (f floors) String() string {
	var parts []string
	for _, x := range f {
		parts = append(parts, fmt.Sprintf("%s %s", x.what, short(x.took)))
	}
	return strings.Join(parts, ", ")
}

// A table collects what is printed at the end.
type table struct {
	strings.Builder
	rows []row
}

type row struct {
	mails  int
	name   string
	wall   time.Duration
	memory int64
}

// growth says what each kind of sync takes more of than with fewer mails.
func (t *table) growth() string {
	var b strings.Builder
	for i, r := range t.rows {
		for _, before := range slices.Backward(t.rows[:i]) {
			if before.name == r.name {
				fmt.Fprintf(&b, "from %d to %d mails, %s: %.2f times the time, the time to connect in neither, and %.2f times the memory\n",
					before.mails, r.mails, r.name, float64(r.wall)/float64(before.wall), float64(r.memory)/float64(before.memory))
				break
			}
		}
	}
	return b.String()
}

func (t *table) add(mails int, name string, r result, f floors) {
	t.rows = append(t.rows, row{mails, name, r.wall - r.connect(), r.memory})
	fmt.Fprintf(t, "%d mails, %s: %s, %s CPU, %d MiB, %d bytes received\n", mails, name, short(r.wall), short(r.cpu), r.memory>>20, r.sync.Received)
	fmt.Fprintf(t, "    home %v, online %v\n", did(r.sync.Offline), did(r.sync.Online))
	var parts []string
	for _, s := range r.stages {
		parts = append(parts, fmt.Sprintf("%s %s", s.Stage, short(time.Duration(s.Seconds*1e9))))
	}
	fmt.Fprintf(t, "    stages: %s\n", strings.Join(parts, ", "))
	if f == nil {
		return
	}
	fmt.Fprintf(t, "    floors: %s\n", f)
	for i := range f {
		if ratio := r.ratio(f[:i+1]); ratio > 0 {
			t.note("ratio to %s, the time to connect in neither: %.2f", f[i].what, ratio)
		}
	}
}

func (t *table) note(format string, args ...any) { fmt.Fprintf(t, "    "+format+"\n", args...) }

// ratio compares with the last of the floors, if that is a sum of others; else it is 0.
func (r result) ratio(f floors) float64 {
	last := f[len(f)-1]
	if !strings.HasPrefix(last.what, "in all") {
		return 0
	}
	return float64(r.wall-r.connect()) / float64(last.took)
}

// connect is how long it took until the agent had answered.
func (r result) connect() time.Duration {
	for _, s := range r.stages {
		if s.Stage == "connect" {
			return time.Duration(s.Seconds * 1e9)
		}
	}
	return 0
}

func did(m map[string]int) string {
	var parts []string
	for _, what := range []string{"placed", "copied", "moved", "flagged", "deleted", "folders", "expired"} {
		if m[what] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", m[what], what))
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
