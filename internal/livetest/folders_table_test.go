package livetest

// folderTable: what clients do to folders. Names are as on the wire, in modified
// UTF-7. What a client has subscribed to does not travel, so it is not here.
var folderTable = []scenario{
	{
		name:    "a folder is made online",
		do:      "CREATE Fresh\nCREATE deep/er/est",
		at:      atOnline,
		folders: "Fresh\ndeep/er/est",
	},
	{
		name:    "a folder is made at home: it stays there while it is empty",
		do:      "CREATE Fresh",
		at:      atHome,
		homes:   true,
		folders: "-Fresh",
	},
	{
		name:    "a folder is made and mail moved into it",
		do:      "CREATE x/Fresh\nSELECT INBOX\nUID MOVE {read} x/Fresh",
		told:    "idle: EXPUNGE",
		sees:    "x/Fresh read \\Seen\n-INBOX read",
		folders: "x/Fresh",
	},
	{
		name:    "names that are not ASCII, with a space, an ampersand, quotes",
		do:      "CREATE &AMQ-rger/&TipO1g-\nCREATE \"my \\\"A&-B\\\" box\"\nSELECT INBOX\nUID MOVE {read} &AMQ-rger/&TipO1g-\nUID MOVE {unseen} \"my \\\"A&-B\\\" box\"",
		told:    "idle: EXPUNGE",
		sees:    "&AMQ-rger/&TipO1g- read \\Seen\nmy \"A&-B\" box unseen",
		folders: "&AMQ-rger/&TipO1g-\nmy \"A&-B\" box",
	},
	{
		name:    "a folder is renamed: its mail keeps its UIDs",
		do:      "RENAME Archive Old",
		told:    "noop: BYE",
		sees:    "Old old Zeta \\Seen\n-Archive",
		folders: "Old\n-Archive",
		renames: "Archive Old",
	},
	{
		name:    "a folder is renamed to a place further down",
		do:      "RENAME Archive x/y/Old",
		told:    "noop: BYE",
		sees:    "x/y/Old old Zeta \\Seen",
		folders: "x/y/Old\n-Archive",
		renames: "Archive x/y/Old",
	},
	{
		name:    "a parent that holds no mail itself is renamed",
		do:      "RENAME a z",
		sees:    "z/b deep \\Answered\n-a/b",
		folders: "z/b\n-a/b",
		renames: "a/b z/b",
	},
	{
		name: "a folder is renamed, and mail in it flagged and moved",
		do: `RENAME Archive Old
		     SELECT INBOX
		     UID MOVE {unseen} Old
		     SELECT Old
		     UID STORE {old} +FLAGS (\Answered Late)
		     UID MOVE {old} INBOX`,
		told:    "idle: EXISTS\nnoop: BYE",
		sees:    "INBOX old Late Zeta \\Answered \\Seen\nOld unseen",
		folders: "Old\n-Archive",
	},
	{
		name:    "two folders change their names",
		do:      "RENAME Archive tmp1\nRENAME a/b Archive\nRENAME tmp1 a/b",
		sees:    "a/b old Zeta \\Seen\nArchive deep \\Answered\n-Archive old",
		folders: "Archive\na/b\n-tmp1",
	},
	{
		name:    "an empty folder is deleted",
		do:      "DELETE Empty",
		folders: "-Empty",
	},
	{
		name:    "a folder with mail is deleted while a client has it open",
		do:      "DELETE Archive",
		told:    "noop: BYE",
		sees:    "-Archive",
		folders: "-Archive",
	},
	{
		name:    "a folder is deleted and made again, with other mail",
		do:      "DELETE Archive\nCREATE Archive\nSELECT INBOX\nUID MOVE {read} Archive",
		told:    "idle: EXPUNGE",
		sees:    "Archive read \\Seen\n-Archive old",
		folders: "Archive",
	},
	{
		name:    "mail is saved from a folder, which is then deleted",
		do:      "SELECT Archive\nUID MOVE {old} INBOX\nUNSELECT\nDELETE Archive",
		told:    "idle: EXISTS\nnoop: BYE",
		sees:    "INBOX old Zeta \\Seen",
		folders: "-Archive",
	},
}
