package report

import (
	"fmt"
	"strings"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

// A metrics collects samples in Prometheus' text format: all of one metric
// together, after its help and type.
type metrics struct {
	order   []string
	samples map[string][]string
	help    map[string]string
}

// add adds a sample. labels are names and values in turn.
func (m *metrics) add(name, help string, value any, labels ...string) {
	if m.samples[name] == nil {
		m.order, m.help[name] = append(m.order, name), help
	}
	var pairs []string
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+escape.Replace(labels[i+1])+`"`)
	}
	m.samples[name] = append(m.samples[name], fmt.Sprintf("snapmerge_%s{%s} %v\n", name, strings.Join(pairs, ","), value))
}

// StatusPrometheus is the status as node_exporter's textfile collector reads it.
// What is not known is left out.
func StatusPrometheus(list []Status) string {
	m := &metrics{samples: map[string][]string{}, help: map[string]string{}}
	for _, s := range list {
		s.metrics(m)
	}
	var b strings.Builder
	for _, name := range m.order {
		fmt.Fprintf(&b, "# HELP snapmerge_%s %s\n# TYPE snapmerge_%s gauge\n", name, m.help[name], name)
		for _, s := range m.samples[name] {
			b.WriteString(s)
		}
	}
	return b.String()
}

func (s Status) metrics(m *metrics) {
	mb := []string{"mailbox", s.Mailbox}
	m.add("status_ok", "Whether everything could be read, also online.", bit(s.Err == nil), mb...)
	if s.Last != nil {
		s.lastMetrics(m, mb)
	}
	if s.Known {
		s.waitingMetrics(m, mb)
	}
	for _, side := range homeFirst {
		s.Sides[side].metrics(m, append(mb, "side", side.String()))
	}
}

func (s Status) waitingMetrics(m *metrics, mb []string) {
	m.add("interrupted", "Whether the last sync was interrupted, or is at work.", bit(s.Interrupted > 0), mb...)
	waiting := s.waiting()
	for _, k := range merge.Kinds {
		if k.Waits() {
			m.add("waiting", "Conflicts that wait for a decision.", waiting[k], append(mb, "kind", string(k))...)
		}
	}
	m.add("decided", "Answers that the next sync acts on.", len(s.Items)-Undecided(s.Items), mb...)
}

func (s Status) lastMetrics(m *metrics, mb []string) {
	r := s.Last.Report
	m.add("last_sync_number", "Number of the last sync.", s.Last.Sync, mb...)
	m.add("last_sync_timestamp_seconds", "When the last sync ended. One that fails leaves this as it is.", unix(s.Last.Finished), mb...)
	m.add("last_sync_duration_seconds", "How long the last sync took.", r.Seconds, mb...)
	m.add("last_sync_not_done", "Actions of the last sync that failed; the next one tries again.", (Sync{Record: s.Last}).Failed(), mb...)
	m.add("last_sync_raced", "Actions of the last sync that a mail client came before.", r.Raced, mb...)
	m.add("last_sync_refused", "Entries of online's store that the last sync refused.", r.Refused, mb...)
	m.add("last_sync_received_bytes", "Bytes of the stream that the last sync received.", r.ReceivedBytes, mb...)
	m.add("waiting_in_new", "Mails in online's new/ that no client has picked up, at the last sync.", r.WaitingInNew, mb...)
	for _, side := range homeFirst {
		c := countsOf(r.Totals, side)
		for _, n := range []struct {
			op string
			n  int
		}{{"placed", c.Placed}, {"copied", c.Copied}, {"moved", c.Moved}, {"flagged", c.Flagged}, {"deleted", c.Deleted}, {"expired", c.Expired}} {
			m.add("last_sync_actions", "What the last sync did.", n.n, append(mb, "side", side.String(), "action", n.op)...)
		}
	}
	m.add("last_sync_expired_bytes", "What the mail took that the last sync let expire online.", r.Online.ExpiredBytes, mb...)
}

func (x SideStatus) metrics(m *metrics, labels []string) {
	if x.Stored != nil {
		m.add("mails", "Mail files, as the last sync left them.", x.Stored.Mails, labels...)
		m.add("mail_bytes", "Length of all mail files, as the last sync left them.", x.Stored.Bytes, labels...)
	}
	if x.Snapshots > 0 {
		m.add("snapshots", "Snapshots that are kept.", x.Snapshots, labels...)
		m.add("oldest_snapshot_timestamp_seconds", "When the oldest snapshot was taken.", unix(x.Oldest), labels...)
	}
	if x.AloneKnown {
		m.add("snapshots_exclusive_bytes", "What each snapshot holds that nothing else holds, added up (btrfs quota).", x.Alone, labels...)
	}
	if x.Free != nil {
		m.add("free_bytes", "Free space of the file system.", *x.Free, labels...)
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func unix(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }

// storedText is "12 mails, 3.4 MiB".
func storedText(s *state.Stored) string {
	return plural(s.Mails, "mail", "mails") + ", " + Bytes(uint64(max(0, s.Bytes)))
}
