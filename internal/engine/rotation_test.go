package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

func entry(side string, sync int, taken time.Time) snapshot.Entry {
	return snapshot.Entry{Name: snapshot.Name(side, sync), Side: side, Sync: sync, Info: snapshot.Info{ReadOnly: true, Otime: taken}}
}

func metaOf(sync int) state.Meta {
	return state.Meta{Sync: sync, Snapshots: [2]string{snapshot.Name(snapshot.Online, sync), snapshot.Name(snapshot.Offline, sync)}}
}

// TestRotation: what becomes of each snapshot, and what a person is told. The
// newest sync is 12 of 21 December 2015, 06:00; it is 07:00 now.
func TestRotation(t *testing.T) {
	now := time.Date(2015, 12, 21, 7, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.Add(-time.Hour).AddDate(0, 0, -days) }
	thirteen := metaOf(13)
	held := []state.Held{{Conflict: merge.Conflict{Kind: merge.DeletedOffline, Message: "4.a"}, Source: &state.SnapshotFile{Snapshot: "offline.5"}}}
	undo := []state.Undo{{Snapshot: "offline.6", Sync: 11, At: ago(1)}, {Snapshot: "offline.5", Sync: 7, At: ago(9)}, {Snapshot: "online.11", Sync: 12, At: ago(0)}}
	for _, tt := range []struct {
		name   string
		change func(r *rotation)
		shelf  Shelf
		list   string // days ago by sync; w: writable
		want   string
	}{
		{"home keeps what the schedule says, and the base", nil, ShelfHome, "9:8 10:6 11:2 12:0", `
			delete offline.9: kept neither by preserve_min 2d nor by preserve 7d
			keep offline.10: first of its day, 6 days ago
			keep offline.11: first of its day, 2 days ago
			keep offline.12: the next sync compares with it`},
		{"without a schedule only the base", func(r *rotation) { r.schedule = snapshot.Schedule{} }, ShelfHome, "11:0 12:0", `
			delete offline.11: kept neither by preserve_min  nor by preserve 
			keep offline.12: the next sync compares with it`},
		{"what an open question is about, and what a deletion of yesterday was made from, however old",
			func(r *rotation) { r.held, r.undo = held, undo }, ShelfHome, "4:30 5:29 6:28 12:0", `
			delete offline.4: kept neither by preserve_min 2d nor by preserve 7d
			keep offline.5: deleted-offline of "4.a" waits for a decision
			keep offline.6: sync 11 deleted mail that it has
			keep offline.12: the next sync compares with it`},
		{"a deletion of nine days ago is past undoing", func(r *rotation) { r.undo = undo }, ShelfHome, "5:29 12:0", `
			delete offline.5: kept neither by preserve_min 2d nor by preserve 7d
			keep offline.12: the next sync compares with it`},
		{"an interrupted sync's stay, those of a run after it that did nothing go", func(r *rotation) { r.running = &thirteen }, ShelfHome, "12:0 13:0 14:0", `
			keep offline.12: the next sync compares with it
			keep offline.13: sync 13 was interrupted, and the next one needs it
			delete offline.14: left by a run that ended before it changed anything`},
		{"a leftover goes, and is not the first of its day for that", func(r *rotation) { r.schedule, _ = snapshot.ParseSchedule("no", "1d") }, ShelfHome, "11:0 12:0 13:0", `
			keep offline.11: first of its day, today
			keep offline.12: the next sync compares with it
			delete offline.13: left by a run that ended before it changed anything`},
		{"records are missing: all that is newer stays", nil, ShelfHome, "12:0 13:0 14:0", `
			keep offline.12: the next sync compares with it
			keep offline.13: no record of sync 13 tells what it holds
			keep offline.14: no record of sync 14 tells what it holds`},
		{"the newest record is damaged", func(r *rotation) { r.known = 13 }, ShelfHome, "12:0 13:0", `
			keep offline.12: the next sync compares with it
			keep offline.13: no record of sync 13 tells what it holds`},
		{"what is writable is nobody's to delete", nil, ShelfHome, "3:30w 12:0", `
			keep offline.3: it is writable, so no snapshot of a sync: look what it is
			keep offline.12: the next sync compares with it`},
		{"online keeps the base only", nil, ShelfOnline, "10:0 11:0 12:0", `
			delete online.10: nothing needs it, and old ones are kept at home
			delete online.11: nothing needs it, and old ones are kept at home
			keep online.12: the next sync compares with it`},
		{"and what a deletion needs that home never had in a snapshot", func(r *rotation) { r.undo = undo }, ShelfCopies, "11:0 12:0", `
			keep online.11: sync 12 deleted mail that it has
			keep online.12: the next sync compares with it`},
		{"but not where a copy of it is at home", func(r *rotation) { r.undo, r.mirrored = undo, true }, ShelfOnline, "11:0 12:0", `
			delete online.11: nothing needs it, and old ones are kept at home
			keep online.12: the next sync compares with it`},
		{"never synced", func(r *rotation) { r.base = state.Meta{} }, ShelfHome, "1:0", `
			delete offline.1: left by a run that ended before it changed anything`},
	} {
		s, err := snapshot.ParseSchedule("2d", "7d")
		if err != nil {
			t.Fatal(err)
		}
		r := rotation{schedule: s, now: now, base: metaOf(12)}
		if tt.change != nil {
			tt.change(&r)
		}
		side := snapshot.Offline
		if tt.shelf != ShelfHome {
			side = snapshot.Online
		}
		var list []snapshot.Entry
		for word := range strings.FieldsSeq(tt.list) {
			n, days, _ := strings.Cut(word, ":")
			sync, _ := strconv.Atoi(n)
			d, _ := strconv.Atoi(strings.TrimSuffix(days, "w"))
			e := entry(side, sync, ago(d))
			e.Info.ReadOnly = !strings.HasSuffix(days, "w")
			list = append(list, e)
		}
		var got, want []string
		for line := range strings.Lines(strings.Trim(tt.want, "\n")) {
			want = append(want, strings.Trim(line, "\t\n"))
		}
		for _, v := range r.verdicts(tt.shelf, list) {
			got = append(got, fmt.Sprintf("%s %s: %s", map[bool]string{true: "keep", false: "delete"}[v.Keep], v.Snap.Name, v.Reason))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// seedOf is SNAPMERGE_SEED, or 1.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(1)
	switch s := os.Getenv("SNAPMERGE_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SNAPMERGE_SEED=%d", seed)
	return seed
}

// TestRotationNeverDrops, for 100,000 random schedules, calendars and histories,
// some with a clock that was set back: what the next sync, an interrupted sync,
// an open question or a deletion within preserve_min needs stays; so does what is
// younger than preserve_min, or dated in the future; on what is left a second
// rotation drops nothing.
func TestRotationNeverDrops(t *testing.T) {
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, z)
	}
	rng := rand.New(rand.NewPCG(seedOf(t), 2))
	dropped := 0
	for i := range 100_000 {
		h := newRandomRotation(rng, zones[i%len(zones)])
		for _, shelf := range []Shelf{ShelfHome, ShelfOnline} {
			dropped += h.check(t, shelf)
		}
		if t.Failed() {
			t.Fatalf("history %d: %s, now %v, %+v", i, h.schedule, h.now, h.rotation)
		}
	}
	if dropped < 100_000 {
		t.Errorf("only %d snapshots went: that proves little", dropped)
	}
}

