package livetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// Mail of the stress test is of a kind, by the first letter of its subject. Who
// changes what of it is known, so for all but "free" the end can be foretold:
// it is what the owner did last, on both sides.
const (
	still   = 's' // stays where it is; both sides change its flags, each its own
	ofHome  = 'h' // moved and expunged by clients at home only
	ofMX    = 'o' // moved and expunged by clients online only
	free    = 'f' // moved, copied, expunged by everybody
	archive = 'a' // saved at home: online never sees it
)

// Each side has a flag and a keyword of its own, so that what it set last counts.
var (
	ownFlag    = [2]string{`\Flagged`, `\Answered`}
	ownKeyword = [2]string{"fromOnline", "fromHome"}
)

// stressFolders are there all the time. Clients make, rename and delete others.
var stressFolders = []string{"INBOX", "work", "lists", "a/b"}

// A stress is a mailbox under load and what is known of its mail.
type stress struct {
	*world
	seed  uint64
	ops   atomic.Int64
	limit int64
	end   time.Time

	crashes, seen atomic.Int64 // of Dovecot, as clients and as its log tell

	mu       sync.Mutex
	mails    map[string]string    // subject → message
	mayBe    map[string]string    // subject → who may have deleted it
	done     map[string]int       // commands, and answers other than OK
	moved    map[string]bool      // what syncs have moved to where: side, folder, key
	changed  map[string]time.Time // what syncs have changed anything of, and when first
	half     map[string]bool      // mails at whose move Dovecot crashed
	problems []string
	story    map[string][]string // subject → what happened to it
	subject  map[string]string   // message, as snapmerge calls it → subject
	started  time.Time
}

// stressTime is how long clients work in an ordinary run.
const stressTime = 15 * time.Second

// TestStress: four clients on each side do what comes to their mind, mail is
// delivered, and one sync follows the other. Then everybody goes home, and after
// one quiet sync all mail is accounted for.
//
// SNAPMERGE_STRESS is the number of IMAP commands and deliveries, of a run as
// long as it takes; without it they end after [stressTime]. SNAPMERGE_SEED chooses
// other random numbers; clients and syncs race, so no run is like another.
func TestStress(t *testing.T) {
	seed := stressSeed(t)
	s := &stress{
		seed: seed, mails: map[string]string{}, mayBe: map[string]string{}, done: map[string]int{},
		moved: map[string]bool{}, changed: map[string]time.Time{}, half: map[string]bool{},
		story: map[string][]string{}, subject: map[string]string{}, started: time.Now(),
		limit: 1 << 40,
	}
	length := stressTime
	if n := os.Getenv("SNAPMERGE_STRESS"); n != "" {
		var err error
		s.limit, err = strconv.ParseInt(n, 10, 64)
		must(t, err)
		length = 24 * time.Hour
	}
	s.world = startPair(t, setup{layout: [2]tree.Layout{home: {FS: seed%2 == 0}}}).newWorld(t, "u")
	for _, side := range merge.Sides {
		s.server[side].Excused = func(line string) bool { return s.explained(side, line) }
	}
	s.fill()
	s.note(s.sync())
	s.note(s.sync())
	first := [2]view{s.look(online), s.look(home)}
	s.end = time.Now().Add(length)
	raced, syncs := s.run()
	s.check(first)
	t.Logf("%d operations, %d syncs, %d actions raced", s.ops.Load(), syncs, raced)
	t.Logf("commands: %v, %d crashes of Dovecot", s.done, s.crashes.Load())
	// Of a machine that is busy with other tests less can be asked.
	if syncs < 1 || s.ops.Load() < 100 || raced == 0 && s.limit < 1<<40 {
		t.Error("hardly anything happened at the same time")
	}
}

func stressSeed(t *testing.T) uint64 {
	seed := uint64(1)
	switch v := os.Getenv("SNAPMERGE_SEED"); v {
	case "":
	case "random":
		seed = rand.Uint64() >> 32
	default:
		var err error
		seed, err = strconv.ParseUint(v, 10, 64)
		must(t, err)
	}
	t.Logf("SNAPMERGE_SEED=%d", seed)
	return seed
}

// fill makes the first mail, online.
func (s *stress) fill() {
	c := s.login(online)
	defer c.Close()
	for _, f := range stressFolders[1:] {
		c.Do("CREATE %s", f)
	}
	for i := range 240 {
		subject := fmt.Sprintf("%c%d", "ssshof"[i%6], i)
		s.mails[subject] = message(subject)
		c.Append(stressFolders[i%4], []string{"", `\Seen`, `\Seen both`}[i%3], s.mails[subject])
	}
	for _, f := range stressFolders {
		c.Open("SELECT", f)
	}
}

