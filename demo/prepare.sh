# Makes the file system, both mailboxes and the configuration. Part of run.sh.
# shellcheck shell=bash disable=SC2154

step "Two mailboxes on a small btrfs"
mkdir -m 755 "$dir"
: >"$dir/.snapmerge-demo"
truncate -s 2G "$dir/disk.img"
mkfs.btrfs -q "$dir/disk.img" >/dev/null # it has a note about defaults of 2022
mkdir "$dir/mail"
mount -o loop "$dir/disk.img" "$dir/mail"
mkdir "$dir/mail/online" "$dir/mail/home"
# A mailbox is a subvolume of its own: that is what a snapshot is taken of.
btrfs -q subvolume create "$online"
btrfs -q subvolume create "$home"
CGO_ENABLED=0 go build -o "$dir/mails" ./demo/mails

# Online: the mail of two years. Some keywords have been used there before.
"$dir/mails" -seed 1 -n 320 -uid $uid "$online"
keywords "$online" '0 $Forwarded'
# Home: an old archive, and a copy of online's mail that somebody made two months ago.
"$dir/mails" -seed 2 -n 120 -uid $uid "$home"
make_folder "$home" .archive
find "$home" -path '*/cur/*' -type f -exec mv -n -t "$home/.archive/cur" {} +
find "$home" -mindepth 1 -maxdepth 1 -name '.*' ! -name .archive -exec rm -r {} +
(cd "$online" && find . -path './cur/*' -type f ! -newermt '2 months ago' -exec cp -p --parents --reflink=auto -t "$home" {} +)

cat >"$conf" <<END
state_dir = "$dir/state"

[mailbox.chris.online]
path      = "$online"
snapshots = "$dir/mail/online/snapshots"
[mailbox.chris.offline]
path      = "$home"
snapshots = "$dir/mail/home/snapshots"

[mailbox.chris.merge]
deleted_online  = "hold"     # what is deleted online waits for a person
deleted_offline = "apply"    # what is deleted at home is deleted online

[[mailbox.chris.folder]]
match = "lists/**"
keep  = "6 months"           # online keeps so much of the lists; home keeps all
END

say "  online  $(count "$online" cur) mails in $online" \
	"  home    $(count "$home" cur) mails in $home:" \
	"          an old archive, and a copy of online's older INBOX" "" "  $conf:" ""
sed 's/^/  | /' "$conf"
