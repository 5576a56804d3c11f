// Package state is what a mailbox remembers from one sync to the next.
//
// The truth lies beside the offline snapshots, in the same directory, so that
// it is lost or restored together with them:
//
//	sync.N.json       the record of the finished sync N: its report, and all that
//	                  can not be read from the two snapshots of that sync
//	journal           what the sync that is running now is about to change
//	restore.N.K.json  what was brought back from snapshots after the sync N
//	decisions.json    answers to conflicts that no sync has acted on yet
//
// The [Index], an SQLite file in the state directory, holds the trees of those
// two snapshots so that nobody has to walk them. It is a cache: [Rebuild] makes
// the same [State] from the snapshots and the newest record.
//
// A sync calls [Lock], [Open], the index for what it needs, [Begin],
// [Journal.Ack] after each syncfs, [WriteRecord], [Index.Commit],
// [Journal.Remove], in this order. WriteRecord is the moment at which the sync
// has happened. So after a crash
//
//   - a journal without its record is a sync to be finished, and the journal
//     says what its actions were;
//   - a journal with its record is a finished one, only the index may be behind
//     ([Index.Meta] has another Sync) and is built again.
package state

import (
	"errors"
	"time"

	"snapmerge/merge"
	"snapmerge/tree"
)

// The errors that a caller must tell apart.
var (
	// ErrDamaged: a file is not what this package wrote.
	ErrDamaged = errors.New("damaged")
	// ErrVersion: a file was written by a newer snapmerge.
	ErrVersion = errors.New("written by a newer snapmerge")
)

// A StoreID tells whether a store and its base snapshot are still the ones of
// the last sync. The first two are btrfs subvolume UUIDs as text, "" if unknown.
type StoreID struct {
	Live     string // the store itself
	Snapshot string // its snapshot of the sync
	Layout   string // how its directories were read as folders
}

// Meta names a sync. Arrays are indexed by [merge.Side], here and below.
type Meta struct {
	Mailbox   string
	Sync      int       // 1 for the first; 0: there was none
	Snapshots [2]string // names of the two snapshots, the next base
	Stores    [2]StoreID
}

// A State is all that the next sync knows of the last one.
type State struct {
	Meta
	// Trees are the base snapshots, without what was refused there.
	Trees [2]*tree.Tree
	// Messages names the message of each of Trees[side].Files.
	Messages [2][]string
	Pending
}

// Pending is the difference between the base snapshots and what both sides
// agreed on, and what waits for a person. It is complete: together with the
// two snapshots it is the state.
type Pending struct {
	Agreed []AgreedMessage `json:",omitempty"`
	// Folders that both sides had after the sync, by their agreed names.
	Folders []string `json:",omitempty"`
	// Pairs has every file of the two snapshots whose message is not its key,
	// ordered by side and place. See [NextPairs].
	Pairs []Pair    `json:",omitempty"`
	Own   []OwnFile `json:",omitempty"`
	// OwnFolders are those that the sync made: they too are not in the base snapshot.
	OwnFolders []OwnFolder `json:",omitempty"`
	// Renamed are folders that the sync renamed, old name to new: the base snapshot
	// still shows the old one.
	Renamed   [2]map[string]string `json:",omitzero"`
	Held      []Held               `json:",omitempty"`
	Decisions map[string]Decided   `json:",omitempty"` // by conflict ID: the ones still in force, "seen" included
	Differs   []string             `json:",omitempty"` // messages whose bytes online are not the bytes offline
	// Refused is what in each base snapshot can not be mail: the next one is only
	// compared with it. RefusedMore counts what the lists have no room for.
	Refused     [2][]tree.Refused `json:",omitzero"`
	RefusedMore [2]int            `json:",omitzero"`
	// Limit is the size in bytes above which online's mail was refused.
	Limit int64 `json:",omitempty"`
	// Undo names the snapshots that deletions within preserve_min were made from.
	Undo []Undo `json:",omitempty"`
	// Rules is a fingerprint of the folder rules. With other rules every message
	// is looked at again.
	Rules string `json:",omitempty"`
	// LastSync is when the sync began, by home's clock: the next one tells by it
	// that a clock is wrong, and what has become due since.
	LastSync time.Time `json:",omitzero"`
	// Made are the archive subfolders that syncs have made on each side, and that
	// are removed when they have become empty.
	Made [2][]string `json:",omitzero"`
	// Subscribed are the folders that clients of both sides are subscribed to.
	Subscribed []string `json:",omitempty"`
	// Unfiled are messages that were to be moved, and were not.
	Unfiled []string `json:",omitempty"`
}

// An AgreedMessage is one whose agreed state is not what the base snapshots
// show: an own action came after them, or somebody was faster, or it is held.
// No placements on either side: the message is forgotten.
type AgreedMessage struct {
	Message string
	Base    [2][]tree.Placement
}

// A Pair says which message a file of a snapshot belongs to, where its name
// does not: the two sides have different names, or the key is not unique.
type Pair struct {
	Side   merge.Side
	Folder string
	New    bool
	Name   string
	// Ino tells a file from one of the same name in a folder that took the
	// place of a removed one (NextPairs).
	Ino     uint64
	Message string
}

// An OwnFile is a file that the sync itself made or renamed, as it is since.
// The base snapshot does not show it; the next one does, and there it must not
// be taken for a change by the user.
type OwnFile struct {
	Side    merge.Side
	Message string
	File    tree.File
}

// An OwnFolder is a folder that the sync made, known by its directory when a
// client has renamed it since.
type OwnFolder struct {
	Side merge.Side
	Name string // logical
	Ino  uint64
}

// A SnapshotFile is a file in one of the snapshots.
type SnapshotFile struct {
	Snapshot string // name of the snapshot
	Path     string // below its root, as on disk
}

// Undo says that a snapshot has mail that a sync has deleted.
type Undo struct {
	Snapshot string
	Sync     int // the last one that deleted any of it
	At       time.Time
}

// Held is a conflict that waits for a person's decision.
type Held struct {
	merge.Conflict
	Since  int           // the sync that found it
	Source *SnapshotFile // where home's copy can be read, nil if nowhere
	// Theirs is where online's can be read, in the snapshot that the sync compares
	// with; nil if home's is as good. It is for a person: no mail is made of it.
	Theirs *SnapshotFile
	// The headers of that name, decoded, for the list that a person sees. They
	// come from the mail: quote them before printing.
	From, Subject, Date string
}

// Copies are Theirs and Source, by side.
func (h Held) Copies() [2]*SnapshotFile {
	var out [2]*SnapshotFile
	out[merge.Online], out[merge.Offline] = h.Theirs, h.Source
	return out
}

// Decided is a person's answer to a conflict.
type Decided struct {
	merge.Decision
	Message string
	Who     string
	At      time.Time
}