// A randomRotation is a mailbox with its snapshots of both sides.
type randomRotation struct {
	rotation
	home, online []snapshot.Entry
	young        time.Time // what is younger must stay
}

func newRandomRotation(rng *rand.Rand, zone *time.Location) *randomRotation {
	h := &randomRotation{}
	h.now = time.Unix(1_400_000_000+rng.Int64N(500_000_000), 0).In(zone)
	n, unit := rng.IntN(9), "hdwmy"[rng.IntN(5)]
	min := []string{fmt.Sprint(n) + string(unit), fmt.Sprint(n) + string(unit), "no", "latest", "all"}[rng.IntN(5)]
	preserve := []string{"no", "14d 8w 12m *y", "3h 2m", "*d", "5w 1y", "48h"}[rng.IntN(6)]
	h.schedule, _ = snapshot.ParseSchedule(min, preserve)
	h.young = youngest(h.now, min, n, unit)
	last := 1 + rng.IntN(16)
	taken := h.now.Add(-time.Duration(rng.Int64N(int64(3 * 365 * 24 * time.Hour))))
	for sync := 1; sync <= last; sync++ {
		taken = taken.Add(time.Duration(rng.Int64N(int64(24 * time.Hour * 20))))
		if rng.IntN(20) == 0 {
			taken = taken.AddDate(0, 0, -rng.IntN(40)) // the clock was set back
		}
		if rng.IntN(4) > 0 {
			h.home = append(h.home, entry(snapshot.Offline, sync, taken))
			h.online = append(h.online, entry(snapshot.Online, sync, taken))
		}
	}
	h.base = metaOf(max(0, last-rng.IntN(3)))
	if h.base.Sync == 0 {
		h.base = state.Meta{}
	}
	h.known = h.base.Sync
	if rng.IntN(3) == 0 {
		m := metaOf(h.base.Sync + 1)
		h.running = &m
	}
	any := func() string {
		return snapshot.Name([]string{snapshot.Online, snapshot.Offline}[rng.IntN(2)], 1+rng.IntN(last))
	}
	for range rng.IntN(3) {
		h.held = append(h.held, state.Held{Source: &state.SnapshotFile{Snapshot: any()}})
		h.undo = append(h.undo, state.Undo{Snapshot: any(), At: h.now.Add(-time.Duration(rng.Int64N(int64(60 * 24 * time.Hour))))})
	}
	return h
}