// run lets everybody work until the end, and syncs all the time.
func (s *stress) run() (raced, syncs int) {
	var users sync.WaitGroup
	for i := range 8 {
		u := &user{stress: s, n: i, side: merge.Sides[i%2], name: fmt.Sprintf("client %d", i), rng: rand.New(rand.NewPCG(s.seed, uint64(i)))}
		users.Go(u.work)
	}
	users.Go(s.deliver)
	done := make(chan struct{})
	go func() {
		users.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			return raced, syncs
		default:
		}
		rec, err := s.trySync()
		if err != nil {
			// A folder that a client has renamed or deleted meanwhile ends a sync
			// early: the next one begins with its own look at the folders.
			s.count("sync: " + err.Error())
			continue
		}
		s.note(rec)
		syncs++
		raced += rec.Report.Raced
	}
}

// note keeps what a sync has moved, and tells it to the stories of the mails.
func (s *stress) note(rec *state.Record) {
	for _, a := range rec.Report.Actions {
		if a.Message == "" {
			continue
		}
		if a.From != a.To && a.To != "" && a.After != nil {
			s.moved[at(a.Side, a.To, a.After.Name)] = true
		}
		if a.Effect == state.Done {
			s.touch(rec.Started, a)
		}
		if s.subject[a.Message] == "" {
			s.subject[a.Message] = s.subjectOf(a.Message)
		}
		names := ""
		if a.Before != nil {
			names = a.Before.Name
		}
		if a.After != nil {
			names += " -> " + a.After.Name
		}
		s.tell(s.subject[a.Message], "sync %d (from %.1f s): %s %s %q to %q, rule %s: %s %s %s", rec.Sync, rec.Started.Sub(s.started).Seconds(),
			a.Side, a.Op, a.From, a.To, a.Rule, a.Effect, a.Why, names)
	}
}

// touch notes which names of which folder a sync has changed something of.
func (s *stress) touch(when time.Time, a state.ReportAction) {
	touched := func(folder string, f *state.Named) {
		if f == nil || folder == "" {
			return
		}
		if k := at(a.Side, folder, f.Name); s.changed[k].IsZero() {
			s.changed[k] = when
		}
	}
	touched(a.From, a.Before)
	touched(a.To, a.After)
}

// at names a mail in a folder of a side.
func at(side merge.Side, folder, name string) string {
	key, _, _ := strings.Cut(name, ",")
	return fmt.Sprint(side, folder, key)
}

// subjectOf looks for a message by its name in the snapshots at home: that of the
// sync which placed it does not have it yet, but mail is looked for as often as
// something is done to it.
func (s *stress) subjectOf(message string) string {
	for _, side := range merge.Sides {
		paths, _ := filepath.Glob(filepath.Join(s.path(side), "*", message+",*"))
		more, _ := filepath.Glob(filepath.Join(s.path(side), "*", "*", message+",*"))
		most, _ := filepath.Glob(filepath.Join(s.path(side), "*", "*", "*", message+",*"))
		for _, p := range slices.Concat(paths, more, most) {
			text, _ := os.ReadFile(p)
			if m := subjectLine.FindStringSubmatch(string(text)); m != nil {
				return m[1]
			}
		}
	}
	return message
}

// tell adds to the story of a mail.
func (s *stress) tell(subject, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story[subject] = append(s.story[subject], fmt.Sprintf("%.1f s: ", time.Since(s.started).Seconds())+fmt.Sprintf(format, args...))
}

// next takes the next operation; false: it is enough.
func (s *stress) next() bool {
	return s.ops.Add(1) <= s.limit && time.Now().Before(s.end)
}

func (s *stress) count(what string) {
	s.mu.Lock()
	s.done[what]++
	s.mu.Unlock()
}

func (s *stress) problem(format string, args ...any) {
	s.mu.Lock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
	s.mu.Unlock()
}

// mail makes a new message.
func (s *stress) mail(kind rune) (subject, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subject = fmt.Sprintf("%c%d", kind, len(s.mails))
	s.mails[subject] = message(subject)
	return subject, s.mails[subject]
}

// gone notes that a client may be about to delete a mail.
func (s *stress) gone(subject, why string) {
	s.mu.Lock()
	s.mayBe[subject] = why
	s.mu.Unlock()
}

// halved notes that a mail may have been moved by half.
func (s *stress) halved(subject string) {
	s.mu.Lock()
	s.half[subject] = true
	s.mu.Unlock()
}

// deliver is the mail exchanger.
func (s *stress) deliver() {
	rng := rand.New(rand.NewPCG(s.seed, 99))
	for s.next() {
		_, text := s.mail([]rune{ofHome, ofMX, free}[rng.IntN(3)])
		if err := s.server[online].Deliver(s.user, text); err != nil {
			s.problem("%v", err)
		}
		s.count("LMTP")
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
	}
}
