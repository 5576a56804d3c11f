package livetest

import (
	"slices"
	"strings"
)

// mailTable: flags, keywords, and where mail is.
var mailTable = []scenario{
	{
		name: "flag set and flag taken away",
		do: `SELECT INBOX
		     UID STORE {read} +FLAGS (\Flagged)
		     UID STORE {tagged} -FLAGS (\Seen)`,
		told: `idle: FETCH .*\\Flagged`,
		sees: `INBOX read \Flagged \Seen
		       INBOX tagged $Label1 Zeta \Flagged`,
	},
	{
		name: "mail is read",
		do:   "SELECT INBOX\nUID FETCH {unseen} BODY[]",
		told: `idle: FETCH .*\\Seen`,
		sees: `INBOX unseen \Seen`,
	},
	{
		name: "keywords: one known, one new, one taken away",
		do: `SELECT INBOX
		     UID STORE {read} +FLAGS (Zeta)
		     UID STORE {unseen} +FLAGS ($Forwarded)
		     UID STORE {tagged} -FLAGS ($Label1)`,
		told: `idle: FETCH .*\$Forwarded`,
		sees: `INBOX read Zeta \Seen
		       INBOX unseen $Forwarded
		       INBOX tagged Zeta \Flagged \Seen`,
	},
	{
		name: "keywords that have other letters in the target folder",
		do:   "SELECT INBOX\nUID MOVE {tagged} Archive",
		told: "idle: EXPUNGE\nnoop: EXISTS",
		sees: "Archive tagged $Label1 Zeta \\Flagged \\Seen\n-INBOX tagged",
	},
	{
		name: "read mail is moved",
		do:   "SELECT INBOX\nUID MOVE {read} Archive",
		told: "idle: EXPUNGE\nnoop: EXISTS",
		sees: "Archive read \\Seen\n-INBOX read",
	},
	{
		name: "unread mail is moved, into new/ of a folder that nobody opens",
		do:   "SELECT INBOX\nUID MOVE {unseen} Archive",
		told: "idle: EXPUNGE\nnoop: EXISTS",
		sees: "Archive unseen\n-INBOX unseen",
	},
	{
		name: "unread mail is moved, and the folder opened",
		do:   "SELECT INBOX\nUID MOVE {unseen} Empty\nSELECT Empty",
		told: "idle: EXPUNGE",
		sees: "Empty unseen\n-INBOX unseen",
	},
	{
		name: "read mail is moved there and back between two syncs",
		do: `SELECT INBOX
		     UID MOVE {read} Archive
		     SELECT Archive
		     UID MOVE {read} INBOX`,
		sees: "INBOX read \\Seen\n-Archive read",
	},
	{
		name: "unread mail is moved there and back, with a sync in between",
		do: `SELECT INBOX
		     UID MOVE {unseen} Archive
		     SYNC
		     SELECT Archive
		     UID MOVE {unseen} INBOX`,
		told: "idle: EXISTS",
		sees: "INBOX unseen\n-Archive unseen",
	},
	{
		name: "read mail is moved there and back three times, with syncs in between",
		do: `SELECT INBOX
		     UID MOVE {read} Archive
		     SYNC
		     SELECT Archive
		     UID MOVE {read} INBOX
		     SYNC
		     SELECT INBOX
		     UID MOVE {read} Archive
		     SYNC
		     SELECT Archive
		     UID STORE {read} +FLAGS (\Answered)
		     UID MOVE {read} INBOX`,
		told: "idle: EXISTS",
		sees: "INBOX read \\Answered \\Seen\n-Archive read",
	},
	{
		name: "moved and flagged between two syncs",
		do: `SELECT INBOX
		     UID MOVE {unseen} Archive
		     SELECT Archive
		     UID STORE {unseen} +FLAGS (\Flagged New)`,
		told: "idle: EXPUNGE\nnoop: EXISTS",
		sees: "Archive unseen New \\Flagged\n-INBOX unseen",
	},
	{
		name: "a move that a snapshot caught half-way: both links are there",
		do: `SELECT INBOX
		     UID COPY {read} Archive
		     SYNC
		     UID STORE {read} +FLAGS.SILENT (\Deleted)
		     UID EXPUNGE {read}`,
		told: "idle: EXPUNGE\nnoop: EXISTS",
		sees: "Archive read \\Seen\n-INBOX read",
	},
	{
		name: "a copy, and the copy gets a flag of its own",
		do: `SELECT INBOX
		     UID COPY {read} Archive
		     SELECT Archive
		     UID STORE {read} +FLAGS (\Flagged)`,
		told: "noop: EXISTS",
		sees: "INBOX read \\Seen\nArchive read \\Flagged \\Seen",
	},
	{
		name: "an unread copy in two more folders",
		do: `SELECT INBOX
		     UID COPY {unseen} Archive
		     UID COPY {unseen} Empty`,
		told: "noop: EXISTS",
		sees: "INBOX unseen\nArchive unseen\nEmpty unseen",
	},
	{
		name: "one of two copies is expunged",
		do: `SELECT INBOX
		     UID COPY {read} Archive
		     SYNC
		     SELECT Archive
		     UID STORE {read} +FLAGS (\Deleted)
		     EXPUNGE`,
		sees: "INBOX read \\Seen\n-Archive read",
	},
	{
		name: "mail is marked as deleted, not yet expunged",
		do:   "SELECT INBOX\nUID STORE {read} +FLAGS (\\Deleted)",
		told: `idle: FETCH .*\\Deleted`,
		sees: `INBOX read \Deleted \Seen`,
	},
	{
		name: "mail is expunged",
		do:   "SELECT INBOX\nUID STORE {read} +FLAGS (\\Deleted)\nEXPUNGE",
		told: "idle: EXPUNGE",
		sees: "-INBOX read",
	},
	{
		name: "appended with flags and keywords, straight into cur/",
		do:   `APPEND INBOX (\Seen Zeta fresh) new`,
		at:   atOnline,
		told: "idle: EXISTS",
		sees: `INBOX new Zeta \Seen fresh`,
	},
	{
		name: "appended without flags, and seen by a client",
		do:   "APPEND INBOX () new\nSELECT INBOX",
		at:   atOnline,
		told: "idle: EXISTS",
		sees: `INBOX new`,
	},
	{
		name:  "fresh mail that no client has seen stays online",
		do:    "LMTP new",
		at:    atOnline,
		homes: true,
		sees:  "-INBOX new",
	},
	{
		name:  "appended at home: archive, it stays there",
		do:    "APPEND INBOX (\\Seen) new\nAPPEND Empty () new2",
		at:    atHome,
		homes: true,
		sees:  "-INBOX new\n-Empty new2\nINBOX read \\Seen",
	},
	{
		name: "delivered by LMTP",
		do:   "LMTP new\nLMTP other\nSELECT INBOX",
		at:   atOnline,
		told: "idle: EXISTS",
		sees: "INBOX new\nINBOX other",
	},
	{
		name: "delivered by LMTP, filed by sieve",
		do:   "LMTP list1\nSELECT lists",
		at:   atOnline,
		sees: "lists list1\n-INBOX list1",
	},
	{
		name: "delivered, filed by sieve, and moved before any sync",
		do:   "LMTP list1\nSELECT lists\nUID MOVE {list1} Archive\nSELECT Archive",
		at:   atOnline,
		told: "noop: EXISTS",
		sees: "Archive list1\n-lists list1",
	},
}

// moving are the scenarios of a table in which mail changes its place.
func moving(table []scenario) []scenario {
	return slices.DeleteFunc(slices.Clone(table), func(sc scenario) bool {
		return !strings.Contains(sc.do, "MOVE") && !strings.Contains(sc.do, "COPY") && !strings.Contains(sc.do, "EXPUNGE")
	})
}