// youngest is preserve_min as a time, counted by the clock on the wall.
func youngest(now time.Time, min string, n int, unit byte) time.Time {
	switch {
	case min == "all":
		return time.Time{}
	case min == "no" || min == "latest":
		return now
	}
	switch unit {
	case 'h':
		return now.Add(-time.Duration(n) * time.Hour)
	case 'd':
		return now.AddDate(0, 0, -n)
	case 'w':
		return now.AddDate(0, 0, -7*n)
	case 'm':
		return now.AddDate(0, -n, 0)
	}
	return now.AddDate(-n, 0, 0)
}

// check returns how many snapshots of a shelf went.
func (h *randomRotation) check(t *testing.T, shelf Shelf) (dropped int) {
	list := h.home
	if shelf != ShelfHome {
		list = h.online
	}
	newest := h.base.Sync
	if h.running != nil {
		newest++
	}
	var left []snapshot.Entry
	verdicts := h.verdicts(shelf, list)
	for i, v := range verdicts {
		e := list[i]
		if v.Snap.Name != e.Name || v.Reason == "" {
			t.Errorf("%s: verdict %+v", e.Name, v)
		}
		if v.Keep {
			left = append(left, e)
			continue
		}
		dropped++
		if why := h.mustStay(shelf, e, newest); why != "" {
			t.Errorf("%s: dropped (%s) although %s", e.Name, v.Reason, why)
		}
	}
	for i, v := range h.verdicts(shelf, left) {
		if !v.Keep {
			t.Errorf("%s: dropped by a second rotation: %s", left[i].Name, v.Reason)
		}
	}
	return dropped
}

// mustStay says why a snapshot must not go, written from what is promised.
func (h *randomRotation) mustStay(shelf Shelf, e snapshot.Entry, newest int) string {
	needed := func(u state.Undo) bool { return u.Snapshot == e.Name && u.At.After(h.young) }
	waits := func(x state.Held) bool { return x.Source.Snapshot == e.Name }
	switch {
	case e.Sync == h.base.Sync:
		return "it is the base"
	case e.Sync == newest:
		return "an interrupted sync has made it"
	case e.Sync == newest+1 && !slices.ContainsFunc(h.home, func(o snapshot.Entry) bool { return o.Sync > e.Sync }):
		return "" // left over, and the last
	case e.Sync > newest:
		return "records are missing"
	case slices.ContainsFunc(h.held, waits):
		return "a question waits"
	case slices.ContainsFunc(h.undo, needed):
		return "a deletion can be undone"
	case shelf == ShelfHome && (e.Info.Otime.After(h.young) || e.Info.Otime.After(h.now)):
		return "it is too young"
	}
	return ""
}
