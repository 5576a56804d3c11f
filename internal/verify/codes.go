package verify

// A Code names a kind of finding. Scripts rely on it: never change one.
type Code string

// A Kind is what is known of all findings of a code.
type Kind struct {
	Code  Code
	About string // what is wrong
	Mend  string // what to do about it
}

const (
	again = "run snapmerge sync: it compares anew and writes what is missing"
	index = "snapmerge verify --rebuild, or just the next sync"
	look  = "compare it with the snapshots, and if they are right: move it away, then snapmerge restore"
)

// Kinds lists all, in the order in which they are looked for. doc/verify.md has
// the same list.
var Kinds = []Kind{
	{"record-damaged", "the record of a sync is not what was written", "the newest: " + again + "; an older one is missed by log and restore only"},
	{"record-newer", "a record was written by a newer snapmerge", "use that version"},
	{"record-missing", "the record of a sync is gone", "from a backup of the snapshots directory; without it log and restore do not know of that sync"},
	{"record-mailbox", "a record is that of another mailbox", "move it to that mailbox's snapshots directory"},
	{"record-counts", "the counts of a report are not those of its actions", "believe the actions: snapmerge log N"},
	{"record-action", "a report has an action that can not be", "believe the snapshots of that sync"},
	{"record-pairs", "the record names a file that its snapshot does not have", again},
	{"record-own", "the record says that a sync made a file which is a file of its snapshot", again},
	{"copy-missing", "the snapshot of a deletion is there, but not the mail in it", "snapmerge restore looks in the other snapshots by itself"},
	{"restore-damaged", "the file of a restore is not what was written", "delete it: mail that was restored is known by its name then"},
	{"journal-damaged", "the journal of an interrupted sync can not be read", "keep a copy, delete it, then " + again + "; what that sync did counts as done by the user"},
	{"decisions-damaged", "the answers to conflicts can not be read", "delete decisions.json and answer again: snapmerge conflicts"},
	{"not-ours", "a name that is snapmerge's is something else", "move it away"},

	{"base-missing", "the snapshot that the next sync compares with is gone", again + "; nothing that is missing on that side counts as deleted then"},
	{"base-replaced", "the snapshot that the next sync compares with is another one", again + "; nothing that is missing on that side counts as deleted then"},
	{"snapshot-replaced", "a snapshot is not the one that the sync took", "delete it: btrfs subvolume delete"},
	{"snapshot-writable", "a snapshot is writable", "btrfs property set -ts PATH ro true, and see snapshot-changed"},
	{"snapshot-changed", "a snapshot was writable for a while, so it may have been changed", "delete it; of the one that the next sync compares with: do so, then " + again},
	{"snapshot-unrecorded", "a snapshot belongs to a sync of which there is no record", "keep it until the record is back, or delete it"},
	{"held-missing", "the mail that an open question is about can not be read", "answer by what conflicts show tells; taking online for deleted-offline gets it from there"},
	{"undo-missing", "a snapshot that has mail deleted within preserve_min is gone", "nothing; restore finds what other snapshots have"},

	{"index-missing", "there is no index", index},
	{"index-damaged", "the index can not be read", index},
	{"index-behind", "the index is of another sync than the newest record", index},
	{"index-pending", "index and record differ in what waits or was agreed on", index},
	{"index-lacks", "a file of the snapshot is not in the index", index},
	{"index-extra", "the index has a file that the snapshot has not", index},
	{"index-differs", "index and snapshot differ in a file's inode, size or date", index},
	{"index-message", "the index takes a file for another message", index},
	{"index-folder", "index and snapshot differ in a folder", index},
	{"index-count", "the index counts another number of messages than it has", index},

	{"store-replaced", "a store is another subvolume than at the last sync", again + "; nothing that is missing there counts as deleted"},
	{"store-layout", "the configured layout is not that of the last sync", "change the configuration back"},
	{"store-nested", "a part of the mailbox is a subvolume or file system of its own: no snapshot has it", "move its mail into a plain directory"},
	{"content-changed", "old mail at home has other bytes than before", look},
	{"date-changed", "the received date of old mail at home has changed", look + "; or touch -d, if only that"},
	{"size-wrong", "mail at home is not as long as its name says", look},
	{"mail-empty", "mail at home is empty", look},
	{"name-twice", "two mails of one folder at home have one name", "rename one while no mail client runs; Dovecot shows only one of them"},
	{"not-mail", "an entry of a folder at home can not be mail, so it is not synced", "look what it is, and move it out of cur/ or new/"},
	{"folder-incomplete", "a folder at home lacks a directory", "mkdir it, with the owner and mode of its cur/"},
	{"keyword-unnamed", "mail at home has keywords whose names are lost", "put dovecot-keywords of that folder back from a snapshot"},
	{"digest-changed", "mail at home has another digest than when it was first read", look},
	{"unreadable", "mail at home can not be read", "look at the disk (btrfs scrub), then snapmerge restore"},
}

func kindOf(c Code) Kind {
	for _, k := range Kinds {
		if k.Code == c {
			return k
		}
	}
	panic("verify: no kind " + string(c))
}
